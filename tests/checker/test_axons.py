"""Axons by the checker: which neurons have one, where output axons lie, who shares one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, design, integer_chain, limited

from snncompile.checker.core_limits import count_entries, count_route_entries
from snncompile.checker.mapping import check
from snncompile.checker.shared_axons import Sharing, count_sharing, group_sources
from snncompile.errors import MappingError
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock, MemoryBlock, Tables
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

HARD = IntegerCubaLif(4095, 0, 1)


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


def change_axons(mapping: Mapping, number: int, **fields) -> Mapping:
    axons = list(mapping.tables.axons)
    axons[number] = replace(axons[number], **fields)
    return replace(mapping, tables=replace(mapping.tables, axons=tuple(axons)))


def image(chip: Chip) -> tuple[IntegerNetwork, Mapping]:
    """Return a convolution of two channels of 4 x 4 pixels, on one core."""
    wiring = Convolution((2, 4, 4), 2, (3, 3), (1, 1), (1, 1), (1, 1))
    synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
    projections = (Projection("input", "a", synapses, 1),)
    population = Population("a", (2, 4, 4), HARD, 1)
    network = IntegerNetwork(Input("input", (2, 4, 4)), (population,), projections, "a")
    return network, mapped(network, chip)


LACKS = "not every source of input -> a into a[0:2, 0:4, 0:4] has an axon"
# Neurons of 32 with an axon, however they are named; what is wrong.
REGIONS = {
    "the axes of the image": (Region((2, 4, 4), (range(2), range(4), range(4))), ""),
    "one axis": (Region((32,), (range(32),)), ""),
    "as many other axes": (Region((8, 2, 2), (range(8), range(2), range(2))), ""),
    "axes that end alike": (Region((4, 2, 4), (range(4), range(2), range(4))), ""),
    "one by one": (Region((), (), tuple(range(32))), ""),
    "a column of pixels too few": (Region((2, 4, 4), (range(2), range(4), range(3))), LACKS),
    "a channel too few": (Region((2, 4, 4), (range(1, 2), range(4), range(4))), LACKS),
    "the last one too few": (Region((32,), (range(31),)), LACKS),
    "one of them too few": (Region((), (), (*range(5), *range(6, 32))), LACKS),
    "only one of them": (Region((), (), (7,)), LACKS),
}


@pytest.mark.parametrize("case", REGIONS)
def test_every_source_has_an_axon_however_it_is_named(case):
    region, message = REGIONS[case]
    network, mapping = image(LOIHI1)
    assert explain(network, LOIHI1, change_axons(mapping, 0, region=region)) == message


def three_targets(chip: Chip) -> tuple[IntegerNetwork, Mapping]:
    """Return a, that sends to b; b, that sends to c, d and e: each on a core of its own."""
    names = "abcde"
    populations = tuple(
        Population(name, (3,), HARD, phase)
        for name, phase in zip(names, (1, 2, 3, 3, 3), strict=True)
    )
    ends = [("input", "a", 1), ("a", "b", 3), ("b", "c", 3), ("b", "d", 3), ("b", "e", 3)]
    projections = tuple(
        Projection(source, target, integer_dense(np.full((3, n), 2), 0, 8), 1)
        for source, target, n in ends
    )
    network = IntegerNetwork(Input("input", (1,)), populations, projections, "e")
    roomy = limited(chip, cores=8)
    return network, mapped(network, roomy, share=False)


# First output axons of the routes from b, which take 3 each; whether they overlap.
OUTPUTS = [
    ((0, 3, 6), False),
    ((6, 3, 0), False),
    ((3, 0, 9), False),
    ((0, 3, 7), False),
    ((0, 2, 6), True),
    ((0, 3, 5), True),
    ((5, 0, 3), True),
    ((3, 6, 5), True),
    ((0, 0, 6), True),
]


@pytest.mark.parametrize("chip", [TOY, LOIHI2], ids=["toy", "loihi2"])
@pytest.mark.parametrize("first, overlap", OUTPUTS)
def test_output_axons_of_any_core_do_not_overlap(chip, first, overlap):
    """Of the second core here, behind those of the first, which lie at the same places."""
    network, mapping = three_targets(chip)
    lines = mapping.tables.lines.copy()
    assert [mapping.slices[number].population for number in lines[:, 0]] == ["a", "b", "b", "b"]
    lines[1:, 3] = first
    moved = replace(mapping, tables=replace(mapping.tables, routes=lines))
    message = "output axons of core 1 overlap" if overlap else ""
    assert explain(network, limited(chip, cores=8), moved) == message


FEW_CORES = limited(load_chip("loihi1:nahuku"), compartments=5, cores=2)
"""Five neurons per core, so that two cores of one population send to one core."""


def test_nobody_shares_axons_of_the_input():
    """They stand before those of a, which neurons of two slices share."""
    network = integer_chain(1, 10, 5, neuron=HARD)
    mapping = mapped(network, FEW_CORES)
    groups, sharing = group_sources(network, mapping), count_sharing(network, mapping)
    assert sharing == {(2, 0): Sharing(5, 1), (2, 1): Sharing(5, 1)}
    assert groups == {(1, 2): dict.fromkeys(range(5), 0) | dict.fromkeys(range(5, 10), 1)}
    damaged = change_axons(mapping, 0, grouped=(0,))
    assert group_sources(network, damaged) == groups
    assert count_sharing(network, damaged) == sharing
    message = "axons of core 0 from input cannot be shared"
    assert explain(network, FEW_CORES, damaged) == message


def test_entries_of_a_route():
    """A population axon takes 2, one of a neuron 1; one more each to another chip, if at all."""
    network = integer_chain(1, 10, 5, neuron=HARD)
    mapping = mapped(network, FEW_CORES)
    assert mapping.chip_of == {0: 0, 1: 0, 2: 1}
    assert count_route_entries(network, FEW_CORES, mapping) == [3, 3]
    near, far = (0, 1), (0, 2)
    for single, other, wanted in ((1, 1, (1, 2)), (1, 0, (1, 1)), (3, 2, (3, 5))):
        entries = FEW_CORES.axon_entries
        numbers = {"discrete": single, "other_chip": other}
        changed = {
            n: getattr(entries, n).model_copy(update={"value": v}) for n, v in numbers.items()
        }
        chip = FEW_CORES.model_copy(update={"axon_entries": entries.model_copy(update=changed)})
        assert tuple(count_entries(chip, mapping, *ends) for ends in (near, far)) == wanted
        assert count_route_entries(network, chip, mapping) == [2 + other] * 2
    assert [count_entries(TOY, mapping, *ends) for ends in (near, far)] == [1, 1]


def share_columns(dense: bool) -> tuple[IntegerNetwork, Mapping]:
    """Return 2 channels of 4 x 3 neurons whose columns of 4 share an axon each.

    With `dense` the axons reach another block, without columns, before.
    """
    wiring = Convolution((2, 4, 3), 2, (3, 3), (1, 1), (1, 1), (1, 1))
    synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
    first = integer_dense(np.full((24, 1), 2), 0, 8)
    populations = (Population("a", (2, 4, 3), HARD, 1), Population("b", (2, 4, 3), HARD, 2))
    projections = (Projection("input", "a", first, 1), Projection("a", "b", synapses, 1))
    slices = [Slice("a", (2, 4, 3), (0, 0, 0), (2, 4, 3), 0)]
    slices.append(Slice("b", (2, 4, 3), (0, 0, 0), (2, 4, 3), 1))
    network = IntegerNetwork(Input("input", (1,)), populations, projections, "b")
    memory = [MemoryBlock(1, 1, 1, 0, 9, "sparse", True, 1, columns=True)]
    if dense:
        memory.insert(0, MemoryBlock(1, 0, 0, 9, 9, "sparse", False, 1))
    numbers = tuple(range(len(memory)))
    axons = AxonBlock(1, "a", Region.from_size(24), 0, numbers, (0,), 6)
    return network, Mapping(tuple(slices), (), Tables(tuple(memory), (axons,)))


@pytest.mark.parametrize("dense", [False, True])
def test_neurons_share_an_axon_for_each_column(dense):
    """Two channels of three columns, whatever else the axons reach."""
    network, mapping = share_columns(dense)
    assert count_sharing(network, mapping) == {(0, 0): Sharing(24, 6)}


def test_neurons_without_columns_share_one_axon():
    network, mapping = share_columns(False)
    (block,) = mapping.tables.memory
    tables = replace(mapping.tables, memory=(replace(block, columns=False),))
    assert count_sharing(network, replace(mapping, tables=tables)) == {(0, 0): Sharing(24, 1)}
