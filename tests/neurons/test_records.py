"""Neuron records: frozen, refuse nonsense, become integers, say what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import TOY, formatted

from snncompile.errors import QuantizeError
from snncompile.neurons import convert
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import IntegerReadout, Readout

FORMATS = TOY.formats

# A new case is one more entry: how the record is made, then the whole message.
REFUSED = [
    (lambda: CubaLif(1.5, 0, 1), "current_decay must be between 0 and 1, got 1.5"),
    (lambda: CubaLif([0.5, 1.5], 0, 1), "current_decay must be between 0 and 1, got 1.5"),
    (lambda: CubaLif(0, [0, -0.25], 1), "potential_decay must be between 0 and 1, got -0.25"),
    (lambda: CubaLif(0, 0, 0), "threshold must be positive, got 0"),
    (lambda: CubaLif(0, 0, [1, -2.5]), "threshold must be positive, got -2.5"),
    (lambda: CubaLif(0, 0, np.nan), "threshold must be finite"),
    (lambda: CubaLif(0, 0, 1, [0, np.inf]), "bias must be finite"),
    (lambda: CubaLif(0, 0, [[1, 2]]), "threshold must be one number or one per neuron, got (1, 2)"),
    (lambda: CubaLif("x", 0, 1), "current_decay must be numbers"),
    (
        lambda: CubaLif(0, 0, 1, reset="hardly"),
        "reset must be one of hard, soft, delayed_soft, delayed_hard, strict_soft, none, got"
        " 'hardly'",
    ),
    (
        lambda: IntegerCubaLif(0, 0, 1, reset="zero"),
        "reset must be one of hard, soft, delayed_soft, delayed_hard, strict_soft, none, got"
        " 'zero'",
    ),
    (lambda: IntegerCubaLif(0.5, 0, 1), "current_decay must be whole numbers"),
    (lambda: IntegerCubaLif(0, 0, [1, 2.5]), "threshold must be whole numbers"),
    (lambda: IntegerCubaLif(0, 0, np.array([np.nan])), "threshold must be finite"),
    (lambda: IntegerCubaLif(0, 0, 10**400), "threshold must be numbers"),
    (lambda: IntegerCubaLif(0, 0, 2.0**70), "threshold must be whole numbers"),
    (lambda: IntegerCubaLif(0, 0, 1, 1, -1), "bias_exponent must be between 0 and 31, got -1"),
    (lambda: IntegerReadout(0, 0, 1, [0, 32]), "bias_exponent must be between 0 and 31, got 32"),
    (lambda: IntegerIntegrateFire(1, 1, -2), "bias_exponent must be between 0 and 31, got -2"),
    (lambda: IntegrateFire(-1), "threshold must be positive, got -1"),
    (lambda: IntegrateFire(1, reset="none"), "reset must be hard or soft, got 'none'"),
    (lambda: IntegerIntegrateFire(1, reset="none"), "reset must be hard or soft, got 'none'"),
    (lambda: Readout(0, 1.25), "potential_decay must be between 0 and 1, got 1.25"),
    (lambda: Readout(-1, 0), "current_decay must be between 0 and 1, got -1"),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


ALL = [
    CubaLif([0.25, 0.5], 0.125, [1, 1.5], -0.5, "soft"),
    IntegrateFire([1, 2], [0.5, 0]),
    Readout(1, [0, 0.5], [0.25, -1]),
    IntegerCubaLif([1, 2], 3, [4, 5], [-6, 7], 2, "delayed_soft"),
    IntegerIntegrateFire([1, 2], 3, 4, "hard"),
    IntegerReadout(1, [2, 3], 4, [5, 6]),
]


@pytest.mark.parametrize("neuron", ALL, ids=lambda n: type(n).__name__)
def test_parameters_are_frozen_copies(neuron):
    for name in neuron.parameters():
        with pytest.raises(ValueError, match="read-only"):
            getattr(neuron, name)[...] = 1
    given = np.array([1, 2])
    own = type(neuron)(**{name: given for name in neuron.parameters()} | decays(neuron))
    given[:] = 7
    kept = "threshold" if hasattr(neuron, "threshold") else neuron.parameters()[-1]
    assert getattr(own, kept).tolist() == [1, 2]


def decays(neuron):
    return {name: 0 for name in neuron.parameters() if name.endswith("decay")}


def test_text(golden):
    golden("".join(f"{neuron}\n" for neuron in ALL))


# Share, bits of the chip, offset, integer.
DECAYS = [
    (0.0, 0, 0),
    (1.0, 0, 4095),  # 4096 does not fit
    (0.5, 0, 2048),
    (1.4 / 4096, 0, 1),
    (1.6 / 4096, 0, 2),
    (4095.6 / 4096, 0, 4095),
    (0.0, 1, 0),  # loses 1/4096 all the same
    (1.0, 1, 4095),
    (0.5, 1, 2047),
    (1 / 4096, 1, 0),
    (0.4 / 4096, 1, 0),
]


@pytest.mark.parametrize("share, offset, wanted", DECAYS)
def test_decay(share, offset, wanted):
    found = convert.round_decay(np.asarray(share), FORMATS, offset)
    assert found.dtype == np.int64
    assert found == wanted


def test_decay_with_fewer_bits():
    few = formatted(TOY, decay_bits=4).formats
    assert convert.round_decay(np.asarray([0.5, 3 / 4096]), few).tolist() == [15, 3]


@given(share=st.floats(0, 1), offset=st.sampled_from([0, 1]))
def test_decay_is_the_nearest_there_is(share, offset):
    found = convert.round_decay(np.asarray(share), FORMATS, offset)
    values = (np.arange(4096) + offset) / 4096
    assert abs((found + offset) / 4096 - share) == np.abs(values - share).min()


# Value at scale 1, mantissa.
THRESHOLDS = [
    (64.0, 1),
    (33.0, 1),
    (95.9, 1),
    (96.1, 2),
    (131071 * 64.0, 131071),
    (131071.4 * 64.0, 131071),
]


@pytest.mark.parametrize("value, mantissa", THRESHOLDS)
def test_threshold(value, mantissa):
    assert convert.round_threshold(np.asarray(value), FORMATS) == mantissa


@pytest.mark.parametrize(
    "value, message",
    [
        (31.0, "threshold mantissa 0 is outside 1..131071"),
        ([640.0, 1e-9], "threshold mantissa 0 is outside 1..131071"),
        (131071.6 * 64, "threshold mantissa 131072 is outside 1..131071"),
        ([64.0, 1e9], "threshold mantissa 15625000 is outside 1..131071"),
    ],
)
def test_threshold_out_of_range(value, message):
    with pytest.raises(QuantizeError) as error:
        convert.round_threshold(np.asarray(value), FORMATS)
    assert str(error.value) == message


# Value at scale 1, mantissas, exponent.
BIASES = [
    (0.0, 0, 0),
    (3.4, 3, 0),
    (-3.6, -4, 0),
    (4095.4, 4095, 0),
    (4095.6, 2048, 1),
    (-4096.0, -2048, 1),
    ([8190.0, -1.0], [4095, -1], [1, 0]),
    ([8190.0, 4096.0], [4095, 2048], 1),
    (4095.0 * 128, 4095, 7),
    (4095.4 * 128, 4095, 7),
]


@pytest.mark.parametrize("value, mantissa, exponent", BIASES)
def test_bias(value, mantissa, exponent):
    found = convert.round_bias(np.asarray(value), FORMATS)
    assert [part.tolist() for part in found] == [mantissa, exponent]


def test_bias_out_of_range():
    with pytest.raises(QuantizeError) as error:
        convert.round_bias(np.asarray([0, -4095.6 * 128]), FORMATS)
    assert str(error.value) == "bias 524237 is above 4095 * 2^7"


@pytest.mark.parametrize(
    "field, convert_it",
    [
        ("decay_bits", lambda f: convert.round_decay(np.asarray(0.5), f)),
        ("threshold_mantissa", lambda f: convert.round_threshold(np.asarray(64.0), f)),
        ("bias_mantissa", lambda f: convert.round_bias(np.asarray(1.0), f)),
        ("bias_exponent", lambda f: convert.round_bias(np.asarray(1.0), f)),
    ],
)
def test_a_format_nobody_published_is_refused(field, convert_it):
    with pytest.raises(QuantizeError) as error:
        convert_it(formatted(TOY, **{field: None}).formats)
    assert str(error.value) == "the chip file gives no value for a number format (made_up)"


# Float neuron, scale, its integer parameters.
QUANTIZED = [
    (
        CubaLif([0.5, 1.0], 0.25, 1.0, [0.5, -1], "delayed_hard"),
        640.0,
        {
            "current_decay": [2047, 4095],
            "potential_decay": 1024,
            "threshold": 10,
            "bias_mantissa": [320, -640],
            "bias_exponent": 0,
        },
    ),
    (
        IntegrateFire([1.0, 2.0], 20.0, "hard"),
        320.0,
        {"threshold": [5, 10], "bias_mantissa": 3200, "bias_exponent": 1},
    ),
    (
        Readout(0.0, 0.5, 0.25),
        100.0,
        {"current_decay": 0, "potential_decay": 2048, "bias_mantissa": 25, "bias_exponent": 0},
    ),
]


@pytest.mark.parametrize("neuron, scale, wanted", QUANTIZED, ids=lambda v: type(v).__name__)
def test_quantize(neuron, scale, wanted):
    integer = neuron.quantize(scale, FORMATS)
    assert type(integer) is neuron.integer
    assert {name: getattr(integer, name).tolist() for name in integer.parameters()} == wanted
    assert integer.kind == neuron.kind


@given(scale=st.floats(2000, 300000), threshold=st.floats(0.1, 4), bias=st.floats(-1, 1))
def test_real_undoes_quantize(scale, threshold, bias):
    neuron = CubaLif(0.3, 0.7, threshold, bias)
    real = neuron.quantize(scale, FORMATS).real()
    assert abs(real["current_decay"] - 0.3) <= 0.5 / 4096
    assert abs(real["potential_decay"] - 0.7) <= 0.5 / 4096
    assert abs(real["threshold"] / scale - threshold) <= 32 / scale * (1 + 1e-9)
    unit = 1 if abs(bias * scale) < 4095 else 2 * abs(bias * scale) / 4095
    assert abs(real["bias"] / scale - bias) <= 0.5 * unit / scale * (1 + 1e-9)


def test_real_of_the_others():
    assert IntegerIntegrateFire(3, 5, 2).real() == {"threshold": 192.0, "bias": 20.0}
    assert IntegerReadout(2047, 1024, -1, 3).real() == {
        "current_decay": 0.5,
        "potential_decay": 0.25,
        "bias": -8.0,
    }


def test_profiles_tell_different_parameters_apart():
    neuron = IntegerCubaLif([0, 0, 1, 4095], [0, 1, 0, 4095], [5, 5, 6, 6])
    found = neuron.profile()
    assert len(np.unique(found["compartment"])) == 4
    assert found["threshold"].tolist() == [5, 5, 6, 6]
    assert IntegerReadout([0, 1], 3).profile()["compartment"].tolist() == [3, 4099]
    assert IntegerReadout([0, 1], 3).profile()["threshold"].tolist() == 0
    assert IntegerIntegrateFire([1, 2]).profile()["compartment"].tolist() == 0


@given(
    one=st.tuples(st.integers(0, 4095), st.integers(0, 4095)),
    other=st.tuples(st.integers(0, 4095), st.integers(0, 4095)),
)
def test_profiles_are_equal_for_equal_decays_only(one, other):
    keys = IntegerReadout([one[0], other[0]], [one[1], other[1]]).profile()["compartment"]
    assert (keys[0] == keys[1]) == (one == other)


def test_kind_names_the_reset_where_there_is_a_choice():
    assert [neuron.kind for neuron in ALL] == [
        "cuba_lif/soft",
        "integrate_fire/soft",
        "readout",
        "cuba_lif/delayed_soft",
        "integrate_fire/hard",
        "readout",
    ]
