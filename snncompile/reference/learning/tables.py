"""A learning rule as arrays of numbers, for compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.ir.learning_rule import IMPULSE_PARTS, TAU_OF_THIRD, TRACES, LearningRule
from snncompile.ir.products import EXPONENT, WIDTHS

VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "t")
DEPENDENCIES = ("x0", "y0", "u")
HEAD = 6
"""Columns of a product before its factors: target, dependency, m, e, right shift, factors."""
PER_FACTOR = 4
"""Columns of a factor: variable, constant, whether its sign counts, bits."""


@dataclass(frozen=True, eq=False)
class RuleTable:
    """A rule whose products are rows of integers."""

    products: Ints
    """Shape (products, HEAD + PER_FACTOR * most factors); e is raised by 7, so that it is >= 0."""
    decay: Floats
    """Factor of each trace per time step; 0 clears it."""
    impulse: Ints
    """Whole part of each impulse."""
    fraction: Ints
    """The rest of each impulse, in 1/256."""
    epoch: int
    interval: int
    """Epochs between two updates of uk; 0 without one."""
    third: bool
    """Whether the traces of the target are outputs of populations."""
    positive: bool


def make_table(rule: LearningRule) -> RuleTable:
    """Return the numbers of a rule whose exponents a chip has."""
    most_factors = max(len(p.factors) for p in rule.products)
    rows = np.zeros((len(rule.products), HEAD + PER_FACTOR * most_factors), np.int64)
    weights = len(rule.weight_products)
    for number, (row, product) in enumerate(zip(rows, rule.products, strict=True)):
        dependency = DEPENDENCIES.index(product.dependency)
        exponent = product.exponent - EXPONENT[0]
        head = [int(number >= weights), dependency, product.mantissa, exponent, product.shift]
        factors = [
            value
            for f in product.factors
            for value in (VARIABLES.index(f.variable), f.constant, int(f.sign), WIDTHS[f.variable])
        ]
        filled = [*head, len(product.factors), *factors]
        row[: len(filled)] = filled
    impulses = np.array([rule.impulse(trace) for trace in TRACES])
    whole = np.floor(impulses)
    third = bool(rule.third_factor)
    return RuleTable(
        rows,
        compute_decays(rule),
        whole.astype(np.int64),
        np.round((impulses - whole) * IMPULSE_PARTS).astype(np.int64),
        rule.epoch,
        0 if rule.decimation is None else 2**rule.decimation,
        third,
        rule.sign == "positive",
    )


def compute_decays(rule: LearningRule) -> Floats:
    """Return the factor of each trace per time step, shape (5,): exp(-1 / tau), or 0 for tau 0."""
    taus = np.array([rule.tau(trace) for trace in TRACES])
    if rule.third_factor:
        taus[2:] = TAU_OF_THIRD
    decays = np.zeros(len(taus))
    decays[taus != 0] = np.exp(-1 / taus[taus != 0])
    return decays
