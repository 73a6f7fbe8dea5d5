"""The studies of docs/sweep.md: they are read, and the page has them as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from snncompile.study.points import list_points
from snncompile.study.read import read_study

ROOT = Path(__file__).parents[2]
STUDIES = {"which_chip": 48, "architect": 24}
"""Name of a study and its points."""


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_of_the_page_is_read(tmp_path, name):
    folder = tmp_path / "sweep"
    shutil.copytree(ROOT / "examples" / "sweep", folder, ignore=shutil.ignore_patterns("*.sweep"))
    (folder / "build").mkdir(exist_ok=True)
    for data in ("calibration", "test"):
        np.savez(folder / "build" / f"{data}.npz", x=np.zeros((2, 1, 8, 8)))
    points = list(list_points(read_study(folder / f"{name}.yaml")))
    assert len(points) == len(set(points)) == STUDIES[name]


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_has_the_study_as_it_is(name):
    page = (ROOT / "docs" / "sweep.md").read_text("utf-8")
    lines = (ROOT / "examples" / "sweep" / f"{name}.yaml").read_text("utf-8").splitlines()
    kept = [line.partition("  #")[0] for line in lines if not line.strip().startswith("#")]
    missing = [line for line in kept if line not in page and not line.startswith(("name", "data"))]
    assert missing in ([], ["calibration: build/calibration.npz"])
