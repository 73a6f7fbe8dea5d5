"""Several spikes in one time step: the neuron itself, and spikes above 1 through the compiler."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, chain, spikes

from snncompile.compiler import compile
from snncompile.errors import UnsupportedError
from snncompile.neurons.multi_spike_lif import IntegerMultiSpikeLif, MultiSpikeLif

SOFT, HARD = "soft", "hard"
LOWEST = 1 - laws.HALF

# Neuron, accumulated weights per time step, (u, v, output) after each.
BY_HAND = {
    "one spike per threshold, at it too": (
        IntegerMultiSpikeLif(4095, 0, 2),
        [2, 7, 0, -9, 0],
        [(128, 0, 1), (448, 64, 3), (0, 64, 0), (-576, -512, 0), (0, -512, 0)],
    ),
    "at most two": (
        IntegerMultiSpikeLif(4095, 0, 2, most=2),
        [7, 0],
        [(448, 192, 2), (0, 64, 1)],
    ),
    "hard": (IntegerMultiSpikeLif(4095, 0, 2, reset=HARD), [5, 1], [(320, 0, 2), (64, 64, 0)]),
    "never below the lowest": (
        IntegerMultiSpikeLif(4095, 0, 2, lowest=-100),
        [-9, 3],
        [(-576, -100, 0), (192, 92, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = MultiSpikeLif(1.0, 0.5, 1.0, 0.25, most=2, lowest=-0.5)
    assert laws.run(neuron, [0.75, 3.0, -9.0, 0.25]) == [
        (0.75, 0.0, 1),
        (3.0, 1.25, 2),
        (-9.0, -0.5, 0),
        (0.25, 0.25, 0),
    ]


def after(v, threshold, most, lowest, reset):
    spikes = min(max(int(v // threshold), 0), most) if v > 0 else 0
    v = (0 * v if spikes else v) if reset == HARD else v - threshold * spikes
    return max(v, lowest), spikes


def plain_step(p, state, x):
    u, v = state
    raw_u = plain.decayed(u, p["current_decay"] + 1) + 64 * x
    u = plain.wrapped(raw_u)
    raw_v = plain.decayed(v, p["potential_decay"]) + u
    raw_v += p["bias_mantissa"] * 2 ** p["bias_exponent"]
    v, n = after(plain.saturated(raw_v), 64 * p["threshold"], p["most"], p["lowest"], p["reset"])
    return (u, v), n, {"u": raw_u, "v": raw_v}


def plain_float_step(p, state, x):
    u = (1 - p["current_decay"]) * state[0] + x
    v = (1 - p["potential_decay"]) * state[1] + u + p["bias"]
    spikes = min(max(int(v / p["threshold"]), 0), p["most"])
    v = v * (spikes == 0) if p["reset"] == HARD else v - p["threshold"] * spikes
    return (u, max(v - p["lowest"], 0) + p["lowest"]), spikes, {}


RESET = st.sampled_from([HARD, SOFT])
PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD.map(lambda n: max(n, 1)),
    "most": st.integers(1, 4) | st.just(255),
    "lowest": st.just(LOWEST) | st.integers(-5000, 0),
    "reset": RESET,
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, laws.STATE),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerMultiSpikeLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
            "bias": laws.FINITE,
            "most": st.integers(1, 5),
            "lowest": st.floats(-4, 0),
            "reset": RESET,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(MultiSpikeLif(**p), plain_float_step, p, (0.0, 0.0), drive)


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
    neuron = IntegerMultiSpikeLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    decays=st.tuples(*[st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])]),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    lowest=st.integers(-8, 0).map(lambda n: n / 4),
    reset=RESET,
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, bias, lowest, reset, drive):
    exact = MultiSpikeLif(*decays, threshold, bias, 3, lowest, reset)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive)


REFUSED = [
    (lambda: MultiSpikeLif(1, 0, 0), "threshold must be positive, got 0"),
    (lambda: MultiSpikeLif(1, 0, 1, most=0), "most must be a whole number from 1, got 0"),
    (lambda: MultiSpikeLif(1, 0, 1, lowest=1), "lowest must not be positive, got 1"),
    (lambda: MultiSpikeLif(1, 0, 1, reset="none"), "reset must be hard or soft, got 'none'"),
    (lambda: IntegerMultiSpikeLif(1, 0, 0), "threshold must be positive, got 0"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_the_lowest_potential_is_said_only_where_there_is_one():
    assert str(MultiSpikeLif(1, 0, 1)) == (
        "multi_spike_lif/soft current_decay=1 potential_decay=0 threshold=1 bias=0 most=255"
    )
    assert str(MultiSpikeLif(1, 0, 1, lowest=-1)).endswith(" most=255 lowest=-1")
    integer = MultiSpikeLif(1, 0, 1).quantize(6400.0, TOY.formats)
    assert integer.lowest == LOWEST
    assert "lowest" not in integer.real()
    bounded = MultiSpikeLif(1, 0, 1, lowest=-0.5).quantize(6400.0, TOY.formats)
    assert bounded.real()["lowest"] == -3200


def test_spikes_above_one_go_through_the_compiler():
    neuron = MultiSpikeLif(1.0, 0.0, 0.5, most=31)  # few enough for the finest scale
    network = chain(4, 3, 2, neuron=neuron, weight=0.75)
    x = spikes(network, samples=3, steps=12)
    wanted = network.run(x).spikes
    assert wanted.max() > 1
    program = compile(network, chip="loihi2", calibration=x)
    np.testing.assert_array_equal(program.run(x).spikes, wanted)
    with pytest.raises(UnsupportedError, match="loihi1 has no neuron multi_spike_lif/soft"):
        compile(network, chip="loihi1", calibration=x)
    assert LOIHI2.neurons["multi_spike_lif/soft"].value == 1
