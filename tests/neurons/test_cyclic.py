"""What the neurons with a cycle share: profiles, and when they listen."""

from __future__ import annotations

import laws
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import TOY

from snncompile.neurons.bistable_fire import BistableFire
from snncompile.neurons.phase_fire import PhaseFire

PARAMETERS = {
    "threshold": laws.THRESHOLD,
    "window": st.integers(1, 4),
    "start": st.integers(0, 4),
    "once": st.integers(0, 1),
}
KINDS = [BistableFire, PhaseFire]


@pytest.mark.parametrize("kind", KINDS)
def test_quantize(kind):
    neuron = kind([1.0, 2.0], 4, [0, 4], 0.5, [1, 1]).quantize(640.0, TOY.formats)
    assert {name: getattr(neuron, name).tolist() for name in neuron.parameters()} == {
        "threshold": [10, 20],
        "window": 4,
        "start": [0, 4],
        "bias_mantissa": 320,
        "bias_exponent": 0,
        "once": [1, 1],
    }
    assert isinstance(neuron, kind.integer)
    assert len(np.unique(neuron.profile()["compartment"])) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_cycle_has_a_profile_of_its_own(kind):
    neuron = kind.integer(1, 4, [0, 4, 4], once=[0, 0, 1])
    assert len(np.unique(neuron.profile()["compartment"])) == 3


@given(
    kind=st.sampled_from(KINDS),
    p=st.fixed_dictionaries(PARAMETERS),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=20),
)
def test_floats_listen_where_integers_do(kind, p, drive):
    p = p | {"threshold": p["threshold"] + 1}
    neuron, steps = kind(**p, bias=0.25), np.arange(len(drive))
    heard = neuron.listens(steps)
    assert heard.tolist() == kind.integer(**p).listens(steps).tolist()
    assert laws.run(neuron, drive) == laws.run(neuron, np.where(heard, drive, 0).tolist())


@given(
    kind=st.sampled_from(KINDS),
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=20),
)
def test_it_listens_only_where_input_matters(kind, p, drive):
    neuron = kind.integer(**p)
    heard = neuron.listens(np.arange(len(drive)))
    assert laws.run(neuron, drive) == laws.run(neuron, np.where(heard, drive, 0).tolist())
    first = p["start"] + np.arange(p["window"])
    wanted = first if p["once"] else first + np.arange(10)[:, None] * 2 * p["window"]
    assert np.flatnonzero(heard).tolist() == [n for n in wanted.ravel() if n < len(drive)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_population_listens_where_one_of_its_neurons_does(kind):
    neuron = kind.integer(1, [1, 2], [0, 3], once=[0, 1])
    assert "".join(map(str, neuron.listens(np.arange(8)).astype(int))) == "10111010"
