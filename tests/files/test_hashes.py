"""Two hashes: of all that is saved, against damage; of the meaning, whatever is said of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited_files import record_of, seal
from networks import LOIHI2, TOY, chain, changed, limited, ranged_network
from priced import priced

import snncompile
from snncompile.errors import InputError
from snncompile.files.npz import read_npz, write_npz
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.readout import Readout

PROGRAM, NETWORK = "program.json", "network.json"
SAVED = Path(__file__).parent.parent / "saved" / "0.1"
EDITED = {
    PROGRAM: "is not as it was saved: damaged, or edited by hand; compile again with the chip file"
    " and options you want, or change it in Python (dataclasses.replace) and save",
    NETWORK: "is not as it was saved: damaged, or edited by hand; import the network again, or"
    " change it in Python and save it",
}


@pytest.fixture(scope="module")
def program():
    network = changed(chain(3, 4, 2, weight=0.5), "b", neuron=Readout(1.0, 0.0))
    network = changed(network, "a", neuron=CubaLif(1.0, 0.5, [1.0] * 4))
    x = (np.random.default_rng(0).random((2, 9, 3)) < 0.5).astype(np.uint8)
    return snncompile.compile(network, chip=TOY, calibration=x)


@pytest.fixture
def folders(program, tmp_path) -> dict[str, Path]:
    program.save(tmp_path / "build")
    program.source.save(tmp_path / "net")
    return {PROGRAM: tmp_path / "build", NETWORK: tmp_path / "net"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a record."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        if isinstance(inner, dict | list) and inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def change(value: Any) -> Any:
    """Return another value of the same kind, near it."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    return value + 1 if isinstance(value, int | float) else [value]


def write_changed(path: Path, name: str, where: tuple[Any, ...]) -> None:
    """Change one value of a record by hand, and nothing else."""
    record = record_of(path, name)
    place = record
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = change(place[where[-1]])
    (path / name).write_text(json.dumps(record))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        snncompile.load(path)
    return str(error.value)


@pytest.mark.parametrize("name", [PROGRAM, NETWORK])
def test_any_value_changed_by_hand_is_refused_in_one_line(name, folders):
    """Every value of the record; of Programs each fifth, another fifth per kind of number."""
    path = folders[name]
    text, places = (path / name).read_text(), list(leaves(record_of(path, name)))
    for where in places[:: 5 if name == PROGRAM else 1]:
        write_changed(path, name, where)
        assert len(refusal(path).splitlines()) == 1, where
        (path / name).write_text(text)
    assert len(places) > 25


