from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from snncompile import hwmodels
from snncompile.hwmodels.load import MAX_BYTES, ChipError, load, names
from snncompile.hwmodels.schema import Chip, Number, numbers

FOLDER = Path(hwmodels.__path__[0])
TOY = (FOLDER / "toy.yaml").read_text()
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


def number(chip: Chip, field: str) -> float | None:
    """Return the value of a field such as `core.compartments` or `costs.toy.static_w`."""
    part: Any = chip
    for key in field.split("."):
        if isinstance(part, BaseModel):
            part = getattr(part, key)
        else:
            part = part[key] if isinstance(part, dict) else part[int(key)]
    assert isinstance(part, Number)
    return part.value


# ---- every shipped chip --------------------------------------------------------------------------


def test_shipped_chips():
    assert names() == ("loihi1", "loihi2", "toy")


@pytest.mark.parametrize("name", names())
def test_is_named_like_its_file(name):
    assert load(name).name == name


@pytest.mark.parametrize("name", names())
def test_a_path_works_like_a_name(name):
    path = FOLDER / f"{name}.yaml"
    assert load(path) == load(str(path)) == load(name)


@pytest.mark.parametrize("name", names())
def test_survives_being_saved(name):
    chip = load(name)
    assert Chip.model_validate_json(chip.model_dump_json()) == chip


@pytest.mark.parametrize("name", names())
def test_every_source_is_used(name):
    chip = load(name)
    used = {part.source for part in numbers(chip)}
    used |= {chip.encoding_source, chip.formats.weight_exponent_source}
    assert set(chip.sources) == used


