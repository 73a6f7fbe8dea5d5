"""Rounding of masters and its gradient, compiled. Arrays have the shape (rows, columns)."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function


@compile_function
def round_rows(
    x: Array, factor: Array, unit: Array, ends: Array, reals: Array, beyond: Array
) -> None:
    """Round numbers, see `rounding.round_within`.

    Args:
        x: the numbers.
        factor, unit: of each row, or of all.
        ends: lowest and highest integer, offset.
        reals: filled with what the integers stand for.
        beyond: filled with -1 below the lowest and 1 above the highest integer, else with 0.
    """
    low, high, offset = ends
    for row in range(len(x)):
        scale, size = factor[min(row, len(factor) - 1)], unit[min(row, len(unit) - 1)]
        for i in range(x.shape[1]):
            rounded = np.rint(x[row, i] * scale - offset)
            reals[row, i] = (min(max(rounded, low), high) + offset) * size
            beyond[row, i] = np.int8(rounded > high) - np.int8(rounded < low)


@compile_function
def pass_rows(gradient: Array, factor: Array, beyond: Array, of_x: Array) -> None:
    """Fill `of_x` with gradient * factor, but 0 where a step would lead further beyond an end."""
    for row in range(len(gradient)):
        scale = factor[min(row, len(factor) - 1)]
        for i in range(gradient.shape[1]):
            out = beyond[row, i]
            stops = (gradient[row, i] < 0 < out) or (out < 0 < gradient[row, i])  # no NaN does
            of_x[row, i] = np.float32(0) if stops else gradient[row, i] * scale
