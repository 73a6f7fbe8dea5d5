"""The accumulating neuron itself; what the compiler does with it is in tests/passes."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI2

from snncompile.neurons.accumulate import Accumulate, IntegerAccumulate
from snncompile.neurons.base import Interval


@pytest.mark.parametrize("make", [Accumulate, IntegerAccumulate])
def test_by_hand(make):
    neuron = make([-4, -5], [6, 3])
    state = neuron.begin(np.zeros(2, neuron.lowest.dtype))
    rows = []
    for x in ([7, 3], [6, 4], [0, 0], [-4, -5], [-5, -6]):
        state, sent = neuron.step(state, np.asarray(x, neuron.lowest.dtype))
        assert state[0].tolist() == sent.tolist()
        rows.append(sent.tolist())
    assert rows == [[6, 3], [6, 3], [0, 0], [-4, -5], [-4, -5]]
    assert neuron.payload == (-5, 6)


def test_records():
    assert Accumulate(-4.5, 6).quantize(1.0, LOIHI2.formats).payload == (-5, 6)
    assert Accumulate().fixed_scale == 1.0
    assert IntegerAccumulate().payload == (1 - 2**23, 2**23 - 1)
    found = IntegerAccumulate(-4, 6).bounds(Interval(np.array([-9]), np.array([3])), None)
    assert (found["v"].low.tolist(), found["v"].high.tolist()) == ([-9], [3])
    with pytest.raises(ValueError, match="lowest"):
        IntegerAccumulate(lowest=1)
    with pytest.raises(ValueError, match="most"):
        IntegerAccumulate(most=0)