@pytest.mark.parametrize("name", names())
def test_no_source_is_a_place_on_our_machines(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert "/work" not in text
    assert "HARDWARE.md" not in text


@pytest.mark.parametrize("name", names())
def test_no_limit_is_zero(name):
    chip = load(name)
    limits = [*numbers(chip.mesh), *numbers(chip.core), *chip.neurons.values()]
    values = [limit.value for limit in limits if isinstance(limit, Number)]
    assert len(values) == 4 + 7 + len(chip.neurons)
    assert all(value is None or value >= 1 for value in values)


@pytest.mark.parametrize("name", names())
def test_prices_are_known(name):
    for costs in load(name).costs.values():
        parts = [price for each in costs.prices.values() for price in numbers(each)]
        parts += [entry.time_ns for entry in costs.barrier]
        for part in parts:
            assert isinstance(part, Number)
            assert part.value is not None
            assert part.value >= 0


@pytest.mark.parametrize("name", names())
def test_barrier_never_gets_faster_with_more_tiles(name):
    for costs in load(name).costs.values():
        times = [entry.time_ns.value or 0 for entry in costs.barrier]
        assert times == sorted(times)


@pytest.mark.parametrize("name", names())
def test_only_toy_is_made_up(name):
    kinds = {part.evidence for part in numbers(load(name))}
    assert (kinds == {"made up"}) == (name == "toy")
    assert ("made up" in kinds) == (name == "toy")


@pytest.mark.parametrize("name", names())
def test_is_immutable(name):
    with pytest.raises(ValueError, match="frozen"):
        load(name).core.compartments.value = 5.0  # type: ignore[misc]


# ---- facts ---------------------------------------------------------------------------------------

# A new fact is one more entry: chip, field, value.
FACTS = [
    ("loihi1", "mesh.tile_columns", 8),
    ("loihi1", "mesh.tile_rows", 4),
    ("loihi1", "mesh.cores_per_tile", 4),
    ("loihi1", "mesh.cores", 128),
    ("loihi1", "core.compartments", 1024),
    ("loihi1", "core.synapse_words", 16384),
    ("loihi1", "core.synapse_word_bits", 64),
    ("loihi1", "core.axons_in", 4096),
    ("loihi1", "core.axons_out", 4096),
    ("loihi1", "core.compartment_profiles", 31),
    ("loihi1", "core.threshold_profiles", 7),
    ("loihi1", "formats.decay_bits", 12),
    ("loihi1", "formats.threshold_mantissa", 2**17 - 1),
    ("loihi1", "formats.bias_mantissa", 4095),
    ("loihi1", "formats.bias_exponent", 7),
    ("loihi1", "formats.delay", 62),
    ("loihi1", "formats.state_bits", 24),
    ("loihi1", "formats.accumulator_bits", 22),
    ("loihi1", "neurons.cuba_lif/hard", 1),
    ("loihi1", "neurons.cuba_lif/soft", 2),
    ("loihi1", "costs.davies2018.prices.synaptic_op.energy_pj", 23.6),
    ("loihi1", "costs.davies2018.prices.synaptic_op.time_ns", 3.5),
    ("loihi1", "costs.davies2018.prices.neuron_active.energy_pj", 81),
    ("loihi1", "costs.davies2018.prices.neuron_active.time_ns", 8.4),
    ("loihi1", "costs.davies2018.prices.neuron_inactive.energy_pj", 52),
    ("loihi1", "costs.davies2018.prices.neuron_inactive.time_ns", 5.3),
    ("loihi1", "costs.davies2018.prices.message_within_tile.energy_pj", 1.7),
    ("loihi1", "costs.davies2018.prices.message_within_tile.time_ns", 2.1),
    ("loihi1", "costs.davies2018.prices.hop_east_west.energy_pj", 3.0),
    ("loihi1", "costs.davies2018.prices.hop_east_west.time_ns", 4.1),
    ("loihi1", "costs.davies2018.prices.hop_north_south.energy_pj", 4.0),
    ("loihi1", "costs.davies2018.prices.hop_north_south.time_ns", 6.5),
    ("loihi1", "costs.davies2018.barrier.0.time_ns", 113),
    ("loihi1", "costs.davies2018.barrier.1.time_ns", 465),
    ("loihi1", "costs.davies2018.static_w", 0.104),
    ("loihi1", "costs.sanafe.prices.synaptic_op.energy_pj", 35.5),
    ("loihi1", "costs.sanafe.prices.synaptic_op.time_ns", 3.8),
    ("loihi1", "costs.sanafe.prices.neuron_mapped.energy_pj", 51.2),
    ("loihi1", "costs.sanafe.prices.neuron_mapped.time_ns", 6.0),
    ("loihi1", "costs.sanafe.prices.neuron_updated.energy_pj", 21.6),
    ("loihi1", "costs.sanafe.prices.neuron_updated.time_ns", 3.7),
    ("loihi1", "costs.sanafe.prices.spike.energy_pj", 69.3),
    ("loihi1", "costs.sanafe.prices.spike.time_ns", 30),
    ("loihi1", "costs.sanafe.prices.message_out.energy_pj", 111),
    ("loihi1", "costs.sanafe.prices.message_out.time_ns", 5.1),
    ("loihi1", "costs.sanafe.prices.message_in.energy_pj", 0),
    ("loihi1", "costs.sanafe.prices.message_in.time_ns", 16),
    ("loihi1", "costs.sanafe.prices.hop_east_west.energy_pj", 3.0),
    ("loihi1", "costs.sanafe.prices.hop_east_west.time_ns", 4.1),
    ("loihi1", "costs.sanafe.prices.hop_north_south.energy_pj", 4.2),
    ("loihi1", "costs.sanafe.prices.hop_north_south.time_ns", 6.5),
    ("loihi2", "mesh.cores_per_tile", 4),
    ("loihi2", "mesh.cores", 120),
    ("loihi2", "core.compartments", 4096),
    ("loihi2", "core.synapse_words", 12000),
    ("loihi2", "core.synapse_word_bits", 64),
    ("loihi2", "core.axons_in", 16000),
    ("loihi2", "core.axons_out", 16000),
    ("loihi2", "core.compartment_profiles", None),
    ("loihi2", "core.threshold_profiles", None),
    ("loihi2", "formats.decay_bits", 12),
    ("loihi2", "formats.threshold_mantissa", 2**17 - 1),
    ("loihi2", "formats.bias_mantissa", 4095),
    ("loihi2", "formats.bias_exponent", 7),
    ("loihi2", "formats.delay", 63),
    ("loihi2", "formats.state_bits", 24),
    ("loihi2", "formats.accumulator_bits", None),
    ("loihi2", "costs.loihi1_scaled.step_floor_ns", 200),
    ("loihi2", "costs.loihi1_scaled.static_w", 0.232),
    ("toy", "mesh.cores", 4),
    ("toy", "core.compartments", 4),
    ("toy", "core.synapse_words", 64),
    ("toy", "core.axons_in", 8),
    ("toy", "core.axons_out", 16),
    ("toy", "core.compartment_profiles", 2),
    ("toy", "core.threshold_profiles", 2),
]


@pytest.mark.parametrize("name, field, value", FACTS)
def test_fact(name, field, value):
    assert number(load(name), field) == value


def test_weight_bits():
    assert load("loihi1").formats.weight_bits.values == (1, 2, 3, 4, 5, 6, 8)
    assert load("loihi2").formats.weight_bits.values == (1, 2, 3, 4, 5, 6, 7, 8)


def test_barrier_tables_of_loihi1():
    costs = load("loihi1").costs
    table = {name: {b.tiles: b.time_ns.value for b in costs[name].barrier} for name in costs}
    assert table == {
        "davies2018": {1: 113, 32: 465},
        "sanafe": {1: 600, 2: 1000, 4: 1400, 29: 1800, 32: 1800},
    }


def test_neurons_loihi1_cannot_build():
    missing = set(load("loihi2").neurons) - set(load("loihi1").neurons)
    assert missing == {
        "cuba_lif/delayed_hard",
        "cuba_lif/none",
        "adaptive_lif/hard",
        "adaptive_lif/soft",
        "bistable_fire",
        "phase_fire",
        "signed_integrate_fire",
        "ternary_lif",
    }


# Published ratios, Loihi 2 against Loihi 1; 1 where Loihi 1's number stands in.
@pytest.mark.parametrize(
    "event, faster",
    [
        ("synaptic_op", 5),
        ("neuron_active", 2),
        ("neuron_inactive", 2),
        ("message_within_tile", 10),
        ("hop_east_west", 1),
        ("hop_north_south", 1),
    ],
)
def test_loihi2_prices_are_scaled_from_loihi1(event, faster):
    old = load("loihi1").costs["davies2018"].prices[event]
    new = load("loihi2").costs["loihi1_scaled"].prices[event]
    assert new.energy_pj.value == old.energy_pj.value
    assert new.energy_pj.evidence == "assumed"
    assert new.time_ns.value == pytest.approx(old.time_ns.value / faster, rel=1e-12)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["loihi9", "", "Toy", "toy "])
