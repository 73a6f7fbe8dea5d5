"""The checker: right mappings pass, each kind of mistake is refused; compact and unrolled agree."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import differential
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design, integer_chain, limited, random_integer_network
from stored_synapses import list_stored_synapses

from snncompile.checker.mapping import check
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, MappingError
from snncompile.hwmodels import chips
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping
from snncompile.ir.region import Region
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale

HARD = IntegerCubaLif(4095, 0, 1)
SMALL1 = limited(LOIHI1, compartments=40, axons_in=90, synapse_words=300, cores=128)
SMALL2 = limited(LOIHI2, compartments=40, axons_in=90, synapse_words=300, cores=120)
ROOMY = limited(
    TOY,
    cores=200,
    compartments=30,
    synapse_words=900,
    axons_in=99,
    axons_out=999,
    compartment_profiles=99,
    threshold_profiles=99,
)
CHIPS = {"loihi1": SMALL1, "loihi2": SMALL2, "toy": ROOMY}


def mapped(network, chip, **options) -> Mapping:
    done = Partition(**options)(design(network, chip))
    return Route()(Place("linear")(done)).mapping


def synapses(wiring, seed: int = 0) -> IntegerSynapses:
    weight = np.random.default_rng(seed).integers(-127, 128, wiring.weight_shape) * 2
    return IntegerSynapses(wiring, weight, 0, 8)


def residual() -> IntegerNetwork:
    """Return convolutions with padding, stride and groups, a shortcut and a dense layer."""
    first = Convolution((2, 8, 8), 4, (3, 3), (1, 1), (1, 1), (1, 1))
    second = Convolution((4, 8, 8), 4, (3, 3), (1, 1), (1, 1), (1, 1), groups=2)
    third = Convolution((4, 8, 8), 6, (3, 3), (2, 2), (0, 0), (1, 1))
    populations = [("a", (4, 8, 8)), ("b", (4, 8, 8)), ("c", (6, 3, 3)), ("d", (5,))]
    return IntegerNetwork(
        Input("input", (2, 8, 8)),
        tuple(Population(name, shape, HARD, i + 1) for i, (name, shape) in enumerate(populations)),
        (
            Projection("input", "a", synapses(first), 1),
            Projection("a", "b", synapses(second), 1),
            Projection("a", "b", synapses(Scale(256)), 1),
            Projection("b", "c", synapses(third), 1),
            Projection("c", "d", synapses(Dense(5, 54)), 1),
            Projection("a", "d", synapses(Dense(5, 256)), 3),
        ),
        "d",
    )


BIG1 = limited(LOIHI1, compartments=40, axons_in=600)


@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2, BIG1], ids=["loihi1", "loihi2", "small"])
def test_every_synapse_of_a_residual_network_is_there_once(chip):
    network = residual()
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    agrees(network, mapping)


def agrees(network: IntegerNetwork, mapping: Mapping) -> None:
    """Compare the synapses of all cores, written out one by one, with those of the network."""
    found = list_stored_synapses(network, mapping)
    for number, p in enumerate(network.projections):
        wanted = p.synapses.wiring.matrix(p.synapses.weight.astype(np.int64)).tocoo()
        expected = sorted(
            (int(s), int(t), int(w), p.delay)
            for t, s, w in zip(wanted.row, wanted.col, wanted.data, strict=True)
        )
        assert sorted(found.get(number, [])) == expected


@settings(max_examples=60)
@example(seed=20604, chip="loihi1", share=False)  # a dense layer into a tile, signs apart
@example(seed=1126, chip="loihi1", share=False)  # a kernel of which only a weight of 0 is met
@given(seed=st.integers(0, 10**9), chip=st.sampled_from(sorted(CHIPS)), share=st.booleans())
def test_compact_and_unrolled_agree(seed, chip, share):
    network = (
        random_integer_network(seed, wild=False)
        if seed % 2
        else differential.network(5, seed % 1000, differential.Frame((2, 4, 6), 3))
    )
    chip = CHIPS[chip]
    try:
        mapping = mapped(network, replace_neurons(chip), share=share)
    except FitError:
        return
    check(network, replace_neurons(chip), mapping)
    agrees(network, mapping)


def replace_neurons(chip):
    """Return the chip with every neuron there is, as Loihi 2 has them."""
    return chip.model_copy(update={"neurons": LOIHI2.neurons | TOY.neurons | chip.neurons})


def test_usage_and_checker_count_the_same():
    from snncompile.checker.core_limits import count_held

    network, chip = residual(), BIG1
    mapping = mapped(network, chip)
    held = count_held(network, chip, mapping)
    for found in measure_usage(network, chip, mapping):
        for resource, by_core in held.items():
            assert by_core[found.core] == found.used[resource], (found.core, resource)


def changed_block(mapping, kind: str, place: int, **changes) -> Mapping:
    blocks = list(getattr(mapping.tables, kind))
    blocks[place] = replace(blocks[place], **changes)
    return replace(mapping, tables=replace(mapping.tables, **{kind: tuple(blocks)}))


def lines(mapping, change) -> Mapping:
    table = change(mapping.tables.lines.copy())
    return replace(mapping, tables=replace(mapping.tables, routes=table))


def without(mapping, kind: str, place: int) -> Mapping:
    blocks = list(getattr(mapping.tables, kind))
    del blocks[place]
    return replace(mapping, tables=replace(mapping.tables, **{kind: tuple(blocks)}))


def moved(mapping, place: int, **changes) -> Mapping:
    slices = list(mapping.slices)
    slices[place] = replace(slices[place], **changes)
    return replace(mapping, slices=tuple(slices))


def at(mapping, core: int, **changes) -> Mapping:
    sites = [replace(s, **changes) if s.core == core else s for s in mapping.sites]
    return replace(mapping, sites=tuple(sites))


def set_cell(row: int, column: int, value: int):
    def change(table):
        table[row, column] = value
        return table

    return change


def first_shrunk(mapping):
    """Leave out the last neuron of the first axon block."""
    region = mapping.tables.axons[0].region
    axes = (range(region.axes[0].start, region.axes[0].stop - 1), *region.axes[1:])
    return changed_block(mapping, "axons", 0, region=replace(region, axes=axes))


# Mistake; start of the message. The mapping: integer_chain(3, 4, 2) on toy, a core for each.
MISTAKES = {
    "a slice too short": (
        lambda m: moved(m, 0, stop=(3,)),
        "neuron 3 of a is on 0 cores",
    ),
    "a slice twice": (
        lambda m: replace(m, slices=(*m.slices, m.slices[0])),
        "neuron 0 of a is on 2 cores",
    ),
    "a core without a site": (lambda m: replace(m, sites=m.sites[:1]), "not every core has one"),
    "a site beside the mesh": (
        lambda m: at(m, 1, tile_x=2),
        "core 1 is on tile 2,0 of a mesh of 2 x 1 tiles",
    ),
    "synapses not stored": (
        lambda m: without(changed_block(m, "axons", 1, memory=(0,)), "memory", 0),
        "12 synapses of input -> a into a[0:4] are not stored",
    ),
    "synapses stored twice": (
        lambda m: replace(
            m, tables=replace(m.tables, memory=(*m.tables.memory, m.tables.memory[0]))
        ),
        "synapses are stored twice",
    ),
    "synapses of a slice of another population": (
        lambda m: replace(
            m,
            tables=replace(
                m.tables, memory=(*m.tables.memory, replace(m.tables.memory[0], slice=1))
            ),
        ),
        "a block of core 0 belongs to nothing of the network",
    ),
    "on another core": (
        lambda m: changed_block(m, "memory", 0, core=1),
        "input -> a into a[0:4] is stored on core 1",
    ),
    "another delay": (
        lambda m: changed_block(m, "memory", 1, delay=2),
        "a -> b into b[0:2] has delay 2 instead of 1",
    ),
    "too few words": (
        lambda m: changed_block(m, "memory", 0, words=11),
        "input -> a into a[0:4] on core 0 has 11 words, needs 12",
    ),
    "another projection": (
        lambda m: changed_block(m, "memory", 0, projection=1),
        "12 synapses of input -> a into a[0:4] are not stored",
    ),
    "an unknown format": (
        lambda m: changed_block(m, "memory", 0, format="paper"),
        "there is no synapse format 'paper'",
    ),
    "an unknown format with a name without end": (
        lambda m: changed_block(m, "memory", 0, format="p" * 1000),
        f"there is no synapse format '{'p' * 40}'",
    ),
    "no axons": (
        lambda m: changed_block(m, "axons", 0, memory=()),
        "input -> a into a[0:4] is reached by 0 blocks of axons",
    ),
    "a source without an axon": (
        first_shrunk,
        "not every source of input -> a into a[0:4] has an axon",
    ),
    "axons of another source": (
        lambda m: changed_block(m, "axons", 0, source="a", region=Region((4,), (range(3),))),
        "input -> a into a[0:4] is reached by 1 blocks of axons",
    ),
    "axons on another core": (
        lambda m: changed_block(m, "axons", 0, core=1),
        "input -> a into a[0:4] is reached by 1 blocks of axons",
    ),
    "a route gone": (
        lambda m: lines(m, lambda table: table[:0]),
        "routes of a differ from its input axons on core 1",
    ),
    "a route twice": (
        lambda m: lines(m, lambda table: np.concatenate([table, table])),
        "routes of a differ from its input axons on core 1",
    ),
    "a route of too few neurons": (
        lambda m: lines(m, set_cell(0, 2, 3)),
        "routes of a differ from its input axons on core 1",
    ),
    "a route of another slice": (
        lambda m: lines(m, set_cell(0, 0, 1)),
        "routes of a differ from its input axons on core 1",
    ),
    "too far down the core's output axons": (
        lambda m: lines(m, set_cell(0, 3, 13)),
        "core 0 holds 17 output axons of 16",
    ),
    "too far up the memory": (
        lambda m: changed_block(m, "memory", 0, first=53),
        "core 0 holds 65 synapse words of 64",
    ),
    "too far up the input axons": (
        lambda m: changed_block(m, "axons", 1, first=5),
        "core 1 holds 9 input axons of 8",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_refuses(case):
    change, message = MISTAKES[case]
    network = integer_chain(3, 4, 2, neuron=HARD)
    mapping = mapped(network, TOY, share=False)
    check(network, TOY, mapping)
    with pytest.raises(MappingError) as error:
        check(network, TOY, change(mapping))
    assert str(error.value).startswith(f"the mapping is wrong: {message}") or str(
        error.value
    ).startswith(message)


def test_refuses_overlaps():
    """b listens to a and the input on one core: two blocks of words and of axons."""
    network = integer_chain(3, 4, 2, neuron=HARD)
    more = Projection("input", "b", synapses(Dense(2, 3)), 2)
    network = dataclasses.replace(network, projections=(*network.projections, more))
    mapping = mapped(network, TOY, share=False)
    for kind, what in (("memory", "words"), ("axons", "input axons")):
        with pytest.raises(MappingError) as error:
            check(network, TOY, changed_block(mapping, kind, 2, first=3))
        assert str(error.value) == f"the mapping is wrong: {what} of core 1 overlap"


@settings(max_examples=80)
@given(seed=st.integers(0, 10**6), pick=st.integers(0, 10**6), by=st.integers(1, 3))
def test_any_number_of_the_tables_matters(seed, pick, by):
    """Change one number of a block: the checker refuses, or the block only moved to free room."""
    network = residual()
    chip = BIG1
    mapping = MAPPED.setdefault("small", mapped(network, chip))
    kind = ("memory", "axons")[seed % 2]
    place = pick % len(getattr(mapping.tables, kind))
    fields = {"memory": ("core", "projection", "slice", "words", "delay"), "axons": ("core",)}[kind]
    name = fields[seed // 2 % len(fields)]
    block = getattr(mapping.tables, kind)[place]
    wrong = changed_block(mapping, kind, place, **{name: (getattr(block, name) + by) % 6})
    if wrong == mapping:
        return
    with pytest.raises(MappingError):
        check(network, chip, wrong)


MAPPED: dict[str, Mapping] = {}


def test_several_chips_take_more_output_entries():
    """On Loihi 1 an axon to another chip takes two entries."""
    network = integer_chain(1, 3000, 100, neuron=HARD)
    small = chips.load_chip("loihi1:nahuku")
    data = small.model_dump(mode="json")
    data["mesh"]["cores"]["value"] = 4
    chip = type(small).model_validate(data)
    mapping = mapped(network, chip)
    assert mapping.chips > 1
    check(network, chip, mapping)
    assert any(site.chip for site in mapping.sites)
