"""Alpha-shaped response: by hand, against plain Python, within its bounds, floats like integers."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, chain, design, spikes

from snncompile.neurons.alpha_lif import AlphaLif, IntegerAlphaLif
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.quantize.quantize import Quantize

# Neuron, accumulated weights per time step, (u, v, output) after each.
BY_HAND = {
    "the current acts one step late": (
        IntegerAlphaLif(2047, 2048, 100),
        [4, 0, 0],
        [(256, 0, 0), (128, 256, 0), (64, 256, 0)],
    ),
    "a spike clears current and potential, and loses the step's input": (
        IntegerAlphaLif(2047, 0, 3),
        [4, 9, 7, 1],
        [(256, 0, 0), (704, 256, 1), (0, 0, 0), (64, 0, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = AlphaLif(0.5, 0.0, 1.0)
    assert laws.run(neuron, [1.0, 0.5, 3.0, 1.0]) == [
        (1.0, 0.0, 0),
        (1.0, 1.0, 0),
        (3.5, 2.0, 1),
        (0.0, 0.0, 0),
    ]


def plain_step(p, state, x):
    u, v = state
    fired = v > 64 * p["threshold"]
    raw_v = plain.decayed(v, p["potential_decay"]) + u
    raw_u = plain.decayed(u, p["current_decay"] + 1) + 64 * x
    u, v = (0, 0) if fired else (plain.wrapped(raw_u), plain.saturated(raw_v))
    reached = {"u": 0, "v": 0} if fired else {"u": raw_u, "v": raw_v}
    return (u, v), v > 64 * p["threshold"], reached


def plain_float_step(p, state, x):
    u, v = state
    if v > p["threshold"]:
        return (0.0, 0.0), 0, {}
    v, u = (1 - p["potential_decay"]) * v + u, (1 - p["current_decay"]) * u + x
    return (u, v), v > p["threshold"], {}


PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD,
}


@given(
    p=st.fixed_dictionaries(PARAMETERS),
    start=st.tuples(laws.STATE, laws.STATE),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerAlphaLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(AlphaLif(**p), plain_float_step, p, (0.0, 0.0), drive)


@given(drive=st.lists(st.integers(-9, 9), min_size=1, max_size=20))
def test_until_it_fires_it_is_a_lif_that_hears_its_input_one_step_late(drive):
    late = laws.run(IntegerCubaLif(1000, 300, 131071), [0, *drive][:-1])
    found = laws.run(IntegerAlphaLif(1000, 300, 131071), drive)
    assert [v for _, v, _ in found] == [v for _, v, _ in late]


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
        p = p | {"threshold": p["threshold"] // 1000}
    neuron = IntegerAlphaLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    decays=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, drive):
    laws.integers_are_floats_times_scale(AlphaLif(*decays, threshold), TOY.formats, drive)


REFUSED = [
    (lambda: AlphaLif(1, 0, 0), "threshold must be positive, got 0"),
    (lambda: AlphaLif(1, -0.5, 1), "potential_decay must be between 0 and 1, got -0.5"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_a_network_of_them_is_quantized_and_fires_alike():
    network = chain(6, 5, 4, neuron=AlphaLif(0.2, 0.1, 5.0), weight=1.7)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, TOY)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.any()
    assert (wanted != found).mean() < 0.02
    assert len(np.unique(made.populations[0].neuron.profile()["compartment"])) == 1
