"""Refractory LIF: by hand, against plain Python, within its bounds, floats like integers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, TOY, alone, chain, design, spikes

from snncompile.errors import QuantizeError
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.refractory_lif import IntegerRefractoryLif, RefractoryLif
from snncompile.passes.analysis.number_ranges import check_ranges
from snncompile.passes.quantize.quantize import Quantize

# Neuron, accumulated weights per time step, (u, v, wait, output) after each.
BY_HAND = {
    "two silent steps, the third may fire": (
        IntegerRefractoryLif(4095, 0, 2, 2),
        [3, 3, 3, 3, 1],
        [(192, 0, 2, 1), (192, 0, 1, 0), (192, 0, 0, 0), (192, 0, 2, 1), (64, 0, 1, 0)],
    ),
    "the current goes on, the bias is lost": (
        IntegerRefractoryLif(2047, 0, 2, 1, 10),
        [4, 0, 0],
        [(256, 0, 1, 1), (128, 0, 0, 0), (64, 74, 0, 0)],
    ),
    "a period of 0 is none": (
        IntegerRefractoryLif(4095, 0, 2, 0),
        [3, 3, 2],
        [(192, 0, 0, 1), (192, 0, 0, 1), (128, 128, 0, 0)],
    ),
    "v at the threshold does not fire": (
        IntegerRefractoryLif(4095, 0, 2, 5),
        [2, 0, 1],
        [(128, 128, 0, 0), (0, 128, 0, 0), (64, 0, 5, 1)],
    ),
    "a negative v is held at zero too": (
        IntegerRefractoryLif(4095, 0, 0, 1),
        [1, -9, -9],
        [(64, 0, 1, 1), (-576, 0, 0, 0), (-576, -576, 0, 0)],
    ),
    "the current wraps and v saturates": (
        IntegerRefractoryLif(4095, 0, 131071, 1),
        [2**17 + 1, 2**17, 5],
        [
            (64 - laws.HALF, 64 - laws.HALF, 0, 0),
            (laws.HALF, 64, 0, 0),
            (320, 384, 0, 0),
        ],
    ),
}

FLOAT = {
    "two silent steps": (
        RefractoryLif(1.0, 0.0, 1.0, 2),
        [2.0, 2.0, 2.0, 0.5, 2.0],
        [(2, 0, 2, 1), (2, 0, 1, 0), (2, 0, 0, 0), (0.5, 0.5, 0, 0), (2, 0, 2, 1)],
    ),
    "current, leak and bias": (
        RefractoryLif(0.5, 0.25, 4.0, 1, 1.0),
        [4.0, 0.0, 0.0],
        [(4, 0, 1, 1), (2, 0, 0, 0), (1, 2, 0, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


@pytest.mark.parametrize("case", FLOAT)
def test_floats_by_hand(case):
    neuron, drive, wanted = FLOAT[case]
    assert laws.run(neuron, drive) == wanted


def test_parameters_per_neuron():
    neuron = IntegerRefractoryLif([4095, 2047], 0, [1, 2], [0, 2])
    state = tuple(np.zeros(2, np.int64) for _ in neuron.states)
    fired = []
    for _ in range(4):
        state, spike = neuron.step(state, np.array([3, 3]))
        fired.append(spike.tolist())
    assert fired == [[True, True], [True, False], [True, False], [True, True]]


def plain_step(p, state, x):
    u, v, wait = state
    raw_u = plain.decayed(u, p["current_decay"] + 1) + 64 * x
    u = plain.wrapped(raw_u)
    raw_v = (
        plain.decayed(v, p["potential_decay"]) + u + p["bias_mantissa"] * 2 ** p["bias_exponent"]
    )
    if wait:
        return (u, 0, wait - 1), False, {"u": raw_u, "v": 0}
    v = plain.saturated(raw_v)
    reached = {"u": raw_u, "v": raw_v}
    if v > 64 * p["threshold"]:
        return (u, 0, p["refractory"]), True, reached
    return (u, v, 0), False, reached


def plain_float_step(p, state, x):
    u, v, wait = state
    u = (1 - p["current_decay"]) * u + x
    v = (1 - p["potential_decay"]) * v + u + p["bias"]
    if wait:
        return (u, 0.0, wait - 1), False, {}
    if v > p["threshold"]:
        return (u, 0.0, p["refractory"]), True, {}
    return (u, v, 0.0), False, {}


PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD,
    "refractory": st.integers(0, 4),
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, laws.STATE, st.integers(0, 4)),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerRefractoryLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
            "refractory": st.integers(0, 3).map(float),
            "bias": laws.FINITE,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(RefractoryLif(**p), plain_float_step, p, (0.0,) * 3, drive)


@given(drive=st.lists(st.integers(-9, 9), min_size=1, max_size=20), threshold=st.integers(1, 5))
def test_without_a_period_it_is_a_hard_lif(drive, threshold):
    wanted = laws.run(IntegerCubaLif(1000, 300, threshold), drive)
    found = laws.run(IntegerRefractoryLif(1000, 300, threshold, 0), drive)
    assert [(u, v, spike) for u, v, _, spike in found] == wanted


@settings(max_examples=200)
@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.SMALL_BIAS),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, low, high, steps, known, noise):
    neuron = IntegerRefractoryLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    decays=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    refractory=st.integers(0, 4),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, refractory, bias, drive):
    exact = RefractoryLif(*decays, threshold, refractory, bias)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive, unscaled=("wait",))


REFUSED = [
    (lambda: RefractoryLif(0, 0, 1, 1.5), "refractory must be a whole number from 0, got 1.5"),
    (lambda: RefractoryLif(0, 0, 1, [0, -1]), "refractory must be a whole number from 0, got -1"),
    (
        lambda: IntegerRefractoryLif(0, 0, 1, -1),
        "refractory must be a whole number from 0, got -1",
    ),
    (lambda: RefractoryLif(2, 0, 1, 1), "current_decay must be between 0 and 1, got 2"),
    (lambda: RefractoryLif(0, 0, 0, 1), "threshold must be positive, got 0"),
    (
        lambda: IntegerRefractoryLif(0, 0, 1, 1, 1, 32),
        "bias_exponent must be between 0 and 31, got 32",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = RefractoryLif([0.5, 1.0], 0.25, 1.0, [2, 3], [0.5, -1]).quantize(640.0, TOY.formats)
    assert {name: getattr(neuron, name).tolist() for name in neuron.parameters()} == {
        "current_decay": [2047, 4095],
        "potential_decay": 1024,
        "threshold": 10,
        "refractory": [2, 3],
        "bias_mantissa": [320, -640],
        "bias_exponent": 0,
    }
    assert neuron.kind == "refractory_lif"
    assert neuron.real()["threshold"] == 640.0
    assert len(np.unique(neuron.profile()["compartment"])) == 2


def test_the_register_of_loihi1_ends_at_63():
    """It holds the period and one, so 62 silent steps are the most."""
    assert RefractoryLif(1, 0, 1, 62).quantize(6400, LOIHI1.formats).refractory == 62
    with pytest.raises(QuantizeError) as error:
        RefractoryLif(1, 0, 1, [1, 63]).quantize(6400, LOIHI1.formats)
    assert str(error.value) == "refractory 63 is outside 0..62"
    with pytest.raises(QuantizeError) as error:
        check_ranges(alone(IntegerRefractoryLif(0, 0, 1, 63)), LOIHI1)
    assert str(error.value) == "population a: refractory 63 is outside 0..62 of loihi1"


def test_a_network_of_them_is_quantized_and_fires_alike():
    network = chain(6, 5, 4, neuron=RefractoryLif(0.7, 0.1, 1.0, 2), weight=0.4)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, TOY)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.any()
    # All weights are the largest one, which is a whole number of steps: nothing is rounded.
    np.testing.assert_array_equal(found, wanted)
