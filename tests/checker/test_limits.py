"""The checker reads every limit from the chip: what is legal at a limit is refused below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from networks import integer_chain
from published import mlp, mnist_cnn

import snncompile
from snncompile.checker.mapping import check
from snncompile.errors import MappingError
from snncompile.hwmodels.chips import list_names, load_chip
from snncompile.hwmodels.records import Choices, Number, walk_numbers
from snncompile.hwmodels.schema import SECTIONS, Chip
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.program import Program

HARD = IntegerCubaLif(4095, 0, 1)
FIRE = IntegerIntegrateFire(300, 0, 0, "hard")
SOFT = IntegerIntegrateFire(300, 0, 0, "soft")
NETWORKS: dict[str, Callable[[], Any]] = {
    "toy": lambda: integer_chain(3, 4, 2, neuron=HARD),
    "loihi1": lambda: integer_chain(64, 100, 10, neuron=HARD, delay=2),
    "loihi2": mnist_cnn,
    "truenorth": lambda: mlp(12, 20, 8, 4, bits=4),
    "odin": lambda: mlp(12, 20, 8, 4, bits=4),
    "paicore2": lambda: mlp(1153, 3),
    "speck2": mnist_cnn,
    "spinnaker1": lambda: mlp(12, 20, 4),
    "spinnaker2": lambda: mlp(12, 20, 4),
    "xylo-audio2": lambda: mlp(12, 20, 8, 4, reset="soft"),
}
"""By chip: layers, each on cores of its own where the chip has rows of synapses."""

# By chip: limit -> what the network takes of it, and how one less is refused.
LIMITS: dict[str, dict[str, tuple[int, str]]] = {
    "toy": {
        "mesh.cores_per_tile": (2, "2 cores are on tile 0,0 of chip 0, which has 1"),
        "mesh.cores": (2, "2 cores are on chip 0, which has 1"),
        "core.compartments": (4, "core 0 holds 4 compartments of 3"),
        "core.synapse_words": (12, "core 0 holds 12 synapse words of 11"),
        "core.synapse_word_bits": (8, "weights into a[0:4] of 8 bits do not fit words of 7"),
        "core.axons_in": (4, "core 1 holds 4 input axons of 3"),
        "core.axons_out": (4, "core 0 holds 4 output axons of 3"),
        "core.compartment_profiles": (1, "core 0 holds 1 compartment profiles of 0"),
        "core.threshold_profiles": (1, "core 0 holds 1 threshold profiles of 0"),
    },
    "loihi1": {
        "mesh.cores_per_tile": (2, "2 cores are on tile 0,0 of chip 0, which has 1"),
        "mesh.cores": (2, "2 cores are on chip 0, which has 1"),
        "core.compartments": (100, "core 0 holds 100 compartments of 99"),
        "core.synapse_words": (896, "core 0 holds 896 synapse words of 895"),
        "core.axons_in": (64, "core 0 holds 64 input axons of 63"),
        "core.axons_out": (2, "core 0 holds 2 output axons of 1"),
        "core.compartment_profiles": (1, "core 0 holds 1 compartment profiles of 0"),
        "core.threshold_profiles": (1, "core 0 holds 1 threshold profiles of 0"),
        "rows.index_bits_highest": (
            6,
            "compartment 60 of a row needs 6 bits, an index of the chip has 5",
        ),
        "rows.row_words": (
            14,
            "input -> a into a[0:100] has a row of 14 words, at most 13 are possible",
        ),
        "rows.formats": (1, "core 0 has 1 synapse formats of 0"),
    },
    "loihi2": {
        "mesh.cores_per_tile": (2, "2 cores are on tile 0,0 of chip 0, which has 1"),
        "mesh.cores": (2, "2 cores are on chip 0, which has 1"),
        "core.compartments": (3594, "core 1 holds 3,594 compartments of 3,593"),
        "core.synapse_words": (6384, "core 1 holds 6,384 synapse words of 6,383"),
        "core.axons_in": (4, "core 1 holds 4 input axons of 3"),
        "core.axons_out": (164, "core 0 holds 164 output axons of 163"),
        "core.neuron_groups": (3, "core 1 holds 3 neuron groups of 2"),
        "core.axon_memory": (1600, "core 0 holds 1,600 words of axon memory of 1,599"),
        "core.total_words": (11691, "core 1 holds 11,691 words of all tables of 11,690"),
    },
    "truenorth": {
        "mesh.cores_per_tile": (1, "1 cores are on tile 0,0 of chip 0, which has 0"),
        "mesh.cores": (1, "1 cores are on chip 0, which has 0"),
        "core.compartments": (32, "core 0 holds 32 compartments of 31"),
        "crossbar.axons": (158, "core 0 holds 158 axons of 157"),
        "crossbar.neurons": (114, "core 0 holds 114 places of neurons of 113"),
        "crossbar.axon_types": (4, "input -> dense1 needs 4 axon types of 3"),
        "crossbar.type_weight_bits": (4, "input -> dense1 needs 4 bits of a type's weight of 3"),
    },
    "odin": {
        "mesh.cores_per_tile": (1, "1 cores are on tile 0,0 of chip 0, which has 0"),
        "mesh.cores": (1, "1 cores are on chip 0, which has 0"),
        "core.compartments": (32, "core 0 holds 32 compartments of 31"),
        "crossbar.axons": (78, "core 0 holds 78 axons of 77"),
        "crossbar.neurons": (82, "core 0 holds 82 places of neurons of 81"),
        "crossbar.synapse_bits": (3, "input -> dense1 needs 3 bits of a magnitude of 2"),
    },
    "paicore2": {
        "mesh.cores_per_tile": (1, "1 cores are on tile 0,0 of chip 0, which has 0"),
        "mesh.cores": (1, "1 cores are on chip 0, which has 0"),
        "core.compartments": (3, "core 0 holds 3 compartments of 2"),
        # 64 lines of a neuron hear 64 times as many axons: 1,216 and 1,152.
        "core.axons_in": (19, "core 0 holds 1,153 input axons of 1,152"),
        "weight_ram.lines": (48, "core 0 holds 48 lines of 47"),
        # 1,153 weights of 8 bits are 9,224 bits: 64 lines of 145 bits, or 128 of 144.
        "weight_ram.line_bits": (145, "core 0 holds 128 lines of a neuron of 64"),
        "weight_ram.extension": (16, "core 0 holds 16 lines of a neuron of 15"),
    },
    "speck2": {
        "mesh.cores_per_tile": (1, "1 cores are on tile 0,0 of chip 0, which has 0"),
        "mesh.cores": (4, "4 cores are on chip 0, which has 3"),
        "core.compartments": (3200, "core 1 holds 3,200 compartments of 3,199"),
        "core.threshold_profiles": (1, "core 0 holds 1 threshold profiles of 0"),
        "kernels.kernel": (5, "input -> conv1 needs 5 neurons as side of a kernel of 4"),
        "kernels.destinations": (1, "conv1 needs 1 layers to send to of 0"),
    },
    "spinnaker1": {
        "mesh.cores_per_tile": (2, "2 cores are on tile 0,0 of chip 0, which has 1"),
        "mesh.cores": (2, "2 cores are on chip 0, which has 1"),
        "memory.data_bytes": (1280, "core 0 holds 1,280 bytes of 1,279"),
        "memory.shared_bytes": (1280, "chip 0 holds 1,280 bytes of synapses of 1,279"),
        "memory.router_entries": (2, "2 routes are needed of 1"),
    },
    "xylo-audio2": {
        "mesh.cores_per_tile": (1, "1 cores are on tile 0,0 of chip 0, which has 0"),
        "mesh.cores": (1, "1 cores are on chip 0, which has 0"),
        "core.compartments": (32, "core 0 holds 32 compartments of 31"),
        "layers.inputs": (12, "core 0 holds 12 input lines of 11"),
        "layers.hidden": (28, "core 0 holds 28 hidden neurons of 27"),
        "layers.outputs": (4, "core 0 holds 4 output neurons of 3"),
        "layers.fan_out": (8, "core 0 holds 8 targets of a dense1 of 7"),
    },
}
LIMITS["spinnaker2"] = LIMITS["spinnaker1"]
CASES = [(chip, limit) for chip, limits in LIMITS.items() for limit in limits]

# Limits that no mapping exceeds, or numbers that are none; the reason. `chip:` if of one chip.
UNREACHED = {
    "axon_entries.discrete": "an amount: the entries of an axon",
    "axon_entries.population": "an amount: the entries of an axon",
    "axon_entries.other_chip": "an amount: the entries of an axon",
    "rows.entry_synapses": "an amount that words of rows follow from",
    "rows.entry_head_bits": "an amount that words of rows follow from",
    "rows.index_bits_lowest": "an amount that words of rows follow from",
    "rows.skip_bits_lowest": "an amount that words of rows follow from",
    "rows.skip_bits_highest": "a longer skip begins a new entry: more words",
    "rows.delay_bits": "an amount that words of rows follow from",
    "rows.spare_bits": "an amount that words of rows follow from",
    "rows.destination_groups": "of NxTF's way to share rows, which no table of a mapping tells",
    "headed_rows.head_bits": "an amount that words of rows follow from",
    "headed_rows.index_bits": "an amount that words of rows follow from",
    "headed_rows.learning_bits": "an amount: the bits of a synapse that learns",
    "rows.learning.synapse_bits": "an amount: `test_learning.py` counts it",
    "rows.learning.axon_entries": "an amount: `test_learning.py` counts it",
    "headed_rows.delay_bits": "an amount that words of rows follow from",
    "headed_rows.weight_bits": "an amount that words of rows follow from",
    "headed_rows.convolution_axon_memory": "an amount: the words of a slice",
    "loihi1:core.synapse_word_bits": "an amount: the length of a word",
    "loihi2:core.synapse_word_bits": "an amount: the length of a word",
    "core.synapse_words": "synapses are no words of a table; the section of the encoding counts",
    "core.synapse_word_bits": "the same",
    "core.axons_in": "axons of a crossbar are counted by their weights: crossbar.axons",
    "core.axons_out": "a neuron of a crossbar drives one axon: crossbar.neurons",
    "crossbar.destinations": "a neuron is built once per axon that it drives: crossbar.neurons",
    "odin:crossbar.axon_types": "the sign belongs to the source: axons have one type",
    "truenorth:crossbar.synapse_bits": "weights belong to the types of axons",
    "kernels.pools": "layers of a network do not pool",
    "layers.input_spikes": "of the spikes of a run, not of a mapping",
    "layers.hidden_spikes": "of the spikes of a run, not of a mapping",
    "layers.output_spikes": "of the spikes of a run, not of a mapping",
    "memory.input_bytes": "an amount: the bytes of a neuron's buffer",
    "memory.buffered_steps": "an amount: the bytes of a neuron's buffer",
    "memory.synapse_bytes": "an amount: the bytes of a synapse",
    **{
        f"formats.{name}": "of numbers of the network, which `check_ranges` refuses before"
        for name in (
            "weight_bits",
            "decay_bits",
            "threshold_mantissa",
            "bias_mantissa",
            "bias_exponent",
            "refractory",
            "state_bits",
            "accumulator_bits",
            "input_payload",
        )
    },
}
# Limits with a test of their own below.
ELSEWHERE = {
    "mesh.tile_columns",
    "mesh.tile_rows",
    "boards.*.chips",
    "formats.delay",
    "kernels.kernel_words",
    "kernels.neuron_words",
    "kernels.strides",
}


@cache
def compile_for(chip: str) -> Program:
    """Return the network of a chip, mapped."""
    apart = chip in ("toy", "loihi1")
    options = {"share_cores": False} if apart else {}
    return snncompile.compile(NETWORKS[chip](), chip=chip, prune=False, **options)


def set_limit(chip: Chip, limit: str, value: object) -> Chip:
    """Return the chip with another limit; fields beside it stay as they are."""
    return _set(chip, limit.split("."), value)


def _set(record: Any, path: list[str], value: object) -> Any:
    first, *rest = path
    if isinstance(record, dict):
        return record | {first: _set(record[first], rest, value)}
    inner = getattr(record, first)
    if rest:
        return record.model_copy(update={first: _set(inner, rest, value)})
    field = "values" if isinstance(inner, Choices) else "value"
    return record.model_copy(update={first: inner.model_copy(update={field: value})})


def refuse(program: Program, chip: Chip) -> str:
    """Return how the checker refuses a program for another chip."""
    with pytest.raises(MappingError) as error:
        check(program.network, chip, program.mapping)
    return str(error.value).removeprefix("the mapping is wrong: ")


@pytest.mark.parametrize("chip, limit", CASES)
def test_one_less_than_what_is_used_is_refused(chip, limit):
    use, message = LIMITS[chip][limit]
    program = compile_for(chip)
    check(program.network, set_limit(program.chip, limit, use), program.mapping)
    assert refuse(program, set_limit(program.chip, limit, use - 1)) == message


def one_core(chip: str) -> Program:
    """Return a small network on one core, or one core per layer."""
    neuron = SOFT if chip == "xylo-audio2" else FIRE
    bits = max(b for b in load_chip(chip).formats.weight_bits.values if b <= 8)
    sizes = (3, 4, 2) if chip == "xylo-audio2" else (3, 4)
    network = integer_chain(*sizes, neuron=neuron, weight=512 >> bits, bits=bits)
    return snncompile.compile(network, chip=chip, prune=False)


def move(program: Program, **fields: int) -> Program:
    """Return the program with its only core elsewhere."""
    (site,) = program.mapping.sites
    return replace(program, mapping=replace(program.mapping, sites=(replace(site, **fields),)))


@pytest.mark.parametrize("chip", list_names())
def test_the_last_tile_of_a_mesh(chip):
    program = one_core(chip)
    mesh = program.chip.mesh
    columns, rows = mesh.tile_columns.whole, mesh.tile_rows.whole
    at = (columns - 1, rows - 1)
    program = move(program, tile_x=at[0], tile_y=at[1])
    check(program.network, program.chip, program.mapping)
    for limit, size in (("columns", (columns - 1, rows)), ("rows", (columns, rows - 1))):
        smaller = set_limit(program.chip, f"mesh.tile_{limit}", size[limit == "rows"])
        assert refuse(program, smaller) == (
            f"core 0 is on tile {at[0]},{at[1]} of a mesh of {size[0]} x {size[1]} tiles"
        )


BOARDS = [f"{name}:{board}" for name in list_names() for board in load_chip(name).boards]


@pytest.mark.parametrize("name", BOARDS)
def test_the_last_chip_of_a_board(name):
    chip = load_chip(name)
    program = replace(move(one_core(chip.name), chip=chip.chips - 1), chip=chip)
    check(program.network, chip, program.mapping)
    smaller = set_limit(chip, f"boards.{chip.board}.chips", chip.chips - 1)
    assert refuse(program, smaller) == (
        f"core 0 is on chip {chip.chips - 1}; there are {chip.chips - 1}"
    )


DELAYED = [name for name in list_names() if load_chip(name).formats.delay.whole]


@pytest.mark.parametrize("chip", DELAYED)
def test_the_longest_delay(chip):
    """A synapse takes one step, and as many more as the chip has."""
    program = one_core(chip)
    most = program.chip.formats.delay.whole
    p = program.network.projections[0]
    network = replace(program.network, projections=(p, replace(p, delay=most + 1)))
    program = snncompile.compile(network, chip=chip, prune=False)
    assert {block.delay for block in program.mapping.tables.memory} == {1, most + 1}
    assert refuse(program, set_limit(program.chip, "formats.delay", most - 1)) == (
        f"a block of words of core 0 has delay {most + 1}; the chip has {most} at most"
    )


# Kernel words and neuron words of conv3 of the MNIST network: 32 channels of 9 taps to 64, 4 x 4.
MEMORIES = {
    "kernel_words": (32 * 16 * 64, "words of kernels"),
    "neuron_words": (64 * 4 * 4, "words of neurons"),
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_memories_of_a_core_that_differs_from_others(memory):
    program, (use, name) = compile_for("speck2"), MEMORIES[memory]
    number = program.mapping.sites[2].tile_x
    words = list(getattr(program.chip.kernels, memory).values)
    words[number] = use
    check(
        program.network,
        set_limit(program.chip, f"kernels.{memory}", tuple(words)),
        program.mapping,
    )
    words[number] -= 1
    smaller = set_limit(program.chip, f"kernels.{memory}", tuple(words))
    assert refuse(program, smaller) == f"core 2 holds {use:,} {name} of {use - 1:,}"


def test_the_strides_of_a_chip():
    program = compile_for("speck2")
    chip = set_limit(program.chip, "kernels.strides", (1, 4, 8))
    assert refuse(program, chip) == "input -> conv1 has stride 2; the chip has 1, 4, 8"


def list_limits(chip: Chip) -> Iterator[str]:
    """Yield every limit that a chip has and that is above zero."""
    for section in ("mesh", "core", "boards", "axon_entries", *SECTIONS.values(), "formats"):
        for location, number in walk_numbers(getattr(chip, section), (section,)):
            if section == "boards":
                location = (section, "*", location[-1])
            if not isinstance(number, Number) or number.value:
                yield ".".join(map(str, location))


@pytest.mark.parametrize("name", list_names())
def test_no_limit_is_left_out(name):
    """Every number of a chip's limits is tested above, or named with the reason why it is not."""
    tested = LIMITS[name].keys() | ELSEWHERE
    untested = {limit for limit in list_limits(load_chip(name)) if limit not in tested}
    assert not {n for n in untested if n not in UNREACHED and f"{name}:{n}" not in UNREACHED}


def test_every_reason_is_of_a_limit():
    limits = {name: set(list_limits(load_chip(name))) for name in list_names()}
    for limit in UNREACHED:
        name, _, of_chip = limit.rpartition(":")
        wanted = [limits[name]] if name else list(limits.values())
        assert any(of_chip in known for known in wanted), limit