# Where, and whether it is refused as a whole and not by a rule of its own.
BY_HAND = {
    "a price": ("chip", "costs", "toy", "prices", "synaptic_op", "energy_pj", "value"),
    "a time": ("chip", "costs", "toy", "barrier", 0, "time_ns", "value"),
    "a source": ("chip", "sources", "made_up"),
    "a bound": ("bounds", 0, "high"),
    "its limit": ("bounds", 1, "limit"),
    "an option": ("options", "quantize", "bits"),
    "the steps of the proof": ("options", "quantize", "steps"),
    "a line of the log": ("log", 0),
    "an error": ("quantized", 0, "weight_error"),
    "the passes": ("passes",),
    "the writer": ("written_by",),
    "a hash": ("hashes", "calibration"),
    "the hash of all": ("sha256",),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_what_nothing_else_checks_is_under_the_hash(case, folders):
    path = folders[PROGRAM]
    write_changed(path, PROGRAM, BY_HAND[case])
    assert refusal(path) == f"{path}: {EDITED[PROGRAM]}"


def test_a_line_taken_out_and_a_line_put_in(folders):
    path = folders[PROGRAM]
    text = (path / PROGRAM).read_text()
    record = json.loads(text)
    for log in (record["log"][1:], [*record["log"], "more"]):
        (path / PROGRAM).write_text(json.dumps(record | {"log": log}))
        assert refusal(path) == f"{path}: {EDITED[PROGRAM]}"
    (path / PROGRAM).write_text(json.dumps({k: v for k, v in record.items() if k != "sha256"}))
    assert refusal(path) == f"{path}/program.json: sha256: Field required"
    (path / PROGRAM).write_text(text)
    snncompile.load(path)


@pytest.mark.parametrize("name", [PROGRAM, NETWORK])
def test_an_array_changed_by_hand_is_refused(name, folders):
    path = folders[name]
    whole = read_npz(path / "arrays.npz")
    for key, array in whole.items():
        if array.size:
            other = array.copy()
            other.flat[0] += 1
            write_npz(path / "arrays.npz", whole | {key: other})
            assert len(refusal(path).splitlines()) == 1, key
    assert any(array.size for array in whole.values())


def test_a_network_edited_by_hand_says_what_to_do(folders):
    path = folders[NETWORK]
    write_changed(path, NETWORK, ("network", "title"))
    assert refusal(path) == f"{path}: {EDITED[NETWORK]}"


@pytest.mark.parametrize("name", [PROGRAM, NETWORK])
def test_order_of_keys_and_blanks_do_not_matter(name, folders):
    def turn(value):
        if isinstance(value, dict):
            return {key: turn(value[key]) for key in reversed(value)}
        return [turn(entry) for entry in value] if isinstance(value, list) else value

    path = folders[name]
    (path / name).write_text(json.dumps(turn(record_of(path, name)), indent=7))
    assert str(snncompile.load(path)).splitlines()[0]


def test_a_program_changed_in_python_is_saved_and_read(program, tmp_path):
    """What the refusal tells users who edit on purpose."""
    dearer = dataclasses.replace(program, chip=priced(synaptic_op=(1000, 2)))
    dearer.save(tmp_path / "dearer")
    again = snncompile.load(tmp_path / "dearer")
    assert again.chip == dearer.chip != program.chip
    assert again.meaning == program.meaning


def test_older_files_have_no_hash_and_load(folders):
    path = folders[PROGRAM]
    for version in (2, 1):
        record = record_of(path, PROGRAM) | {"version": version}
        seal(path, {key: value for key, value in record.items() if key != "sha256"}, PROGRAM)
        assert snncompile.load(path).network


# Golden: the same in every version of snncompile. Who changes one of these has changed what a
# Program of before means, or its hash, on which users rely to compare builds.
MEANINGS = {
    "program_loihi1": "b8611fb868d597d2ba5466d1d2c0eef6eadb73b69ffacc42961292c89edd4adb",
    "program_own_chip": "1df05b3f06f050e736a3f2576bb49207d4a17e2dc6359edbe9a7cc125b24e311",
}


@pytest.mark.parametrize("name", MEANINGS)
def test_the_meaning_of_an_older_program_has_the_hash_it_had(name, tmp_path):
    program = snncompile.load(SAVED / name)
    assert program.meaning == MEANINGS[name]
    program.save(tmp_path / "again")
    assert snncompile.load(tmp_path / "again").meaning == program.meaning


def renamed(program, **fields):
    return dataclasses.replace(program.network, **fields)


def sourced(chip: Chip) -> Chip:
    """Return the chip with other words, and numbers of another evidence."""
    data = chip.model_dump(mode="json") | {"title": "other", "fidelity": "other"}
    data["core"]["compartments"] |= {"evidence": "quoted"}
    data["sources"] = {key: "other" for key in data["sources"]}
    return Chip.model_validate(data)


def one_less(program):
    """Return the synapses of the second projection with one weight changed."""
    synapses = program.network.projections[1].synapses
    weight = synapses.weight.copy()
    weight.flat[0] -= 2
    return dataclasses.replace(synapses, weight=weight)


SAME = {
    "another log": lambda p: {"log": ("other",)},
    "other options": lambda p: {"options": p.options.change(bits=4, steps=1)},
    "no bounds": lambda p: {"bounds": (), "quantized": ()},
    "no source": lambda p: {"source": None, "hashes": {}},
    "the passes": lambda p: {"passes": "retime"},
    "a title": lambda p: {"network": renamed(p, title="other")},
    "notes": lambda p: {"network": renamed(p, notes=("other",))},
    "prices": lambda p: {"chip": priced(synaptic_op=(1000, 2))},
    "sources": lambda p: {"chip": sourced(p.chip)},
}
OTHER = {
    "a limit": ("chip", lambda p: {"chip": limited(p.chip, compartments=5)}),
    "a chip's name": ("chip", lambda p: {"chip": p.chip.model_copy(update={"name": "other"})}),
    "a delay": ("network", lambda p: {"network": changed(p.network, projection=0, delay=2)}),
    "a weight": (
        "network",
        lambda p: {"network": changed(p.network, projection=1, synapses=one_less(p))},
    ),
    "a threshold": (
        "network",
        lambda p: {"network": changed(p.network, "a", neuron=IntegerCubaLif(4095, 0, 7))},
    ),
    "the output": (
        "network",
        lambda p: {"network": renamed(p, output="a")},
    ),
    "a site": (
        "mapping",
        lambda p: {"mapping": dataclasses.replace(p.mapping, sites=p.mapping.sites[::-1])},
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_what_does_not_change_the_meaning(case, program):
    assert dataclasses.replace(program, **SAME[case](program)).meaning == program.meaning


@pytest.mark.parametrize("case", OTHER)
def test_what_changes_the_meaning(case, program):
    part, make = OTHER[case]
    before, after = program.hash_meaning(), dataclasses.replace(program, **make(program))
    parts = {key for key, value in after.hash_meaning().items() if value != before[key]}
    assert parts == {part, "all"}


def test_a_new_field_with_its_default_changes_nothing(program):
    """A parameter given as its default is as if it was not there."""
    plain = IntegerCubaLif(4095, 0, 7)
    said = IntegerCubaLif(4095, 0, 7, bias_mantissa=0, bias_exponent=0, initial=0)
    one, two = (
        dataclasses.replace(program, network=changed(program.network, "a", neuron=n))
        for n in (plain, said)
    )
    assert one.meaning == two.meaning


def test_the_meaning_of_every_wiring_and_board_is_hashed():
    program = snncompile.compile(ranged_network(), chip="loihi1", steps=9)
    assert len(program.meaning) == 64
    chip = load_chip("loihi2:hala-point")
    small = snncompile.compile(chain(2, 2), chip=chip)
    alone = dataclasses.replace(small, chip=LOIHI2)
    assert small.hash_meaning()["chip"] != alone.hash_meaning()["chip"]


def test_other_options_that_change_nothing_give_the_same_meaning():
    network = chain(3, 4)
    one = snncompile.compile(network, chip=TOY, steps=4)
    two = snncompile.compile(network, chip=TOY, steps=5, prune=False)
    assert one.options != two.options
    assert one.meaning == two.meaning
