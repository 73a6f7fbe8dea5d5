"""A network, spikes for it and the command line, as a user has them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from snncompile.cli import main as cli
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def snncompile_command(capsys, monkeypatch, tmp_path):
    """Run the command line in an empty folder; return exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        monkeypatch.setattr("sys.argv", ["snncompile", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def small_network(sources: int = 12, hidden: int = 6, outputs: int = 3) -> Network:
    rng = np.random.default_rng(7)
    neuron = CubaLif(1.0, 0.1, 1.0, reset="delayed_soft")
    return Network(
        Input("input", (sources,)),
        (Population("hidden", (hidden,), neuron), Population("output", (outputs,), neuron)),
        (
            Projection("input", "hidden", dense(rng.normal(0.1, 0.5, (hidden, sources)))),
            Projection("hidden", "output", dense(rng.normal(0.2, 0.6, (outputs, hidden)))),
        ),
        "output",
        title="small",
    )


@pytest.fixture
def network() -> Network:
    return small_network()


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with the network, spikes and `build`, the network compiled for loihi2: made once."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(3)
    x = (rng.random((8, 10, 12)) < 0.3).astype(np.uint8)
    np.savez(folder / "x.npz", x=x, label=rng.integers(0, 3, 8))
    small_network().save(folder / "network")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "compile network --chip loihi2 --calibration x.npz -o build"
        patch.setattr("sys.argv", ["snncompile", *words.split()])
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.main()
    return folder


@pytest.fixture
def spikes(made, tmp_path) -> Path:
    """An input file of 8 samples, 10 steps, 12 lines, with labels."""
    return Path(shutil.copy(made / "x.npz", tmp_path))


@pytest.fixture
def build(made, tmp_path, snncompile_command) -> Path:
    """The network compiled for loihi2, and the folder it was compiled from."""
    shutil.copytree(made / "network", tmp_path / "network")
    return shutil.copytree(made / "build", tmp_path / "build")


@pytest.fixture
def net_file(tmp_path):
    """Write a lava-dl .net file with one dense layer of the given weights."""

    def write(weight: np.ndarray, name: str = "network.net") -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            layer = file.create_group("layer/0")
            layer["type"] = np.array([b"dense"])
            layer["shape"] = np.array([weight.shape[0]])
            layer["inFeatures"], layer["outFeatures"] = weight.shape[1], weight.shape[0]
            layer["weight"] = weight.astype(np.float32)
            neuron = layer.create_group("neuron")
            neuron["type"] = b"CUBA"
            neuron["iDecay"], neuron["vDecay"], neuron["vThMant"] = 1024, 128, 80
            neuron["refDelay"], neuron["gradedSpike"] = 1, False
        return path

    return write
