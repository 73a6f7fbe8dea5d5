"""A rule for float weights as one for the chip's integers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snncompile.errors import QuantizeError
from snncompile.ir.graph import Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.products import Factor, Product, round_scale, write_products
from snncompile.synapses.base import IntegerSynapses, Synapses

LARGER, SMALLER = "the rule or its impulses larger", "the rule smaller"
COARSE = 0.5
"""Relative error of a product from which it says something else."""
LARGEST_CONSTANT = 254
"""Magnitude of a constant beside w or t."""


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
        QuantizeError: a product of the rule is beyond what the chip can multiply with.
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
        QuantizeError: a product of the rule is beyond what the chip can multiply with.
    """
    rule = projection.rule
    assert rule is not None
    errors = [0.0]
    sums = {}
    for name, products in (("dw", rule.weight_products), ("dt", rule.tag_products)):
        scaled = [_scale_product(projection, p, scale, errors) for p in products]
        sums[name] = write_products(tuple(scaled))
    return ScaledRule(rule.change(**sums, limit=None), max(errors))


def _scale_product(
    projection: Projection, product: Product, scale: float, errors: list[float]
) -> Product:
    wide = sum(f.variable in ("w", "t") and not f.sign for f in product.factors)
    wanted = product.scale * scale ** (1 - wide) * 2.0**product.shift
    mantissa, exponent, error = round_scale(wanted)
    if error >= COARSE:
        raise QuantizeError(
            f"projection {projection.source} -> {projection.target}: the product {product} of its"
            f" rule becomes {wanted:.3g}, the chip multiplies with 2^-7..7*2^8;"
            f" make {LARGER if abs(wanted) < 1 else SMALLER}, or change its limit"
        )
    errors.append(error)
    factors = tuple(_scale_factor(f, scale, errors) for f in product.factors)
    return replace(product, mantissa=mantissa, exponent=exponent, factors=factors)


def _scale_factor(factor: Factor, scale: float, errors: list[float]) -> Factor:
    if factor.variable not in ("w", "t") or not factor.constant:
        return factor
    wanted = factor.constant * scale
    constant = 2 * round(float(np.clip(wanted, -LARGEST_CONSTANT, LARGEST_CONSTANT)) / 2)
    errors.append(abs(constant - wanted) / abs(wanted))
    return replace(factor, constant=constant)
