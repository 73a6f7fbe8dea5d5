"""A study meets mistakes, changed files and other drivers: nothing is lost or stale."""

import json

import numpy as np
import pytest
from studies import InProcess, make_content, run_here, write_inputs

from snncompile import __version__
from snncompile.errors import BackendError, InputError
from snncompile.study.store import Store, hash_value
from snncompile.study.trial import run_trial

optuna = pytest.importorskip("optuna")

OWN = """\
extends: loihi2
name: own
title: A chip on paper
sources: {idea: my own}
core:
  compartments: {value: 512, unit: compartments, evidence: assumed, source: idea}
"""
SEARCH = {"trials": 10, "seed": 3, "generation": 4}


@pytest.fixture
def folder(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


def list_lengths(folder):
    """Return how many trials each study in the storage has."""
    url = f"sqlite:///{folder}/study/optuna.db"
    names = optuna.get_all_study_names(url)
    return [len(optuna.load_study(study_name=name, storage=url).trials) for name in names]


# What is wrong with a file that a study names, and what is said before anything runs.
RANDOM = np.random.default_rng(0)
LABEL = RANDOM.integers(0, 3, 24)
UNREADABLE = {
    "no function": ({"ann.py": ""}, {}, "ann.py: has no function 'build_ann'"),
    "code that fails": (
        {"ann.py": "import nowhere\n"},
        {},
        "ann.py line 1: ModuleNotFoundError: No module named 'nowhere'",
    ),
    "no module": (
        {"ann.py": "def build_ann():\n    return 5\n"},
        {},
        "from_ann needs the trained torch module itself, got int",
    ),
    "a folder as data": ({}, {"data": "."}, ": is a folder, expected an .npz file"),
    "no npz": ({}, {"data": "ann.py"}, "ann.py: not a readable .npz file (numpy.savez writes one)"),
    "no x": ({"data.npz": {"y": LABEL}}, {}, "data.npz: has no array x; it has y"),
    "no samples": (
        {"data.npz": {"x": np.zeros((0, 1, 4, 4)), "label": LABEL[:0]}},
        {},
        "data.npz: has no samples",
    ),
    "another shape": (
        {"data.npz": {"x": RANDOM.random((24, 1, 5, 5)), "label": LABEL}},
        {},
        "data.npz: x has shape (24, 1, 5, 5), the network takes (samples, 1, 4, 4) values or"
        " (samples, steps, 1, 4, 4) spikes",
    ),
    "no labels": (
        {"data.npz": {"x": RANDOM.random((24, 1, 4, 4)), "target": LABEL}},
        {},
        "data.npz: has no labels (label or y), which accuracy needs; target is not read; agreement"
        " needs none",
    ),
    "spikes and agreement": (
        {"data.npz": {"x": np.zeros((24, 9, 1, 4, 4))}},
        {"objectives": ["agreement", "cores"]},
        "data.npz: x holds spikes, of shape (24, 9, 1, 4, 4); the agreement with an ann needs"
        " values, (samples, 1, 4, 4)",
    ),
    "another shape of calibration": (
        {"calibration.npz": {"x": RANDOM.random((24, 1, 5, 5))}},
        {},
        "small does not run on samples (2, 1, 5, 5): RuntimeError: mat1 and mat2 shapes cannot be"
        " multiplied (2x25 and 16x12)",
    ),
    "a label that is no output": (
        {"data.npz": {"x": RANDOM.random((24, 1, 4, 4)), "label": LABEL + 1}},
        {},
        f"data.npz: label 3 of sample {np.flatnonzero(LABEL == 2)[0]} is none of the outputs, 0..2",
    ),
    "more samples than there are": (
        {},
        {"samples": 30},
        "data.npz: has 24 samples, the study asks for 30",
    ),
    "more in a rung than in the data": (
        {},
        {
            "objectives": "accuracy",
            "search": {"trials": 2, "pruner": "median", "rungs": [8, 24]},
        },
        "data.npz: has 24 samples; search.rungs must stay below that",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_said_and_is_no_misfit(folder, case):
    files, change, message = UNREADABLE[case]
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            np.savez(folder / name, **content)
    with pytest.raises(InputError) as error:
        run_here(folder, make_content(**change))
    assert str(error.value).removeprefix(f"{folder}/").removeprefix(str(folder)) == message
    assert not (folder / "study").exists()


def test_a_model_that_nothing_converts_is_a_misfit_beside_others(folder):
    code = "from torch import nn\n\n\ndef odd():\n"
    code += "    return nn.Sequential(nn.Flatten(), nn.GRU(16, 3))\n"
    (folder / "ann.py").write_text((folder / "ann.py").read_text() + code)
    models = {"small": {"ann": "ann.py:build_ann"}, "odd": {"ann": "ann.py:odd"}}
    sweep = run_here(folder, make_content(models=models, chips="loihi2", bits=8))
    assert [row.outcome.fits for row in sweep.rows] == [True, False]
    assert "GRU" in sweep.rows[1].outcome.reason


# A file whose content changes under its name.
def relabel(folder):
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "data.npz", x=data["x"], label=(data["label"] + 1) % 3)


def recalibrate(folder):
    np.savez(folder / "calibration.npz", x=np.random.default_rng(8).random((12, 1, 4, 4)))


def retrain(folder):
    code = "\n\ntrained = build_ann\n\n\ndef build_ann():\n    ann = trained()\n"
    code += "    ann[1].weight.data *= 0.5\n    return ann\n"
    (folder / "ann.py").write_text((folder / "ann.py").read_text() + code)


def redesign(folder):
    path = folder / "own.yaml"
    path.write_text(path.read_text().replace("value: 512", "value: 8"))


CHANGES = {"data": relabel, "calibration": recalibrate, "model": retrain, "chip": redesign}


@pytest.mark.parametrize("search", [None, {"trials": 1, "sampler": "random"}])
@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_under_its_name_runs_again(folder, name, search):
    (folder / "own.yaml").write_text(OWN)
    content = make_content(chips="own.yaml", bits=8, steps=3, search=search)
    first = run_here(folder, content)
    assert run_here(folder, content).ran == 0
    CHANGES[name](folder)
    second = run_here(folder, content)
    assert second.ran == first.ran > 0
    assert not {row.key for row in first.rows} & {row.key for row in second.rows}
    if name == "data":
        assert [row.outcome.accuracy for row in second.rows] != [
            row.outcome.accuracy for row in first.rows
        ]
    if name == "chip":
        assert all(
            b.outcome.cores > a.outcome.cores for a, b in zip(first.rows, second.rows, strict=True)
        )


def test_what_a_search_knows_comes_back(folder, tmp_path_factory):
    """Refusals of a conversion, failures, and results that were deleted."""
    methods = {"method": "bistable_phase", "steps": [4, 99]}
    content = make_content(
        chips="loihi2", bits=[4, 8], methods=methods, steps=None,
        search={"trials": 6, "sampler": "random", "seed": 1},
    )  # fmt: skip
    failing = run_here(folder, content, InProcess(failing=True))
    assert failing.failures
    assert not any(row.outcome.fits for row in failing.rows)
    again = run_here(folder, content)
    assert again.failures == ()
    assert {row.outcome.fits for row in again.rows} == {True, False}
    assert again.repeated == 6 - len(again.rows)
    last = run_here(folder, content)
    assert (last.ran, last.rows) == (0, again.rows)
    for path in (folder / "study" / "results").iterdir():
        path.unlink()
    assert run_here(folder, content).rows == again.rows


def test_a_damaged_result_is_computed_again(folder):
    content = make_content(chips="loihi2", bits=8)
    (row,) = run_here(folder, content).rows
    path = folder / "study" / "results" / f"{row.key}.json"
    text = path.read_text()
    path.write_text(text[:20])
    assert run_here(folder, content).rows == (row,)
    assert path.read_text() == text


def test_a_program_that_cannot_be_written_is_no_misfit(folder, monkeypatch):
    def refuse(program, path):
        raise InputError(f"{path}: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr("snncompile.program.Program.save", refuse)
        with pytest.raises(InputError, match="No space left"):
            run_here(folder, make_content(chips="loihi2", bits=8))
    (row,) = run_here(folder, make_content(chips="loihi2", bits=8)).rows
    assert row.outcome.fits


def test_workers_of_another_version_or_without_the_folder_refuse(folder, tmp_path):
    run_here(folder, make_content(chips="loihi2", bits=8))
    with pytest.raises(BackendError) as error:
        run_trial(str(folder / "study"), json.dumps({"version": "0.0"}))
    assert str(error.value) == (
        f"a worker has snncompile {__version__}, the driver 0.0; install the same"
    )
    with pytest.raises(BackendError) as error:
        run_trial(str(tmp_path / "nowhere"), json.dumps({"version": __version__}))
    assert str(error.value) == (
        f"a worker does not see the folder {tmp_path}/nowhere; workers need it under the same path"
    )


def test_two_drivers_of_one_name_do_not_search_together(folder):
    content = make_content(search=SEARCH | {"trials": 4})
    with pytest.raises(KeyboardInterrupt):
        run_here(folder, content, InProcess(stop_after=0))
    with Store(folder / "study").claim(f"driver-{hash_value('driver')}") as is_free:
        assert is_free
        with pytest.raises(InputError) as error:
            run_here(folder, content)
    assert str(error.value) == (
        f"{folder}/study: a driver called 'driver' runs this search now; wait for it, or give this"
        " one a name: --driver NAME"
    )
    assert len(run_here(folder, content).rows) > 0


def test_a_grid_of_two_drivers_is_stored_once(folder):
    """The second one has read the storage before the first one wrote to it."""
    content = make_content(chips="loihi2")
    run_here(folder, make_content(chips="loihi2", bits=[4]))

    class Meanwhile(InProcess):
        def run(self, function, jobs):
            run_here(folder, content)
            yield from super().run(function, jobs)

    run_here(folder, content, Meanwhile())
    assert sorted(list_lengths(folder)) == [1, 2]


def test_models_of_equal_content_have_a_front_each(folder):
    models = {"a": {"ann": "ann.py:build_ann"}, "b": {"ann": "ann.py:build_ann"}}
    content = make_content(models=models, chips="loihi2", bits=8, separate=True)
    sweep = run_here(folder, content)
    assert [row.point.model for row in sweep.front.front] == ["a", "b"]
    assert list_lengths(folder) == [2]


def test_every_sampler_and_pruner_ends(folder):
    for sampler in ("tpe", "nsga2", "random"):
        search = {"trials": 4, "sampler": sampler, "generation": 2}
        sweep = run_here(folder, make_content(bits={"low": 3, "high": 8}, search=search))
        assert len(sweep.rows) + sweep.repeated == 4, sampler
    for pruner in ("median", "halving", "hyperband", "percentile"):
        search = {"trials": 4, "pruner": pruner, "rungs": [4], "generation": 2}
        content = make_content(bits={"low": 1, "high": 8}, objectives="agreement", search=search)
        sweep = run_here(folder, content)
        assert len(sweep.rows) + sweep.repeated == 4, pruner
