"""The exponent of each projection of a graded population, chosen for all of them together.

The channels' scales are free, but one channel has one scale for all its projections, and a
projection has one exponent for all channels. A larger exponent makes the weights of one projection
coarser, a smaller one leaves all others a smaller scale. Taken are the exponents with the least

    sum over channels of (sum over projections of noise * step^2) / scale^2
    step = weight_step * 2^exponent, scale = min(limit, top * 2^exponent / peak of each projection)

where `noise` is the mean square that arrives: weights are off by step / sqrt(12) / scale.

Beside a kernel a one-to-one projection, such as a shortcut, has one synapse per neuron, which
weighs as much as the kernel. If its weight is a power of two, its integer is exact where the scale
is a whole number of its steps, and adds no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from snncompile.arrays import Bools, Floats, Ints
from snncompile.hwmodels.schema import Chip
from snncompile.passes.quantize.grouped_input import GroupedInput
from snncompile.synapses.weight_formats import weight_step

WIDEST_SCALES = 4.0
"""Largest scale over the median of a population's: a weight is then rounded by at most a quarter of
what most are, in the unit of the messages, and does not cost the bits of others."""
FEWEST_STEPS = 8
"""Steps of a shortcut's weight from which on a scale is rounded to a whole number of them: that
costs at most an eighth of a weight's range."""
ROUNDING = 1e-9
"""Difference of two floats that are meant to be equal."""
TOGETHER = 3
"""Most projections whose exponents move together in the search."""
NO_POWER = 1 << 30
"""Stands for weights that are no powers of two."""
BETTER = 1 - 1e-6
"""Share of an error that a better one is below."""


def choose_exponents(
    inputs: list[GroupedInput], limit: Floats, chip: Chip
) -> tuple[tuple[int, ...], Floats]:
    """Return the exponent of each projection, and the scale of each group with them.

    A search that moves exponents by one as long as the error becomes smaller, from two starts.

    Args:
        inputs: the projections that end at the population.
        limit: largest scale of each group; infinite where there is none.
        chip: gives the range of exponents.
    """
    noise = [_measure_noise(p) for p in inputs]
    powers = [find_exact_powers(p, len(limit)) for p in inputs]
    search = _Search(inputs, limit, noise, powers)
    lowest = [find_exact_exponent(p.bits, chip) for p in inputs]
    highest = chip.formats.weight_exponent_highest
    ends = [search.improve(start, lowest, highest) for start in search.list_starts(lowest, highest)]
    best = min(ends, key=search.measure)
    return best, search.find_scale(best)


def find_exact_exponent(bits: int, chip: Chip) -> int:
    """Return the smallest exponent that loses no bit of a weight times a whole number."""
    exact = 1 - weight_step(bits).bit_length()
    return max(exact, chip.formats.weight_exponent_lowest)


def find_exact_powers(p: GroupedInput, groups: int) -> Ints:
    """Return the logarithm of the smallest weight of each group whose weights are powers of two.

    Only of one-to-one projections; `NO_POWER` for all other groups.

    Args:
        p: the projection.
        groups: number of groups.
    """
    powers = np.full(groups, NO_POWER)
    if (p.rows.counts > 1).any():
        return powers
    sizes, group = np.abs(p.rows.values), np.repeat(p.group, p.rows.counts)
    group, sizes = group[sizes > 0], sizes[sizes > 0]
    logarithms = np.log2(sizes)
    exact, smallest = np.ones(groups, np.bool_), np.full(groups, np.inf)
    np.logical_and.at(exact, group, np.abs(logarithms - np.rint(logarithms)) < ROUNDING)
    np.minimum.at(smallest, group, np.rint(logarithms))
    known = exact & np.isfinite(smallest)
    powers[known] = smallest[known].astype(np.int64)
    return powers


def divide(top: Floats | float, by: Floats) -> Floats:
    """Return the quotient; infinite where the divisor is 0."""
    return np.asarray(np.divide(top, by, out=np.full(by.shape, np.inf), where=by > 0))


