"""Bistable integrate-and-fire: by hand, against plain Python, within its bounds, and in layers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, design

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.bistable_fire import BistableFire, IntegerBistableFire
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

# Neuron, accumulated weights per time step, (v, clock, output) after each.
BY_HAND = {
    "receives two steps, emits two steps, and starts anew": (
        IntegerBistableFire(1, 2),
        [2, 2, 9, 9, 1, 0, 0],
        [(128, 1, 0), (256, 2, 0), (192, 3, 1), (128, 4, 1), (64, 5, 0), (64, 6, 0), (64, 7, 0)],
    ),
    "sleeps after one cycle": (
        IntegerBistableFire(1, 1, 1, 64, once=1),
        [9, 1, 9, 9, 9],
        [(0, 1, 0), (128, 2, 0), (64, 3, 1), (64, 4, 0), (64, 5, 0)],
    ),
    "asleep before its start": (
        IntegerBistableFire(1, 1, 2, 10),
        [5, 5, 1, 0],
        [(0, 1, 0), (0, 2, 0), (74, 3, 0), (10, 4, 1)],
    ),
    "a negative sum stays silent": (
        IntegerBistableFire(0, 1),
        [-1, 9, 1],
        [(-64, 1, 0), (-64, 2, 0), (64, 3, 0)],
    ),
    "the input wraps, v saturates": (
        IntegerBistableFire(131071, 3),
        [2**17 + 1, 2**17, 2**17, 0],
        [(64 - laws.HALF, 1, 0), (64, 2, 0), (laws.TOP, 3, 0), (63, 4, 1)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = BistableFire(1.0, 2, 1, 0.25)
    assert laws.run(neuron, [5.0, 1.0, 0.5, 5.0, 5.0, 1.0]) == [
        (0.0, 1, 0),
        (1.25, 2, 0),
        (2.0, 3, 0),
        (1.0, 4, 1),
        (1.0, 5, 0),
        (1.25, 6, 0),
    ]


def plain_step(p, state, x):
    v, clock = state
    position = (clock - p["start"]) % (2 * p["window"])
    raw_v, spike = v, False
    over = p["once"] and clock >= p["start"] + 2 * p["window"]
    if clock >= p["start"] and not over:
        if position < p["window"]:
            bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
            raw_v = (v if position else p["initial"]) + plain.wrapped(64 * x) + bias
            v = plain.saturated(raw_v)
        elif v > 64 * p["threshold"]:
            v, spike = v - 64 * p["threshold"], True
    return (v, clock + 1), spike, {"u": 64 * x, "v": raw_v}


def plain_float_step(p, state, x):
    v, clock = state
    position, spike = (clock - p["start"]) % (2 * p["window"]), False
    over = p["once"] and clock >= p["start"] + 2 * p["window"]
    if clock >= p["start"] and not over:
        if position < p["window"]:
            v = (v if position else p["initial"]) + (x + p["bias"])
        elif v > p["threshold"]:
            v, spike = v - p["threshold"], True
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
    laws.same_as_plain(IntegerBistableFire(**p), plain_step, p, start, drive)


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
    laws.same_as_plain(BistableFire(**p), plain_float_step, p, (0.0, 0.0), drive)


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
    neuron = IntegerBistableFire(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    cycle=st.tuples(st.integers(1, 4), st.integers(0, 4)),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=12),
)
def test_integers_are_the_floats_times_the_scale(threshold, cycle, bias, drive):
    exact = BistableFire(threshold, *cycle, bias)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive, unscaled=("clock",))


REFUSED = [
    (lambda: BistableFire(0, 1), "threshold must be positive, got 0"),
    (lambda: BistableFire(1, 0), "window must be a whole number from 1, got 0"),
    (lambda: BistableFire(1, [1, 2.5]), "window must be a whole number from 1, got 2.5"),
    (lambda: BistableFire(1, 1, -1), "start must be a whole number from 0, got -1"),
    (lambda: BistableFire(1, 1, once=2), "once must be 0 or 1"),
    (lambda: IntegerBistableFire(1, 0), "window must be a whole number from 1, got 0"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_two_layers_compute_a_rectified_network_of_counts():
    """The count of the second window is the rounded ReLU; negative sums send nothing, ever."""
    window, rng = 16, np.random.default_rng(2)
    first, second = rng.uniform(-0.3, 0.4, (6, 5)), rng.uniform(-0.3, 0.4, (4, 6))
    half = 0.5 / window
    network = Network(
        Input("input", (5,)),
        (
            Population("a", (6,), BistableFire(1.0, window, 0, half)),
            Population("b", (4,), BistableFire(1.0, window, window, half)),
        ),
        (Projection("input", "a", dense(first)), Projection("a", "b", dense(second))),
        "b",
    )
    x = np.zeros((30, 3 * window, 5), np.uint8)
    x[:, :window] = rng.random((30, window, 5)) < rng.random((30, 1, 5))
    counts = x.sum(axis=1).astype(float)
    for weight in (first, second):
        counts = np.clip(np.ceil(counts @ weight.T - 0.5), 0, window)  # fires above, not at
    found = network.run(x).spikes
    assert (found.sum(axis=1) == counts).all()
    assert counts.any()
    assert not found[:, : 2 * window].any()
    integer = Quantize()(design(network, TOY)).network.run(x).spikes
    assert np.abs(integer.sum(axis=1) - counts).max() <= 1


@pytest.mark.parametrize(
    ("window", "drive", "reach"),
    [(4, 2, 8.5), (4, 100, 32), (16, 100, 32), (17, 100, 34), (200, 100, 400), (200, 1, 200.5)],
)
def test_reach_is_twice_all_spikes_or_what_a_window_brings(window, drive, reach):
    assert BistableFire(1.0, window, initial=0.5).reach(np.asarray(drive)) == reach


def test_integers_hold_what_a_long_window_brings():
    """Small weights would allow a threshold of which the width of v holds 32, not 200."""
    window = 200
    wiring = Convolution((8, 2, 2), 1, (1, 1), (1, 1), (0, 0), (1, 1))
    network = Network(
        Input("input", (8, 2, 2)),
        (Population("a", (1, 2, 2), BistableFire(1.0, window, initial=0.5)),),
        (Projection("input", "a", Synapses(wiring, np.full(wiring.weight_shape, 0.12))),),
        "a",
    )
    x = np.zeros((1, 2 * window, 8, 2, 2), np.uint8)
    x[:, :window] = 1
    assert network.run(x).spikes.sum(axis=1).max() == 192
    found = Quantize()(design(network, LOIHI2)).network.run(x).spikes.sum(axis=1)
    assert np.abs(found.astype(int) - 192).max() <= 2
