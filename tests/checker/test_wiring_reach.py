"""Sources and synapses of any slice of a convolution, by the checker, against the matrix."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.checker.wiring_reach import count_synapses, find_sources
from snncompile.ir.mapping import Slice
from snncompile.synapses.convolution import Convolution

GEOMETRIES = [
    Convolution((4, 6, 5), 4, (3, 2), (1, 2), (1, 0), (1, 2), groups=2),
    Convolution((2, 9), 3, (4,), (3,), (2,), (1,)),
    Convolution((3, 7, 7), 2, (2, 2), (3, 3), (0, 0), (1, 1)),
]


@settings(max_examples=60, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES), data=st.data())
def test_of_neurons_that_are_no_box(wiring, data):
    neuron = st.integers(0, wiring.targets - 1)
    neurons = sorted(data.draw(st.sets(neuron, min_size=1)))
    rows = wiring.matrix(np.ones(wiring.weight_shape)).toarray()[neurons] != 0
    s = Slice.from_neurons("a", tuple(neurons), 0)
    assert count_synapses(wiring, s) == rows.sum()
    assert find_sources(wiring, s).neurons().tolist() == np.flatnonzero(rows.any(axis=0)).tolist()
