# ruff: noqa: E501 - whole messages
"""Learning rules: read, written, built by name, refused with the nearest that can be held."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import integer_chain

from snncompile import LearningRule, r_stdp, stdp, stochastic_stdp
from snncompile.errors import InputError
from snncompile.ir.plastic import plastic
from snncompile.ir.products import (
    EXPONENT,
    FLOAT_EXPONENT,
    MANTISSA,
    Factor,
    find_nearest_scale,
    read_products,
    round_scale,
    write_scale,
)

READ = [
    ("2^-2*x1*y0 - 2^-3*y1*x0", "2^-2*y0*x1 - 2^-3*x0*y1"),
    ("(-2) * 2 ^ -1 * x0 * y1 + 3 * y0 * x1", "-2*2^-1*x0*y1 + 3*y0*x1"),
    ("u0*t*y2", "u0*t*y2"),
    ("-u2*(w - 4)*sgn(t)*3", "-3*u2*(w - 4)*sgn(t)"),
    ("x0*(-x1 + 3)", "-x0*(x1 - 3)"),
    ("0.375*y0", "3*2^-3*y0"),
    ("16*y0", "4*2^2*y0"),
    ("-8*2^-2*y0", "-4*2^-1*y0"),
    ("x0*y0", "x0*y0"),
    ("5e-1*x0", "2^-1*x0"),
    ("x0*(w - 0.3)", "x0*(w - 0.3)"),
    ("x0*(1 - w)", "-x0*(w - 1)"),
    ("x0*(w + 1e-7)*sgn(t - 2.5)", "x0*(w + 1e-07)*sgn(t - 2.5)"),
]


@pytest.mark.parametrize("text, written", READ)
def test_a_rule_is_read_and_written(text, written):
    rule = LearningRule(dw=text)
    assert rule.dw == written
    assert LearningRule(dw=rule.dw) == rule


REFUSED = [
    ({"dw": "0.3*x0*y1"}, "learning rule dw = '0.3*x0*y1': 0.3 is no m*2^e with m of -8..7; the nearest is 5*2^-4 = 0.3125"),
    ({"dw": "x1*y1"}, "learning rule dw = 'x1*y1': a product has no dependency; multiply it by x0, y0 or u0"),
    ({"dw": "d*x0"}, "learning rule dw = 'd*x0': d: delays do not learn, in Lava a rule on them has no effect; use the tag t"),
    ({"dd": "x0"}, "learning rule dd = 'x0': delays do not learn, in Lava a rule on them has no effect; use dt, which changes the tags"),
    ({}, "a learning rule needs dw, dt or both"),
    ({"dw": "x0*z"}, "learning rule dw = 'x0*z': cannot read 'z'"),
    ({"dw": "x0 y1"}, "learning rule dw = 'x0 y1': expected + or - before 'y1'"),
    ({"dw": "x0*"}, "learning rule dw = 'x0*': it ends too early"),
    ({"dw": "x0*(x1 - 4"}, "learning rule dw = 'x0*(x1 - 4': it ends too early"),
    ({"dw": "9" * 90}, f"learning rule dw = '{'9' * 80}...': 99999999... has 90 characters"),
    ({"dw": "x0*\u00b2"}, "learning rule dw = 'x0*\u00b2': cannot read '\u00b2'"),
    ({"dw": "1.5e999*x0"}, "learning rule dw = '1.5e999*x0': 1.5e999 is too large"),
    ({"dw": "1.5e200*x0"}, "learning rule dw = '1.5e200*x0': a factor of a product is above 2^128"),
    ({"dw": "x0*(x1 - 1.5e99)"}, "learning rule dw = 'x0*(x1 - 1.5e99)': the constant beside x1 is above 2^64"),
    ({"dw": "x0*(w + 2*w)"}, "learning rule dw = 'x0*(w + 2*w)': expected a number before 'w'"),
    ({"dw": "x0*u0"}, "learning rule dw = 'x0*u0': x0 and u0 are two dependencies of one product"),
    ({"dw": "u0 + u1"}, "learning rule dw = 'u0 + u1': u0 and u1 have different intervals; a chip has one for all rules"),
    ({"dw": "u0", "dt": "u1"}, "learning rule: dw and dt use u0 and u1; a chip has one interval for all rules"),
    ({"dw": "u10"}, "learning rule dw = 'u10': u10: the largest interval is u9"),
    ({"dw": "3^2*x0"}, "learning rule dw = '3^2*x0': 3^ is no power of two"),
    ({"dw": "x0*sgn(x1)"}, "learning rule dw = 'x0*sgn(x1)': sgn takes w or t, with a plus"),
    ({"dw": "x0*(x1 + 0.5)"}, "learning rule dw = 'x0*(x1 + 0.5)': a constant of 0.5 beside x1 must be a whole number"),
    ({"dw": "x0*(x1 + 200)"}, "factor (x1 + 200): the constant must be within -128..127; the nearest is 127"),
    ({"dw": "0.001*x0"}, "learning rule dw = '0.001*x0': 0.001 is no m*2^e with m of -8..7; the nearest is 2^-10 = 0.000976562"),
    ({"dw": "1e-3*x0"}, "learning rule dw = '1e-3*x0': 0.001 is no m*2^e with m of -8..7; the nearest is 2^-10 = 0.000976562"),
    ({"dw": "10000*x0"}, "learning rule dw = '10000*x0': 10000 is no m*2^e with m of -8..7; the nearest is 5*2^11 = 10240"),
    ({"dw": "-.3e-5*x0"}, "learning rule dw = '-.3e-5*x0': -3e-06 is no m*2^e with m of -8..7; the nearest is -3*2^-20 = -2.86102e-06"),
    ({"dw": 5}, "dw must be a rule as text, such as '2^-2*x1*y0', got 5"),
    ({"dt": {"y0": 1}}, "dt must be a rule as text, such as '2^-2*x1*y0', got {'y0': 1}"),
    ({"dw": "x0", "x1_impulse": "3"}, "x1_impulse must be a number, got '3'"),
    ({"dw": "x0", "y3_tau": None}, "y3_tau must be a number, got None"),
    ({"dw": "x0", "limit": "a"}, "limit must be a number, got 'a'"),
    ({"dw": "x0", "third_factor": "reward"}, "third_factor must name a population for a trace, such as {'y2': 'reward'}, got 'reward'"),
    ({"dw": "x0", "third_factor": 3}, "third_factor must name a population for a trace, such as {'y2': 'reward'}, got 3"),
    ({"dw": "x0", "third_factor": ["y2"]}, "third_factor must name a population for a trace, such as {'y2': 'reward'}, got ['y2']"),
    ({"dw": "x0", "third_factor": {"y2": 1}}, "third_factor must name a population for a trace, such as {'y2': 'reward'}, got {'y2': 1}"),
    ({"dw": "x0*x1*x1*x1*x1*x2"}, "learning rule dw = 'x0*x1*x1*x1*x1*x2': x0*x1*x1*x1*x1*x2: its factors have 35 bits, 28 are allowed"),
    ({"dw": "x0", "x1_impulse": 0.3}, "x1_impulse 0.3 is no multiple of 1/256 within 0..127; the nearest is 0.30078125"),
    ({"dw": "x0", "y1_impulse": 200}, "y1_impulse 200 is no multiple of 1/256 within 0..127; the nearest is 127"),
    ({"dw": "x0", "y1_impulse": float("nan")}, "y1_impulse nan is no multiple of 1/256 within 0..127; the nearest is 0"),
    ({"dw": "x0", "x1_tau": -1}, "x1_tau must be 0 or more, got -1"),
    ({"dw": "x0", "epoch": 64}, "epoch must be a whole number of 1..63, got 64"),
    ({"dw": "x0", "epoch": True}, "epoch must be a whole number of 1..63, got True"),
    ({"dw": "x0", "sign": "odd"}, "sign must be one of mixed, positive, got 'odd'"),
    ({"dw": "x0", "third_factor": {"x1": "a"}}, "third_factor: 'x1' must be one of y1, y2, y3, each once"),
    ({"dw": "x0", "third_factor": {"y2": "a"}, "y1_impulse": 1}, "y1_impulse and y1_tau must be 0 where the rule has a third factor: Lava then takes every trace of the target from populations"),
]  # fmt: skip


@pytest.mark.parametrize("values, message", REFUSED)
def test_what_cannot_be_held_is_refused(values, message):
    with pytest.raises(InputError) as error:
        LearningRule(**values)
    assert str(error.value) == message


@given(st.floats(1e-3, 1800) | st.floats(-1800, -1e-3))
def test_the_nearest_scale_is_the_nearest(scale):
    mantissa, exponent, error = round_scale(scale)
    assert MANTISSA[0] <= mantissa <= MANTISSA[1]
    every = (
        math.ldexp(m, e)
        for m in range(MANTISSA[0], MANTISSA[1] + 1)
        for e in range(EXPONENT[0], EXPONENT[1] + 1)
    )
    smallest = min(abs(other - scale) for other in every)
    assert abs(math.ldexp(mantissa, exponent) - scale) == pytest.approx(smallest)
    assert error == pytest.approx(smallest / abs(scale), abs=1e-12)


@given(st.floats(1e-12, 1e12) | st.floats(-1e12, -1e-12))
def test_the_nearest_of_a_network_is_the_nearest_that_it_takes(value):
    mantissa, exponent = find_nearest_scale(value)
    (product,) = read_products("dw", f"{write_scale(mantissa, exponent)}*x0")
    every = (
        math.ldexp(m, e)
        for m in range(MANTISSA[0], MANTISSA[1] + 1)
        for e in range(-FLOAT_EXPONENT, FLOAT_EXPONENT + 1)
    )
    assert product.scale == math.ldexp(mantissa, exponent)
    assert abs(product.scale - value) == min(abs(other - value) for other in every)


BEYOND = [
    ("x0*(w + 3)", "factor (w + 3): the constant must be within -256..254 and even; the nearest is 4"),
    ("x0*(w - 1)", "factor (w - 1): the constant must be within -256..254 and even; the nearest is -2"),
    ("x0*(w - 0.5)", "factor (w - 0.5): the constant must be within -256..254 and even; the nearest is 0"),
    ("x0*(t + 300)", "factor (t + 300): the constant must be within -256..254 and even; the nearest is 254"),
]  # fmt: skip


@pytest.mark.parametrize("text, message", BEYOND)
def test_a_constant_that_the_chip_cannot_add_is_for_float_weights_alone(text, message):
    assert LearningRule(text).explain_misfit() == message


UNKNOWN = [
    (partial(stdp, a_plus=1, a_minus=-1, tau_plus=1, tau_minus=1, nonsense=3), "stdp: no argument 'nonsense'; of a rule it takes dt, x2_impulse, x2_tau, y2_impulse, y2_tau, y3_impulse, y3_tau, epoch, seed, third_factor, sign, limit"),
    (partial(stdp, a_plus=1, a_minus=-1, tau_plus=1, tau_minus=1, x1_tau=3), "stdp: no argument 'x1_tau'; of a rule it takes dt, x2_impulse, x2_tau, y2_impulse, y2_tau, y3_impulse, y3_tau, epoch, seed, third_factor, sign, limit"),
    (partial(stochastic_stdp, potentiation=1, depression=1, tau=1, wrong=3), "stochastic_stdp: no argument 'wrong'; of a rule it takes dt, x2_impulse, x2_tau, y1_impulse, y1_tau, y2_impulse, y2_tau, y3_impulse, y3_tau, epoch, seed, third_factor, limit"),
    (partial(r_stdp, reward="r", a_plus=1, tau_plus=4, tag_decay=0.5, decay=1), "r_stdp: no argument 'decay'; of a rule it takes x2_impulse, x2_tau, y1_impulse, y1_tau, y2_impulse, y2_tau, y3_impulse, y3_tau, epoch, seed, sign, limit"),
]  # fmt: skip


@pytest.mark.parametrize("build, message", UNKNOWN)
def test_a_builder_refuses_other_arguments(build, message):
    with pytest.raises(InputError) as error:
        build()
    assert str(error.value) == message


def test_a_builder_takes_numbers():
    with pytest.raises(InputError) as error:
        stdp(a_plus="1", a_minus=-1, tau_plus=1, tau_minus=1)
    assert str(error.value) == "a_plus must be a number, got '1'"


@pytest.mark.parametrize("rule, kind", [("2^-2*x1*y0", "str"), ({"dw": "x0"}, "dict")])
def test_plastic_takes_rules_alone(rule, kind):
    network = integer_chain(2, 2)
    with pytest.raises(InputError) as error:
        plastic(network, "input", "a", rule)
    assert str(error.value) == (
        f"plastic: the rule must be a LearningRule or None, got a {kind}; LearningRule(text) makes"
        " one of a text"
    )


def test_shifts_are_those_of_lava():
    products = read_products("dw", "x0 + x0*x1*w + x0*x1*y1 + x0*x1*y1*w")
    assert [p.shift for p in products] == [0, 5, 3, 12]
    assert products[1].factors == (Factor("x1"), Factor("w"))


def test_stdp_is_that_of_lava():
    rule = stdp(learning_rate=0.5, a_plus=1, a_minus=-2, tau_plus=10, tau_minus=20, epoch=2)
    assert str(rule) == (
        "dw='-x0*y1 + 2^-1*y0*x1' x1_impulse=16 x1_tau=10 y1_impulse=16 y1_tau=20 epoch=2"
    )


def test_stochastic_stdp_changes_weights_at_spikes_of_the_target():
    rule = stochastic_stdp(potentiation=0.125, depression=4, tau=5)
    assert str(rule) == "dw='2^-3*y0*x1 - 2^2*y0' x1_impulse=127 x1_tau=5 sign=positive"


def test_r_stdp_keeps_tags_until_the_reward():
    rule = r_stdp(reward="r", a_plus=1, tau_plus=4, tag_decay=0.5, learning_rate=0.25)
    assert (rule.dt, rule.dw) == ("y0*x1 - 2^-1*u0*t", "2^-2*u0*t*y2")
    assert rule.third_factor == (("y2", "r"),)
    both = r_stdp(reward="r", a_plus=1, a_minus=-1, tau_plus=4, tag_decay=0.5, post_trace="trace")
    assert both.dt == "-x0*y1 + y0*x1 - 2^-1*u0*t"
    assert both.third_factor == (("y1", "trace"), ("y2", "r"))


def test_a_builder_refuses_with_the_nearest():
    with pytest.raises(InputError, match=r"the nearest is 5\*2\^-4 = 0.3125"):
        stdp(a_plus=0.3, a_minus=-1, tau_plus=1, tau_minus=1)
