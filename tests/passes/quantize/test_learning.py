"""Rules for float weights as rules for the chip's integers."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile import LearningRule, stdp
from snncompile.errors import QuantizeError
from snncompile.ir.graph import Projection
from snncompile.ir.products import read_products
from snncompile.passes.quantize.learning import find_largest_weight, scale_rule
from snncompile.synapses.dense import dense


def learns(rule: LearningRule) -> Projection:
    return Projection("input", "h", dense(np.full((2, 3), 0.5)), rule=rule)


SCALED = [  # rule, integer per float weight, rule in integers
    ("x0", 16, "4*2^2*x0"),
    ("3*x0*x1", 16, "6*2^3*x0*x1"),
    ("2^-8*x0*x1*y1", 16, "4*2^-3*x0*x1*y1"),  # 16 / 256, times the shift of 2^3
    ("2^-10*x0*w*x1", 16, "4*2^-7*x0*w*x1"),  # no unit, times the shift of 2^5
    ("x0*sgn(w)", 16, "4*2^2*x0*sgn(w)"),
    ("2^-4*x0*(w - 2)", 16, "4*2^-6*x0*(w - 32)"),  # 9 + 4 bits: no shift
]


@pytest.mark.parametrize("text, scale, wanted", SCALED)
def test_a_rule_is_scaled_with_its_weights(text, scale, wanted):
    scaled = scale_rule(learns(LearningRule(text, x1_impulse=1, y1_impulse=1)), scale)
    (ours,) = scaled.rule.weight_products
    (other,) = read_products("dw", wanted)
    assert (ours.scale, ours.factors) == (other.scale, other.factors)
    assert scaled.error == 0


def test_the_error_is_that_of_the_worst_factor():
    scaled = scale_rule(learns(LearningRule("x0 + 3*y0")), 1.1)
    assert scaled.rule.dw == "4*2^-2*x0 + 7*2^-1*y0"
    assert scaled.error == pytest.approx(0.1 / 1.1)


def test_a_rule_that_the_chip_would_round_away_is_refused():
    rule = stdp(learning_rate=2**-20, a_plus=1, a_minus=-1, tau_plus=4, tau_minus=4)
    with pytest.raises(QuantizeError) as error:
        scale_rule(learns(rule), 100)
    assert str(error.value) == (
        "projection input -> h: the product -2^-20*x0*y1 of its rule becomes -9.54e-05, the chip"
        " multiplies with 2^-7..7*2^8; make the rule or its impulses larger, or change its limit"
    )


def test_the_limit_counts_as_a_weight():
    assert find_largest_weight(learns(LearningRule("x0"))) == 0.5
    assert find_largest_weight(learns(LearningRule("x0", limit=2.0))) == 2.0
