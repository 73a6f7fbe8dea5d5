"""The potential at the start of every sample, of every neuron."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import TOY, alone, design

import snncompile
from snncompile import registry
from snncompile.errors import InputError, QuantizeError
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize

NEURONS = registry.list_names("neurons")
PARAMETERS = {"current_decay": 1.0, "potential_decay": 0.0, "threshold": 1.0}
TURNS = {"sin_decay": 0.5, "cos_decay": 0.5}
COUNTS = {
    "window": 3.0,
    "refractory": 2.0,
    "threshold_decay": 0.5,
    "threshold_step": 0.25,
    "members": 3.0,
    "reset_decay": 0.5,
    "subtracted": 0.25,
}
OTHERS = TURNS | COUNTS | {"negative_threshold": -1.0}


def some(name: str, **values):
    """Return a float neuron of any kind."""
    kind = registry.load("neurons", name)
    known = PARAMETERS | OTHERS
    fields = [f for f in kind.__dataclass_fields__ if f in known]
    return kind(**{f: known[f] for f in fields}, **values)


@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron_begins_there(name):
    neuron = some(name, initial=[0.5, -2.0])
    place = neuron.states.index(neuron.potential)
    for zero, of in ((np.zeros((3, 2)), neuron), (torch.zeros(3, 2), neuron.bind(torch.tensor))):
        states = of.begin(zero)
        assert len(states) == len(neuron.states)
        assert states[place].tolist() == [[0.5, -2.0]] * 3
        assert all((s == 0).all() for i, s in enumerate(states) if i != place)


MASKS = {"phase_maximum"}
"""Their potential is a mask, which has no scale; see their own tests."""


@pytest.mark.parametrize("name", [name for name in NEURONS if name not in MASKS])
def test_quantize_scales_it(name):
    integer = some(name, initial=[0.5, -2.0]).quantize(1024.0, TOY.formats)
    assert integer.initial.tolist() == [512, -2048]
    assert str(integer).endswith(" initial=[-2048 .. 512]")
    assert "initial" not in str(some(name).quantize(1024.0, TOY.formats))


REFUSED = [
    (lambda: CubaLif(1, 0, 1, initial=np.nan), "initial must be finite"),
    (lambda: IntegerCubaLif(1, 0, 1, initial=0.5), "initial must be whole numbers"),
    (
        lambda: IntegerCubaLif(1, 0, 1, initial=[0, -(2**23)]),
        "initial must be within +-8388607, got -8388608",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_too_large_for_the_potential():
    with pytest.raises(QuantizeError) as error:
        IntegrateFire(1.0, initial=-3.0).quantize(2.0**22, TOY.formats)
    assert str(error.value) == "initial -12582912 is outside +-8388607"


def test_as_many_as_there_are_neurons():
    with pytest.raises(InputError) as error:
        alone(IntegrateFire(1.0, initial=[0, 1, 2]), 2)
    assert str(error.value) == "a: initial has 3 values for 2 neurons"


# Potential 64 per weight of 1; the neuron fires above 2 * 64 = 128.
STEPS = {
    "one step earlier": (IntegerIntegrateFire(2, initial=64), [0, 1, 0], [0, 1, 0]),
    "not without": (IntegerIntegrateFire(2), [0, 1, 0], [0, 0, 0]),
    "fires by itself": (IntegerIntegrateFire(2, initial=257), [0, 0, 0], [1, 1, 0]),
    "leaks": (IntegerCubaLif(4095, 2048, 2, initial=258), [0, 0, 0], [1, 0, 0]),
    "above the threshold counts as fired": (
        IntegerCubaLif(4095, 0, 2, reset="delayed_soft", initial=129),
        [1, 1, 1],
        [1, 1, 1],
    ),
    "from above the threshold it takes twice that": (
        IntegerCubaLif(4095, 0, 2, reset="strict_soft", initial=129),
        [0, 1, 0],
        [0, 1, 0],
    ),
    "no potential is above twice such a threshold": (
        IntegerCubaLif(4095, 0, 65537, 4095, 12, reset="strict_soft", initial=4194369),
        [0, 1, 1],
        [0, 0, 0],
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_every_sample_begins_anew(case):
    neuron, x, wanted = STEPS[case]
    network = alone(neuron, weight=[[2]])
    found = network.run(np.array([x, x])[..., None]).spikes
    assert found[..., 0].tolist() == [wanted, wanted]


def test_the_scale_leaves_room_for_it():
    made = Quantize()(design(alone(IntegrateFire(1.0, initial=900.0)), TOY))
    assert 2**22 < made.network.population("a").neuron.initial.item() < 2**23


def test_half_a_threshold_is_the_same_after_compiling():
    network = alone(IntegrateFire([1.0, 2.0], initial=[0.5, 1.0]), 2)
    program = snncompile.compile(network, chip=TOY, steps=6)
    x = np.array([[0, 1, 0, 1, 1, 0]])[..., None]
    assert (program.run(x).spikes == network.run(x).spikes).all()
    assert program.run(x).spikes[0].any(axis=0).all()


def test_a_bound_says_that_it_is_there():
    network = alone(IntegerIntegrateFire(2, initial=1000))
    found = {b.quantity: (b.low, b.high) for b in prove_bounds(network, TOY, steps=1)}
    assert found["v"] == (0, 1000 + 128)
