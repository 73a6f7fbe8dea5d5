"""The scale of each group in which its weights and its threshold round best."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Floats
from snncompile.passes.quantize.adaptive_rounding import round_to_nearest
from snncompile.passes.quantize.grouped_input import GroupedInput
from snncompile.passes.quantize.scale_limits import UNIT, ScaleLimits
from snncompile.synapses.weight_formats import weight_step

TIE = 1e-9
"""Errors that differ by less than this share are equal; the larger scale is taken."""
SAMPLE = 256
"""Weights of a row whose rounding is measured; more do not change the mean."""


def choose_best(
    inputs: list[GroupedInput],
    exponents: tuple[int, ...],
    largest: Floats,
    steps: Floats,
    limits: ScaleLimits,
    cuts: Floats,
) -> Floats:
    """Return the scale of each group in which its weights and threshold round best.

    Args:
        inputs: projections of the population.
        exponents: of each projection.
        largest: largest scale of each group.
        steps: steps of the weights' format in the largest weight, at the largest scale.
        limits: of each group.
        cuts: multiples of the largest scale to try too, which cut the largest weights.
    """
    shares = np.concatenate(
        [_list_shares(steps), np.broadcast_to(cuts, (len(largest), len(cuts))).T]
    )
    with np.errstate(invalid="ignore"):
        wanted = np.minimum(largest * shares, limits.hard)
        mantissa = np.floor(wanted * limits.threshold / UNIT + 1e-9)
        whole = np.where(mantissa >= 1, mantissa * UNIT / limits.threshold, wanted)
    tried = np.concatenate([wanted, whole])
    tried = np.where(np.isfinite(tried), tried, 1.0)
    mantissa = tried * limits.threshold / UNIT
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.nan_to_num(np.maximum(np.rint(mantissa), 1) / mantissa - 1)
    errors, sizes = np.zeros(tried.shape), np.zeros(len(largest))
    with np.errstate(over="ignore", invalid="ignore"):  # weights of 1e300 are refused later
        for read, exponent in zip(inputs, exponents, strict=True):
            rounding, size = measure_rounding(read, tried / read.unit / 2.0**exponent)
            errors, sizes = errors + rounding, sizes + size
        errors = errors + off**2 * sizes  # a threshold off by a share is as all weights off by it
    least = errors.min(axis=0) * (1 + TIE) + sizes * TIE**2
    best = np.argmax(errors <= least, axis=0)
    return np.asarray(tried[best, np.arange(len(largest))])


def _list_shares(steps: Floats) -> Floats:
    """Return shares of the largest scale with which the largest weight is a whole number of steps.

    From all steps to half of them, (shares, groups): so weights that are multiples of one number,
    as in networks trained for integers, stay exact.
    """
    whole = np.floor(steps + 1e-9)
    fewer = np.arange(int(whole.max(initial=1.0)) // 2 + 1)[:, None]
    kept = np.maximum(whole - fewer, np.ceil(whole / 2))
    return np.asarray(np.where(whole >= 1, kept / np.maximum(steps, 1e-300), 1.0))


def measure_rounding(read: GroupedInput, scales: Floats) -> tuple[Floats, Floats]:
    """Return the squared rounding error of the input for each scale, and the squared input.

    Args:
        read: the projection.
        scales: integer weights per unit of the float ones, shape (scales, groups).

    Returns:
        Shapes (scales, groups) and (groups,), of a neuron on the average.
    """
    step, top, count = weight_step(read.bits), read.top, scales.shape[1]
    rows = read.rows.thin_out(SAMPLE)
    lengths = np.maximum(np.bincount(read.group, read.rows.counts, minlength=count), 1)
    share = lengths / np.maximum(np.bincount(read.group, rows.counts, minlength=count), 1)
    share = share / np.maximum(np.bincount(read.group, minlength=count), 1)

    def add_up(squares: Floats) -> Floats:
        of_rows = rows.sum(squares * rows.power)
        return np.asarray(np.bincount(read.group, of_rows, minlength=count) * share)

    errors = []
    for scale in scales:
        unit = rows.repeat((scale / step)[read.group])
        own = rows.values * unit
        errors.append(add_up(((round_to_nearest(own, top // step) - own) / unit) ** 2))
    return np.asarray(errors), add_up(rows.values**2)
