"""Comparisons of runs: agreement, rate error, the first difference, dead and saturated neurons."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from networks import LOIHI2, chain, integer_chain, random_network, spikes

import snncompile
from snncompile.errors import InputError
from snncompile.files import folder
from snncompile.neurons.readout import Readout
from snncompile.report.verification import serialize_verification, tabulate_verification
from snncompile.verification import Difference, verify_runs

MISSING = {"library": "no model was given", "lava": "Lava was left out"}
A = np.zeros((2, 4, 3), np.uint8)
"""Two samples, four steps, three neurons: one fires always, one twice, one never."""
A[:, :, 0] = 1
A[0, 1:3, 1] = 1


def changed(*places):
    array = A.copy()
    for place in places:
        array[place] ^= 1
    return array


def found(integer, *, names=("a",), missing=MISSING, **runs):
    sizes = [integer[name].shape[2] for name in names]
    network = integer_chain(1, *sizes)
    return verify_runs(network, runs | {"integer": integer}, missing, {})


def test_dead_and_saturated_neurons_are_counted():
    (layer,) = found({"a": A}, float={"a": A}).activity
    assert (layer.neurons, layer.outputs, layer.dead, layer.saturated) == (3, 10, 1, 1)
    assert layer.rate == 10 / 24


def test_equal_runs():
    comparison = found({"a": A}, float={"a": A}).comparison("float", "integer")
    assert comparison.equal
    assert comparison.rows[0].agreement == 1
    assert comparison.rows[0].rate_error == 0
    assert str(comparison) == "the float network and the reference: equal"


def test_float_against_integer_is_told_not_refused():
    whole = found({"a": changed((1, 2, 1), (0, 3, 2))}, float={"a": A})
    comparison = whole.comparison("float", "integer")
    assert whole.equal
    assert whole.first is None
    assert not comparison.equal
    assert comparison.rows[0].differences == 2
    assert comparison.rows[0].rate_error == 2 / 10
    assert str(comparison) == (
        "the float network and the reference: 8.333% of outputs differ by rounding; first"
        " difference: sample 0, step 3, population a, neuron 2: the float network gives 0, the"
        " reference 1"
    )


@pytest.mark.parametrize("pair", [("integer", "lava"), ("library", "float")])
def test_a_broken_promise_has_its_place(pair):
    runs = {run: {"a": A} for run in ("library", "float", "integer", "lava")}
    runs |= {pair[1]: {"a": changed((1, 2, 1))}}
    whole = verify_runs(integer_chain(1, 3), runs, {}, {})
    assert not whole.equal
    assert whole.first == Difference(1, 2, "a", 1, pair[0], 0, pair[1], 1)
    assert [c.broken for c in whole.comparisons] == [pair[0] == "library", False, pair[1] == "lava"]


def test_the_first_difference_is_the_earliest_of_the_network():
    """Own step 2 of the second layer is a step of the network after own step 2 of the first."""
    for own_step, first in ((2, "a"), (0, "b")):
        lava = {"a": changed((0, 2, 2)), "b": changed((0, own_step, 1))}
        whole = found(
            {"a": A, "b": A}, names="ab", lava=lava, missing={"library": "", "float": "-"}
        )
        assert whole.first.population == first


def test_a_rate_error_needs_a_rate():
    silent = {"a": np.zeros_like(A)}
    assert found({"a": A}, float=silent).comparison("float", "integer").rows[0].rate_error is None


def test_populations_of_one_run_alone_are_left_out():
    comparison = found({"a": A, "b": A}, names="ab", float={"b": A}).comparison("float", "integer")
    assert [row.population for row in comparison.rows] == ["b"]


def test_potentials_of_a_readout_are_compared_in_the_unit_of_the_floats():
    network = chain(3, 2, neuron=Readout(1.0, 0.1), weight=0.3)
    x = spikes(network, 3, 8)
    program = snncompile.compile(network, chip=LOIHI2, calibration=x)
    row = program.verify(x, lava=False).comparison("float", "integer").rows[0]
    assert row.differences is None
    assert 0 < row.rate_error < 0.01  # a leak rounds to 1/4096; in another unit it is off by far


@pytest.mark.parametrize("seed", range(4))
def test_a_saved_program_verifies_as_before(seed, tmp_path):
    network = random_network(seed)
    program = snncompile.compile(network, chip=LOIHI2)
    program.save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    x = spikes(network, 2, 6)
    assert str(again.source) == str(network)
    assert again.verify(x, lava=False) == program.verify(x, lava=False)
    json.dumps(serialize_verification(again.verify(x, lava=False)), allow_nan=False)
    assert tabulate_verification(again.verify(x, lava=False)).row_count == len(network.populations)


def test_a_program_of_integers_has_no_float_network():
    program = snncompile.compile(integer_chain(2, 1), chip=LOIHI2)
    x = spikes(program.network, 2, 3)
    library, rounding, _ = program.verify(x, lava=False).comparisons
    assert library.missing == rounding.missing == "the network came as integers"
    with pytest.raises(InputError) as error:
        program.verify(x, model=object(), lava=False)
    assert str(error.value) == (
        "this Program was compiled from integers, which no library runs; verify it without a model"
    )


def test_a_changed_source_is_refused(tmp_path):
    program = snncompile.compile(chain(2, 1), chip=LOIHI2)
    other = dataclasses.replace(program, source=chain(2, 1, weight=2.0))
    other.save(tmp_path / "build")
    with pytest.raises(InputError) as error:
        snncompile.load(tmp_path / "build")
    assert str(error.value) == (
        f"{tmp_path / 'build'}: the source network was changed after it was compiled"
    )
    assert folder.read_folder(tmp_path / "build", "program.json")[0]["source"]["numbers"] == "float"
