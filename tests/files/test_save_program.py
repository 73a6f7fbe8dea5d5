"""Programs as files: an edited one is read or refused in one line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from edited_files import edit, record_of
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    TOY,
    chain,
    changed,
)

import snncompile
from snncompile.errors import InputError
from snncompile.files.npz import read_npz, write_npz
from snncompile.ir.graph import IntegerNetwork
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.readout import Readout
from snncompile.program import Program


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("program") / "build"
    network = changed(chain(3, 4, 2, weight=0.5), "b", neuron=Readout(1.0, 0.0))
    network = changed(network, "a", neuron=CubaLif(1.0, 0.5, [1.0] * 4))
    snncompile.compile(network, chip=TOY, steps=9).save(path)
    return path


@pytest.fixture
def build(program, tmp_path) -> Path:
    """Return a copy of a saved Program: a has four neurons on core 0, b two on core 1."""
    path = tmp_path / "build"
    path.mkdir()
    for file in program.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


PROJECTION = ("network", "projections", 0)
SLICES, SITES = ("mapping", "slices"), ("mapping", "sites")
A = {"population": "a", "shape": [4], "start": [0], "stop": [4], "core": 0, "members": []}
B = {"population": "b", "shape": [2], "start": [0], "stop": [2], "core": 1, "members": []}
LISTED = {"shape": [], "start": [], "stop": []}
AT = [{"core": 0, "tile_x": 0, "tile_y": 0, "chip": 0},
      {"core": 1, "tile_x": 0, "tile_y": 0, "chip": 0}]  # fmt: skip

PROGRAMS = {
    "format": (
        ("format",),
        "x",
        "/program.json: format: Input should be 'snncompile program'",
    ),
    "extra key": (("note",), "x", "/program.json: note: Extra inputs are not permitted"),
    "no bounds": (("bounds",), ..., "/program.json: bounds: Field required"),
    "a chip without cores": (("chip", "mesh", "cores"), ..., "/program.json: chip.mesh.cores:"
                                                             " Field required"),
    "a chip with a name": (
        ("chip", "costs", "a\nb"),
        {},
        "/program.json: chip.costs.a b.title: Field required",
    ),
    "a bound of nothing": (
        ("bounds", 0, "quantity"),
        "two words",
        "/program.json: bounds.0.quantity: String should match pattern '^[a-z][a-z0-9_]*$'",
    ),
    "hash gone": (
        ("hashes",),
        {},
        ": the network was changed after it was compiled; compile it again",
    ),
    "exponent": (
        (*PROJECTION, "exponent"),
        1,
        ": the network was changed after it was compiled; compile it again",
    ),
    "title": (
        ("network", "title"),
        "other",
        ": the network was changed after it was compiled; compile it again",
    ),
    "a neuron on no core": (
        SLICES,
        [A | {"stop": [3]}, B],
        ": the slices of a do not hold each neuron once",
    ),
    "a neuron on two cores": (
        SLICES,
        [A, A | {"start": [3]}, B],
        ": the slices of a do not hold each neuron once",
    ),
    "a gap": (
        SLICES,
        [A | {"stop": [1]}, A | {"start": [2]}, B],
        ": the slices of a do not hold each neuron once",
    ),
    "no slice": (SLICES, [A], ": the slices of b do not hold each neuron once"),
    "a neuron that is not there": (
        SLICES,
        [A | {"stop": [5]}, B],
        ": a[0:5] is no part of a",
    ),
    "a box of another shape": (SLICES, [A | {"shape": [5]}, B], ": a[0:4] is no part of a"),
    "a box without axes": (SLICES, [A | LISTED, B], ": a[] is no part of a"),
    "neurons out of order": (
        SLICES,
        [A | LISTED | {"members": [0, 1, 3, 2]}, B],
        ": a[4 neurons] is no part of a",
    ),
    "a listed neuron that is not there": (
        SLICES,
        [A | LISTED | {"members": [0, 1, 2, 4]}, B],
        ": a[4 neurons] is no part of a",
    ),
    "a list and a box": (SLICES, [A | {"members": [0, 1, 2, 3]}, B], ": a[4 neurons] is no part"
                                                                    " of a"),
    "a listed neuron left out": (
        SLICES,
        [A | LISTED | {"members": [0, 1, 3]}, B],
        ": the slices of a do not hold each neuron once",
    ),
    "an empty slice": (
        SLICES,
        [A | {"stop": [2]}, A | {"start": [2], "stop": [2]}, A | {"start": [2]}, B],
        ": a[2:2] is no part of a",
    ),
    "a population that is not there": (
        SLICES,
        [A, B, B | {"population": "c"}],
        ": a slice is of a population 'c' not there",
    ),
    "a population with a name without end": (
        SLICES,
        [A, B, B | {"population": "c" * 1000}],
        f": a slice is of a population '{'c' * 40}' not there",
    ),
    "a loss without samples": (
        ("loss",),
        {"status": "measured", "reason": ""},
        "/program.json: loss: Value error, measured, but without samples, steps or populations",
    ),
    "more answers than samples": (
        ("loss", "answers"),
        {"different": 3, "samples": 2},
        "/program.json: loss.answers: Value error, 3 of 2 answers cannot differ",
    ),
    "a neuron with a name without end": (
        ("network", "populations", 0, "neuron", "name"),
        "n" * 1000,
        f": no neuron called '{'n' * 40}'; known: accumulate, adaptive_lif, alpha_lif,"
        " alpha_soft_lif, bistable_fire, cuba_lif, delta, graded, graded_delta, integrate_fire,"
        " multi_spike_lif, phase_fire, phase_maximum, ...",
    ),
    "an array with a name without end": (
        ("network", "populations", 0, "neuron", "parameters", "threshold"),
        "n" * 1000,
        f": '{'n' * 40}' is not in arrays.npz",
    ),
    "a source with a name without end": (
        ("chip", "encoding_source"),
        "n" * 1000,
        f"/program.json: chip: '{'n' * 40}' is not one of the sources: made_up",
    ),
    "a negative core": (
        (*SLICES, 0, "core"),
        -1,
        "/program.json: mapping.slices.0.core: Input should be greater than or equal to 0",
    ),
    "a core left out": (
        SLICES,
        [A, B | {"core": 2}],
        ": the cores are not counted from 0 without gaps",
    ),
    "a core without a site": (SITES, AT[:1], ": not every core has one site on the mesh"),
    "a core with two sites": (SITES, [*AT, AT[1]], ": not every core has one site on the mesh"),
    "a site of no core": (
        SITES,
        [*AT, AT[1] | {"core": 7}],
        ": not every core has one site on the mesh",
    ),
    "a site below the mesh": (
        (*SITES, 0, "tile_y"),
        1,
        ": core 0 is at tile 0,1, the mesh has 2 x 1 tiles",
    ),
    "a site beside the mesh": (
        (*SITES, 1, "tile_x"),
        2,
        ": core 1 is at tile 2,0, the mesh has 2 x 1 tiles",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROGRAMS)
def test_an_edited_program(case, build):
    where, value, message = PROGRAMS[case]
    edit(build, where, value, "program.json")
    with pytest.raises(InputError) as error:
        snncompile.load(build)
    assert str(error.value) == f"{build}{message}"


@pytest.mark.parametrize("name", ["a.threshold", "projection0.weight", "projection1.weight"])
def test_arrays_of_a_program_that_were_changed(name, build):
    arrays = read_npz(build / "arrays.npz")
    arrays[name] = arrays[name].copy()
    arrays[name].flat[0] -= 2
    write_npz(build / "arrays.npz", arrays)
    with pytest.raises(InputError) as error:
        snncompile.load(build)
    assert str(error.value) == (
        f"{build}: the network was changed after it was compiled; compile it again"
    )


def test_a_program_of_floats_is_refused(build, tmp_path):
    chain(3, 4).save(tmp_path / "net")
    record = record_of(build, "program.json") | {"network": record_of(tmp_path / "net")["network"]}
    (build / "program.json").write_text(json.dumps(record))
    (build / "arrays.npz").write_bytes((tmp_path / "net" / "arrays.npz").read_bytes())
    with pytest.raises(InputError) as error:
        snncompile.load(build)
    assert str(error.value) == f"{build}: the network of a Program must be integers"


def test_an_untouched_copy_is_read(build):
    again = snncompile.load(build)
    assert isinstance(again, Program)
    assert isinstance(again.network, IntegerNetwork)
    assert again.options.quantize.steps == 9


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)


@settings(max_examples=300)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused_in_one_line(data, program, tmp_path):
    record = copy.deepcopy(record_of(program, "program.json"))
    record["chip"]["costs"]["toy"]["prices"] = {}  # the chip has its own tests; fewer places
    place: Any = record
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(JUNK)
            break
        place = inner
    (tmp_path / "program.json").write_text(json.dumps(record))
    (tmp_path / "arrays.npz").write_bytes((program / "arrays.npz").read_bytes())
    try:
        snncompile.load(tmp_path)
    except InputError as error:
        message = str(error)
    else:
        message = ""
    assert len(message.splitlines()) <= 1
