"""Releases of a chip's compiler: numbers that differ, chosen like a board."""

from __future__ import annotations

from pathlib import Path

import pytest
from published import mlp

import snncompile
from snncompile import hwmodels
from snncompile.hwmodels.chips import ChipError, load_chip

LOIHI2 = (Path(hwmodels.__path__[0]) / "loihi2.yaml").read_text()

# Name; words of synapses, bits of an index, slots, chips.
RELEASES = {
    "loihi2": (16000, 12, 4095, 1),
    "loihi2:2022-08": (8184, 10, 1023, 1),
    "loihi2:2022-09": (12000, 12, 4095, 1),
    "loihi2:2022-09:hala-point": (12000, 12, 4095, 1152),
    "loihi2:hala-point:2022-09": (12000, 12, 4095, 1152),
}


@pytest.mark.parametrize("name", RELEASES)
def test_releases(name):
    chip = load_chip(name)
    assert chip.headed_rows is not None
    index = chip.headed_rows.index_bits.whole
    found = (chip.core.synapse_words.whole, index, chip.core.compartments.whole, chip.chips)
    assert found == RELEASES[name]
    assert load_chip(chip.full_name) == chip


def test_an_unknown_release_is_refused():
    with pytest.raises(ChipError) as error:
        load_chip("loihi2:2021-01")
    assert str(error.value) == (
        "loihi2 has no board called '2021-01'; known: kapoho-point, hala-point; variants: 2022-08,"
        " 2022-09"
    )


# Text of the file and what is there instead; why it is refused.
REFUSED = {
    "compartments: {value: 1023": (
        "tables: {value: 1023",
        "tables is no number of core in this file",
    ),
    '"2022-08":': ("hala-point:", "is already the name of a board"),
}


@pytest.mark.parametrize("before", REFUSED)
def test_a_wrong_variant_is_refused(before, tmp_path):
    after, reason = REFUSED[before]
    path = tmp_path / "own.yaml"
    path.write_text(LOIHI2.replace(before, after, 1))
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert reason in str(error.value)


def test_a_total_needs_tables_that_add_up(tmp_path):
    toy = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()
    line = "  total_words: {value: 9, unit: words, evidence: made up, source: made_up}\n"
    path = tmp_path / "own.yaml"
    path.write_text(toy.replace("core:\n", f"core:\n{line}", 1))
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert str(error.value).endswith("core.total_words: needs the section headed_rows")


def test_a_program_keeps_its_release(tmp_path):
    snncompile.compile(mlp(20, 5), chip="loihi2:2022-09").save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    assert again.chip == load_chip("loihi2:2022-09")
