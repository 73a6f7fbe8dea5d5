"""The checker reads the chip file: rows with other numbers are mapped and proved alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design, integer_chain, limited, random_integer_network

import snncompile
from snncompile import hwmodels
from snncompile.checker.core_limits import count_held
from snncompile.checker.mapping import check
from snncompile.checker.memory_words import list_formats
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route

LOIHI1_FILE = (Path(hwmodels.__path__[0]) / "loihi1.yaml").read_text()
HARD = IntegerCubaLif(4095, 0, 1)


def own_chip(numbers: dict[str, int], weight_bits: list[int] | None = None) -> Chip:
    """Return Loihi 1 with other numbers of its rows, few and small cores, and every neuron."""
    small = limited(LOIHI1, compartments=60, axons_in=90, cores=120)
    data = small.model_dump(mode="json")
    for name, value in numbers.items():
        section = "core" if name in data["core"] else "rows"
        data[section][name] |= {"value": value, "evidence": "made up"}
    if weight_bits is not None:
        data["formats"]["weight_bits"]["values"] = weight_bits
    chip = Chip.model_validate(data)
    return chip.model_copy(update={"neurons": LOIHI2.neurons | TOY.neurons | chip.neurons})


@st.composite
def row_numbers(draw) -> dict[str, int]:
    index, skip = draw(st.integers(0, 8)), draw(st.integers(0, 4))
    return {
        "entry_synapses": draw(st.integers(1, 70)),
        "entry_head_bits": draw(st.integers(0, 24)),
        "index_bits_lowest": index,
        "index_bits_highest": draw(st.integers(max(6, index), 12)),
        "skip_bits_lowest": skip,
        "skip_bits_highest": draw(st.integers(max(1, skip), 7)),
        "delay_bits": draw(st.integers(0, 9)),
        "spare_bits": draw(st.integers(0, 31)),
        "row_words": draw(st.integers(8, 300)),
        "formats": draw(st.integers(1, 9)),
        "synapse_word_bits": draw(st.sampled_from([32, 64, 100, 128])),
        "synapse_words": draw(st.integers(100, 4000)),
    }


def mapped(network, chip) -> Mapping:
    return Route()(Place("linear")(Partition()(design(network, chip)))).mapping


NO_DELAY_BITS = {
    "entry_synapses": 1,
    "entry_head_bits": 0,
    "index_bits_lowest": 0,
    "index_bits_highest": 6,
    "skip_bits_lowest": 0,
    "skip_bits_highest": 1,
    "delay_bits": 0,
    "spare_bits": 0,
    "row_words": 8,
    "formats": 2,
    "synapse_word_bits": 32,
    "synapse_words": 100,
}


@settings(max_examples=25)
@example(numbers=NO_DELAY_BITS, weight_bits=[8, 2], seed=0)  # delayed synapses, no other format
@given(
    numbers=row_numbers(),
    weight_bits=st.sampled_from([[1, 2, 3, 4, 5, 6, 8], [8], [4, 8], [8, 2], [3, 7, 8, 9]]),
    seed=st.integers(0, 10**6),
)
def test_mapper_and_checker_agree_whatever_the_rows(numbers, weight_bits, seed):
    network, chip = random_integer_network(seed, wild=False), own_chip(numbers, weight_bits)
    try:
        mapping = mapped(network, chip)
    except FitError:
        return
    check(network, chip, mapping)
    held = count_held(network, chip, mapping)
    for core in measure_usage(network, chip, mapping):
        for resource, by_core in held.items():
            assert by_core[core.core] == core.used[resource], resource
    for number, block in enumerate(mapping.tables.memory):
        for words in (block.words - 1, block.words + 1):
            wrong = damaged(mapping, number, words=words)
            with pytest.raises(MappingError, match="the mapping is wrong"):
                check(network, chip, wrong)


def damaged(mapping: Mapping, number: int, **changes: object) -> Mapping:
    """Return a mapping with one block of memory changed; blocks behind it move out of its way."""
    blocks = list(mapping.tables.memory)
    core, first = blocks[number].core, blocks[number].first
    for i, block in enumerate(blocks):
        if block.core == core and block.first > first:
            blocks[i] = replace(block, first=block.first + 1)
    blocks[number] = replace(blocks[number], **changes)
    return replace(mapping, tables=replace(mapping.tables, memory=tuple(blocks)))


def test_a_chip_file_with_other_rows_compiles(tmp_path):
    """Entries of 8 synapses: 13 heads of 10 bits, 800 bits of weights, 8 indices of 6, 5 of 7.

    These 1,013 bits are 16 words. With entries of 60, 20 + 800 + 12 bits end on a word: 13 and 1.
    """
    path = tmp_path / "own.yaml"
    assert LOIHI1_FILE.count("entry_synapses: {value: 60,") == 1
    path.write_text(
        LOIHI1_FILE.replace("entry_synapses: {value: 60,", "entry_synapses: {value: 8,")
    )
    network = integer_chain(64, 100, neuron=HARD)
    programs = {
        chip: snncompile.compile(network, chip=chip, prune=False) for chip in (path, "loihi1")
    }
    words = {chip: p.mapping.tables.memory[0].words for chip, p in programs.items()}
    assert words == {path: 64 * 16, "loihi1": 64 * 14}
    with pytest.raises(MappingError) as error:
        check(programs[path].network, programs[path].chip, programs["loihi1"].mapping)
    assert str(error.value) == (
        "the mapping is wrong: input -> a into a[0:100] on core 0 has 896 words, needs 1024"
    )


# Encoding of a chip; formats that its blocks of memory may have.
FORMATS = [
    (LOIHI1, ("sparse", "run_length", "dense1", "dense2")),
    (LOIHI2, ("rows", "kernels")),
    (TOY, ("one_word",)),
]


@pytest.mark.parametrize("chip, formats", FORMATS, ids=[chip.name for chip, _ in FORMATS])
def test_a_block_has_a_format_of_its_chip(chip, formats):
    assert list_formats(chip) == formats
    network = integer_chain(3, 4, neuron=HARD)
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    for other, theirs in FORMATS:
        if other is chip:
            continue
        with pytest.raises(MappingError) as error:
            check(network, chip, damaged(mapping, 0, format=theirs[0]))
        assert str(error.value) == (
            f"there is no synapse format {theirs[0]!r}; {chip.encoding} has {', '.join(formats)}"
        )


def test_an_encoding_without_rules_is_refused():
    network = integer_chain(3, 4, neuron=HARD)
    mapping = mapped(network, TOY)
    chip = TOY.model_copy(update={"encoding": "rings"})
    with pytest.raises(MappingError) as error:
        check(network, chip, mapping)
    assert str(error.value) == (
        "chip toy: the checker has no rules for encoding 'rings'; known: bytes, crossbar, kernels,"
        " layers, loihi1, loihi2, one_word, packed_rows, weight_ram; add a row to the entry point"
        " snncompile.checker_rules"
    )


def test_bits_that_do_not_hold_the_weights_are_refused():
    """One weight of 100 in 5 bits: 100 is no multiple of 16."""
    network = integer_chain(1, 30, neuron=HARD, weight=np.int64(100))
    mapping = mapped(network, LOIHI1)
    with pytest.raises(MappingError) as error:
        check(network, LOIHI1, damaged(mapping, 0, weight_bits=5, shared_sign=False))
    assert str(error.value) == "weights into a[0:30] do not fit 5 bits"
