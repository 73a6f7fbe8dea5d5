"""Exponents of several projections of one population, chosen together."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snncompile.hwmodels import chips
from snncompile.neurons.base import Interval
from snncompile.passes.quantize.grouped_input import GroupedInput
from snncompile.passes.quantize.joint_exponents import (
    FEWEST_STEPS,
    WIDEST_SCALES,
    choose_exponents,
    find_exact_exponent,
    find_exact_powers,
    round_to_steps,
)
from snncompile.passes.quantize.weight_rows import WeightRows

CHIP = chips.load_chip("loihi2")
GROUPS, HIGHER = 4, 4


def make_input(weight: np.ndarray, power: float, bits: int = 8) -> GroupedInput:
    """Return a projection with a row of weights per group."""
    counts = np.full(len(weight), weight.shape[1])
    rows = WeightRows(weight.ravel(), counts, np.arange(len(weight)), np.full(weight.size, power))
    peaks = np.abs(weight).max(axis=1)
    return GroupedInput(rows, np.arange(len(weight)), 1.0, peaks, Interval(0, 255), bits)


def measure(inputs: list[GroupedInput], limit: np.ndarray, exponents: tuple[int, ...]) -> float:
    """Return the mean squared error of the sums, by its definition."""
    scale = limit
    for p, e in zip(inputs, exponents, strict=True):
        scale = np.minimum(scale, p.top * 2.0**e / p.peaks)
    scale = np.minimum(scale, WIDEST_SCALES * np.median(scale))
    total = 0.0
    for p, e in zip(inputs, exponents, strict=True):
        power = p.rows.power.reshape(len(scale), -1).sum(axis=1)
        if p.rows.counts[0] > 1:
            total += (power * (2 * 2.0**e / scale) ** 2).sum()
    return total


@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(st.sampled_from([0.02, 0.3, 1.0, 7.0]), min_size=1, max_size=3),
    lengths=st.lists(st.sampled_from([2, 9, 64]), min_size=3, max_size=3),
    tight=st.sampled_from([1e-1, 1.0, np.inf]),
)
def test_no_other_exponents_round_much_better(
    seed: int, sizes: list[float], lengths: list[int], tight: float
) -> None:
    """All exponents up to four above the finest, tried one by one."""
    draw = np.random.default_rng(seed)
    inputs = [
        make_input(draw.normal(0, size, (GROUPS, n)), draw.uniform(0.1, 4))
        for size, n in zip(sizes, lengths, strict=False)
    ]
    limit = np.full(GROUPS, tight * 127 / max(sizes))
    found, scale = choose_exponents(inputs, limit, CHIP)
    lowest = find_exact_exponent(8, CHIP)
    every = product(range(lowest, lowest + HIGHER), repeat=len(inputs))
    least = min(measure(inputs, limit, exponents) for exponents in every)
    assert measure(inputs, limit, found) <= least * 1.001
    for p, e in zip(inputs, found, strict=True):
        assert (p.peaks * scale <= p.top * 2.0**e * (1 + 1e-9)).all()


def test_a_shortcut_of_ones_has_no_error_to_save() -> None:
    """Exact weights leave the kernel its finest exponent."""
    draw = np.random.default_rng(0)
    kernel = make_input(draw.normal(0, 1, (GROUPS, 64)), 1.0)
    ones = make_input(np.ones((GROUPS, 1)), 100.0)
    (of_kernel, _), scale = choose_exponents([kernel, ones], np.full(GROUPS, np.inf), CHIP)
    assert np.allclose(scale, kernel.top * 2.0**of_kernel / kernel.peaks)


def test_a_second_kernel_of_larger_weights_is_not_left_with_a_few_bits() -> None:
    """Its weights are 3 times as large: the first gives up half a bit, it would lose one more."""
    draw = np.random.default_rng(0)
    first = make_input(draw.uniform(-1, 1, (GROUPS, 96)), 1.0)
    second = make_input(draw.uniform(-3, 3, (GROUPS, 64)), 1.0)
    (one, other), scale = choose_exponents([first, second], np.full(GROUPS, np.inf), CHIP)
    assert other == one + 1
    assert np.allclose(scale, first.top * 2.0**other / second.peaks)


def test_a_shortcut_is_exact_from_eight_steps_on():
    """A step of weights of 8 bits is 2: scales of 15.9 and 16 have 7 and 8 of them."""
    ones = make_input(np.ones((3, 1)), 1.0)
    scale, exact = round_to_steps(
        np.array([15.9, 2.0 * FEWEST_STEPS, 17.9]), ones, 0, find_exact_powers(ones, 3)
    )
    assert exact.tolist() == [False, True, True]
    assert scale.tolist() == [15.9, 16.0, 16.0]
