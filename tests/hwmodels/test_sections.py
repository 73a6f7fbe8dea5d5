"""Sections of the shipped chips, wrong in one place each: the whole message."""

from __future__ import annotations

from pathlib import Path

import pytest

from snncompile import hwmodels
from snncompile.hwmodels.chips import ChipError, load_chip

FOLDER = Path(hwmodels.__path__[0])
SOURCES = (
    "emulator, nengo_loihi, nxtf, nxtf_formats, davies2018, sanafe, sanafe_end, sanafe_error,"
    " many_chips, accumulator, ..."
)
KINDS = "'sparse', 'run_length', 'dense1' or 'dense2'"

# Chip, what is replaced and by what; start of the line that is named; the whole message then.
WRONG = [
    (
        "truenorth",
        ("sign: type", "sign: both"),
        "sign:",
        "crossbar.sign: input should be 'type' or 'source', got 'both'",
    ),
    (
        "truenorth",
        ("axon_types: {value: 4,", "axon_types: {value: 0,"),
        "axon_types:",
        "crossbar.axon_types: must be at least 1; a number nobody published is null",
    ),
    (
        "truenorth",
        ("  sign: type\n", ""),
        "crossbar:",
        "crossbar.sign: is missing",
    ),
    (
        "truenorth",
        ("encoding: crossbar", "encoding: one_word"),
        "crossbar:",
        "crossbar: belongs to another encoding than 'one_word'",
    ),
    (
        "odin",
        ("inputs_are_neurons: true", "inputs_are_neurons: maybe"),
        "inputs_are_neurons:",
        "crossbar.inputs_are_neurons: input should be a valid boolean, unable to interpret input,"
        " got 'maybe'",
    ),
    (
        "loihi1",
        ("kinds: [sparse,", "kinds: [zip,"),
        "kinds:",
        f"rows.kinds.0: input should be {KINDS}, got 'zip'",
    ),
    (
        "loihi1",
        ("kinds_source: nxtf", "kinds_source: rumour"),
        "kinds_source:",
        f"rows.kinds_source: 'rumour' is not one of the sources: {SOURCES}",
    ),
    (
        "loihi1",
        ("  population: {value: 2,", "  populations: {value: 2,"),
        "axon_entries:",
        "axon_entries.population: is missing (and 1 more)",
    ),
    (
        "speck2",
        ("strides: {values: [1,", "strides: {values: [0,"),
        "strides:",
        "kernels.strides.values.0: input should be greater than 0, got 0",
    ),
    (
        "xylo-audio2",
        (
            "hidden: {value: 1000, unit: neurons, evidence: primary",
            "hidden: {value: null, unit: n, evidence: unknown",
        ),
        "hidden:",
        "layers.hidden: must be known",
    ),
    (
        "paicore2",
        ("line_bits: {value: 1152", "line_bits: {value: 11.5"),
        "line_bits:",
        "weight_ram.line_bits: must be a whole number, got 11.5",
    ),
    (
        "spinnaker1",
        ("router_entries: {value: 1023", "router_entries: {value: -1"),
        "router_entries:",
        "memory.router_entries.value: input should be greater than or equal to 0, got -1",
    ),
]


@pytest.mark.parametrize("chip, edit, start, message", WRONG, ids=range(len(WRONG)))
def test_refuses(chip, edit, start, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (FOLDER / f"{chip}.yaml").read_text()
    assert text.count(edit[0]) == 1
    text = text.replace(*edit)
    Path("my.yaml").write_text(text)
    lines = [i for i, row in enumerate(text.splitlines(), 1) if row.lstrip().startswith(start)]
    with pytest.raises(ChipError) as error:
        load_chip("my.yaml")
    assert str(error.value) == f"my.yaml line {lines[-1]}: {message}"
