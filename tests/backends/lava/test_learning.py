"""Networks that learn on real Lava, from the written folder: spikes and all that was learned."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from plastic_networks import PAIRS, layers, rewarded, show

import snncompile
from snncompile.backends.lava import environment
from snncompile.backends.lava.emit import emit, write_folder
from snncompile.backends.lava.run import run_folder
from snncompile.errors import BackendError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.plastic import adopt_states, freeze_learning, restart_learning
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.reference.backend import spike_trains
from snncompile.reference.learning.run import run_learning
from snncompile.synapses.dense import dense

MAKE = {
    "layers": layers,
    "biased": lambda rng: layers(rng, bias=95),
    "rewarded": rewarded,
}


def densify(network, state, number, values):
    """Return an array of our synapses as a matrix."""
    return network.projections[number].synapses.wiring.matrix(values).toarray()


@pytest.mark.lava
@pytest.mark.parametrize("name", MAKE)
def test_lava_learns_what_the_reference_learns(name):
    rng = np.random.default_rng(3)
    network = MAKE[name](rng)
    x = show(rng, network)
    populations = [p.name for p in network.populations]
    ours = run_learning(network, x, populations)
    on_lava = run_folder(network, x, ["--all", "--weights-every", "2"])
    for population in populations:
        wanted = ours.outputs[population]
        assert wanted.any()
        assert (on_lava[f"spikes.{population}"].reshape(wanted.shape) == wanted).all(), population
    for number, state in ours.states.items():
        before = network.projections[number].synapses.weight
        assert (state.weight != before).any()
        for key, values in (("weights", state.weight), ("tag_1", state.tag)):
            wanted = densify(network, state, number, values)
            assert (on_lava[f"learned.{number}.{key}"] == wanted).all(), (number, key)
        for k in range(2):
            assert (on_lava[f"learned.{number}.x{k + 1}"] == state.pre[k]).all()
        for k in range(3):
            assert (on_lava[f"learned.{number}.y{k + 1}"] == state.post[k]).all()
    number = network.number(network.plastic[0])
    half = run_learning(network, x[:2], []).states[number]
    assert (on_lava[f"learned.{number}.weights.2"] == half.weight).all()


def test_the_written_program_is_golden(golden):
    network = layers(np.random.default_rng(3), bias=95)
    golden(emit(network).texts["network.py"])


def test_a_learned_network_is_not_written():
    rng = np.random.default_rng(3)
    network = layers(rng)
    learned = adopt_states(network, dict(network.run(show(rng, network)).learned))
    with pytest.raises(BackendError) as error:
        emit(learned)
    assert str(error.value) == (
        "projection input -> h: it has learned for 44 steps, and Lava's generators and traces"
        " always begin anew; emit program.restart_learning(), which does so too, or the Program"
        " from before"
    )


@pytest.mark.lava
def test_lava_goes_on_from_learned_weights():
    """With tags, traces and random numbers of a first run; odd weights stay odd."""
    rng = np.random.default_rng(3)
    network = layers(rng)
    x = show(rng, network)
    learned = adopt_states(network, dict(network.run(x[:1]).learned))
    again = restart_learning(learned)
    starts = [again.projections[n].synapses.weight for n in (0, 2)]
    assert any((start % 2).any() for start in starts)
    ours = run_learning(again, x, ["h", "o"])
    assert ours.outputs["h"].any()
    assert (ours.states[0].weight != starts[0]).any()
    on_lava = run_folder(again, x, ["--all"])
    for name, wanted in ours.outputs.items():
        assert (on_lava[f"spikes.{name}"].reshape(wanted.shape) == wanted).all(), name
    for number, state in ours.states.items():
        wanted = densify(again, state, number, state.weight)
        assert (on_lava[f"learned.{number}.weights"] == wanted).all(), number


def spoil(**values):
    """Return the layers with another sparse projection."""
    network = layers(np.random.default_rng(3))
    return replace(
        network, projections=(*network.projections[:2], replace(network.projections[2], **values))
    )


def test_what_lava_cannot_compute_is_refused():
    with pytest.raises(BackendError) as error:
        emit(spoil(rule=PAIRS.change(dw="x0*w")))
    assert str(error.value) == (
        "projection h -> o: Lava's LearningSparse fails on a rule that reads w; use a dense wiring"
    )
    with pytest.raises(BackendError) as error:
        emit(spoil(rule=PAIRS.change(sign="positive")))
    assert str(error.value) == (
        "projection h -> o: Lava's LearningSparse fails on positive weights; use a dense wiring"
    )
    synapses = layers(np.random.default_rng(3)).projections[2].synapses
    with pytest.raises(BackendError) as error:
        emit(spoil(synapses=replace(synapses, weight=0 * synapses.weight)))
    assert str(error.value) == (
        "projection h -> o: Lava's LearningSparse drops synapses whose weight is 0 at the start;"
        " give them another weight, or leave them out of the wiring"
    )


def test_a_target_that_starts_with_time_itself_is_refused():
    network = layers(np.random.default_rng(3))
    earlier = [replace(p, phase=p.phase - 1) for p in network.populations]
    network = replace(network, populations=tuple(earlier))
    with pytest.raises(BackendError) as error:
        emit(network)
    assert str(error.value) == (
        "projection input -> h: synapses that learn work a step before their neurons, which start"
        " in step 0; compile the network, or give them phase 1 and every projection to them one"
        " step more"
    )


@pytest.mark.lava
@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("delays", [(1,), (2,), (1, 1), (0, 2)])
def test_delays_of_the_source_network(delays, epoch):
    """A delay of one step or more would let the target start with time itself."""
    rng = np.random.default_rng(len(delays) + epoch)
    rule = LearningRule(
        "2^-6*y0*x1 - 2^-7*x0*y1 + 2^-7*u0*x1",
        x1_impulse=20, x1_tau=5, y1_impulse=20, y1_tau=5, limit=1.0, epoch=epoch,
    )  # fmt: skip
    names = ["input", "h", "o"] if len(delays) > 1 else ["input", "o"]
    projections = [
        Projection(source, target, dense(rng.uniform(0.1, 0.5, (5, 5))), delay)
        for source, target, delay in zip(names[:-1], names[1:], delays, strict=True)
    ]
    projections[-1] = replace(projections[-1], rule=rule)
    neuron = CubaLif(0.6, 0.3, 0.4)
    network = Network(
        Input("input", (5,)),
        tuple(Population(name, (5,), neuron) for name in names[1:]),
        tuple(projections),
        "o",
    )
    x = (rng.random((3, 12, 5)) < 0.4).astype(np.uint8)
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.network.phase("o") >= 1
    verification = program.verify(x)
    assert verification.equal, str(verification)


def test_spike_trains_of_a_network_that_learns():
    rng = np.random.default_rng(3)
    network = layers(rng)
    trains = spike_trains(network, show(rng, network))
    assert {name: train.shape for name, train in trains.items()} == {
        "h": (4, 11, 5),
        "o": (4, 11, 4),
        "learned.0": (5, 6),
        "learned.2": (6,),
    }


@pytest.mark.lava
def test_weights_are_read_after_samples_where_there_are_some(tmp_path):
    rng = np.random.default_rng(3)
    learns, still = tmp_path / "learns", tmp_path / "still"
    network = layers(rng)
    write_folder(network, learns)
    write_folder(freeze_learning(network), still)
    np.savez(tmp_path / "x.npz", x=show(rng, network))

    def run(folder, every):
        words = ["--input", "x.npz", "--output", "y.npz", "--weights-every", every]
        command = [environment.locate_python(), folder / "run.py", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stderr.splitlines()[-1]

    for every in ("-1", "0"):
        assert run(learns, every) == (1, f"--weights-every must be 1 or more, got {every}")
    code, error = run(still, "2")
    assert (code, error.split(": ", 1)[1]) == (
        2,
        "error: unrecognized arguments: --weights-every 2",
    )
    assert not (tmp_path / "y.npz").exists()
