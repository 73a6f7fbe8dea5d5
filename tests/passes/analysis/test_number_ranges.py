"""Ranges of the chip: each one with its whole message, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI2, TOY, alone, changed, design, formatted, integer_chain

from snncompile.errors import QuantizeError
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.analysis import number_ranges
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.weight_formats import weight_step

GOOD = integer_chain(2, 3, 1)


def weights(weight, exponent: int = 0, bits: int = 8):
    return changed(
        integer_chain(1, 1), projection=0, synapses=integer_dense(weight, exponent, bits)
    )


# A new case is one more entry: network, chip, whole message.
REFUSED = [
    (
        alone(IntegerCubaLif(4096, 0, 1)),
        TOY,
        "population a: current_decay 4096 is outside 0..4095 of toy",
    ),
    (
        alone(IntegerCubaLif(-1, 0, 1)),
        TOY,
        "population a: current_decay -1 is outside 0..4095 of toy",
    ),
    (
        alone(IntegerReadout(0, [0, 4096]), 2),
        TOY,
        "population a: potential_decay 4096 is outside 0..4095 of toy",
    ),
    (
        alone(IntegerIntegrateFire(131072)),
        TOY,
        "population a: threshold 131072 is outside 0..131071 of toy",
    ),
    (
        alone(IntegerIntegrateFire([5, -1]), 2),
        TOY,
        "population a: threshold -1 is outside 0..131071 of toy",
    ),
    (
        alone(IntegerReadout(0, 0, 4096)),
        TOY,
        "population a: bias_mantissa 4096 is outside -4095..4095 of toy",
    ),
    (
        alone(IntegerReadout(0, 0, -4096)),
        LOIHI2,
        "population a: bias_mantissa -4096 is outside -4095..4095 of loihi2",
    ),
    (
        alone(IntegerReadout(0, 0, 1, 8)),
        TOY,
        "population a: bias_exponent 8 is outside 0..7 of toy",
    ),
    (
        alone(IntegerCubaLif(0, 0, 16)),
        formatted(TOY, threshold_mantissa=15),
        "population a: threshold 16 is outside 0..15 of toy",
    ),
    (
        alone(IntegerCubaLif(16, 0, 1)),
        formatted(TOY, decay_bits=4),
        "population a: current_decay 16 is outside 0..15 of toy",
    ),
    (
        weights([[2]], 8),
        TOY,
        "projection input -> a: weight exponent 8 is outside -7..7 of toy",
    ),
    (
        weights([[2]], -8),
        TOY,
        "projection input -> a: weight exponent -8 is outside -7..7 of toy",
    ),
    (
        weights([[4]], 0, 7),
        TOY,
        "projection input -> a: 7-bit weights are not among (1, 2, 3, 4, 5, 6, 8) of toy",
    ),
    (
        weights([[256]]),
        TOY,
        "projection input -> a: weights 256..256 are outside -256..255 of toy",
    ),
    (
        changed(integer_chain(2, 1), projection=0, synapses=integer_dense([[-258, 2]], 0, 8)),
        TOY,
        "projection input -> a: weights -258..2 are outside -256..255 of toy",
    ),
    (weights([[3]]), TOY, "projection input -> a: weights of 8 bits must be multiples of 2 of toy"),
    (
        weights([[4]], 0, 6),
        TOY,
        "projection input -> a: weights of 6 bits must be multiples of 8 of toy",
    ),
    (
        weights([[4]], 0, 16),
        formatted(TOY, weight_bits=[8, 9, 16]),
        "projection input -> a: 16-bit weights are not among (8, 9) of toy",
    ),
    (
        alone(IntegerReadout(0, 0)),
        formatted(TOY, bias_mantissa=None),
        "the chip file gives no value for a number format (made_up)",
    ),
]


@pytest.mark.parametrize(
    "network, chip, message", REFUSED, ids=[message for *_, message in REFUSED]
)
def test_refuses_numbers_out_of_range(network, chip, message):
    with pytest.raises(QuantizeError) as error:
        number_ranges.check_ranges(network, chip)
    assert str(error.value) == message
    with pytest.raises(QuantizeError) as error:
        Quantize()(design(network, chip))  # a network that came as integers is checked
    assert str(error.value) == message


EDGES = [
    alone(IntegerCubaLif([0, 4095], [0, 4095], [0, 131071], [-4095, 4095], [0, 7]), 2),
    alone(IntegerIntegrateFire(131071, 4095, 7)),
    weights([[-256]], -7),
    weights([[254]], 7),
    weights([[248]], 0, 6),
    weights([[-256]], 0, 1),
    GOOD,
]


@pytest.mark.parametrize("network", EDGES, ids=str)
def test_takes_the_edges(network):
    number_ranges.check_ranges(network, TOY)
    done = Quantize()(design(network))
    assert done.network is network
    assert done.quantized == ()
    assert done.log == ("quantize: already integers; all numbers are in the chip's ranges",)


def test_takes_the_largest_weight_of_nine_bits():
    number_ranges.check_ranges(weights([[255]], 0, 9), formatted(TOY, weight_bits=[9]))


@pytest.mark.parametrize(
    "bits, chip, message",
    [
        (7, TOY, "toy has no signed 7-bit weights; choose from 2, 3, 4, 5, 6, 8"),
        (1, TOY, "toy has no signed 1-bit weights; choose from 2, 3, 4, 5, 6, 8"),
        (9, LOIHI2, "loihi2 has no signed 9-bit weights; choose from 2, 3, 4, 5, 6, 7, 8"),
        (
            16,
            formatted(TOY, weight_bits=[2, 9, 16]),
            "toy has no signed 16-bit weights; choose from 2, 9",
        ),
    ],
)
def test_refuses_bits(bits, chip, message):
    with pytest.raises(QuantizeError) as error:
        number_ranges.check_bits(bits, chip)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "bits, step, top", [(2, 128, 128), (3, 64, 192), (6, 8, 248), (8, 2, 254), (9, 1, 255)]
)
def test_weights_of_so_many_bits(bits, step, top):
    assert (weight_step(bits), number_ranges.find_top(bits)) == (step, top)
    every = np.arange(-256, 256)
    signed = every[every % step == 0]
    assert len(signed) == 2**bits
    assert signed.max() == top
