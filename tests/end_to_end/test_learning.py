"""A float network that learns, compiled: run, gone on, saved, verified on Lava, priced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import snncompile
from snncompile.checker.mapping import check
from snncompile.errors import InputError, MappingError, UnsupportedError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.learning_state import name_weights
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.reference.backend import spike_trains
from snncompile.synapses.dense import dense
from snncompile.verification import verify_runs

RULE = snncompile.stdp(
    learning_rate=2**-9, a_plus=1, a_minus=-1, tau_plus=4, tau_minus=4, limit=1.0
)


def network(hidden: int = 6, rule=RULE) -> Network:
    """Return input 20 -> f 12 -> h, where the second learns."""
    rng = np.random.default_rng(0)
    first = dense(rng.normal(0.2, 0.3, (12, 20)))
    second = dense(rng.uniform(0, 0.5, (hidden, 12)))
    populations = (
        Population("f", (12,), CubaLif(1.0, 0.1, 1.0)),
        Population("h", (hidden,), CubaLif(1.0, 0.2, 1.0)),
    )
    projections = Projection("input", "f", first), Projection("f", "h", second)
    net = Network(Input("input", (20,)), populations, projections, "h")
    return snncompile.plastic(net, "f", "h", rule)


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).random((6, 15, 20)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def program(x):
    return snncompile.compile(network(), chip="loihi2", calibration=x)


def test_the_rule_is_scaled_and_its_error_told(program):
    (projection,) = program.network.plastic
    assert projection.rule.limit is None
    assert projection.synapses.exponent == 3
    layer = program.quantized[1]
    assert 0 < layer.rule_error < 0.05
    assert f"rule of h: largest error of a factor {layer.rule_error:.2%}" in "\n".join(program.log)
    assert program.quantized[0].rule_error is None


def test_a_run_leaves_the_program_alone_and_goes_on(program, x, tmp_path):
    text, meaning = str(program), program.meaning
    whole, first = program.run(x), program.run(x[:4])
    assert (str(program), program.meaning) == (text, meaning)
    learned = program.learned(first)
    second = learned.run(x[4:])
    assert (np.concatenate([first.spikes, second.spikes]) == whole.spikes).all()
    assert (second.learned[1].weight == whole.learned[1].weight).all()
    assert (whole.learned[1].weight != program.network.plastic[0].synapses.weight).any()
    learned.save(tmp_path / "learned")
    again = snncompile.load(tmp_path / "learned")
    assert (again.run(x[4:]).spikes == second.spikes).all()


def test_a_result_without_states_is_refused(program, x):
    result = replace(program.run(x), learned={})
    with pytest.raises(InputError) as error:
        program.learned(result)
    assert str(error.value) == (
        "the result holds no learning states; run the Program with backend reference"
    )


def test_a_result_of_another_program_is_refused(program, x):
    first = program.run(x[:2])
    later = program.learned(first)
    other = snncompile.compile(
        network(rule=RULE.change(seed=2)), chip="loihi2", calibration=x
    )  # of the same shapes
    for one, result in ((later, first), (program, later.run(x)), (other, first)):
        with pytest.raises(InputError) as error:
            one.learned(result)
        assert str(error.value) == (
            "the result is of another Program, or of this one before or after it learned; run this"
            " Program and give its result"
        )


def test_a_result_of_the_same_program_elsewhere_is_taken(program, x, tmp_path):
    program.save(tmp_path / "program")
    again = snncompile.load(tmp_path / "program")
    weight = program.learned(again.run(x)).network.plastic[0].synapses.weight
    assert (weight == again.run(x).learned[1].weight).all()


def test_floats_and_integers_learn_nearly_the_same(program, x):
    floats = program.source.run(x).learned[1].weight
    projection = program.network.plastic[0]
    unit = 2.0**projection.synapses.exponent / program.quantized[1].scale * 64
    integers = program.run(x).learned[1].weight * unit
    assert np.abs(floats - network().projections[1].synapses.weight).max() > 0.2
    assert np.abs(integers - floats).mean() < 0.05


@pytest.mark.lava
def test_lava_learns_the_same_weights(program, x):
    verification = program.verify(x)
    comparison = verification.comparison("integer", "lava")
    assert comparison.equal
    assert comparison.rows[-1].population == "weights f -> h"
    assert comparison.rows[-1].outputs == 72


def test_other_weights_are_shown(program, x):
    trains = spike_trains(program.network, x)
    name = name_weights(1)
    wrong = trains | {name: trains[name] + np.eye(6, 12, dtype=np.int16)}
    missing = {"float": "left out", "library": "left out"}
    verification = verify_runs(program.network, {"integer": trains, "lava": wrong}, missing, {})
    value = int(trains[name][0, 0])
    assert not verification.equal
    assert str(verification.first) == (
        f"weights f -> h after sample 5, synapse 0: the reference gives {value}, Lava {value + 1}"
    )


def silent_loihi1():
    """Return Loihi 1 without the section of synapses that learn."""
    chip = load_chip("loihi1")
    return chip.model_copy(update={"rows": chip.rows.model_copy(update={"learning": None})})


@pytest.mark.parametrize("chip", ["toy", silent_loihi1()], ids=["toy", "silent"])
def test_chips_without_learning_are_refused(chip):
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network(), chip=chip)
    assert str(error.value).startswith("projection f -> h learns: ")
    assert "has no synapses that learn, or its file does not say what they take" in str(error.value)


def test_learning_synapses_take_the_recorded_memory():
    """100 rows of 10 synapses: 600 words in the core tables of EMSTDP; see loihi2.yaml."""
    rng = np.random.default_rng(0)
    wide = Network(
        Input("input", (100,)),
        (Population("h", (10,), CubaLif(1.0, 0.2, 1.0)),),
        (Projection("input", "h", dense(rng.uniform(0, 1, (10, 100)))),),
        "h",
    )
    learns = snncompile.plastic(wide, "input", "h", RULE)
    words = {
        name: snncompile.compile(net, chip="loihi2", steps=9).usage()[0].used["synapse_words"]
        for name, net in (("fixed", wide), ("learns", learns))
    }
    assert words["learns"] == 600
    assert words["fixed"] < 600


def test_the_checker_counts_the_memory_of_learning(program):
    """A mapping whose blocks are those of fixed weights is refused."""
    fixed = snncompile.plastic(program.network, "f", "h", None)
    check(program.network, program.chip, program.mapping)
    with pytest.raises(MappingError):
        check(fixed, program.chip, program.mapping)


def test_updates_have_rows_and_take_time(program, x):
    estimate = program.estimate(x, costs="loihi1_scaled")
    (row,) = [r for r in estimate.rows if r.event == "learning_update"]
    assert (row.layer, row.price_j) == ("h", 120e-12)
    assert 0 < row.count <= 15 * 72 + 72
    assert "counted: synapses whose source or target fired in an epoch" in row.source
    still = snncompile.compile(network(rule=RULE.change(dw="0*x0")), chip="loihi2", calibration=x)
    fewer = still.estimate(x, costs="loihi1_scaled")
    assert estimate.latency_s > fewer.latency_s
    assert "learning" not in estimate.left_out
    low, high = estimate.range.energy_j
    assert low <= estimate.energy_j * (1 + 1e-9)
    assert estimate.energy_j <= high * (1 + 1e-9)
    unknown = program.estimate(x, costs="measured")
    assert "energy of learning_update" in unknown.missing
    assert "time of learning_update" in unknown.missing


def test_processes_of_the_library_do_not_learn(x):
    found = snncompile.compile(network(), chip="loihi2", calibration=x, processes="library")
    line = "processes=library: f -> h learns, so emit --for hardware will refuse this network"
    assert line in found.log
    usual = snncompile.compile(network(), chip="loihi2", calibration=x)
    assert not any("emit --for hardware" in line for line in usual.log)


def test_a_range_says_whose_price_of_learning_it_has(program, x):
    estimate = program.estimate(x, costs="loihi1_scaled")
    assert estimate.range.because == (
        "the lowest and the highest of the measurements behind loihi1_scaled",
        "learning at the price of loihi1_scaled at both ends",
    )
    of_loihi1 = snncompile.compile(network(), chip="loihi1", calibration=x).estimate(x)
    assert of_loihi1.range.because[-1] == (
        "learning at the price of davies2018 at both ends, though sanafe has none"
    )