@dataclass(frozen=True, eq=False)
class _Search:
    """The exponents that round best."""

    inputs: list[GroupedInput]
    limit: Floats
    noise: list[Floats]
    """Of each projection: sum of the mean squares that a neuron of each group reads."""
    powers: list[Ints]
    """Of each projection: see `find_exact_powers`."""

    def list_starts(self, lowest: list[int], highest: int) -> list[list[int]]:
        """Return the finest exponents, and those that hold all weights at the main one's scale."""
        main = int(np.argmax([p.rows.counts.max(initial=0) for p in self.inputs]))
        scale = self.find_scale([e if i == main else highest for i, e in enumerate(lowest)])
        held = []
        for i, (p, low) in enumerate(zip(self.inputs, lowest, strict=True)):
            needed = float((p.peaks * scale)[np.isfinite(scale)].max(initial=0.0)) / p.top
            wanted = int(np.ceil(np.log2(needed) - ROUNDING)) if needed and i != main else low
            held.append(min(max(wanted, low), highest))
        return [held, lowest]

    def improve(self, start: list[int], lowest: list[int], highest: int) -> tuple[int, ...]:
        """Return exponents from which no step makes the error smaller.

        A step moves some of them by one, with many projections a single one.
        """
        now, error, count = tuple(start), self.measure(start), len(start)
        moves = np.eye(count, dtype=np.int64)
        if count <= TOGETHER:
            moves = np.array(list(product((-1, 0, 1), repeat=count)))
        while True:
            tried = np.concatenate([now + moves, now - moves])
            inside = (tried >= lowest).all(axis=1) & (tried <= highest).all(axis=1)
            steps = [tuple(map(int, step)) for step in tried[inside]]
            best = min(steps, key=self.measure, default=now)
            if not self.measure(best) < error * BETTER:  # nor if there is no number
                return now
            now, error = best, self.measure(best)

    def find_scale(self, exponents: tuple[int, ...] | list[int]) -> Floats:
        """Return the largest scale of each group with which its weights fit."""
        scale = self.limit
        for p, e in zip(self.inputs, exponents, strict=True):
            scale = np.minimum(scale, divide(p.top * 2.0**e, p.peaks))
        known = scale[np.isfinite(scale)]
        return np.minimum(scale, float(np.median(known)) * WIDEST_SCALES if known.size else 1.0)

    def measure(self, exponents: tuple[int, ...] | list[int]) -> float:
        """Return the error of all groups."""
        scale, exact = self.find_scale(exponents), []
        for p, e, powers in zip(self.inputs, exponents, self.powers, strict=True):
            scale, whole = round_to_steps(scale, p, e, powers)
            exact.append(whole)
        squares = np.zeros(len(scale))
        for p, e, whole, noise in zip(self.inputs, exponents, exact, self.noise, strict=True):
            squares += np.where(whole, 0.0, noise) * (weight_step(p.bits) * p.unit * 2.0**e) ** 2
        return float(np.sum(squares / scale**2))


def round_to_steps(
    scale: Floats, p: GroupedInput, exponent: int, powers: Ints
) -> tuple[Floats, Bools]:
    """Return scales under which weights that are powers of two are whole numbers of their steps.

    Args:
        scale: of each group.
        p: a projection.
        exponent: of its weights.
        powers: see `find_exact_powers`.

    Returns:
        The scales, and which of them are such.
    """
    known = powers < NO_POWER
    unit = weight_step(p.bits) * 2.0 ** (exponent - np.where(known, powers, 0))
    steps = np.floor(np.where(np.isfinite(scale), scale, 0.0) / unit + ROUNDING)
    exact = known & (steps >= FEWEST_STEPS)
    return np.where(exact, steps * unit, scale), exact


def _measure_noise(p: GroupedInput) -> Floats:
    """Return the mean square that arrives at a neuron of each group."""
    count = len(p.peaks)
    rows = np.maximum(np.bincount(p.group, minlength=count), 1)
    return np.asarray(np.bincount(p.group, p.rows.sum(p.rows.power), minlength=count) / rows)
