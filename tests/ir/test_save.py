"""Networks and Programs as files: read back equal, or refused in one line."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    TOY,
    alone,
    chain,
    changed,
    integer_chain,
    random_integer_network,
    random_network,
    spikes,
)

import snncompile
from snncompile.errors import InputError
from snncompile.ir.arrays import read_npz, write_npz
from snncompile.ir.graph import IntegerNetwork, Network
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.readout import Readout
from snncompile.program import Program
from snncompile.registry import names
from snncompile.synapses.dense import dense


def files(path: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(path.iterdir())}


def check_round_trip(network, path: Path) -> None:
    network.save(path / "one")
    again = snncompile.load(path / "one")
    assert type(again) is type(network)
    assert str(again) == str(network)
    assert again.title == network.title
    x = spikes(network, 3, 6)
    assert np.array_equal(again.run(x).spikes, network.run(x).spikes)
    for old, new in zip(network.populations, again.populations, strict=True):
        assert old.neuron.kind == new.neuron.kind
        for name in old.neuron.parameters():
            one, other = getattr(old.neuron, name), getattr(new.neuron, name)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    for old, new in zip(network.projections, again.projections, strict=True):
        assert old.synapses.weight.dtype == new.synapses.weight.dtype
        assert np.array_equal(old.synapses.weight, new.synapses.weight)
    again.save(path / "two")
    assert files(path / "one") == files(path / "two")
    assert list(files(path / "one")) == ["arrays.npz", "network.json"]


@settings(max_examples=25)
@given(seed=st.integers(0, 10**9))
def test_a_float_network_is_read_back_exactly(seed, tmp_path_factory):
    check_round_trip(random_network(seed), tmp_path_factory.mktemp("saved"))


@settings(max_examples=25)
@given(seed=st.integers(0, 10**9))
def test_an_integer_network_is_read_back_exactly(seed, tmp_path_factory):
    check_round_trip(random_integer_network(seed), tmp_path_factory.mktemp("saved"))


def test_numbers_that_have_no_short_decimal(tmp_path):
    neuron = CubaLif(0.1, 1 / 3, 5e-324, 1e300)
    network = changed(alone(neuron, weight=[[np.pi]]), projection=0, synapses=dense([[-1 / 7]]))
    check_round_trip(network, tmp_path)


def test_no_projections(tmp_path):
    check_round_trip(changed(chain(2, 3), projections=()), tmp_path)


def test_titles_are_kept_whatever_they_say(tmp_path):
    title = 'Ziffern "äöü" \n \\ \u2028 😀'
    check_round_trip(chain(1, 1, title=title), tmp_path)


def test_json_golden(tmp_path, golden):
    neuron = IntegerCubaLif([1, 2], 3, [4, 5], reset="soft")
    integer_chain(2, 2, neuron=neuron, exponent=-1, title="two neurons").save(tmp_path / "net")
    golden((tmp_path / "net" / "network.json").read_text())
    assert list(read_npz(tmp_path / "net" / "arrays.npz")) == [
        "a.current_decay",
        "a.threshold",
        "projection0.weight",
    ]


def test_a_path_that_holds_nothing(tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError) as error:
            snncompile.load(path)
        assert str(error.value) == f"{path}: no folder with program.json or network.json"


NEURON = IntegerCubaLif([1, 2], 3, [4, 5], reset="soft")


@pytest.fixture
def saved(tmp_path):
    """Return a folder with an integer network, its record and its arrays."""
    integer_chain(2, 2, neuron=NEURON).save(tmp_path / "net")
    return tmp_path / "net"


def record_of(path: Path, name: str = "network.json") -> Any:
    return json.loads((path / name).read_text())


def edit(path: Path, where: tuple[Any, ...], value: Any, name: str = "network.json") -> None:
    """Set (or with `...` delete) one value of the record."""
    record = record_of(path, name)
    part = record
    for key in where[:-1]:
        part = part[key]
    if value is ...:
        del part[where[-1]]
    else:
        part[where[-1]] = value
    (path / name).write_text(json.dumps(record))


POPULATION = ("network", "populations", 0)
PARAMETERS = (*POPULATION, "neuron", "parameters")
PROJECTION = ("network", "projections", 0)

# Where, what (... deletes), the whole message after the folder.
EDITED = {
    "format": (
        ("format",),
        "nir",
        "/network.json: format: Input should be 'snncompile network'",
    ),
    "version": (("version",), 2, "/network.json: version: Input should be 1"),
    "no version": (("version",), ..., "/network.json: version: Field required"),
    "no network": (("network",), ..., "/network.json: network: Field required"),
    "extra key": (("more",), 1, "/network.json: more: Extra inputs are not permitted"),
    "extra key inside": (
        (*POPULATION, "tau"),
        1,
        "/network.json: network.populations.0.tau: Extra inputs are not permitted",
    ),
    "extra key with line breaks": (
        (*POPULATION, "t\na\ru"),
        1,
        "/network.json: network.populations.0.t a u: Extra inputs are not permitted",
    ),
    "a list": (("network",), [], "/network.json: network: Input should be a valid dictionary or"
                                 " instance of NetworkRecord"),
    "numbers": (
        ("network", "numbers"),
        "complex",
        "/network.json: network.numbers: Input should be 'float' or 'integer'",
    ),
    "integers as floats": (
        ("network", "numbers"),
        "float",
        ": a: cuba_lif has no parameter 'bias_mantissa'; it has current_decay, potential_decay,"
        " threshold, bias, reset, initial",
    ),
    "name": (
        (*POPULATION, "name"),
        "a b",
        ": name 'a b': use letters, digits and _, starting with a letter",
    ),
    "shape of text": (
        (*POPULATION, "shape"),
        ["x"],
        "/network.json: network.populations.0.shape.0: Input should be a valid integer, unable to"
        " parse string as an integer",
    ),
    "shape too small": (
        (*POPULATION, "shape"),
        [0],
        "/network.json: network.populations.0.shape.0: Input should be greater than or equal to 1",
    ),
    "shape too large": (
        (*POPULATION, "shape"),
        [10**30],
        "/network.json: network.populations.0.shape.0: Input should be less than or equal to"
        " 2147483648",
    ),
    "other shape": ((*POPULATION, "shape"), [3], ": a: current_decay has 2 values for 3 neurons"),
    "phase": (
        (*POPULATION, "phase"),
        -1,
        "/network.json: network.populations.0.phase: Input should be greater than or equal to 0",
    ),
    "huge delay": (
        (*PROJECTION, "delay"),
        10**400,
        "/network.json: network.projections.0.delay: Input should be less than or equal to"
        " 2147483648",
    ),
    "unknown neuron": (
        (*POPULATION, "neuron", "name"),
        "izhikevich",
        f": no neuron called 'izhikevich'; known: {', '.join(names('neurons'))}",
    ),
    "reset": (
        (*POPULATION, "neuron", "reset"),
        "gently",
        ": a: reset must be one of hard, soft, delayed_soft, delayed_hard, strict_soft, none, got"
        " 'gently'",
    ),
    "reset of a neuron without": (
        (*POPULATION, "neuron", "name"),
        "readout",
        ": a: readout has no parameter 'threshold'; it has current_decay, potential_decay,"
        " bias_mantissa, bias_exponent, initial",
    ),
    "unknown parameter": (
        (*PARAMETERS, "tau\n"),
        1,
        ": a: cuba_lif has no parameter 'tau\\n'; it has current_decay, potential_decay, threshold,"
        " bias_mantissa, bias_exponent, reset, initial",
    ),
    "missing parameter": ((*PARAMETERS, "threshold"), ..., ": a: cuba_lif needs threshold"),
    "a parameter of text": (
        (*PARAMETERS, "potential_decay"),
        "ten",
        ": 'ten' is not in arrays.npz",
    ),
    "a parameter of None": (
        (*PARAMETERS, "potential_decay"),
        None,
        "/network.json: network.populations.0.neuron.parameters.potential_decay.int: Input should"
        " be a valid integer",
    ),
    "half a parameter": (
        (*PARAMETERS, "potential_decay"),
        0.5,
        ": a: potential_decay must be whole numbers",
    ),
    "a huge parameter": (
        (*PARAMETERS, "potential_decay"),
        10**400,
        ": a: potential_decay must be numbers",
    ),
    "an infinite parameter": (
        (*PARAMETERS, "potential_decay"),
        float("inf"),
        ": a: potential_decay must be finite",
    ),
    "NaN": (
        (*PARAMETERS, "potential_decay"),
        float("nan"),
        ": a: potential_decay must be finite",
    ),
    "a parameter of another shape": (
        (*PARAMETERS, "threshold"),
        "projection0.weight",
        ": a: threshold must be one number or one per neuron, got (2, 2)",
    ),
    "exponent": (
        (*PROJECTION, "exponent"),
        99,
        "/network.json: network.projections.0.exponent: Input should be less than or equal to 32",
    ),
    "no exponent": (
        (*PROJECTION, "exponent"),
        None,
        ": projection input -> a: Synapses has no place in IntegerNetwork",
    ),
    "kind": (
        (*PROJECTION, "wiring", "kind"),
        "conv",
        ": no wiring called 'conv'; known: convolution, dense, scale, source_range, sparse",
    ),
    "weight": ((*PROJECTION, "weight"), "w\nx", ": 'w\\nx' is not in arrays.npz"),
    "a vector as weight": (
        (*PROJECTION, "weight"),
        "a.threshold",
        ": a.threshold has dtype int64, expected int16",
    ),
    "target": ((*PROJECTION, "target"), "b", ": projection input -> b: there is no population 'b'"),
    "output": (("network", "output"), "b", ": output 'b' is not a population; there are a"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITED)
def test_an_edited_record(case, saved):
    where, value, message = EDITED[case]
    edit(saved, where, value)
    with pytest.raises(InputError) as error:
        snncompile.load(saved)
    assert str(error.value) == f"{saved}{message}"


W = "projection0.weight"
# Array, what it becomes (None: gone), the whole message after the folder.
ARRAYS = {
    "gone": (W, None, ": 'projection0.weight' is not in arrays.npz"),
    "parameter gone": ("a.threshold", None, ": 'a.threshold' is not in arrays.npz"),
    "one more": ("extra", np.zeros(1), ": arrays.npz holds 'extra', which no part of it uses"),
    "floats": (W, np.full((2, 2), 2.0), ": projection0.weight has dtype float64, expected int16"),
    "bytes": (
        W,
        np.full((2, 2), 2, np.int8),
        ": projection0.weight has dtype int8, expected int16",
    ),
    "transposed": (
        W,
        np.full((2, 3), 2, np.int16),
        ": dense weights have shape (2, 3), expected (2, 2)",
    ),
    "half a threshold": (
        "a.threshold",
        np.array([4, 5.5]),
        ": a: threshold must be whole numbers",
    ),
    "NaN": ("a.threshold", np.array([4, np.nan]), ": a: threshold must be finite"),
    "too many thresholds": (
        "a.threshold",
        np.array([4, 5, 6]),
        ": a: threshold has 3 values for 2 neurons",
    ),
    "strings": (
        "a.threshold",
        np.array(["a", "b"]),
        "/arrays.npz: a.threshold has dtype <U1, expected numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_edited_arrays(case, saved):
    name, value, message = ARRAYS[case]
    arrays = read_npz(saved / "arrays.npz")
    arrays.pop(name, None)
    write_npz(saved / "arrays.npz", arrays | ({} if value is None else {name: value}))
    with pytest.raises(InputError) as error:
        snncompile.load(saved)
    assert str(error.value) == f"{saved}{message}"


def test_a_pickle_is_not_opened(saved):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    np.savez(saved / "arrays.npz", allow_pickle=True, **{W: np.array([Trap()], object)})
    with pytest.raises(InputError) as error:
        snncompile.load(saved)
    assert str(error.value) == (
        f"{saved}/arrays.npz: projection0.weight has dtype object, expected numbers"
    )


def test_a_weight_that_is_not_finite(tmp_path):
    chain(2, 2).save(tmp_path / "net")
    write_npz(tmp_path / "net" / "arrays.npz", {W: np.array([[1, np.nan], [np.inf, 1]])})
    with pytest.raises(InputError) as error:
        snncompile.load(tmp_path / "net")
    assert str(error.value) == (f"{tmp_path}/net: projection input -> a: 2 weights are not finite")


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
        "w",
        "/program.json: bounds.0.quantity: Input should be 'accumulator', 'u', 'v', 'sent',"
        " 'raised', 'real', 'imag', 'sigma', 'act' or 'residue'",
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
    assert again.options.steps == 9


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


def test_a_float_network_says_what_it_is(tmp_path):
    chain(1, 1).save(tmp_path / "net")
    assert isinstance(snncompile.load(str(tmp_path / "net")), Network)
