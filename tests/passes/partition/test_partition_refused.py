"""What does not fit a chip: the whole message, and what it advises."""

from __future__ import annotations

import pytest
from networks import (
    LOIHI1,
    PACKED,
    TOY,
    alone,
    changed,
    integer_chain,
    limited,
    partitioned,
)

from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.dense import integer_dense

HARD = IntegerCubaLif(4095, 0, 1)
SOFT = IntegerCubaLif(4095, 0, 1, reset="soft")


def without_relays(chip: Chip) -> Chip:
    kept = {kind: number for kind, number in chip.neurons.items() if kind != "accumulate"}
    return chip.model_copy(update={"neurons": kept})


# Network, chip, whole message. A new case is one more entry.
REFUSED = [
    (
        integer_chain(65, 1),
        limited(TOY, axons_in=100),
        "population a: needs 65 words of synaptic memory for one neuron, the chip allows 64;"
        " toy has no accumulating neuron, which would split its sources over cores;"
        " on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(1, 1, neuron=SOFT),
        limited(TOY, compartments=1),
        "population a: needs 2 compartments for one neuron, the chip allows 1;"
        " with hard resets it takes 1 core; on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(1, 1, 4, neuron=HARD),
        limited(TOY, axons_out=3, compartments=1, cores=8),
        "population a: needs 4 output axons for one neuron, the chip allows 3;"
        " on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(9, 1),
        TOY,
        "population a: needs 9 input axons for one neuron, the chip allows 8;"
        " toy has no accumulating neuron, which would split its sources over cores;"
        " on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(1, 8, 9, title="digits"),
        TOY,
        "network digits, population b above all: needs 5 cores (a 2, b 3), the chip allows 4;"
        " on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(1, 16, 9, title="digits"),
        limited(TOY, axons_in=16),
        "network digits, population a above all: needs 7 cores (a 4, b 3), the chip allows 4;"
        " on loihi1 it takes 1 core; on loihi2 it takes 1 core",
    ),
    (
        integer_chain(4097, 1),
        LOIHI1,
        "population a: needs 4,097 input axons for one neuron, the chip allows 4,096;"
        " loihi1 has no accumulating neuron, which would split its sources over cores;"
        " on loihi2 it takes 1 core",
    ),
    (
        integer_chain(2, 131073),
        LOIHI1,
        "network network, population a above all: needs 129 cores (a 129), the chip allows 128;"
        " on loihi1:nahuku (32 chips) it takes 129 cores;"
        " with 131,073 neurons only boards were tried, to answer soon",
    ),
    (
        integer_chain(16001, 1),
        without_relays(PACKED),
        "population a: needs 16,001 input axons for one neuron, the chip allows 16,000;"
        " loihi2 has no accumulating neuron, which would split its sources over cores;"
        " neither fewer weight bits nor more chips nor another known chip would do, and encodings"
        " and slices are the cheapest already",
    ),
    (
        integer_chain(4000, 25, neuron=HARD),
        limited(PACKED, cores=1),
        "network network, population a above all: needs 2 cores (a 2), the chip allows 1;"
        " with 6-bit weights it takes 1 core; on loihi2:kapoho-point (8 chips) it takes 2 cores;"
        " on loihi1 it takes 1 core",
    ),
    (
        # 3 words per source: 24 weights of 8 bits, 48 of 4 bits (125 cores), 64 of 3 bits
        integer_chain(4000, 6000, neuron=HARD),
        PACKED,
        "network network, population a above all: needs 250 cores (a 250), the chip allows 120;"
        " with 3-bit weights it takes 94 cores; on loihi2:kapoho-point (8 chips) it takes 250"
        " cores",
    ),
]


@pytest.mark.parametrize("network, chip, message", REFUSED, ids=[m[:60] for *_, m in REFUSED])
def test_says_what_does_not_fit_and_what_would(network, chip, message):
    with pytest.raises(FitError) as error:
        partitioned(network, chip)
    assert str(error.value) == message


def test_the_numbers_of_an_error_are_attributes():
    with pytest.raises(FitError) as error:
        partitioned(integer_chain(9, 1))
    found = error.value
    assert (found.where, found.resource, found.need, found.limit) == (
        "population a",
        "input axons for one neuron",
        9,
        8,
    )


@pytest.mark.parametrize("reset", ["none", "delayed_hard", "strict_soft"])
def test_a_neuron_the_chip_lacks(reset):
    with pytest.raises(UnsupportedError) as error:
        partitioned(alone(IntegerCubaLif(0, 0, 1, reset=reset)), LOIHI1)
    assert str(error.value) == (
        f"population a: loihi1 has no neuron cuba_lif/{reset}; it has cuba_lif/delayed_soft,"
        " cuba_lif/hard, cuba_lif/soft and 5 more"
    )


def test_hints_do_not_send_to_a_chip_with_other_formats(monkeypatch):
    """7-bit weights are Loihi 2's alone; loihi1 would have the cores."""
    monkeypatch.setattr("snncompile.passes.advice.remedies.LARGE", 10**6)
    network = integer_chain(1, 121 * 4096, bits=7, weight=4)
    small = changed(integer_chain(9, 1), projection=0, synapses=integer_dense([[4] * 9], 0, 7))
    with pytest.raises(FitError) as error:
        partitioned(small)
    assert str(error.value).endswith("split its sources over cores; on loihi2 it takes 1 core")
    with pytest.raises(FitError) as error:
        partitioned(network, PACKED)
    assert str(error.value).endswith("the chip allows 120; on loihi2:kapoho-point (8 chips) it"
                                     " takes 121 cores")  # fmt: skip


# 3 words per source fit: 192 bits, so 24 neurons of 8 bits, 32 of 6 ...
@pytest.mark.parametrize("neurons, bits", [(25, 6), (33, 5), (39, 4), (49, 3), (65, 2)])
def test_the_most_bits_with_which_it_fits(neurons, bits):
    with pytest.raises(FitError) as error:
        partitioned(integer_chain(4000, neurons), limited(PACKED, cores=1))
    assert f"the chip allows 1; with {bits}-bit weights it takes 1 core;" in str(error.value)


def test_two_cores_are_cores():
    with pytest.raises(FitError) as error:
        partitioned(integer_chain(4000, 49), limited(PACKED, cores=2))
    assert "with 6-bit weights it takes 2 cores;" in str(error.value)
