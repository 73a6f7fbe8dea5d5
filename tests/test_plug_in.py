"""The package of tests/plug_in, installed from its folder: all that it adds works as ours does.

It was written with CONTRIBUTING.md and docs/writing_a_pass.md alone, and changes nothing here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
DEMO = """size 12
0.6 0.5 -0.2 0.01    threshold 1.0 divisor 2
0.5 0.4              threshold 0.8 divisor 1
"""
LARGE = "size 60\n0.6 0.5    threshold 1.0 divisor 2\n"
WRONG = "size 12\n0.6 0.5    threshold 1.0 divisor 1.5\n"
MAIN = "from snncompile.cli.main import main; main()"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Install the package into a folder, without a network; the source stays as it is."""
    folder = tmp_path_factory.mktemp("plug_in")
    clean = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(HERE / "plug_in", folder / "source", ignore=clean)
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target"]
    done = subprocess.run([*command, folder / "site", folder / "source"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder / "site"


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Make a folder with networks and spikes."""
    folder = tmp_path_factory.mktemp("work")
    for name, text in {"demo": DEMO, "large": LARGE, "wrong": WRONG}.items():
        (folder / f"{name}.rings").write_text(text)
    x = np.random.default_rng(1).random((4, 20, 12)) < 0.5
    np.savez(folder / "x.npz", x=x.astype(np.uint8))
    return folder


def run(path: Path | None, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run Python in a folder, with the installed package on its path or without it."""
    environment = os.environ | {"PYTHONPATH": str(path or "")}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def refusal(path: Path | None, folder: Path, *arguments: str) -> str:
    """Return what the command line prints when it refuses."""
    done = run(path, folder, "-c", MAIN, *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def seen(site, work) -> dict:
    """Compile and use a network in a process that has the package; see tests/helpers."""
    done = run(site, work, HERE / "helpers" / "use_plug_in.py")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_its_chip_is_listed(seen):
    assert "│ pinboard    │ Pinboard, nine cores of strips │ 9 " in seen["printed"]["chips"]


def test_its_pass_is_explained_and_runs_where_the_text_says(seen):
    printed = seen["printed"]
    assert "Make weights zero that are too small to matter." in printed["passes"]
    assert "│ below  │ int  │ 4       │ Smallest magnitude that is kept. │" in printed["passes"]
    assert seen["log"][2:5] == [
        "prune: nothing is dead",
        "drop_small_weights: dropped 1 weights",
        "accumulate: no relays added",
    ]
    assert "\nprojection input -> ring1 ring 12x12 weight=[-80 .. 240]" in seen["after_pass"]


def test_its_file_is_read_and_written(seen):
    assert seen["wirings"] == ["ring", "ring"]
    assert seen["neurons"][0] == "divide_fire threshold=400 divisor=2"
    first, ring1, ring2 = seen["emitted"].splitlines()
    assert (first, ring1) == ("size 12", f"240 200 -80 0    {seen['neurons'][0]}")
    assert ring2.endswith(f"    {seen['neurons'][1]}")


def test_its_state_is_bounded(seen):
    assert seen["bounds"] == ["accumulator", "v", "count"]


def test_its_network_runs_equal_on_the_compiled_way_and_step_by_step(seen):
    assert seen["equal"] == [True] * 3
    assert seen["spikes"]["ring1"] > seen["spikes"]["ring2"] > 0


def test_its_network_is_shown_fitted_and_priced(seen):
    assert "│ ring1 │ divide_fire │      12 │     3 │" in seen["printed"]["show"]
    assert "│        4 / 5 │    0 / ? │       16 / 16 │" in seen["printed"]["show"]
    # One core more than with the pass: every neuron of ring1 has a fifth word.
    assert "│ pinboard │ as it is │     7 │" in seen["printed"]["fit"]
    energy = seen["estimates"]
    assert 1e-8 < energy["fast"] < 1e-7
    assert energy["fast"] <= energy["cycle"] < 1.1 * energy["fast"]


def test_its_words_are_written(seen):
    """A head and a word per weight: 4 neurons of 3 weights, 5 of 2, and the last 2 neurons."""
    assert seen["words"] == [
        *([core, 4 * (1 + 3), "strips"] for core in (0, 1, 2)),
        *([core, 5 * (1 + 2), "strips"] for core in (3, 4)),
        [5, 2 * (1 + 2), "strips"],
    ]


def test_one_changed_word_of_any_core_is_refused(seen):
    parts = ["input -> ring1 into ring1[0:4]", "input -> ring1 into ring1[4:8]"]
    parts += ["input -> ring1 into ring1[8:12]", "ring1 -> ring2 into ring2[0:5]"]
    parts += ["ring1 -> ring2 into ring2[5:10]", "ring1 -> ring2 into ring2[10:12]"]
    assert seen["refused"] == [
        f"the mapping is wrong: {part} on core {core} has {words + change} words, needs {words}"
        for part, (core, words, _) in zip(parts, seen["words"], strict=True)
        for change in (1, -1)
    ]
    assert seen["refused_file"] == (
        "build: the mapping is wrong: input -> ring1 into ring1[8:12] on core 2 has 15 words,"
        " needs 16"
    )


@pytest.mark.lava
def test_its_network_runs_equal_on_lava(lava, seen, site, work):
    done = run(site, work, "-c", MAIN, "verify", "build", "--input", "x.npz", "--json")
    assert done.returncode == 0, done.stderr
    (compared,) = [c for c in json.loads(done.stdout)["comparisons"] if c["second"] == "lava"]
    assert compared["equal"]
    assert [(r["population"], r["differences"]) for r in compared["rows"]] == [
        ("ring1", 0),
        ("ring2", 0),
    ]


def test_its_refusals_reach_the_user(seen):
    large, wrong = seen["refused_networks"]
    assert large.startswith(
        "network network: needs 12 cores, the chip allows 9; use fewer neurons; neither"
    )
    assert wrong == (
        "wrong.rings: divisor must be a whole number from 1, got 1.5;"
        " see snncompile_example.from_rings"
    )


def test_without_its_checker_rule_its_chip_is_refused_in_one_line(site, work, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    (points,) = (tmp_path / "site").glob("*.dist-info/entry_points.txt")
    text, rules = re.subn(r"\[snncompile\.checker_rules\]\n.*\n", "", points.read_text())
    assert rules == 1
    points.write_text(text)
    command = ("compile", "demo.rings", "--chip", "pinboard", "-o", "none")
    assert refusal(tmp_path / "site", work, *command) == (
        "error: chip pinboard: the checker has no rules for encoding 'strips'; known: bytes,"
        " crossbar, kernels, layers, loihi1, loihi2, one_word, packed_rows, weight_ram; add a"
        " row to the entry point snncompile.checker_rules\n"
    )


def test_without_the_package_its_program_is_refused_in_one_line(seen, work):
    assert refusal(None, work, "show", "build") == (
        "error: build/program.json: chip: 'strips' is not one of the encodings: one_word, loihi1,"
        " packed_rows, loihi2, crossbar, kernels, layers, weight_ram, bytes\n"
    )
