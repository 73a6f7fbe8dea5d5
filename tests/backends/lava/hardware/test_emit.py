"""The folder for a chip as text, and what is refused. Nothing here needs Lava."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from snncompile import compile
from snncompile.backends.lava.hardware.emit import emit, split_into_digits
from snncompile.backends.lava.hardware.resonator_rules import find_turn
from snncompile.backends.lava.hardware.rules import NEAREST as NEAREST_NEURONS
from snncompile.backends.lava.hardware.rules import RULES, find_nearest
from snncompile.cli.main import app
from snncompile.errors import BackendError, InputError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.registry import TABLES
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense

KERNEL = Convolution((2, 4, 4), 3, (3, 3), (1, 1), (1, 1), (1, 1))


@pytest.fixture
def network() -> IntegerNetwork:
    """A convolution, a dense layer with a start of its own, a skip, and a readout."""
    started = IntegerIntegrateFire(200, reset="hard", initial=64 * np.array([3, -2, 0]))
    weight = 2 * np.arange(-27, 27).reshape(KERNEL.weight_shape)
    return IntegerNetwork(
        Input("input", (2, 4, 4)),
        (
            Population("kernel", (3, 4, 4), IntegerCubaLif(1023, 127, 40), phase=1),
            Population("soft", (48,), IntegerCubaLif(1023, 127, 40, reset="soft"), phase=2),
            Population("started", (3,), started, phase=2),
            Population("out", (2,), IntegerReadout(2000, 2000), phase=3),
        ),
        (
            Projection("input", "kernel", IntegerSynapses(KERNEL, weight, 0, 8), 1),
            Projection("kernel", "soft", integer_dense(2 * np.eye(48), 0, 8), 1),
            Projection("kernel", "started", integer_dense(np.full((3, 48), 2), 1, 8), 1),
            Projection("input", "started", integer_dense(np.full((3, 32), -2), 0, 8), 2),
            Projection("started", "out", integer_dense(np.full((2, 3), 8), 0, 8), 1),
            Projection("soft", "out", integer_dense(np.full((2, 48), 8), 0, 8), 1),
        ),
        "out",
        title="a few kinds",
    )


def test_network(network, golden):
    golden(emit(network, 10).texts["network.py"])


def test_readme(network, golden):
    golden(emit(network, 10).texts["README.md"])


def test_it_is_the_same_each_time(network):
    one, two = emit(network, 10), emit(network, 10)
    assert one.texts == two.texts
    assert list(one.arrays) == list(two.arrays)


def test_no_text_says_that_it_runs_on_a_chip(network):
    for text in emit(network, 10).texts.values():
        assert "runs on Loihi" not in text
    assert "Nothing here was run on a chip" in emit(network, 10).texts["README.md"]


def test_every_rule_is_about_a_neuron():
    assert set(RULES) <= set(TABLES["neurons"])


def test_networks_that_learn_are_refused(network):
    rule = LearningRule(dw="y0 * x1", x1_impulse=10, x1_tau=5)
    learning = [replace(p, rule=rule) for p in network.projections[2:3]]
    others = network.projections
    plastic = replace(network, projections=(*others[:2], *learning, *others[3:]))
    with pytest.raises(BackendError) as error:
        emit(plastic, 10)
    assert str(error.value) == (
        "projection kernel -> started: it learns, and Lava calls its own model of learning"
        " bit-approximate: no equal process to write for a chip; emit it without --for"
    )


@pytest.fixture
def program(tmp_path):
    kernel = Synapses(Dense(2, 3), np.full((2, 3), 0.4))
    neuron = CubaLif(0.5, 0.1, 1.0, reset="hard")
    network = Network(
        Input("input", (3,)),
        (Population("out", (2,), neuron, phase=0),),
        (Projection("input", "out", kernel, 0),),
        "out",
    )
    return compile(network, chip="loihi2")


def test_a_program_is_written_for_hardware(program, tmp_path):
    program.emit(tmp_path / "folder", reader="hardware")
    assert (tmp_path / "folder" / "processes" / "on_chip.py").is_file()
    assert "LIFReset" in (tmp_path / "folder" / "network.py").read_text()


def test_another_reader_is_refused(program, tmp_path):
    with pytest.raises(InputError) as error:
        program.emit(tmp_path / "folder", reader="norse")
    assert str(error.value) == "unknown reader 'norse'; the Lava backend knows hardware"


def test_programs_for_other_chips_are_refused(program, tmp_path):
    other = replace(program, chip=load_chip("loihi1"))
    with pytest.raises(InputError) as error:
        other.emit(tmp_path / "folder", reader="hardware")
    assert str(error.value) == (
        "loihi1: --for hardware prepares programs for Loihi 2; compile with chip='loihi2', or emit"
        " without --for"
    )


def test_the_command_writes_it(program, tmp_path):
    program.save(tmp_path / "build")
    arguments = ["emit", str(tmp_path / "build"), "--for", "hardware", "-o"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "folder"), "--json"])
    assert done.exit_code == 0, done.output
    assert "network.py" in json.loads(done.stdout)["files"]


@given(arrays(np.int64, st.integers(1, 5), elements=st.integers(-(2**22), 2**22)))
def test_digits_add_up(values):
    numbers, digits = split_into_digits(values)
    assert (digits @ np.array(numbers) == values).all()
    assert np.abs(digits).max() <= 128
    assert digits.max() <= 127


@given(st.integers(0, 4095), st.integers(0, 4095))
def test_a_period_gives_the_factors_that_lava_makes(sine, cosine):
    turn = find_turn(sine, cosine)
    assert turn is not None
    period, alpha = turn
    angle = np.pi * 2 * 1 / period
    assert np.int32((1 - alpha) * np.sin(angle) * (1 << 12)) == sine
    assert np.int32((1 - alpha) * np.cos(angle) * (1 << 12)) == cosine


V_READ = "readout that stays below the largest threshold (`LIFReset`, v is read)"
NEAREST = [
    (IntegerReadout(0, 3000), True, V_READ),
    (
        IntegerReadout(0, 3000),
        False,
        "accumulate, which keeps nothing from step to step (`GradedVec`)",
    ),
    (
        IntegerCubaLif(1023, 127, 40, initial=64),
        False,
        "cuba_lif/hard that starts at 0 (`LIFReset`)",
    ),
    (
        IntegerCubaLif(1023, 127, 40, reset="soft"),
        False,
        "cuba_lif/hard, which forgets the excess (`LIFReset`)",
    ),
]


@pytest.mark.parametrize("neuron, answers, text", NEAREST)
def test_the_nearest_neuron_has_a_name_and_advice_only_where_it_is_some(neuron, answers, text):
    assert find_nearest(neuron, True, answers) == text
    advice = "" if neuron.name == "readout" and not answers else ', with `processes="library"`'
    assert find_nearest(neuron, False, answers) == text + advice


def test_every_neuron_of_the_rules_has_a_nearest():
    never = {"sigma", "readout"}  # always a Sigma; `find_nearest` has words of its own
    assert set(RULES) - never <= set(NEAREST_NEURONS)


def compile_soft(processes: str, x: np.ndarray | None):
    """Return a Program of two populations, of which the second is no process of the library."""
    neurons = CubaLif(0.5, 0.1, 1.0, reset="soft"), AdaptiveLif(0.5, 0.1, 1.0, 0.2, 0.1)
    weight = np.random.default_rng(0).random((3, 3))
    network = Network(
        Input("input", (3,)),
        (
            Population("soft", (3,), neurons[0], phase=0),
            Population("out", (3,), neurons[1], phase=0),
        ),
        (
            Projection("input", "soft", Synapses(Dense(3, 3), weight), 0),
            Projection("soft", "out", Synapses(Dense(3, 3), weight), 0),
        ),
        "out",
    )
    return compile(network, chip="loihi2", calibration=x, processes=processes)


@pytest.mark.parametrize("processes", ["any", "library"])
def test_the_readme_has_the_losses_of_compile(processes, tmp_path):
    x = (np.random.default_rng(0).random((6, 8, 3)) < 0.5).astype(np.uint8)
    program = compile_soft(processes, x)
    program.emit(tmp_path / "folder", reader="hardware")
    text = (tmp_path / "folder" / "README.md").read_text()
    for row in program.loss.populations:
        assert f"| {row.population} | {row.different:.2%} | {row.rate_error:.2%} |" in text
    assert f"{program.loss}." in text
    assert ('compile it with `processes="library"`' in text) == (processes == "any")
    assert ("- `soft`: " in text) == (processes == "any")


def test_the_readme_says_how_losses_are_measured(tmp_path):
    compile_soft("any", None).emit(tmp_path / "folder", reader="hardware")
    text = (tmp_path / "folder" / "README.md").read_text()
    assert "compile with calibration data, and `compile` measures it for each population." in text
