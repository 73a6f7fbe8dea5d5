"""Readout of a window: by hand, against plain Python, and within its bounds."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY

from snncompile.neurons.base import Interval
from snncompile.neurons.window_readout import IntegerWindowReadout, WindowReadout

BY_HAND = {
    "the window alone counts": (
        IntegerWindowReadout(2, 1, 0, 10),
        [5, 1, 2, 5],
        [(0, 1, 0), (74, 2, 0), (212, 3, 212), (212, 4, 0)],
    ),
    "doubles": (
        IntegerWindowReadout(3, 0, 1, 1),
        [1, 0, 1, 7],
        [(65, 1, 0), (131, 2, 0), (327, 3, 327), (327, 4, 0)],
    ),
}


def run(neuron, drive, dtype):
    """Return [(v, clock, output)]; see `laws.run`."""
    state, rows = tuple(np.zeros(1, dtype) for _ in neuron.states), []
    for x in drive:
        state, output = neuron.step(state, np.asarray([x], dtype))
        rows.append((*(s.item() for s in state), output.item()))
    return rows


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert run(neuron, drive, np.int64) == wanted


def plain_step(p, state, x):
    v, clock = state
    raw = v
    last = p["start"] + p["window"] - 1
    if p["start"] <= clock <= last:
        bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
        raw = v * 2 if p["doubling"] and clock > p["start"] else v
        raw += plain.wrapped(64 * x) + bias
        v = plain.saturated(raw)
    return (v, clock + 1), v if clock == last else 0, {"u": 64 * x, "v": raw}


PARAMETERS = {
    "window": st.integers(1, 6),
    "start": st.integers(0, 4),
    "doubling": st.integers(0, 1),
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, st.integers(0, 12)),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=9),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerWindowReadout(**p), plain_step, p, start, drive)


@settings(max_examples=200)
@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.SMALL_BIAS),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 12),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, low, high, steps, known, noise):
    neuron = IntegerWindowReadout(**p)
    found = neuron.bounds(Interval(np.asarray(-low), np.asarray(high)), steps if known else None)
    leaves = found["u"].low <= -laws.HALF or found["u"].high > laws.HALF
    drives = [[-low] * steps, [high] * steps, [high if n % 2 else -low for n in noise[:steps]]]
    for drive in drives:
        state = laws.beginning(neuron)
        for x in drive:
            state, _, reached = plain_step(p, state, x)
            assert leaves or all(found[n].low <= v <= found[n].high for n, v in reached.items())


@given(
    p=st.fixed_dictionaries(PARAMETERS | {"bias": st.integers(-8, 8).map(lambda n: n / 4)}),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=12),
)
def test_integers_are_the_floats_times_the_scale(p, drive):
    exact = WindowReadout(**p)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive, ("clock",), 2**12)


REFUSED = [
    (lambda: WindowReadout(0), "window must be a whole number from 1, got 0"),
    (lambda: WindowReadout(1, -1), "start must be a whole number from 0, got -1"),
    (lambda: IntegerWindowReadout(1, 0, 2), "doubling must be 0 or 1"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message
