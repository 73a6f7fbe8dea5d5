"""Maximum of numbers digit by digit: by hand, against plain Python, against numpy's maximum."""

from __future__ import annotations

import laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY

from snncompile.neurons.base import Interval
from snncompile.neurons.phase_maximum import IntegerPhaseMaximum, PhaseMaximum

# Neuron, accumulated weights per time step, (v, clock, output) after each.
BY_HAND = {
    "5 and 6 of three digits: 6, and whoever lacks a digit is out": (
        IntegerPhaseMaximum(2, 3),
        [3, 2, 1, 0, 0, 0, 1],
        [(3, 1, 1), (2, 2, 1), (2, 3, 0), (2, 4, 0), (2, 5, 0), (2, 6, 0), (1, 7, 1)],
    ),
    "cycles of two steps; all are in at the start of each": (
        IntegerPhaseMaximum(2, 1, 2),
        [0, 0, 1, 3, 2],
        [(3, 1, 0), (3, 2, 0), (1, 3, 1), (1, 4, 1), (2, 5, 1)],
    ),
    "a mask beyond its range counts modulo 2^members": (
        IntegerPhaseMaximum(1, 1),
        [2, 0, 3],
        [(1, 1, 0), (1, 2, 0), (1, 3, 1)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def plain_step(p, state, x):
    v, clock = state
    everyone = 2 ** p["members"] - 1
    if (clock - p["start"]) % (2 * p["window"]) == 0:
        v = everyone
    both = v & int(x) & everyone
    return (both or v, clock + 1), both > 0, {"v": both or v}


PARAMETERS = st.fixed_dictionaries(
    {"members": st.integers(1, 8), "window": st.integers(1, 4), "start": st.integers(0, 4)}
)


@given(
    p=PARAMETERS,
    start=st.tuples(st.integers(0, 255), st.integers(0, 20)),
    drive=st.lists(st.integers(-300, 300), min_size=1, max_size=9),
)
def test_integer_step_is_the_docstring(p, start, drive):
    start = (start[0] % 2 ** p["members"], start[1])
    laws.same_as_plain(IntegerPhaseMaximum(**p), plain_step, p, start, drive)


@given(
    p=PARAMETERS,
    drive=st.lists(st.integers(0, 255).map(float), min_size=1, max_size=12),
)
def test_float_step_is_the_docstring(p, drive):
    def step(p, state, x):
        return plain_step(p, (int(state[0]), state[1]), x)

    neuron = PhaseMaximum(**{name: float(value) for name, value in p.items()})
    laws.same_as_plain(neuron, step, p, (0.0, 0.0), drive)


@settings(max_examples=200)
@given(
    numbers=st.lists(st.integers(0, 31), min_size=1, max_size=8),
    integer=st.booleans(),
)
def test_its_digits_are_those_of_the_largest_number(numbers, integer):
    digits = 5
    masks = [
        sum(2**i for i, n in enumerate(numbers) if n >> digit & 1)
        for digit in reversed(range(digits))
    ]
    kind = IntegerPhaseMaximum if integer else PhaseMaximum
    sent = [spike for *_, spike in laws.run(kind(len(numbers), digits), masks)]
    assert sum(2 ** (digits - 1 - i) * bool(s) for i, s in enumerate(sent)) == max(numbers)


def test_the_mask_stays_within_its_bounds():
    bounds = IntegerPhaseMaximum([2, 8], 4).bounds(Interval(np.zeros(2), np.full(2, 999)), 9)
    assert bounds["v"].low == 0
    assert bounds["v"].high.tolist() == [3, 255]


@pytest.mark.parametrize("kind", [PhaseMaximum, IntegerPhaseMaximum])
def test_bits_of_more_numbers_than_it_has_count_nothing(kind):
    """They can be in the initial mask, before the first number begins."""
    few = kind([1, 3], 4, 1, initial=[6, 6])
    (mask, _), spike = few.step((np.full(2, 6), np.zeros(2, int)), np.full(2, 6))
    assert (spike.tolist(), mask.tolist()) == ([False, True], [6, 6])


def test_integers_are_the_floats():
    made = PhaseMaximum(4.0, 3.0, 2.0).quantize(1.0, TOY.formats)
    assert (made.members, made.window, made.start) == (4, 3, 2)
    assert PhaseMaximum(4.0, 3.0).fixed_scale == 1
    begun = PhaseMaximum(4.0, 3.0, 2.0, initial=5.0)
    assert begun.quantize(1024.0, TOY.formats).initial == 5, "a mask has no scale"


REFUSED = [
    (lambda: PhaseMaximum(0, 1), "members must be a whole number from 1, got 0"),
    (lambda: PhaseMaximum(9, 1), "members must be at most 8, got 9"),
    (lambda: PhaseMaximum(1, 0), "window must be a whole number from 1, got 0"),
    (lambda: IntegerPhaseMaximum(1, 1, -1), "start must be a whole number from 0, got -1"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message
