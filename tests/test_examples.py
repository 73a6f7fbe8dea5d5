"""The examples: each model is imported as it is; with `slow`, each script runs to the end."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import snncompile

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*_digits.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_model_of_an_example_is_imported(name, monkeypatch):
    pytest.importorskip("sklearn")
    if name != "torch_digits":
        pytest.importorskip(name.removesuffix("_digits"))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example, digits = importlib.import_module(name), importlib.import_module("digits")
    torch.manual_seed(0)
    module = getattr(example, "Net", None) or example.model
    module = module()
    answers = example.answer(module, torch.tensor(digits.X[:4]).float())
    assert answers.shape == (4, 10)
    network = snncompile.from_torch(module, digits.X[:4])
    assert network.run(digits.X[:2]).spikes.shape == (2, digits.STEPS, 10)


@pytest.mark.parametrize("name", ["chip_aware", "few_steps", "two_microjoules"])
def test_the_model_of_an_example_of_training_has_ten_classes(name, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example, digits = importlib.import_module(name), importlib.import_module("digits")
    if name == "few_steps":
        network = snncompile.from_ann(example.model(), example.IMAGES[:16], "balance", 4)
        output = network.run(network.input.present(example.IMAGES[:2])).spikes
    else:
        output = snncompile.from_torch(example.model(), digits.X[:4]).run(digits.X[:2]).spikes
    assert output.shape == (2, output.shape[1], 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chip_aware", "few_steps", "two_microjoules"])
def test_an_example_of_training_reaches_its_aim(name, tmp_path):
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / f"{name}.py"), str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if name == "chip_aware":
        rounded, trained = re.findall(r"2 bits, .*: +([0-9.]+)%", done.stdout)
        assert float(trained) > float(rounded)
        assert "the module's spikes are the Program's: True" in done.stdout
    elif name == "few_steps":
        converted, trained_on = re.findall(r"on loihi2: ([0-9.]+)%", done.stdout)
        assert float(trained_on) > float(converted)
    else:
        assert float(re.findall(r"weights: ([0-9.]+)%", done.stdout)[-1]) > 85
        program = snncompile.load(tmp_path / "made/program")
        assert float(re.findall(r"([0-9.]+) uJ", done.stdout)[-1]) < 2
        assert program.chip.name == "loihi1"
    assert (tmp_path / "made/lava/run.py").is_file()


def test_the_learning_example_finds_the_lines_that_fire_together(tmp_path):
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(EXAMPLES / "learning.py"),
        str(tmp_path / "made"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (after,) = (line for line in done.stdout.splitlines() if line.startswith("after: "))
    together, others = (
        [float(number) for number in part.split("]")[0].split()] for part in after.split("[")[1:]
    )
    assert min(together) > max(others)
    program = snncompile.load(tmp_path / "made" / "program")
    assert program.network.plastic[0].learned.steps == 60 * 12
    assert (tmp_path / "made" / "lava" / "run.py").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs_to_the_end(name, tmp_path):
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / f"{name}.py"), str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "saved" in done.stdout
    assert (tmp_path / "made/lava/run.py").is_file()
    assert snncompile.load(tmp_path / "made/program").chip.name == "loihi2"