def test_refuses_an_unknown_name(name):
    with pytest.raises(ChipError) as error:
        load(name)
    expected = (
        f"no chip called {name!r}; known: loihi1, loihi2, toy; or give the path of a YAML file"
    )
    assert str(error.value) == expected


@pytest.mark.parametrize(
    "path, message",
    [
        ("none.yaml", "no file none.yaml"),
        ("none.yml", "no file none.yml"),
        ("folder/none", "no file folder/none"),
        (Path("none"), "no file none"),
        (".", "no chip called '.'; known: loihi1, loihi2, toy; or give the path of a YAML file"),
        ("./", "no file ."),
        (f"{'a' * 300}.yaml", f"cannot read {'a' * 300}.yaml: File name too long"),
    ],
)
def test_refuses_a_missing_file(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChipError) as error:
        load(path)
    assert str(error.value) == message


def test_refuses_a_large_file(write):
    with pytest.raises(ChipError) as error:
        load(write(TOY + "#" * MAX_BYTES))
    assert str(error.value) == "my.yaml is larger than 1 MiB; a chip file has some kilobytes"


def test_reads_a_file_of_exactly_the_largest_size(write):
    assert load(write(TOY + "#" * (MAX_BYTES - len(TOY)))) == load("toy")


def test_refuses_other_encodings(write):
    path = write("")
    path.write_bytes("name: köln".encode("latin-1"))
    with pytest.raises(ChipError) as error:
        load(path)
    assert str(error.value) == "my.yaml is not a text file in UTF-8"


def test_reads_the_byte_order_mark_of_windows_editors(write):
    path = write("")
    path.write_bytes(b"\xef\xbb\xbf" + TOY.encode())
    assert load(path) == load("toy")


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
        load(write(text))
    assert str(error.value) == f"my.yaml{message}"


KINDS = "'primary', 'quoted', 'derived', 'assumed', 'made up' or 'unknown'"
EVENTS = (
    "'synaptic_op', 'neuron_active', 'neuron_inactive', 'neuron_mapped', 'neuron_updated', 'spike',"
    " 'message_within_tile', 'message_out', 'message_in', 'hop_east_west' or 'hop_north_south'"
)
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
        "encoding: input should be 'one_word', 'loihi1' or 'packed_rows', got 'zip'",
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
        "core.compartments: a number is null exactly when its evidence is unknown",
    ),
    (
        "compartments: {value: 4, unit: compartments, evidence: made up",
        "compartments: {value: 4, unit: compartments, evidence: unknown",
        "compartments:",
        "core.compartments: a number is null exactly when its evidence is unknown",
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
        assert isinstance(load(path), Chip)
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
        load(path)
    assert "\n" not in str(error.value)
    return str(error.value)
