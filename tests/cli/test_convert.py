"""`snncompile convert` and `present`: from a model in a file to a Program's spikes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import snncompile
from snncompile.cli.main import app
from snncompile.errors import InputError

MODEL = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3))

def nothing():
    return 3
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    x = np.random.default_rng(0).integers(0, 256, (30, 3, 3))
    np.savez(tmp_path / "x.npz", x=x, label=np.zeros(30, np.int64))
    return tmp_path


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_convert_present_compile_run(files):
    said = run(
        "convert", f"{files}/model.py:build", "--calibration", files / "x.npz", "-o", files / "net",
        "--method", "bistable_phase", "--steps", 6,
    )  # fmt: skip
    assert "6 steps per layer, 12 in all" in said
    run("present", files / "net", files / "x.npz", "-o", files / "shown.npz", "--samples", 9)
    run(
        "compile", files / "net", "--chip", "loihi2", "--calibration", files / "shown.npz",
        "-o", files / "build",
    )  # fmt: skip
    program = snncompile.load(files / "build")
    assert program.network.input.coding == snncompile.load(files / "net").input.coding
    assert "input is shown as constant, a payload of 1 is 1" in "\n".join(program.log)
    again = files / "again.npz"
    run("present", files / "build", files / "x.npz", "-o", again, "--samples", 9)
    assert (np.load(again)["x"] == np.load(files / "shown.npz")["x"]).all()
    run("run", files / "build", "--input", files / "shown.npz")


def convert(files, *options) -> str:
    return run(
        "convert", f"{files}/model.py:build", "--calibration", files / "x.npz", "-o", files / "net",
        *options,
    )  # fmt: skip


def test_auto_keeps_to_the_budget_of_the_command(files):
    rows = [line.split("│")[1:-1] for line in said_lines(files, "--max-steps", 20)]
    rows = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert list(rows) == [
        "graded 8 bits", "graded bits by sums", "graded 6 bits", "graded 5 bits", "graded 4 bits",
        "bistable_phase", "signed calibrated", "balance calibrated", "bistable_rate",
    ]  # fmt: skip
    steps, in_all, agrees, _, spikes, cores, energy, _ = rows["bistable_phase"]
    assert (steps, in_all, cores) == ("8", "18", "1")
    assert agrees.endswith("%")
    assert int(spikes) > 0
    assert energy.endswith(" uJ")
    assert sum(row[-1] == "taken" for row in rows.values()) == 1
    said = convert(files, "--method", "auto", "--max-loss", 0.5, "--chip", "loihi1")
    assert [line for line in said.splitlines() if "balance calibrated │     8 │     10 │" in line]
    assert "convert: Balance(" in said


def said_lines(files, *options) -> list[str]:
    said = convert(files, "--method", "auto", *options)
    return [line for line in said.splitlines() if line.startswith("│")]


def test_auto_tries_every_method_for_the_fewest_spikes(files):
    options = ("--method", "auto", "--aim", "spikes", "--max-loss", 0.1, "--json")
    rows = json.loads(convert(files, *options))["tried"]
    assert len({row["method"] for row in rows}) == 9
    fewest = min(row["spikes"] for row in rows if not row["reason"])
    assert [row["spikes"] for row in rows if row["taken"]] == [fewest]


def test_auto_tells_what_it_tried_as_json(files):
    said = json.loads(convert(files, "--method", "auto", "--max-steps", 4, "--json"))
    assert [row["method"] for row in said["tried"]][:2] == ["graded 8 bits", "graded bits by sums"]
    assert [row["taken"] for row in said["tried"]].count(True) == 1


def test_auto_without_time_is_one_line(files):
    result = CliRunner().invoke(
        app,
        ["convert", f"{files}/model.py:build", "--calibration", str(files / "x.npz"), "-o",
         str(files / "net"), "--method", "auto", "--time", "1e-9"],
    )  # fmt: skip
    assert str(result.exception) == (
        "nothing keeps to 2.0% other answers on loihi2, the time is over before the first"
        " candidate; give more seconds"
    )
    assert not (files / "net").exists()


@pytest.mark.parametrize("method", ["signed", "balance", "bistable_rate", "bistable_phase"])
def test_a_method_works_with_its_defaults(files, method):
    said = " ".join(convert(files, "--method", method).split())
    steps = 8 if method == "bistable_phase" else 32
    assert f", {steps} steps per layer" in said
    network = snncompile.load(files / "net")
    x = network.input.present(np.load(files / "x.npz")["x"][:5])
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.run(x).spikes.any()


def test_bits_of_messages_by_sums(files):
    convert(files, "--method", "graded", "--message-bits", "sums")
    assert snncompile.load(files / "net").populations[0].neuron.payload.high > 255


def test_calibrated_biases(files):
    said = convert(files, "--steps", 4, "--calibrate-bias")
    assert "biases calibrated on 30 samples" in said
    assert "biases calibrated" not in convert(files, "--steps", 4)


def test_diagnosis_says_a_line_per_layer(files):
    said = convert(files, "--steps", 8, "--diagnose", 20)
    (line,) = [line for line in said.splitlines() if line.startswith("layer_2: ")]
    assert line.startswith("layer_2: cosine 0.9")
    assert " dead, " in line
    (row,) = json.loads(convert(files, "--steps", 8, "--diagnose", 20, "--json"))["layers"]
    assert row["layer"] == "layer_2"
    assert f"cosine {row['cosine']:.4f}, error {row['error']:.1%}" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--max-steps", 9, "--chip", "loihi2"),
            "--max-steps and --chip are for --method auto, which searches within limits; signed"
            " takes --steps",
        ),
        (
            ("--chip", "loihi2"),
            "--chip is for --method auto, which compiles its candidates; here the chip is chosen by"
            " `snncompile compile --chip`",
        ),
        (
            ("--method", "auto", "--steps", 9),
            "auto chooses steps and options itself; drop --steps and --calibrate-bias",
        ),
        (
            ("--method", "bistable_phase", "--calibrate-bias"),
            "bistable_phase has no biases to calibrate; balance and signed have",
        ),
        (
            ("--method", "graded", "--message-bits", "many"),
            "graded: bits must be between 1 and 8 or 'sums', got 'many'",
        ),
        (("--method", "auto", "--coding", "rate"), "auto chooses the coding with the method;"),
    ],
)
def test_options_that_do_not_go_together(files, options, message):
    with pytest.raises(InputError) as error:
        convert(files, *options)
    assert str(error.value).startswith(message)
    assert not (files / "net").exists()


def test_mistakes_are_one_line(files):
    for model, message in [
        (
            "model.py",
            "model.py: a function makes the model to convert; give file.py:function or a .onnx"
            " file",
        ),
        (f"{files}/model.py:nothing", "from_ann needs the trained torch module itself, got int"),
    ]:
        with pytest.raises(InputError) as error:
            run("convert", model, "--calibration", files / "x.npz", "-o", files / "net")
        assert message in str(error.value)
