"""Ctrl-C in every command: at once, exit 130, no traceback, nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

ENTRY = [sys.executable, "-m", "snncompile", "--log-level", "debug"]
ANN = """
import torch
def build():
    return torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
"""
MODULE = """
import numpy as np
import torch
from snncompile.training import Lif
def build():
    torch.manual_seed(0)
    x = (np.random.default_rng(0).random((4000, 200, 12)) < 0.3).astype(np.uint8)
    layers = torch.nn.Linear(12, 64), Lif(0.1), torch.nn.Linear(64, 3), Lif(0.1)
    return torch.nn.Sequential(*layers), x
"""
# The command, and what its log says when it is at work; each works for long.
LONG = {
    "run": ("run build --input long.npz -o y.npz", "reference: "),
    "estimate": ("estimate build --input long.npz --csv t.csv", "reference: "),
    "compare": ("compare build build --input long.npz", "reference: "),
    "verify": ("verify build --input long.npz --no-lava --samples 12000", "comparing runs: "),
    "check": ("check build --accuracy-above 0 --input long.npz", "reference: "),
    "report": ("report build --input long.npz --samples 12000 -o r.html", "report: "),
    "compile": ("compile module.py:build --chip loihi2 -o new", "comparing with the module, 2"),
    "compile, quantize": (
        "compile network --chip loihi2 --calibration long.npz -o new", "compile: measure",
    ),
    "fit": ("fit network --chip loihi2 --input long.npz", "fit network: loihi2: "),
    "convert": (
        "convert ann.py:build --calibration images.npz --calibrate-bias -o net", "running the model"
    ),
    "present": ("present build long.npz -o p.npz", "encoding long.npz"),
    "encode": ("encode images.npz --steps 2000 -o e.npz", "encoding images.npz"),
    "demo": ("demo", "training "),
}  # fmt: skip
# These may have ended before the signal reaches them.
SHORT = {
    "show": ("show build", "reading build"),
    "show --map": ("show build --map --json", "reading build"),
    "emit": ("emit build -o lava", "writing lava"),
    "emit nir": ("emit build --backend nir -o x.nir", "writing x.nir"),
}


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    """A folder with a Program, long input and models."""
    folder = tmp_path_factory.mktemp("interrupt")
    rng = np.random.default_rng(0)
    for name in ("build", "network"):
        shutil.copytree(made / name, folder / name)
    x = (rng.random((12000, 400, 12)) < 0.3).astype(np.uint8)
    np.savez(folder / "long.npz", x=x, label=rng.integers(0, 3, 12000))
    np.savez(folder / "images.npz", x=rng.integers(0, 255, (40000, 12)).astype(np.uint8))
    (folder / "ann.py").write_text(ANN)
    (folder / "module.py").write_text(MODULE)
    return folder


def interrupt(folder, words, marker):
    """Start a command, send Ctrl-C when it is at work; return exit code, log and seconds."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [*ENTRY, *words.split()], cwd=folder, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if marker in line:
                    break
            else:
                pytest.fail(f"{words}: ended before it said {marker!r}: {''.join(lines)}")
            begun = time.perf_counter()
            process.send_signal(signal.SIGINT)
            lines += process.stderr.readlines()
            code = process.wait()
        finally:
            process.kill()
    return code, "".join(lines), time.perf_counter() - begun


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_at_once_with_130(name, folder):
    before = sorted(os.listdir(folder))
    code, log, seconds = interrupt(folder, *LONG[name])
    assert code == 130, log
    assert "Traceback" not in log
    assert sorted(os.listdir(folder)) == before
    assert seconds < 30  # at once, on a machine that is busy with other tests


@pytest.mark.parametrize("name", SHORT)
def test_ctrl_c_in_a_short_command(name, folder, tmp_path):
    shutil.copytree(folder / "build", tmp_path / "build")
    code, log, _ = interrupt(tmp_path, *SHORT[name])
    assert code in (0, 130), log
    assert "Traceback" not in log
    left = sorted(os.listdir(tmp_path))
    assert not [entry for entry in left if entry.startswith(".")]
    if code == 130:
        assert left == ["build"]


def test_ctrl_c_while_the_command_is_imported(tmp_path):
    script = (
        "import builtins, signal, sys\n"
        "real = builtins.__import__\n"
        "def stop(name, *more):\n"
        "    if name == 'typer':\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    return real(name, *more)\n"
        "from snncompile.cli import start\n"
        "builtins.__import__ = stop\n"
        "start.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
