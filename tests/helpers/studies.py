"""Small studies, and an engine that runs jobs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snncompile.study.drive import Driver, Sweep
from snncompile.study.engine import Failure
from snncompile.study.front import find_front
from snncompile.study.inputs import Inputs
from snncompile.study.read import make_study
from snncompile.study.store import Store
from snncompile.study.trials import Trials, locate_database

SCRIPT = """
import sys
sys.path.insert(0, {helpers!r})
from studies import build_ann
"""


def build_ann() -> nn.Module:
    """Return a small network of 1 x 4 x 4 inputs whose three answers are about equally frequent."""
    draw = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draw, dtype=torch.float64) / 2)
        x = torch.rand(200, 1, 4, 4, generator=draw, dtype=torch.float64)
        model[3].bias -= model(x).mean(0)
    return model.eval()


def write_inputs(folder: Path, samples: int = 24) -> None:
    """Write a script with the network, and data labelled with its answers."""
    rng = np.random.default_rng(3)
    (folder / "ann.py").write_text(SCRIPT.format(helpers=str(Path(__file__).parent)))
    np.savez(folder / "calibration.npz", x=rng.random((12, 1, 4, 4)))
    x = rng.random((samples, 1, 4, 4))
    label = build_ann()(torch.tensor(x)).argmax(1).numpy()
    np.savez(folder / "data.npz", x=x, label=label)


def make_content(**more: Any) -> dict[str, Any]:
    """Return a study of two points that fit and two that do not."""
    return {
        "name": "small",
        "models": {"small": {"ann": "ann.py:build_ann"}},
        "data": "data.npz",
        "calibration": "calibration.npz",
        "chips": ["loihi2", "loihi1"],
        "bits": [4, 8],
        "steps": [4],
        "priced": 2,
    } | more


class InProcess:
    """An engine without processes; a job may fail, and it may be interrupted."""

    dashboard = None

    def __init__(self, stop_after: int | None = None, failing: bool = False) -> None:
        self.stop_after, self.failing, self.ran = stop_after, failing, []

    def run(self, function: Any, jobs: Iterator[Any]) -> Iterator[tuple[str, Any]]:
        """Yield the result of each job."""
        for name, arguments in jobs:
            if self.stop_after is not None and len(self.ran) >= self.stop_after:
                raise KeyboardInterrupt
            self.ran.append(name)
            yield name, Failure("a mistake") if self.failing else function(*arguments)


def run_here(
    folder: Path, content: dict[str, Any], engine: InProcess | None = None, name: str = "driver"
) -> Sweep:
    """Run a study in this process; inputs are in `folder`, results in `folder/study`."""
    study = make_study(content, folder)
    store = Store(folder / "study")
    inputs = Inputs(study, store)
    inputs.check()
    store.create(study.model_dump(mode="json"))
    trials = Trials(study, locate_database(store.folder, None), inputs.hash_all(), name)
    driver = Driver(study, store, engine or InProcess(), trials, inputs, lambda n: n)
    if study.search is None:
        driver.run_grid()
    else:
        driver.run_search(study.search)
    front = find_front(study, list(driver.rows.values()))
    repeated = 0 if study.search is None else trials.count_repeated()
    return Sweep(front, store.folder, tuple(driver.failures), driver.ran, repeated)


def read_results(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every result of a study's folder.

    A process that is killed while it writes may leave a file whose name starts with a dot, which
    nothing reads.
    """
    paths = sorted((folder / "results").glob("[!.]*"))
    return {path.name: path.read_bytes() for path in paths}
