"""Neurons that state others as equal do the same as these, bit for bit."""

from __future__ import annotations

from dataclasses import fields

import drawn_neurons
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile import registry
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Neuron
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.refractory_lif import RefractoryLif

SIZE = 4
PLAIN = {
    "cuba_lif": {"current_decay": 4095, "potential_decay": 0},
    "integrate_fire": {},
    "adaptive_lif": {"threshold_step": 0},
    "refractory_lif": {"refractory": 0},
}
"""Neuron -> the parameters with which it equals another."""
EQUALS = {
    "cuba_lif/hard": ["integrate_fire/hard"],
    "cuba_lif/soft": ["integrate_fire/soft"],
    "integrate_fire/hard": ["cuba_lif/hard"],
    "integrate_fire/soft": ["cuba_lif/soft"],
    "adaptive_lif/hard": ["cuba_lif/hard"],
    "adaptive_lif/soft": ["cuba_lif/soft"],
    "refractory_lif": ["cuba_lif/hard"],
}


def draw_plain(kind: str, rng: np.random.Generator, wild: bool) -> IntegerNeuron:
    """Return an integer neuron with any parameters but those that make it equal to another."""
    drawn = drawn_neurons.neuron(rng, kind, SIZE, wild=wild)
    values = {f.name: getattr(drawn, f.name) for f in fields(drawn)}
    shapes = [(), (SIZE,)]
    for name, value in PLAIN.get(drawn.name, {}).items():
        values[name] = np.full(shapes[rng.integers(2)], value)
    return type(drawn)(**values)


def to_floats(neuron: IntegerNeuron, rng: np.random.Generator) -> FloatNeuron:
    """Return a float neuron like an integer one, with numbers whose sums round."""
    make = registry.load("neurons", neuron.name)
    known = neuron.real()
    values = {}
    for field in (f for f in fields(make) if f.name != "reset"):
        value = known.get(field.name, getattr(neuron, field.name, None))
        share = make.is_share(field.name) or not np.issubdtype(np.asarray(value).dtype, np.floating)
        values[field.name] = value if share else value * rng.uniform(0.5, 1.5)
    values["initial"] = neuron.initial * rng.uniform(0.5, 1.5)
    return make(**values, **({"reset": neuron.reset} if hasattr(neuron, "reset") else {}))


def run(neuron: Neuron, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return output and potential of every step."""
    state, rows = neuron.begin(np.zeros(SIZE, x.dtype)), []
    for row in x:
        state, output = neuron.step(state, row)
        rows.append((np.asarray(output), state[neuron.states.index(neuron.potential)]))
    return rows


def check_equals(neuron: Neuron, x: np.ndarray) -> None:
    expected = run(neuron, x)
    for equal in neuron.equals():
        for (output, v), (wanted, potential) in zip(run(equal, x), expected, strict=True):
            np.testing.assert_array_equal(output, wanted)
            np.testing.assert_array_equal(v, potential)


KINDS = [
    kind for kind in drawn_neurons.KINDS if not registry.load("neurons", kind.split("/")[0]).ports
]
"""Neurons of one input; those of two state no equals."""


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), wild=st.booleans(), plain=st.booleans())
def test_equals_do_the_same(kind, seed, wild, plain):
    """Integers that wrap and saturate, and floats, of any neuron of the registry."""
    rng = np.random.default_rng(seed)
    drawn = drawn_neurons.neuron(rng, kind, SIZE, wild=wild)
    neuron = draw_plain(kind, rng, wild) if plain else drawn
    size = 2**19 if wild else 300
    check_equals(neuron, rng.integers(-size, size, (12, SIZE)))
    if kind.rstrip("/") in EQUALS:
        check_equals(to_floats(neuron, rng), rng.normal(0, 1, (12, SIZE)) * size * 64)


@pytest.mark.parametrize("kind", KINDS)
def test_which_equals_there_are(kind):
    rng = np.random.default_rng(1)
    neuron = draw_plain(kind, rng, wild=False)
    known = EQUALS.get(kind.rstrip("/"), [])
    assert [equal.kind for equal in neuron.equals()] == known
    if known:
        assert [equal.kind for equal in to_floats(neuron, rng).equals()] == known


NEARLY = {
    "memory in the current": CubaLif(0.999, 0.0, 1.0, reset="soft"),
    "a leak": CubaLif(1.0, 0.001, 1.0, reset="soft"),
    "one neuron has a leak": CubaLif(1.0, np.array([0.0, 0.5]), 1.0),
    "one neuron has memory": CubaLif(np.array([1.0, 0.5]), 0.0, 1.0),
    "memory in integers": IntegerCubaLif(4094, 0, 1),
    "a leak in integers": IntegerCubaLif(4095, 1, 1),
    "the reset comes late": CubaLif(1.0, 0.0, 1.0, reset="delayed_soft"),
    "one step at zero": CubaLif(1.0, 0.0, 1.0, reset="delayed_hard"),
    "no second spike in a row": CubaLif(1.0, 0.0, 1.0, reset="strict_soft"),
    "no reset": CubaLif(1.0, 0.0, 1.0, reset="none"),
    "one spike at most, but at the threshold": MultiSpikeLif(1.0, 0.0, 1.0, most=1.0),
    "a small rise": AdaptiveLif(1.0, 0.0, 1.0, 1.0, 0.001),
    "rests once": RefractoryLif(1.0, 0.0, 1.0, np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("name", NEARLY)
def test_what_only_comes_close_is_no_equal(name):
    assert NEARLY[name].equals() == ()


def test_one_spike_at_most_fires_at_the_threshold_and_integrate_and_fire_above_it():
    x = np.ones((1, SIZE))
    assert run(MultiSpikeLif(1.0, 0.0, 1.0, most=1.0), x)[0][0].all()
    assert not run(IntegrateFire(1.0), x)[0][0].any()
