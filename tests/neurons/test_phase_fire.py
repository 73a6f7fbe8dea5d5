"""Phase-coded bistable neuron: by hand, against plain Python, within its bounds, and in layers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, design

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.phase_fire import IntegerPhaseFire, PhaseFire
from snncompile.neurons.window_readout import WindowReadout
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.dense import dense

# Neuron, accumulated weights per time step, (v, clock, output) after each.
BY_HAND = {
    "digits of 5, the largest first": (
        IntegerPhaseFire(1, 3, initial=8),
        [1, 0, 1, 9, 9, 9, 0],
        [(72, 1, 0), (144, 2, 0), (352, 3, 0), (96, 4, 1), (96, 5, 0), (32, 6, 1), (8, 7, 0)],
    ),
    "asleep before its start, all digits where it is too much": (
        IntegerPhaseFire(1, 2, 1, 10),
        [5, 5, 1, 0, 0],
        [(0, 1, 0), (330, 2, 0), (734, 3, 0), (606, 4, 1), (542, 5, 1)],
    ),
    "sleeps after one cycle": (
        IntegerPhaseFire(1, 1, 1, 64, once=1),
        [9, 1, 9, 9, 9],
        [(0, 1, 0), (128, 2, 0), (64, 3, 1), (64, 4, 0), (64, 5, 0)],
    ),
    "a negative sum stays silent": (
        IntegerPhaseFire(0, 1),
        [-1, 9, 1],
        [(-64, 1, 0), (-64, 2, 0), (64, 3, 0)],
    ),
    "the input wraps, v saturates": (
        IntegerPhaseFire(131071, 3),
        [2**17 + 1, 2**17, 2**17, 0],
        [(i * 64 - laws.HALF, n, 0) for i, n in ((1, 1), (2, 2), (4, 3), (4, 4))],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def plain_step(p, state, x):
    v, clock = state
    window, position = p["window"], (clock - p["start"]) % (2 * p["window"])
    raw_v, spike = v, False
    over = p["once"] and clock >= p["start"] + 2 * p["window"]
    if clock >= p["start"] and not over:
        level = 64 * p["threshold"] * 2 ** (2 * window - 1 - position)
        if position < window:
            bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
            raw_v = (2 * v if position else p["initial"]) + plain.wrapped(64 * x) + bias
            v = plain.saturated(raw_v)
        elif v > level:
            v, spike = v - level, True
    return (v, clock + 1), spike, {"u": 64 * x, "v": raw_v}


def plain_float_step(p, state, x):
    v, clock = state
    window, spike = p["window"], False
    position = (clock - p["start"]) % (2 * window)
    over = p["once"] and clock >= p["start"] + 2 * p["window"]
    if clock >= p["start"] and not over:
        level = p["threshold"] * 2 ** (2 * window - 1 - position)
        if position < window:
            v = (2 * v if position else p["initial"]) + (x + p["bias"])
        elif v > level:
            v, spike = v - level, True
    return (v, clock + 1), spike, {}


PARAMETERS = {
    "threshold": laws.THRESHOLD,
    "window": st.integers(1, 4),
    "start": st.integers(0, 4),
    "once": st.integers(0, 1),
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, st.integers(0, 20)),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=9),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerPhaseFire(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "threshold": st.floats(0.01, 4),
            "window": st.integers(1, 3).map(float),
            "start": st.integers(0, 3).map(float),
            "once": st.sampled_from([0.0, 1.0]),
            "bias": laws.FINITE,
            "initial": laws.FINITE,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=12),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(PhaseFire(**p), plain_float_step, p, (0.0, 0.0), drive)


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
    neuron = IntegerPhaseFire(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    cycle=st.tuples(st.integers(1, 4), st.integers(0, 4)),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=12),
)
def test_integers_are_the_floats_times_the_scale(threshold, cycle, bias, drive):
    exact = PhaseFire(threshold, *cycle, bias)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive, unscaled=("clock",))


REFUSED = [
    (lambda: PhaseFire(0, 1), "threshold must be positive, got 0"),
    (lambda: PhaseFire(1, 17), "window must be at most 16, got 17"),
    (lambda: PhaseFire(1, [1, 2.5]), "window must be a whole number from 1, got 2.5"),
    (lambda: PhaseFire(1, 1, -1), "start must be a whole number from 0, got -1"),
    (lambda: PhaseFire(1, 1, once=2), "once must be 0 or 1"),
    (lambda: IntegerPhaseFire(1, 0), "window must be a whole number from 1, got 0"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_two_layers_and_a_readout_compute_with_numbers():
    """The digits of each window are the rounded ReLU of what the digits before it say."""
    digits, rng = 5, np.random.default_rng(2)
    top = 2**digits - 1
    first, second = rng.uniform(-0.4, 0.8, (6, 5)), rng.uniform(-0.5, 0.9, (4, 6))
    half = 0.5 / 2 ** (digits - 1)
    network = Network(
        Input("input", (5,)),
        (
            Population("a", (6,), PhaseFire(1.0, digits, 0, initial=half)),
            Population("b", (4,), PhaseFire(1.0, digits, digits, initial=half)),
            Population("c", (4,), WindowReadout(digits, 2 * digits, 1, 0.25)),
        ),
        (
            Projection("input", "a", dense(first)),
            Projection("a", "b", dense(second)),
            Projection("b", "c", dense(np.eye(4))),
        ),
        "c",
    )
    values = rng.integers(0, top + 1, (30, 5))
    x = np.zeros((30, 3 * digits, 5), np.uint8)
    x[:, :digits] = values[:, None] >> np.arange(digits)[::-1, None] & 1
    wanted = values.astype(float)
    for weight in (first, second):
        wanted = np.clip(np.ceil(wanted @ weight.T - 0.5), 0, top)
    found = network.run(x).spikes
    assert (found[:, -1] == wanted + 0.25 * top).all()
    assert not found[:, :-1].any()
    assert 0 < (wanted == top).mean() < 0.5
    assert len(np.unique(wanted)) > 8
    integer = Quantize()(design(network, TOY))
    scale = integer.quantized[-1].scale
    found = integer.network.run(x).spikes[:, -1] / scale
    assert np.abs(found - wanted - 0.25 * top).max() < 1.5


def digits_of(v, window, threshold):
    """Return what is emitted from a potential."""
    digits = []
    for digit in reversed(range(window)):
        digits.append(v > threshold * 2**digit)
        v -= threshold * 2**digit * digits[-1]
    return digits


@settings(max_examples=300)
@given(
    threshold=st.integers(1, 50),
    drive=st.lists(st.integers(-400, 400), min_size=1, max_size=6),
    spare=st.integers(0, 30),
)
def test_saturating_at_its_reach_changes_no_spike(threshold, drive, spare):
    window = len(drive)
    most = max(abs(d) for d in drive) + spare
    limit = float(PhaseFire(float(threshold), window).reach(np.asarray(most)))
    held = free = 0
    for d in drive:
        free = 2 * free + d
        held = min(max(2 * held + d, -limit), limit)
    assert digits_of(held, window, threshold) == digits_of(free, window, threshold)


def test_dense_layers_leave_room_for_the_first_digit():
    """Small weights would allow a threshold with which no potential reaches the first digit."""
    window, rng = 8, np.random.default_rng(0)
    weight = rng.choice([0.01, 0.02], (4, 60))
    network = Network(
        Input("input", (60,)),
        (
            Population("a", (4,), PhaseFire(1.0, window, initial=0.5**window)),
            Population("b", (4,), WindowReadout(window, window, 1.0)),
        ),
        (Projection("input", "a", dense(weight)), Projection("a", "b", dense(np.eye(4)))),
        "b",
    )
    shown = rng.random((20, 2 * window, 60)) < 0.5
    done = Quantize()(design(network, TOY))
    wanted = network.run(shown.astype(int)).spikes.sum(axis=1)
    found = done.network.run(shown.astype(int)).spikes.sum(axis=1) / done.quantized[-1].scale
    assert wanted.max() > 2**window * 0.5
    assert np.abs(found - wanted).max() <= 1  # the last of the digits
