"""Written Lava folders, run on real Lava and compared with the reference."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np

from snncompile.backends.lava import environment
from snncompile.backends.lava.folder import LavaFolder, write_to
from snncompile.ir.graph import IntegerNetwork
from snncompile.reference.backend import spike_trains


def run_folder(
    emitted: LavaFolder,
    network: IntegerNetwork,
    x: np.ndarray,
    folder: Path,
    *more: str,
    path: str = "",
) -> dict[str, np.ndarray]:
    """Return the output of every population in a written folder, (samples, steps, neurons)."""
    write_to(folder / "made", emitted)
    np.savez(folder / "x.npz", x=x)
    files = ["--input", str(folder / "x.npz"), "--output", str(folder / "out.npz")]
    command = [environment.locate_python(), "-s", "run.py", *files, "--all", *more]
    done = subprocess.run(
        command,
        cwd=folder / "made",
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("Loihi2HwCfg" in done.stdout) == bool(more)
    with np.load(folder / "out.npz") as out:
        return {
            p.name: out[f"spikes.{p.name}"].reshape(*x.shape[:2], p.size)
            for p in network.populations
        }


def check_equal(network: IntegerNetwork, x: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
    for name, expected in spike_trains(network, x).items():
        wrong = np.argwhere(outputs[name] != np.asarray(expected))
        assert not wrong.size, f"{name} differs first at {wrong[0]}, {len(wrong)} times"
        assert np.count_nonzero(expected), f"{name} sends nothing, so nothing was compared"
