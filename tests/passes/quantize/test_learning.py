# ruff: noqa: E501 - whole messages
"""Rules for float weights as rules for the chip's integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import snncompile
from snncompile import LearningRule, stdp
from snncompile.errors import InputError, QuantizeError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.products import read_products
from snncompile.neurons.cuba_lif import CubaLif
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
    ("2^-4*x0*(0.5 - w)", 16, "-4*2^-6*x0*(w - 8)"),
    ("2^-4*x0*(1 - w)", 254, "-4*2^-6*x0*(w - 254)"),  # a soft bound at limit 1
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


def test_a_product_may_be_wrong_by_less_than_half():
    """The smallest scale is 2^-7; 0.7 of it becomes it, 0.6 of it would be wrong by two thirds."""
    assert scale_rule(learns(LearningRule("x0")), 0.7 * 2**-7).error == pytest.approx(0.3 / 0.7)
    with pytest.raises(QuantizeError, match=r"becomes 0\.00469, the chip multiplies with"):
        scale_rule(learns(LearningRule("x0")), 0.6 * 2**-7)


def test_a_constant_just_beyond_the_range_is_not_clipped():
    """The smallest constant is -256; at 254 per float weight that is -1.008."""
    rule = scale_rule(learns(LearningRule("2^-4*x0*(w - 1.011)", x1_impulse=1)), 254).rule
    assert rule.dw == "4*2^-6*x0*(w - 256)"
    with pytest.raises(QuantizeError, match=r"becomes -259, .* the nearest is \(w - 1\.008\)"):
        scale_rule(learns(LearningRule("2^-4*x0*(w - 1.02)")), 254)


def test_the_limit_counts_as_a_weight():
    assert find_largest_weight(learns(LearningRule("x0"))) == 0.5
    assert find_largest_weight(learns(LearningRule("x0", limit=2.0))) == 2.0


BEYOND = [  # rule, integer per float weight, what becomes of its constant, the nearest
    ("x0*(w - 2)", 254, "(w - 2) in its rule becomes -508", "(w - 1.008)"),
    ("x0*(w + 2)", 254, "(w + 2) in its rule becomes 508", "(w + 1)"),
    ("x0*(w - 2)", 0.254, "(w - 2) in its rule becomes -0.508", "(w - 7.874)"),
    ("x0*(w + 0.01)", 100, "(w + 0.01) in its rule becomes 1", "(w + 0.02)"),
]


@pytest.mark.parametrize("text, scale, becomes, nearest", BEYOND)
def test_a_constant_that_the_chip_cannot_add_is_refused(text, scale, becomes, nearest):
    with pytest.raises(QuantizeError) as error:
        scale_rule(learns(LearningRule(text)), scale)
    assert str(error.value) == (
        f"projection input -> h: the constant of {becomes}, the chip adds even numbers of"
        f" -256..254; the nearest is {nearest}, or change its limit"
    )
    accepted = scale_rule(learns(LearningRule(f"x0*{nearest}")), scale)
    assert accepted.error < 0.01


def test_weights_of_zero_need_a_limit():
    zero = Projection("input", "h", dense(np.zeros((2, 3))), rule=LearningRule("x0"))
    with pytest.raises(QuantizeError) as error:
        scale_rule(zero, 1.0)
    assert str(error.value) == (
        "projection input -> h: all weights are 0 and its rule has no limit, so nothing says which"
        " weight is the chip's largest; give the rule a limit"
    )


def test_a_limit_below_the_weights_is_refused():
    weight = dense(np.array([[0.1, 0.5], [0.2, -0.3]]))
    h = Population("h", (2,), CubaLif(1.0, 0.2, 1.0))
    learns = Projection("input", "h", weight, rule=LearningRule("x0", limit=0.2))
    with pytest.raises(InputError) as error:
        Network(Input("input", (2,)), (h,), (learns,), "h")
    assert str(error.value) == (
        "projection input -> h: the rule stops weights at limit 0.2, but the largest is 0.5; make"
        " the limit at least 0.5"
    )
    enough = replace(learns, rule=LearningRule("x0", limit=0.5))
    assert Network(Input("input", (2,)), (h,), (enough,), "h").plastic == (enough,)


def test_a_soft_bound_is_compiled():
    """Weights grow by a quarter of what is left of the limit, at most to the limit."""
    weight = dense(np.array([[0.1, 0.5], [0.2, -0.3]]))
    h = Population("h", (2,), CubaLif(1.0, 0.2, 1.0))
    rule = LearningRule("2^-2*x0*(1 - w)", limit=1.0)
    network = Network(
        Input("input", (2,)), (h,), (Projection("input", "h", weight, rule=rule),), "h"
    )
    program = snncompile.compile(network, chip="loihi2", steps=9)
    assert program.network.plastic[0].rule.dw.endswith("*x0*(w - 254)")
    x = np.ones((1, 4, 2), np.uint8)
    floats = program.source.run(x).learned[0].weight
    integers = program.run(x).learned[0].weight
    assert floats == pytest.approx(1 - (1 - weight.weight) * 0.75**4)
    assert np.abs(integers / 254 - floats).max() < 0.02


WHOLE = [
    ("x0*(w - 2)", 0.5, "the constant of (w - 2) in its rule becomes -508, the chip adds even numbers of -256..254; the nearest is (w - 1.008), or change its limit"),
    ("x0", 0.0, "all weights are 0 and its rule has no limit, so nothing says which weight is the chip's largest; give the rule a limit"),
]  # fmt: skip


@pytest.mark.parametrize("text, weight, message", WHOLE)
def test_compile_refuses_such_rules(text, weight, message):
    h = Population("h", (3,), CubaLif(1.0, 0.2, 1.0))
    rule = LearningRule(text, limit=1.0 if weight else None)
    synapses = dense(np.full((3, 2), weight))
    network = Network(
        Input("input", (2,)), (h,), (Projection("input", "h", synapses, rule=rule),), "h"
    )
    with pytest.raises(QuantizeError) as error:
        snncompile.compile(network, chip="loihi2", steps=9)
    assert str(error.value) == f"population h: projection input -> h: {message}"
