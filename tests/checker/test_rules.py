"""Rules of single tables: what may be in any order, what overlaps, what may be shared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import LOIHI1, TOY, design, integer_chain, limited
from published import mlp

import snncompile
from snncompile.checker.chip_rules import check_chip_rules
from snncompile.checker.mapping import check
from snncompile.errors import MappingError
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.ir.tables import AxonBlock
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

HARD = IntegerCubaLif(4095, 0, 1)
FIRE = IntegerIntegrateFire(300, 0, 0, "hard")


def mapped(network: IntegerNetwork, chip: Chip, **options) -> Mapping:
    done = Partition(**options)(design(network, chip))
    return Route()(Place("linear")(done)).mapping


def explain(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> str:
    """Return what the checker says; empty if nothing is wrong."""
    try:
        check(network, chip, mapping)
    except MappingError as error:
        return str(error).removeprefix("the mapping is wrong: ")
    return ""


def change(mapping: Mapping, kind: str, number: int, **fields) -> Mapping:
    blocks = list(getattr(mapping.tables, kind))
    blocks[number] = replace(blocks[number], **fields)
    return replace(mapping, tables=replace(mapping.tables, **{kind: tuple(blocks)}))


def test_sites_are_in_any_order():
    network = integer_chain(3, 4, 2, neuron=HARD)
    mapping = mapped(network, TOY, share=False)
    assert explain(network, TOY, replace(mapping, sites=mapping.sites[::-1])) == ""


def test_as_many_cores_as_a_tile_has_and_one_more():
    network = integer_chain(1, 4, 4, 4, neuron=HARD)
    mapping = mapped(network, TOY, share=False)
    assert [site.tile_x for site in mapping.sites] == [0, 0, 1]
    crowded = replace(mapping, sites=tuple(replace(site, tile_x=1) for site in mapping.sites))
    message = "3 cores are on tile 1,0 of chip 0, which has 2"
    assert explain(network, TOY, crowded) == message


# Delays of two projections into one core; synapse formats that its rows have.
DELAYS = [((1, 2), 2), ((2, 3), 1)]


@pytest.mark.parametrize("delay_bits, extra", [(6, 0), (1, 0), (0, -1)])
@pytest.mark.parametrize("delays, formats", DELAYS)
def test_rows_with_delays_of_their_own_are_another_format(delays, formats, delay_bits, extra):
    """Unless a delay takes no bits."""
    network = integer_chain(3, 4, neuron=HARD)
    (p,) = network.projections
    network = replace(network, projections=tuple(replace(p, delay=d) for d in delays))
    chip = limited(LOIHI1, delay_bits=delay_bits)
    mapping = mapped(network, chip)
    used = max(1, formats + extra)
    assert explain(network, limited(chip, formats=used), mapping) == ""
    if used > 1:
        message = "core 0 has 2 synapse formats of 1"
        assert explain(network, limited(chip, formats=1), mapping) == message


def two_targets() -> tuple[IntegerNetwork, Mapping]:
    """Return a, that sends to b and to c on cores of their own."""
    network = IntegerNetwork(
        Input("input", (1,)),
        (
            Population("a", (3,), HARD, 1),
            Population("b", (4,), HARD, 2),
            Population("c", (4,), HARD, 2),
        ),
        (
            Projection("input", "a", integer_dense(np.full((3, 1), 2), 0, 8), 1),
            Projection("a", "b", integer_dense(np.full((4, 3), 2), 0, 8), 1),
            Projection("a", "c", integer_dense(np.full((4, 3), 2), 0, 8), 1),
        ),
        "c",
    )
    return network, mapped(network, TOY, share=False)


# First output axons of the two routes; what is wrong.
OUTPUTS = [
    ((0, 3), ""),
    ((3, 0), ""),
    ((0, 9), ""),
    ((0, 2), "output axons of core 0 overlap"),
    ((0, 0), "output axons of core 0 overlap"),
    ((2, 0), "output axons of core 0 overlap"),
]


@pytest.mark.parametrize("first, message", OUTPUTS)
def test_output_axons_of_a_core_do_not_overlap(first, message):
    network, mapping = two_targets()
    lines = mapping.tables.lines.copy()
    lines[:, 3] = first
    moved = replace(mapping, tables=replace(mapping.tables, routes=lines))
    assert explain(network, TOY, moved) == message


def test_input_axons_and_words_of_a_core_may_be_in_any_order():
    """Also in rising order, or with room between them; not one over the other."""
    network = integer_chain(2, 4, 2, neuron=HARD)
    more = Projection("input", "b", integer_dense(np.full((2, 2), 2), 0, 8), 2)
    network = replace(network, projections=(*network.projections, more))
    mapping = mapped(network, TOY, share=False)
    numbers = [i for i, a in enumerate(mapping.tables.axons) if a.core == 1]
    counts = {i: mapping.tables.axons[i].count for i in numbers}
    for order, wrong in ((numbers, 0), (numbers[::-1], 0), (numbers, 1), (numbers[::-1], 1)):
        first, second = order
        moved = change(mapping, "axons", first, first=0)
        moved = change(moved, "axons", second, first=counts[first] - wrong)
        assert explain(network, TOY, moved) == ("input axons of core 1 overlap" if wrong else "")


FEW_CORES = limited(load_chip("loihi1:nahuku"), compartments=5, cores=2)
"""Five neurons per core, so that two cores of one population send to one core."""


def population_axons() -> tuple[IntegerNetwork, Mapping]:
    """Return ten neurons of a, whose two slices have one input axon of b each."""
    network = integer_chain(1, 10, 5, neuron=HARD)
    mapping = mapped(network, FEW_CORES)
    assert mapping.tables.axons[2].grouped == (0, 1)
    assert mapping.tables.axons[2].count == 2
    return network, mapping


OF_B = "a block of axons of core 2"
# What is changed of the population axons; what is wrong.
SHARING = [
    ({"size": 3}, "core 2 has 3 axons from a"),
    ({"size": 1}, "core 2 has 1 axons from a"),
    ({"grouped": (0,)}, "core 2 has 2 axons from a"),
    ({"grouped": (0, 1, 2), "size": 3}, "axons of core 2 from a cannot be shared"),
    ({"grouped": (1, 0)}, ""),
    ({"grouped": (0, 0, 1)}, f"{OF_B} is shared by a slice that there is not, or by one twice"),
    ({"grouped": (0, 3)}, f"{OF_B} is shared by a slice that there is not, or by one twice"),
    ({"grouped": (-1, 0)}, f"{OF_B} is shared by a slice that there is not, or by one twice"),
]


@pytest.mark.parametrize("fields, message", SHARING)
def test_neurons_that_share_an_axon_are_counted(fields, message):
    network, mapping = population_axons()
    assert explain(network, FEW_CORES, mapping) == ""
    assert explain(network, FEW_CORES, change(mapping, "axons", 2, **fields)) == message


def convolutions() -> tuple[IntegerNetwork, Mapping]:
    """Return a convolution whose rows are shared by all pixels, and one synapse each beside it."""
    wiring = Convolution((2, 4, 4), 2, (3, 3), (1, 1), (1, 1), (1, 1))
    kernel = np.full(wiring.weight_shape, 2)
    network = IntegerNetwork(
        Input("input", (2, 4, 4)),
        (Population("a", (2, 4, 4), HARD, 1),),
        (
            Projection("input", "a", IntegerSynapses(wiring, kernel, 0, 8), 1),
            Projection("input", "a", integer_dense(np.full((32, 32), 2), 0, 8), 2),
        ),
        "a",
    )
    return network, mapped(network, LOIHI1)


def test_axons_of_shared_rows_reach_nothing_else():
    network, mapping = convolutions()
    first, _ = mapping.tables.memory
    assert first.shared
    assert explain(network, LOIHI1, mapping) == ""
    number = next(i for i, axons in enumerate(mapping.tables.axons) if axons.memory == (0,))
    assert explain(network, LOIHI1, change(mapping, "axons", number, memory=(0, 1))) == (
        "axons of input -> a into a[0:2, 0:4, 0:4] share rows and reach other blocks"
    )


def test_words_that_an_axon_reaches_are_in_any_order():
    """One block of axons of the input reaches the words of a and of b on one core."""
    network = integer_chain(2, 2, 2, neuron=HARD)
    more = Projection("input", "b", integer_dense(np.full((2, 2), 2), 0, 8), 2)
    network = replace(network, projections=(*network.projections, more))
    mapping = mapped(network, TOY)
    number = next(i for i, axons in enumerate(mapping.tables.axons) if len(axons.memory) == 2)
    memory = mapping.tables.axons[number].memory
    assert explain(network, TOY, change(mapping, "axons", number, memory=memory[::-1])) == ""


def test_axons_that_reach_nothing_are_too_many():
    network, mapping = two_targets()
    idle = AxonBlock(0, "a", mapping.tables.axons[1].region, 1, ())
    tables = replace(mapping.tables, axons=(*mapping.tables.axons, idle))
    assert explain(network, TOY, replace(mapping, tables=tables)) == (
        "core 0 has 3 axons from a, 0 of them reach a synapse"
    )


OPTIONAL = [
    ("loihi2", "core", ("synapse_words", "axons_in", "axons_out", "neuron_groups")),
    ("loihi2", "core", ("compartments", "axon_memory", "total_words")),
    ("truenorth", "crossbar", ("type_weight_bits",)),
    ("toy", "formats", ("delay",)),
    ("toy", "core", ("synapse_word_bits", "threshold_profiles")),
    ("spinnaker1", "memory", ("data_bytes", "shared_bytes", "router_entries")),
]


@pytest.mark.parametrize("chip, section, names", OPTIONAL)
def test_what_is_not_known_is_no_limit(chip, section, names):
    bits = max(load_chip(chip).formats.weight_bits.values)
    program = snncompile.compile(mlp(6, 4, 4, bits=min(bits, 8)), chip=chip, prune=False)
    limits = getattr(program.chip, section)
    unknown = {n: getattr(limits, n).model_copy(update={"value": None}) for n in names}
    other = program.chip.model_copy(update={section: limits.model_copy(update=unknown)})
    assert explain(program.network, other, program.mapping) == ""


def found(network: IntegerNetwork, chip: Chip) -> list[str]:
    """Return what rules of the chip say of all neurons on core 0."""
    slices = tuple(Slice.from_range(p, 0, p.size, 0) for p in network.populations)
    return list(check_chip_rules(network, chip, Mapping(slices, (Site(0, 0, 0),))))


def set_limit(chip: str, section: str, limit: str, value: int) -> Chip:
    model = load_chip(chip)
    limits = getattr(model, section)
    number = getattr(limits, limit).model_copy(update={"value": float(value)})
    return model.model_copy(update={section: limits.model_copy(update={limit: number})})


@pytest.mark.parametrize("sign, bits", [(1, 4), (-1, 3)])
def test_weights_without_a_sign_take_a_bit_more_of_their_types(sign, bits):
    """Weights 1..7 are sums of 1, 2, 4, which take four bits with a sign; -4..-1 take three."""
    weight = np.arange(1, 8)[None, :] if sign > 0 else -np.arange(1, 5)[None, :]
    network = integer_chain(weight.size, 1, neuron=FIRE, bits=4)
    (p,) = network.projections
    network = replace(network, projections=(replace(p, synapses=integer_dense(weight * 32, 0, 4)),))
    assert found(network, set_limit("truenorth", "crossbar", "type_weight_bits", bits)) == []
    chip = set_limit("truenorth", "crossbar", "type_weight_bits", bits - 1)
    message = f"input -> a needs {bits} bits of a type's weight of {bits - 1}"
    assert found(network, chip) == [message]
    assert found(network, set_limit("truenorth", "crossbar", "axon_types", 3)) == []
    chip = set_limit("truenorth", "crossbar", "axon_types", 2)
    assert found(network, chip) == ["input -> a needs 3 axon types of 2"]


# Shape of the input, kernel or None for a dense layer; the longest side of the kernel.
KERNELS = [
    ((1, 8, 8), (3, 5), 5),
    ((1, 8, 8), (5, 3), 5),
    ((2, 6, 2), None, 6),
    ((2, 2, 6), None, 6),
    ((7,), None, 1),
]


@pytest.mark.parametrize("shape, kernel, side", KERNELS)
def test_the_longest_side_of_a_kernel(shape, kernel, side):
    if kernel is None:
        synapses, target = integer_dense(np.full((3, int(np.prod(shape))), 2), 0, 8), (3,)
    else:
        wiring = Convolution(shape, 2, kernel, (1, 1), (0, 0), (1, 1))
        synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
        target = wiring.target_shape
    populations = (Population("a", target, FIRE, 1),)
    projections = (Projection("input", "a", synapses, 1),)
    network = IntegerNetwork(Input("input", shape), populations, projections, "a")
    assert found(network, set_limit("speck2", "kernels", "kernel", side)) == []
    chip = set_limit("speck2", "kernels", "kernel", side - 1)
    message = f"input -> a needs {side} neurons as side of a kernel of {side - 1}"
    assert found(network, chip) == [message]


def test_lines_of_a_neuron_hold_the_widest_weights_of_every_source_once():
    """Two projections from one source of 300, of 4 and 8 bits: 300 times 8 bits in 4 lines."""
    one = integer_chain(300, 2, neuron=FIRE)
    (p,) = one.projections
    narrow = replace(p, synapses=integer_dense(np.full((2, 300), 32), 0, 4), delay=2)
    network = replace(one, projections=(narrow, p))
    line_bits = 300 * 8 // 4
    for bits, lines in ((line_bits, 4), (line_bits - 1, 8)):
        assert found(network, set_limit("paicore2", "weight_ram", "line_bits", bits)) == []
        model = set_limit("paicore2", "weight_ram", "line_bits", bits)
        ram = model.weight_ram
        assert ram is not None
        few = ram.model_copy(
            update={"lines": ram.lines.model_copy(update={"value": float(2 * lines - 1)})}
        )
        chip = model.model_copy(update={"weight_ram": few})
        assert found(network, chip) == [f"core 0 holds {2 * lines} lines of {2 * lines - 1}"]
