"""Rounding of masters and its gradient, compiled. Arrays have the shape (rows, columns)."""

from __future__ import annotations

from math import frexp, ldexp

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


@compile_function
def round_few(
    x: Array,
    scale: Array,
    unit: Array,
    ends: tuple[int, ...],
    reals: Array,
    whole: Array,
    exponent: Array,
    beyond: Array,
    factor: Array,
) -> bool:
    """Round masters of one parameter; return whether one is beyond an end. Arrays are flat.

    Args:
        x: the masters.
        scale, unit: of each, or of all.
        ends: lowest and highest integer, offset, largest exponent; of 0 there are none.
        reals: filled with what the integers stand for, float32.
        whole: filled with the integers.
        exponent: filled with exponents of 2, which are units, if there are some.
        beyond: filled with by how much the rounded numbers are beyond an end.
        factor: filled with that of the gradient.
    """
    low, high, offset, exponents = ends
    leaves = False
    for i in range(len(x)):
        each, size = scale[min(i, len(scale) - 1)], unit[min(i, len(unit) - 1)]
        if exponents:
            exponent[i] = min(max(frexp(x[i] * each / (high + 0.5))[1], 0), exponents)
            size = ldexp(1.0, exponent[i])
        ratio = each / size
        rounded = np.rint(x[i] * ratio - offset)
        inside = high if rounded > high else (low if rounded < low else rounded)
        real = (inside + offset if offset else inside) * size
        reals[i], whole[i] = real, np.int64(real / size - offset)
        beyond[i], factor[i] = rounded - inside, ratio * size
        leaves |= beyond[i] != 0
    return leaves
