"""A rule for float weights as one for the chip's integers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snncompile.errors import QuantizeError
from snncompile.ir.graph import Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.products import (
    Factor,
    Product,
    round_constant,
    round_scale,
    write_products,
)
from snncompile.synapses.base import IntegerSynapses, Synapses

LARGER, SMALLER = "the rule or its impulses larger", "the rule smaller"
COARSE = 0.5
"""Relative error of a product from which it says something else."""
CONSTANT_STEP = 2
"""Constants beside w and t are even."""


class RuleError(QuantizeError):
    """The chip cannot hold a rule in the unit of its integer weights."""


@dataclass(frozen=True)
class ScaledRule:
    """A rule in the chip's unit."""

    rule: LearningRule
    error: float
    """Largest relative error of a product's factor m * 2^e, and of constants beside w and t."""


def find_largest_weight(projection: Projection) -> float:
    """Return the largest magnitude that the weights of a projection can have, now or learned."""
    assert isinstance(projection.synapses, Synapses)
    largest = float(np.abs(projection.synapses.weight).max(initial=0.0))
    limit = projection.rule.limit if projection.rule else None
    return largest if limit is None else max(largest, limit)


def make_integer(projection: Projection, synapses: IntegerSynapses, scale: float) -> Projection:
    """Return a projection with integer synapses, and with its rule in their unit if it has one.

    Args:
        projection: of the float network.
        synapses: the same as integers.
        scale: integer weight * 2^exponent per float weight.

    Raises:
        RuleError: a product of the rule is beyond what the chip can multiply with.
    """
    rule = projection.rule
    if rule is not None:
        rule = scale_rule(projection, scale / 2.0**synapses.exponent).rule
    return replace(projection, synapses=synapses, rule=rule, learned=None)


def scale_rule(projection: Projection, scale: float) -> ScaledRule:
    """Return the rule for integer weights that are `scale` times the float ones.

    Tags are scaled like weights. A product of wide factors is shifted right by the chip before its
    exponent counts: by 3 bits for two traces, by 5 for a trace and the weight; the exponent of the
    integer rule makes up for that. Of equal scales the one with the largest m is taken, which
    loses the fewest bits in the shift.

    Args:
        projection: with a rule in the unit of its float weights.
        scale: integer weight per float weight.

    Raises:
        RuleError: a product of the rule is beyond what the chip can multiply with, a constant
            beyond what it can add; or there is no limit, and no weight to take it from.
    """
    rule = projection.rule
    assert rule is not None
    _check_limit(projection, rule)
    errors = [0.0]
    sums = {}
    for name, products in (("dw", rule.weight_products), ("dt", rule.tag_products)):
        scaled = [_scale_product(projection, p, scale, errors) for p in products]
        sums[name] = write_products(tuple(scaled))
    return ScaledRule(rule.change(**sums, limit=None), max(errors))


def _check_limit(projection: Projection, rule: LearningRule) -> None:
    """Refuse weights of 0 whose range nothing says."""
    changes = any(product.mantissa for product in rule.weight_products)
    if changes and not find_largest_weight(projection):
        raise RuleError(
            f"projection {projection.source} -> {projection.target}: all weights are 0 and its rule"
            " has no limit, so nothing says which weight is the chip's largest; give the rule a"
            " limit"
        )


def _scale_product(
    projection: Projection, product: Product, scale: float, errors: list[float]
) -> Product:
    wide = sum(f.variable in ("w", "t") and not f.sign for f in product.factors)
    wanted = product.scale * scale ** (1 - wide) * 2.0**product.shift
    mantissa, exponent, error = round_scale(wanted)
    if error >= COARSE:
        raise RuleError(
            f"projection {projection.source} -> {projection.target}: the product {product} of its"
            f" rule becomes {wanted:.3g}, the chip multiplies with 2^-7..7*2^8;"
            f" make {LARGER if abs(wanted) < 1 else SMALLER}, or change its limit"
        )
    errors.append(error)
    factors = tuple(_scale_factor(projection, f, scale, errors) for f in product.factors)
    return replace(product, mantissa=mantissa, exponent=exponent, factors=factors)


def _scale_factor(
    projection: Projection, factor: Factor, scale: float, errors: list[float]
) -> Factor:
    """Return a factor with its constant in the chip's unit.

    Raises:
        RuleError: the constant is outside the chip's range, or rounds to another one.
    """
    if factor.variable not in ("w", "t") or not factor.constant:
        return factor
    wanted = factor.constant * scale
    constant = round_constant(wanted, CONSTANT_STEP)
    error = abs(constant - wanted) / abs(wanted)
    outside = abs(constant - wanted) > CONSTANT_STEP / 2
    if outside or error >= COARSE:
        size = float(f"{max(abs(constant), CONSTANT_STEP) / scale:.4g}")
        nearest = replace(factor, constant=size if wanted > 0 else -size)
        raise RuleError(
            f"projection {projection.source} -> {projection.target}: the constant of {factor} in"
            f" its rule becomes {wanted:.3g}, the chip adds even numbers of -256..254; the nearest"
            f" is {nearest}, or change its limit"
        )
    errors.append(error)
    return replace(factor, constant=constant)
