"""Adaptive LIF: by hand, against plain Python, within its bounds, floats like integers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, chain, design, spikes

from snncompile.errors import QuantizeError
from snncompile.neurons.adaptive_lif import AdaptiveLif, IntegerAdaptiveLif
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.quantize.quantize import Quantize

# Neuron, accumulated weights per time step, (u, v, raised, output) after each.
BY_HAND = {
    "a spike raises the threshold, which decays before the next comparison": (
        IntegerAdaptiveLif(4095, 0, 2, 2048, 2),
        [3, 3, 3, 3],
        # limits 128, 128 + 64, 128 + 32, 128 + (32 + 128) / 2
        [(192, 0, 128, 1), (192, 192, 64, 0), (192, 0, 160, 1), (192, 192, 80, 0)],
    ),
    "soft: the threshold in force is subtracted": (
        IntegerAdaptiveLif(4095, 0, 1, 0, 1, reset="soft"),
        [4, 0, 0],
        [(256, 192, 64, 1), (0, 64, 128, 1), (0, 64, 128, 0)],
    ),
    "the rise saturates": (
        IntegerAdaptiveLif(4095, 0, 0, 0, 131071),
        [2**17, 2**17],
        [(laws.HALF, 0, 131071 * 64, 1), (laws.HALF, 0, laws.TOP, 1)],
    ),
    "current and bias": (
        IntegerAdaptiveLif(2047, 2048, 100, 1, 1, 10),
        [4, 0],
        [(256, 266, 0, 0), (128, 271, 0, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


@pytest.mark.parametrize(
    "reset, wanted",
    [
        ("hard", [(2.0, 0.0, 1.0, 1), (1.5, 1.5, 0.5, 0), (0.0, 0.0, 1.25, 1)]),
        ("soft", [(2.0, 1.0, 1.0, 1), (1.5, 1.0, 1.5, 1), (0.0, 1.0, 0.75, 0)]),
    ],
)
def test_floats_by_hand(reset, wanted):
    neuron = AdaptiveLif(1.0, 0.0, 1.0, 0.5, 1.0, reset=reset)
    assert laws.run(neuron, [2.0, 1.5, 0.0]) == wanted


def plain_step(p, state, x):
    u, v, raised = state
    raised = plain.decayed(raised, p["threshold_decay"])
    raw_u = plain.decayed(u, p["current_decay"] + 1) + 64 * x
    u = plain.wrapped(raw_u)
    bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
    raw_v = plain.decayed(v, p["potential_decay"]) + u + bias
    v, limit = plain.saturated(raw_v), 64 * p["threshold"] + raised
    spike = v > limit
    if spike:
        v = 0 if p["reset"] == "hard" else v - limit
        raised += 64 * p["threshold_step"]
    return (u, v, plain.saturated(raised)), spike, {"u": raw_u, "v": raw_v, "raised": raised}


def plain_float_step(p, state, x):
    u, v, raised = state
    raised = (1 - p["threshold_decay"]) * raised
    u = (1 - p["current_decay"]) * u + x
    v = (1 - p["potential_decay"]) * v + u + p["bias"]
    limit = p["threshold"] + raised
    if v > limit:
        return (u, 0.0 if p["reset"] == "hard" else v - limit, raised + p["threshold_step"]), 1, {}
    return (u, v, raised), 0, {}


RESET = st.sampled_from(["hard", "soft"])
PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD,
    "threshold_decay": laws.DECAY,
    "threshold_step": laws.THRESHOLD,
    "reset": RESET,
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, laws.STATE, laws.STATE.map(abs)),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerAdaptiveLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
            "threshold_decay": st.floats(0, 1),
            "threshold_step": st.floats(0, 4),
            "bias": laws.FINITE,
            "reset": RESET,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(AdaptiveLif(**p), plain_float_step, p, (0.0,) * 3, drive)


@given(
    drive=st.lists(st.integers(-9, 9), min_size=1, max_size=20),
    threshold=st.integers(1, 5),
    reset=RESET,
)
def test_without_a_step_it_is_a_lif(drive, threshold, reset):
    wanted = laws.run(IntegerCubaLif(1000, 300, threshold, reset=reset), drive)
    found = laws.run(IntegerAdaptiveLif(1000, 300, threshold, 5, 0, reset=reset), drive)
    assert [(u, v, spike) for u, v, _, spike in found] == wanted


@settings(max_examples=300)
@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.SMALL_BIAS),
    small=st.booleans(),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, small, low, high, steps, known, noise):
    if small:
        p = p | {name: p[name] // 1000 for name in ("threshold", "threshold_step")}
    neuron = IntegerAdaptiveLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    decays=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    raising=st.tuples(st.sampled_from([0.0, 0.5]), st.integers(0, 16).map(lambda n: n / 4)),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    reset=RESET,
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, raising, bias, reset, drive):
    exact = AdaptiveLif(*decays, threshold, *raising, bias, reset)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive)


REFUSED = [
    (lambda: AdaptiveLif(1, 0, 0, 0, 0), "threshold must be positive, got 0"),
    (lambda: AdaptiveLif(1, 0, 1, 2, 0), "threshold_decay must be between 0 and 1, got 2"),
    (lambda: AdaptiveLif(1, 0, 1, 0, -0.5), "threshold_step must not be negative, got -0.5"),
    (lambda: IntegerAdaptiveLif(1, 0, 1, 0, -1), "threshold_step must not be negative, got -1"),
    (lambda: AdaptiveLif(1, 0, 1, 0, 0, reset="x"), "reset must be hard or soft, got 'x'"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = AdaptiveLif(1.0, 0.25, 1.0, 0.5, [0.0, 0.3]).quantize(640.0, TOY.formats)
    assert neuron.threshold_decay == 2048
    assert neuron.threshold_step.tolist() == [0, 3]
    assert neuron.real()["threshold_step"].tolist() == [0, 192]
    assert len(np.unique(neuron.profile()["threshold"])) == 2
    with pytest.raises(QuantizeError) as error:
        AdaptiveLif(1.0, 0.25, 1.0, 0.5, 100).quantize(100000.0, TOY.formats)
    assert str(error.value) == "threshold_step mantissa 156250 is outside 0..131071"


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_a_network_of_them_is_quantized_and_fires_alike(reset):
    neuron = AdaptiveLif(0.7, 0.1, 1.0, 0.1, 0.31, reset=reset)
    network = chain(6, 5, 4, neuron=neuron, weight=0.37)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, TOY)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.any()
    # Only decays and steps of the threshold round, and the 4 neurons are alike: two spikes of 2,400
    # outputs that come a step late are 2 x 2 x 4 that differ.
    assert (wanted != found).sum() <= 16
