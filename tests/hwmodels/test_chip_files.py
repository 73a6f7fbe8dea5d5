"""What a chip file must be: every refusal with its whole message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile import hwmodels
from snncompile.hwmodels.chips import MAX_BYTES, ChipError, load_chip
from snncompile.hwmodels.limits import ByteMemory
from snncompile.hwmodels.schema import Chip

TOY = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()
KNOWN = (
    "loihi1, loihi2, odin, paicore2, speck2, spinnaker1, spinnaker2, toy, truenorth, xylo-audio2"
)
COMPARTMENTS = "compartments: {value: 4, unit: compartments, evidence: made up, source: made_up}"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write `my.yaml` into an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = Path("my.yaml")
        path.write_text(text)
        return path

    return write


def edited(old: str, new: str) -> str:
    assert TOY.count(old) == 1, f"{old!r} must occur once in toy.yaml"
    return TOY.replace(old, new)


@pytest.mark.parametrize("name", ["loihi9", "", "Toy", "toy "])
def test_refuses_an_unknown_name(name):
    with pytest.raises(ChipError) as error:
        load_chip(name)
    expected = f"no chip called {name!r}; known: {KNOWN}; or give the path of a YAML file"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    "path, message",
    [
        ("none.yaml", "no file none.yaml"),
        ("none.yml", "no file none.yml"),
        ("folder/none", "no file folder/none"),
        (Path("none"), "no file none"),
        (".", f"no chip called '.'; known: {KNOWN}; or give the path of a YAML file"),
        ("./", "no file ."),
        (f"{'a' * 300}.yaml", f"cannot read {'a' * 300}.yaml: File name too long"),
    ],
)
def test_refuses_a_missing_file(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert str(error.value) == message


def test_refuses_a_large_file(write):
    with pytest.raises(ChipError) as error:
        load_chip(write(TOY + "#" * MAX_BYTES))
    assert str(error.value) == "my.yaml is larger than 1 MiB; a chip file has some kilobytes"


def test_reads_a_file_of_exactly_the_largest_size(write):
    assert load_chip(write(TOY + "#" * (MAX_BYTES - len(TOY)))) == load_chip("toy")


def test_refuses_other_encodings(write):
    path = write("")
    path.write_bytes("name: köln".encode("latin-1"))
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert str(error.value) == "my.yaml is not a text file in UTF-8"


def test_reads_the_byte_order_mark_of_windows_editors(write):
    path = write("")
    path.write_bytes(b"\xef\xbb\xbf" + TOY.encode())
    assert load_chip(path) == load_chip("toy")


# Text of the file, then the whole message after `my.yaml`.
BROKEN = [
    ("", " is not a chip file: it must be a mapping that starts with `name:`"),
    ("- toy", " is not a chip file: it must be a mapping that starts with `name:`"),
    ("name: toy\ncore: {a: 1", " line 2: expected ',' or '}', but got '<stream end>'"),
    ("name: toy\n\tcore: 1", " line 2: found character '\\t' that cannot start any token"),
    ("name: a\nname: b", " line 2: name: is already given in line 1"),
    ("a:\n  b: 1\n  c: 2\n  b: 3", " line 4: a.b: is already given in line 2"),
    ("name: a\n---\nname: b", " line 2: but found another document"),
    ("name: a\nb: &x [1]\nc: *x", " line 2: anchors (&) and aliases (*) are not allowed"),
    ("name: a\nb: *x", " line 2: anchors (&) and aliases (*) are not allowed"),
    ("name: !!python/object/apply:os.system [echo]", " line 1: tags (!) are not allowed"),
    ("name: a\nb: !!bool maybe", " line 2: tags (!) are not allowed"),
    ("name: a\n[b]: 1", " line 2: found unhashable key"),
    ("name: a\nb: \x07", " line 2: special characters are not allowed"),
    ("b: 2001-99-99", ": month must be in 1..12"),
    ("b: " + "[" * 5000, " line 1: nested more than 20 deep"),
]


@pytest.mark.parametrize("text, message", BROKEN, ids=range(len(BROKEN)))
def test_refuses_broken_yaml(text, message, write):
    with pytest.raises(ChipError) as error:
        load_chip(write(text))
    assert str(error.value) == f"my.yaml{message}"


KINDS = "'primary', 'quoted', 'derived', 'fitted', 'assumed', 'made up', 'unknown' or 'no limit'"
ENCODINGS = "one_word, loihi1, packed_rows, loihi2, crossbar, kernels, layers, weight_ram, bytes"
EVENTS = (
    "'synaptic_op', 'synaptic_op_dense', 'synaptic_op_convolution', 'synaptic_op_sparse',"
    " 'neuron_active', 'neuron_inactive', 'neuron_mapped', 'neuron_updated', 'spike',"
    " 'message_within_tile', 'message_out', 'message_in', 'hop_east_west', 'hop_north_south',"
    " 'chip_crossing', 'host_input', 'host_output' or 'learning_update'"
)
NUMBER = "{value: 1, unit: B, evidence: made up, source: made_up}"
MEMORY = "{" + ", ".join(f"{name}: {NUMBER}" for name in ByteMemory.model_fields) + "}"
CORES = "cores: {value: 4,"
BARRIER = "- tiles: 2\n"
STATIC = "static_w: {value: 0.001, unit: W, evidence: made up,"

# What is replaced in toy.yaml and by what; start of the line that is named; the whole message then.
WRONG = [
    (
        "name: toy",
        "name: My Chip",
        "name:",
        "name: string should match pattern '^[a-z0-9_-]+$', got 'My Chip'",
    ),
    ("name: toy", "name: toy\ncolour: red", "colour:", "colour: is not a field of a chip file"),
    ("name: toy", "name: toy\n1: red", "1:", "1: is not a field of a chip file"),
    (
        "encoding: one_word",
        "encoding: zip",
        "encoding:",
        f"encoding: 'zip' is not one of the encodings: {ENCODINGS}",
    ),
    (
        "encoding_source: made_up",
        f"encoding_source: made_up\nrule_limits: {{rings: {NUMBER}}}",
        "rule_limits:",
        "rule_limits: belongs to another encoding than 'one_word'",
    ),
    (
        "encoding: one_word",
        "encoding: loihi1",
        "encoding:",
        "encoding: 'loihi1' needs the section rows",
    ),
    (
        "encoding_source: made_up",
        f"encoding_source: made_up\nmemory: {MEMORY}",
        "memory:",
        "memory: belongs to another encoding than 'one_word'",
    ),
    (
        "encoding_source: made_up",
        "encoding_source: rumour",
        "encoding_source:",
        "encoding_source: 'rumour' is not one of the sources: made_up",
    ),
    (
        "weight_exponent_source: made_up",
        "weight_exponent_source: rumour",
        "weight_exponent_source:",
        "formats.weight_exponent_source: 'rumour' is not one of the sources: made_up",
    ),
    (
        "compartments: {value: 4, unit",
        "compartments: {unit",
        "compartments:",
        "core.compartments.value: is missing",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: four,",
        "compartments:",
        "core.compartments.value: input should be a valid number, unable to parse string"
        " as a number, got 'four'",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: -4,",
        "compartments:",
        "core.compartments.value: input should be greater than or equal to 0, got -4",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: .inf,",
        "compartments:",
        "core.compartments.value: input should be a finite number, got inf",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: 0,",
        "compartments:",
        "core.compartments: must be at least 1; a number nobody published is null",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: 4.5,",
        "compartments:",
        "core.compartments: must be a whole number, got 4.5",
    ),
    (
        "compartments: {value: 4,",
        "compartments: {value: null,",
        "compartments:",
        "core.compartments: a number is null exactly when its evidence is unknown or no limit",
    ),
    (
        "compartments: {value: 4, unit: compartments, evidence: made up",
        "compartments: {value: 4, unit: compartments, evidence: unknown",
        "compartments:",
        "core.compartments: a number is null exactly when its evidence is unknown or no limit",
    ),
    (
        "compartments: {value: 4, unit: compartments, evidence: made up",
        "compartments: {value: 4, unit: compartments, evidence: hope",
        "compartments:",
        f"core.compartments.evidence: input should be {KINDS}, got 'hope'",
    ),
    (
        "compartments: {value: 4, unit: compartments, evidence: made up, source: made_up",
        "compartments: {value: 4, unit: compartments, evidence: made up, source: rumour",
        "compartments:",
        "core.compartments.source: 'rumour' is not one of the sources: made_up",
    ),
    (CORES, "cores: {value: 5,", "mesh:", "mesh: 5 cores do not fit 2 x 1 tiles of 2"),
    (
        f"{CORES} unit: cores, evidence: made up",
        "cores: {value: null, unit: cores, evidence: unknown",
        "cores:",
        "mesh.cores: must be known",
    ),
    (
        "values: [1, 2, 3, 4, 5, 6, 8]",
        "values: []",
        "weight_bits:",
        "formats.weight_bits.values: tuple should have at least 1 item after validation, not 0",
    ),
    (
        "values: [1, 2, 3, 4, 5, 6, 8]",
        "values: [0, 8]",
        "weight_bits:",
        "formats.weight_bits.values.0: input should be greater than 0, got 0",
    ),
    (
        "weight_exponent_lowest: -7",
        "weight_exponent_lowest: 8",
        "weight_exponent_lowest:",
        "formats.weight_exponent_lowest: is above weight_exponent_highest, 7",
    ),
    (
        "cuba_lif/none: {value: 1, unit: compartments, evidence: made up",
        "cuba_lif/none: {value: null, unit: compartments, evidence: unknown",
        "cuba_lif/none:",
        "neurons.cuba_lif/none: must be known",
    ),
    (
        "default_costs: toy",
        "default_costs: tuy",
        "default_costs:",
        "default_costs: 'tuy' is not one of the costs: toy",
    ),
    (
        "synaptic_op:",
        "synaptic_ops:",
        "synaptic_ops:",
        f"costs.toy.prices.synaptic_ops: input should be {EVENTS}, got 'synaptic_ops'",
    ),
    (
        "energy_pj: {value: 10, unit: pJ",
        "energy_pj: {value: 10, unit: nJ",
        "energy_pj: {value: 10,",
        "costs.toy.prices.synaptic_op.energy_pj: the unit must be pJ, got 'nJ'",
    ),
    (
        "step_floor_ns: {value: 120, unit: ns",
        "step_floor_ns: {value: 120, unit: us",
        "step_floor_ns:",
        "costs.toy.step_floor_ns: the unit must be ns, got 'us'",
    ),
    (
        STATIC,
        STATIC.replace("unit: W", "unit: mW"),
        "static_w:",
        "costs.toy.static_w: the unit must be W, got 'mW'",
    ),
    (BARRIER, "- tiles: 1\n", "barrier:", "costs.toy.barrier: the tiles must grow, got [1, 1]"),
    (
        "      - chips: 2\n",
        "      - chips: 1\n",
        "- chips: 1",
        "costs.toy.barrier_chips.0.chips: input should be greater than 1, got 1",
    ),
    (
        f"{STATIC} source: made_up",
        f"{STATIC} source: rumour",
        "static_w:",
        "costs.toy.static_w.source: 'rumour' is not one of the sources: made_up",
    ),
]


@pytest.mark.parametrize("old, new, start, message", WRONG, ids=range(len(WRONG)))
def test_refuses_what_is_not_a_chip(old, new, start, message, write):
    text = edited(old, new)
    assert refusal(write(text)) == f"my.yaml line {line(start, text)}: {message}"


def test_refuses_a_barrier_that_ends_early(write):
    last = TOY[TOY.index("      - tiles: 2") : TOY.index("    step_floor_ns")]
    text = edited(last, "")
    expected = "costs.toy.barrier: ends at 1 of 2 tiles"
    assert refusal(write(text)) == f"my.yaml line {line('barrier:')}: {expected}"


def test_says_the_line_of_the_field_around_a_missing_one(write):
    text = edited(f"  {COMPARTMENTS}\n", "")
    assert refusal(write(text)) == f"my.yaml line {line('core:')}: core.compartments: is missing"


def test_says_what_is_missing_at_the_top(write):
    assert refusal(write(edited("name: toy\n", ""))) == "my.yaml: name: is missing"


def test_says_how_many_more_there_are(write):
    text = edited("name: toy", "nmae: toy")
    assert refusal(write(text)) == "my.yaml: name: is missing (and 1 more)"


def test_a_message_is_one_line_whatever_the_file_says(write):
    text = edited("name: toy", 'name: toy\n"a\\nb": 1')
    assert refusal(write(text)) == "my.yaml line 6: a b: is not a field of a chip file"


def test_a_message_is_cut_where_a_value_is_very_long(write):
    text = edited("{value: 120, unit: ns", f"{{value: 120, unit: {'n' * 999}")
    message = refusal(write(text))
    where = f"my.yaml line {line('step_floor_ns:')}: costs.toy.step_floor_ns"
    assert message.startswith(f"{where}: the unit must be ns, got 'nnn")
    assert len(message) == 500


# Pieces of YAML that have made readers of YAML crash or a chip change its meaning in silence.
PIECES = st.sampled_from(
    [
        *("", "&a", "*a", "!x", "!!bool x", "? a", "- b", ": c", "[1, 2]", "{a: 1}", "<<: {a: 1}"),
        *("9" * 400, "9" * 5000, "2001-99-99", "1:30", "~", "yes", ".nan", "-1", "0x", "%YAML 9"),
        *("|", "'", '"', "\x00", "\x85", "\u2028", "\t"),
    ]
)


@settings(max_examples=100)
@given(position=st.integers(0, len(TOY) - 1), length=st.integers(0, 8), piece=PIECES)
def test_any_file_is_a_chip_or_refused_in_one_line(position, length, piece, write):
    path = write(TOY[:position] + piece + TOY[position + length :])
    try:
        assert isinstance(load_chip(path), Chip)
    except ChipError as error:
        message = str(error)
        assert message.startswith("my.yaml")
        assert len(message.splitlines()) == 1


def line(start: str, text: str = TOY) -> int:
    """Return the number of the only line of the text that starts so, spaces aside."""
    found = [i for i, each in enumerate(text.splitlines(), 1) if each.lstrip().startswith(start)]
    assert len(found) == 1, f"{start!r} starts {len(found)} lines"
    return found[0]


def refusal(path: Path) -> str:
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert "\n" not in str(error.value)
    return str(error.value)
