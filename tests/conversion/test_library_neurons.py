"""Conversions of neurons that processes of Lava's own library compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lava_folders import check_equal, run_folder
from torch import nn
from typer.testing import CliRunner

import snncompile
from snncompile.backends.lava.hardware.emit import emit
from snncompile.backends.lava.hardware.plan import plan_network
from snncompile.cli.main import app
from snncompile.conversion.library_neurons import use_library_neurons
from snncompile.conversion.sigma_delta import SigmaDeltaMessages
from snncompile.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 1, 6, 6)).astype(np.float64)


def make_model(activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    torch.manual_seed(1)
    layers = (nn.Conv2d(1, 3, 3, padding=1), activation(), nn.Flatten(), nn.Linear(108, 8))
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(8, 4))
    model[0].weight.data /= 128
    return model.eval()


def make_stream() -> np.ndarray:
    return np.stack([np.roll(IMAGES, shift, -1) for shift in (1, 1, 0)], axis=1)


def list_kinds(network) -> list[str]:
    return [p.neuron.kind for p in network.populations]


def test_sums_of_changes_follow_the_model():
    """What a neuron has not sent is less than its threshold; here every change is sent."""
    model = make_model()
    network = snncompile.from_ann(model, IMAGES, method="sigma_delta", processes="library")
    assert list_kinds(network) == ["delta", "sigma_delta", "sigma_delta", "sigma"]
    x = make_stream()
    with torch.no_grad():
        wanted = model(torch.tensor(x[:, -1], dtype=torch.float32)).numpy()
    found = network.run(x).spikes[:, -1].reshape(wanted.shape)
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()
    other = snncompile.from_ann(model, IMAGES, method="sigma_delta").run(x).spikes[:, -1]
    assert np.abs(found - other.reshape(wanted.shape)).max() < 0.02 * np.abs(wanted).max()


def test_tables_stay_what_they_are():
    network = snncompile.from_ann(
        make_model(nn.Sigmoid), IMAGES, method="sigma_delta", processes="library"
    )
    assert list_kinds(network) == ["delta", "graded_delta", "sigma_delta", "sigma"]
    x = make_stream()
    other = snncompile.from_ann(make_model(nn.Sigmoid), IMAGES, method="sigma_delta").run(x).spikes
    assert np.abs(network.run(x).spikes - other).max() < 0.05 * np.abs(other).max()


def test_a_message_that_may_be_negative_stays_what_it_is():
    network = snncompile.from_ann(make_model(), IMAGES, method="sigma_delta")
    changes, first, *others = network.populations
    first = replace(first, neuron=replace(first.neuron, lowest=np.asarray(-5.0)))
    network = use_library_neurons(replace(network, populations=(changes, first, *others)))
    assert list_kinds(network) == ["delta", "graded_delta", "sigma_delta", "sigma"]


def test_rates_have_hard_resets():
    network = snncompile.from_ann(make_model(), IMAGES, method="balance", processes="library")
    assert {getattr(p.neuron, "reset", "hard") for p in network.populations} == {"hard"}
    assert network.notes[-1] == (
        "convert: Lava's library has no process for layer_5 (window_readout): written for Loihi 2,"
        " these need microcode, as layers behind them may"
    )


def test_convolutions_of_graded_messages_have_no_exponent():
    network = snncompile.from_ann(make_model(), IMAGES, method="graded", processes="library")
    assert network.notes[-1] == (
        "convert: Lava's library has no process for layer_1 (graded/scaled), layer_4"
        " (graded/scaled), layer_5 (window_readout): written for Loihi 2, these need microcode, as"
        " layers behind them may"
    )
    x = network.input.present(IMAGES)
    program = snncompile.compile(network, chip="loihi2", calibration=x, processes="library")
    fits = plan_network(program.network, 1).synapses
    assert [(fit.process.name, fit.remark) for fit in fits][:1] == [("Conv", "")]
    usual = snncompile.compile(network, chip="loihi2", calibration=x)
    assert usual.network.projections[0].synapses.exponent != 0
    for found in (program, usual):
        assert (found.run(x).prediction == network.run(x).prediction).mean() > 0.9


CONVERTED = [
    ("balance", nn.ReLU),
    ("graded", nn.ReLU),
    ("graded", nn.Sigmoid),
    ("sigma_delta", nn.ReLU),
    ("sigma_delta", nn.Sigmoid),
]


@pytest.mark.parametrize("method, activation", CONVERTED)
def test_the_note_names_what_the_backend_writes_as_microcode(method, activation):
    model = make_model(activation)
    network = snncompile.from_ann(model, IMAGES, method=method, processes="library")
    x = network.input.present(make_stream() if method == "sigma_delta" else IMAGES)
    program = snncompile.compile(network, chip="loihi2", calibration=x, processes="library")
    neurons = plan_network(program.network, x.shape[1]).neurons
    needed = {name: neuron.obstacle for name, neuron in neurons.items() if neuron.obstacle}
    note = " ".join(note for note in network.notes if "has no process for" in note)
    noted = {p.name for p in network.populations if f"{p.name} (" in note}
    assert noted <= needed.keys()
    for name in needed.keys() - noted:  # a layer behind, which hears a table's value of 0
        assert "fires before its first own step" in needed[name]


def compile_stream():
    method = SigmaDeltaMessages(least=4, least_input=4)
    network = snncompile.from_ann(make_model(), IMAGES, method=method, processes="library")
    x = network.input.present(make_stream())
    return snncompile.compile(network, chip="loihi2", calibration=x, processes="library"), x


def test_nothing_needs_microcode():
    program, _ = compile_stream()
    plan = plan_network(program.network, 3)
    assert [n.obstacle for n in plan.neurons.values()] == [""] * 4
    assert [n.fit.remarks for n in plan.neurons.values()] == [()] * 4
    assert [fit.process.name for fit in plan.synapses] == ["Sparse", "Conv", "Dense", "Dense"]
    assert [fit.remark for fit in plan.synapses] == [""] * 4
    assert [p.synapses.sum_bits for p in program.network.projections] == [None, 24, None, None]


@pytest.mark.lava
def test_equal_on_lava(lava, tmp_path):
    program, x = compile_stream()
    x = np.asarray(x[:2])
    folder = emit(program.network, x.shape[1], "made")
    check_equal(program.network, x, run_folder(folder, program.network, x, tmp_path))


REFUSED = [
    ("sigma_delta", "some", "processes must be 'any' or 'library', got 'some'"),
    *(
        (
            method,
            "library",
            f"{method}: no process of Lava's library computes its neurons; with processes='library'"
            " take method='balance' or 'sigma_delta' ('graded' for its convolutions)",
        )
        for method in ("signed", "bistable_rate", "bistable_phase")
    ),
    ("auto", "library", "auto chooses its neurons itself; leave out processes, or name a method"),
]


@pytest.mark.parametrize("method, processes, message", REFUSED)
def test_refuses(method, processes, message):
    with pytest.raises(InputError) as error:
        snncompile.from_ann(make_model(), IMAGES, method=method, processes=processes)
    assert str(error.value) == message


def test_on_the_command_line(tmp_path):
    (tmp_path / "model.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 2))\n"
    )
    np.savez(tmp_path / "x.npz", x=IMAGES)
    command = ["convert", f"{tmp_path}/model.py:build", "--calibration", f"{tmp_path}/x.npz"]
    more = ["--method", "sigma_delta", "--processes", "library", "-o", f"{tmp_path}/out"]
    done = CliRunner().invoke(app, [*command, *more])
    assert done.exit_code == 0, done.output
    assert '"sigma_delta"' in (tmp_path / "out" / "network.json").read_text()
