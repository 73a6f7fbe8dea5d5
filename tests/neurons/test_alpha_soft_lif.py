"""Alpha-shaped response, reset by subtraction: by hand, in plain Python, bounds, integers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, chain, design, spikes

from snncompile.neurons.alpha_lif import IntegerAlphaLif
from snncompile.neurons.alpha_soft_lif import AlphaSoftLif, IntegerAlphaSoftLif
from snncompile.passes.quantize.quantize import Quantize

# Neuron, accumulated weights per time step, (slow, fast, v, output) after each.
BY_HAND = {
    "an input acts one step late": (
        IntegerAlphaSoftLif(2047, 0, 100, 0, 7),
        [4, 0, 0],
        [(256, 256, 0, 0), (256, 128, 128, 0), (256, 64, 192, 0)],
    ),
    "a spike takes 2 off the slow sum, and all of the fast one": (
        IntegerAlphaSoftLif(2047, 0, 1, 0, 2),
        [4, 0, 3, 1],
        [(256, 256, 0, 0), (256, 128, 128, 1), (320, 0, 64, 0), (384, 64, 320, 1)],
    ),
    "half of it": (
        IntegerAlphaSoftLif(2047, 0, 1, 2048, 2),
        [4, 0, 3],
        [(256, 256, 0, 0), (256, 128, 128, 1), (320, 0, 128, 1)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = AlphaSoftLif(0.5, 0.0, 1.0, 0.5, 2.0)
    assert laws.run(neuron, [4.0, 0.0, 3.0, 1.0]) == [
        (4.0, 4.0, 0.0, 0),
        (4.0, 2.0, 2.0, 1),
        (5.0, 0.0, 2.0, 1),
        (4.0, 0.0, 5.0, 1),
    ]


def plain_step(p, state, x):
    slow, fast, v = state
    fired = v > 64 * p["threshold"]
    kept_slow = plain.decayed(slow, p["potential_decay"])
    kept_fast = plain.decayed(fast, p["current_decay"] + 1)
    raw = {"slow": kept_slow + 64 * x, "fast": kept_fast + 64 * x, "v": kept_slow - kept_fast}
    if fired:
        raw["v"] -= plain.decayed(fast, p["reset_decay"])
        raw["slow"] -= 64 * p["subtracted"]
    slow, v = plain.saturated(raw["slow"]), plain.saturated(raw["v"])
    fast = 0 if fired else plain.saturated(raw["fast"])
    return (slow, fast, v), v > 64 * p["threshold"], raw


def plain_float_step(p, state, x):
    slow, fast, v = state
    fired = v > p["threshold"]
    slow, kept = (1 - p["potential_decay"]) * slow, (1 - p["current_decay"]) * fast
    v = slow - kept - (1 - p["reset_decay"]) * fast * fired
    slow = slow + x - p["subtracted"] * fired
    return (slow, 0.0 if fired else kept + x, v), v > p["threshold"], {}


PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD,
    "reset_decay": laws.DECAY,
    "subtracted": laws.THRESHOLD,
}


@given(
    p=st.fixed_dictionaries(PARAMETERS),
    start=st.tuples(laws.STATE, laws.STATE, laws.STATE),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerAlphaSoftLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
            "reset_decay": st.floats(0, 1),
            "subtracted": st.floats(0, 4),
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(AlphaSoftLif(**p), plain_float_step, p, (0.0, 0.0, 0.0), drive)


@given(drive=st.lists(st.integers(-9, 9), min_size=1, max_size=20))
def test_until_it_fires_it_is_near_one_that_clears_its_states(drive):
    """v of `alpha_lif`, times the difference of the decays; each step rounds."""
    other = laws.run(IntegerAlphaLif(2047, 512, 131071), [100 * x for x in drive])
    found = laws.run(IntegerAlphaSoftLif(2047, 512, 131071, 0, 0), [100 * x for x in drive])
    wanted = [(0.875 - 0.5) * v for _, v, _ in other]
    np.testing.assert_allclose([v for *_, v, _ in found], wanted, rtol=0, atol=20)


@settings(max_examples=300)
@given(
    p=st.fixed_dictionaries(PARAMETERS | {"initial": st.just(0) | laws.STATE}),
    small=st.booleans(),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, small, low, high, steps, known, noise):
    if small:
        p = p | {name: p[name] // 1000 for name in ("threshold", "subtracted")}
    neuron = IntegerAlphaSoftLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


def test_spikes_take_no_more_off_than_was_there():
    """Without a leak and without end a reset in every step would have no bound."""
    bounds = IntegerAlphaSoftLif(4095, 0, 5, 0, 5).bounds(_interval(0, 9), None)
    assert float(bounds["slow"].low) == -2 * 5 * 64
    assert np.isinf(bounds["slow"].high)


def _interval(low, high):
    return laws.Interval(np.asarray(low), np.asarray(high))


@given(
    decays=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    rest=st.tuples(st.sampled_from([0.0, 0.5]), st.integers(0, 40).map(lambda n: n / 4)),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, rest, drive):
    exact = AlphaSoftLif(*decays, threshold, *rest)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive)


REFUSED = [
    (lambda: AlphaSoftLif(1, 0, 0, 0, 1), "threshold must be positive, got 0"),
    (lambda: AlphaSoftLif(1, 0, 1, 1.5, 1), "reset_decay must be between 0 and 1, got 1.5"),
    (lambda: AlphaSoftLif(1, 0, 1, 0, -1), "subtracted must not be negative, got -1"),
    (lambda: IntegerAlphaSoftLif(1, 0, 1, 0, -1), "subtracted must not be negative, got -1"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_what_a_spike_takes_scales_with_the_weights():
    neuron = AlphaSoftLif(0.5, 0.25, 1.0, 0.5, 2.0).rescale(4)
    assert (float(neuron.threshold), float(neuron.subtracted)) == (4, 8)
    assert float(neuron.reset_decay) == 0.5
    assert float(neuron.largest_scale(TOY.formats)) == TOY.formats.threshold_mantissa.whole * 8


def test_a_network_of_them_is_quantized_and_fires_alike():
    network = chain(6, 5, 4, neuron=AlphaSoftLif(0.5, 0.1, 3.0, 0.2, 4.0), weight=1.7)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, TOY)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.any()
    assert (wanted != found).mean() < 0.02
    assert len(np.unique(made.populations[0].neuron.profile()["compartment"])) == 1
