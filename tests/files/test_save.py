"""Networks and Programs as files: read back equal, or refused in one line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from edited_files import edit
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
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
from snncompile.files.npz import read_npz, write_npz
from snncompile.ir.graph import Network
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.registry import list_names
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
    "version": (
        ("version",),
        4,
        "/network.json: written by a newer snncompile (network file version 4; this is 0.1.0, which"
        " knows version 3): install it, or import the network again",
    ),
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
        f": no neuron called 'izhikevich'; known: {', '.join(list_names('neurons')[:15])} and"
        f" {len(list_names('neurons')) - 15} more",
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
        ": no wiring called 'conv'; known: convolution, dense, scale, source_range, sparse,"
        " transposed_convolution",
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


def test_a_float_network_says_what_it_is(tmp_path):
    chain(1, 1).save(tmp_path / "net")
    assert isinstance(snncompile.load(str(tmp_path / "net")), Network)
