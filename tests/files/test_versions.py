"""Schema versions: older records are lifted, newer ones are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from edited_files import edit, record_of
from hypothesis import given
from hypothesis import strategies as st
from networks import TOY, chain, integer_chain

import snncompile
from snncompile.errors import InputError
from snncompile.files import versions
from snncompile.files.meaning import hash_network
from snncompile.files.npz import read_npz, write_npz
from snncompile.files.spikes import Spikes, read_spikes, write_result, write_spikes
from snncompile.ir.result import Result

PROGRAM, NETWORK = "program.json", "network.json"
HEADS = {
    PROGRAM: {
        "version": 3,
        "written_by": "snncompile 0.1.0",
        "schemas": {
            "bounds": 2,
            "chip": 5,
            "loss": 1,
            "mapping": 1,
            "network": 4,
            "options": 4,
            "quantized": 3,
        },
    },
    NETWORK: {"version": 3, "written_by": "snncompile 0.1.0", "schemas": {"network": 4}},
}


@pytest.fixture(scope="module")
def program():
    return snncompile.compile(chain(3, 2, weight=0.5), chip=TOY, steps=4)


@pytest.fixture
def saved(program, tmp_path) -> dict[str, Path]:
    """Return the folders of a Program and of a network."""
    program.save(tmp_path / "build")
    integer_chain(2, 2).save(tmp_path / "net")
    return {PROGRAM: tmp_path / "build", NETWORK: tmp_path / "net"}


@pytest.mark.parametrize("name", HEADS)
def test_a_file_names_its_writer_and_the_versions_of_its_records(name, saved):
    record = record_of(saved[name], name)
    assert {key: record[key] for key in HEADS[name]} == HEADS[name]
    assert record["written_by"] == f"snncompile {snncompile.__version__}"


NEWER = "written by a newer snncompile (0.2.0; this is 0.1.0): install it, or"
# File, field, value, who wrote it, the whole message after the file.
REFUSED = {
    "program": (PROGRAM, "version", 4, "snncompile 0.2.0", f"{NEWER} compile again"),
    "chip": (PROGRAM, "chip", 6, "snncompile 0.2.0", f"{NEWER} compile again"),
    "network": (NETWORK, "version", 4, "snncompile 0.2.0", f"{NEWER} import the network again"),
    "lines": (PROGRAM, "bounds", 9, "snncompile 0.2.0\n", f"{NEWER} compile again"),
    "a long name": (
        PROGRAM,
        "mapping",
        2,
        "x" * 10**4,
        f"written by a newer snncompile ({'x' * 40}; this is 0.1.0): install it, or compile again",
    ),
    "of the same day": (
        PROGRAM,
        "options",
        5,
        "snncompile 0.1.0",
        "written by a newer snncompile (options version 5; this is 0.1.0, which knows version 4):"
        " install it, or compile again",
    ),
    "no writer": (
        PROGRAM,
        "version",
        4,
        None,
        "written by a newer snncompile (program version 4; this is 0.1.0, which knows version 3):"
        " install it, or compile again",
    ),
    "below 1": (PROGRAM, "version", 0, "x", "version: Input should be greater than or equal to 1"),
    "a flag": (PROGRAM, "version", True, "x", "version: Input should be a valid integer"),
    "no number": (PROGRAM, "version", "2", "x", "version: Input should be a valid integer"),
    "a kind below 1": (PROGRAM, "chip", 0, "x", "schemas.chip: expected a whole number above 0"),
    "a kind not there": (NETWORK, "chip", 1, "x", "schemas: expected versions of network"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_version_that_is_not_read(case, saved):
    name, field, value, writer, message = REFUSED[case]
    where = ("version",) if field == "version" else ("schemas", field)
    edit(saved[name], where, value, name)
    edit(saved[name], ("written_by",), writer, name)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[name])
    assert str(error.value) == f"{saved[name]}/{name}: {message}"


@pytest.mark.parametrize("schemas", [..., None, [], {"network": 1}])
def test_versions_that_are_not_named(schemas, saved):
    edit(saved[PROGRAM], ("schemas",), schemas, PROGRAM)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}/program.json: schemas: expected versions of bounds, chip, loss,"
        " mapping, network, options, quantized"
    )


def _with_upgrades(monkeypatch, kind: str, *upgrades) -> None:
    monkeypatch.setitem(versions.UPGRADES, kind, (*versions.UPGRADES[kind], *upgrades))


def test_an_older_record_is_lifted(saved, monkeypatch):
    """A file without `share_cores`, written when it was `apart`, which said the opposite."""

    def turn(record):
        mapping = {key: value for key, value in record["mapping"].items() if key != "apart"}
        return record | {"mapping": mapping | {"share_cores": not record["mapping"]["apart"]}}

    edit(saved[PROGRAM], ("options", "mapping", "share_cores"), ..., PROGRAM)
    edit(saved[PROGRAM], ("options", "mapping", "apart"), True, PROGRAM)
    _with_upgrades(monkeypatch, "options", turn, versions.keep)
    again = snncompile.load(saved[PROGRAM])
    assert again.options.mapping.share_cores is False
    again.save(saved[PROGRAM])
    assert record_of(saved[PROGRAM], PROGRAM)["schemas"]["options"] == 6
    assert snncompile.load(saved[PROGRAM]).options == again.options


def test_a_program_of_version_2_had_no_loss(saved):
    """Its head names no version of one, and its options have no limits."""
    head = record_of(saved[PROGRAM], PROGRAM)
    schemas = {kind: number for kind, number in head["schemas"].items() if kind != "loss"}
    for where, value in (
        (("version",), 2),
        (("schemas",), schemas | {"options": 2}),
        (("loss",), ...),
        (("warnings",), ...),
        (("options", "loss"), ...),
    ):
        edit(saved[PROGRAM], where, value, PROGRAM)
    program = snncompile.load(saved[PROGRAM])
    assert (program.loss.status, program.warnings) == ("unknown", ())
    program.save(saved[PROGRAM])
    assert record_of(saved[PROGRAM], PROGRAM)["schemas"] == HEADS[PROGRAM]["schemas"]


def test_a_record_that_is_not_of_its_version(saved, monkeypatch):
    _with_upgrades(monkeypatch, "options", lambda record: {"bits": record["width"]})
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}/program.json: does not hold options of version 4"
    )


def test_a_version_that_is_no_longer_read(saved, monkeypatch):
    _with_upgrades(monkeypatch, "mapping", None)
    edit(saved[PROGRAM], ("written_by",), "snncompile 0.0.9", PROGRAM)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}/program.json: written by an older snncompile (0.0.9; this is 0.1.0):"
        " compile again"
    )


def test_a_chip_field_added_later_gets_its_default(saved, monkeypatch, program):
    """As if `axons_out` of a core were new, and nobody knew it of older chips."""
    edit(saved[PROGRAM], ("chip", "core", "axons_out"), ..., PROGRAM)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}/program.json: chip.core.axons_out: Field required"
    )
    _with_upgrades(monkeypatch, "chip", versions.fill_unknown("core", "axons_out", unit="entries"))
    chip = snncompile.load(saved[PROGRAM]).chip
    assert (chip.core.axons_out.whole, chip.core.axons_out.source) == (None, "made_up")
    assert chip.core.axons_in == program.chip.core.axons_in


def test_a_field_that_is_there_is_not_filled():
    upgrade = versions.fill("core", "axons", value=1)
    record = {"core": {"axons": 2}}
    assert upgrade(record) == {"core": {"axons": 2}}
    assert upgrade({"core": {}}) == {"core": {"axons": 1}}
    assert record == {"core": {"axons": 2}}


def test_each_record_of_a_list_is_lifted(saved, monkeypatch):
    edit(saved[PROGRAM], ("bounds", 0, "neuron"), ..., PROGRAM)
    _with_upgrades(monkeypatch, "bounds", versions.fill("neuron", value=1))
    found = snncompile.load(saved[PROGRAM]).bounds
    assert [bound.neuron for bound in found] == [1] + [0] * (len(found) - 1)


def test_a_network_that_is_lifted_has_the_hash_of_today(saved, monkeypatch):
    """The file is compared with the hash of what it holds, not of what it would hold today."""
    before = record_of(saved[PROGRAM], PROGRAM)["hashes"]

    def rename(record):
        return record | {"title": record["title"].upper()}

    _with_upgrades(monkeypatch, "network", rename)
    lifted = snncompile.load(saved[PROGRAM])
    assert (lifted.network.title, lifted.source.title) == ("NETWORK", "NETWORK")
    assert lifted.hashes["network"] == hash_network(lifted.network) != before["network"]
    assert lifted.hashes["source"] == hash_network(lifted.source) != before["source"]
    lifted.save(saved[PROGRAM])
    assert snncompile.load(saved[PROGRAM]).hashes == lifted.hashes
    edit(saved[PROGRAM], ("network", "title"), "changed", PROGRAM)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}: the network was changed after it was compiled; compile it again"
    )


def test_a_source_that_was_changed(saved):
    edit(saved[PROGRAM], ("source", "title"), "changed", PROGRAM)
    with pytest.raises(InputError) as error:
        snncompile.load(saved[PROGRAM])
    assert str(error.value) == (
        f"{saved[PROGRAM]}: the source network was changed after it was compiled"
    )


def test_files_of_spikes_name_their_version(tmp_path):
    spikes = Spikes(np.ones((2, 3, 4), np.uint8), np.asarray([0, 1]))
    write_spikes(tmp_path / "x.npz", spikes)
    write_result(tmp_path / "y.npz", Result(spikes.x))
    assert {k: v.tolist() for k, v in read_npz(tmp_path / "x.npz").items() if k != "x"} == {
        "label": [0, 1],
        "spikes_version": 1,
    }
    assert sorted(read_npz(tmp_path / "y.npz")) == ["prediction", "result_version", "spikes"]
    assert read_spikes(tmp_path / "x.npz").x.tolist() == spikes.x.tolist()


def test_newer_spikes_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    write_npz(path, {"x": np.ones((2, 3, 4), np.uint8), "spikes_version": np.asarray(2)})
    with pytest.raises(InputError) as error:
        read_spikes(path)
    assert str(error.value) == (
        f"{path}: written by a newer snncompile (spikes version 2; this is 0.1.0, which knows"
        " version 1): install it, or write the spikes again"
    )


@given(
    record=st.dictionaries(
        st.sampled_from(["version", "written_by", "schemas", "chip", "bounds", "mapping"]),
        st.integers(0, 3) | st.none() | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.sampled_from(["network", "chip"]), st.integers(0, 3)),
    )
)  # fmt: skip
def test_any_head_is_lifted_or_refused_in_one_line(record):
    before = json.dumps(record)
    try:
        versions.lift(Path("p"), "program", record, versions.PROGRAM_PARTS)
    except InputError as error:
        message = str(error)
    else:
        message = "read"
    assert len(message.splitlines()) == 1
    assert json.dumps(record) == before
