"""A study that runs: results, misfits, interruptions, searches."""

import json

import pytest
from studies import InProcess, build_ann, make_content, read_results, run_here, write_inputs

from snncompile.errors import InputError
from snncompile.files.replace import MARK
from snncompile.study.store import Store
from snncompile.study.tables import list_columns

optuna = pytest.importorskip("optuna")


@pytest.fixture
def folder(tmp_path):
    write_inputs(tmp_path)
    return tmp_path


def load_optuna(folder):
    url = f"sqlite:///{folder}/study/optuna.db"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)


def test_a_grid_runs_and_a_misfit_is_a_result(folder):
    sweep = run_here(folder, make_content())
    fits = {str(row.point): row.outcome.fits for row in sweep.rows}
    assert fits == {
        "small on loihi2, signed 4, 4 bits": True,
        "small on loihi2, signed 4, 8 bits": True,
        "small on loihi1, signed 4, 4 bits": False,
        "small on loihi1, signed 4, 8 bits": False,
    }
    assert "loihi1 has no neuron signed_integrate_fire" in sweep.rows[2].outcome.reason
    assert sweep.rows[2].outcome.energy_j is None
    trials = load_optuna(folder).trials
    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    assert trials[0].values == [sweep.rows[0].outcome.accuracy, sweep.rows[0].outcome.energy_j]
    assert trials[2].user_attrs["reason"] == sweep.rows[2].outcome.reason


def test_a_trial_is_what_compile_and_run_say(folder):
    import numpy as np

    import snncompile

    (row,) = run_here(folder, make_content(chips="loihi2", bits=4)).rows
    x = np.load(folder / "calibration.npz")["x"]
    network = snncompile.from_ann(build_ann(), x, "signed", 4, title="small")
    calibration = network.input.present(x[:8])
    program = snncompile.compile(network, chip="loihi2", calibration=calibration, bits=4)
    with np.load(folder / "data.npz") as data:
        shown, label = network.input.present(data["x"]), data["label"]
    estimate = program.estimate(shown[:2])
    assert row.outcome.accuracy == program.run(shown).accuracy(label)
    assert row.outcome.energy_j == estimate.energy_j
    assert row.outcome.latency_s == estimate.latency_s
    assert row.outcome.missing == estimate.missing
    build = snncompile.load(folder / "study" / "builds" / row.outcome.build)
    assert build.meaning == program.meaning


def test_agreement_is_with_the_answers_of_the_model(folder):
    import numpy as np
    import torch

    import snncompile

    content = make_content(chips="loihi2", bits=8, steps=64, objectives=["agreement", "cores"])
    sweep = run_here(folder, content)
    (row,) = sweep.rows
    x = np.load(folder / "data.npz")["x"]
    answers = build_ann()(torch.tensor(x)).argmax(1).numpy()
    (path,) = [p for p in (folder / "study" / "data").iterdir() if "answer" in np.load(p)]
    np.testing.assert_array_equal(np.load(path)["answer"], answers)
    assert np.bincount(answers, minlength=3).min() > 2
    program = snncompile.load(sweep.find_build(row))
    shown = program.network.input.present(x)
    assert row.outcome.agreement == (program.run(shown).prediction == answers).mean()
    assert row.outcome.agreement > 0.8
    assert row.outcome.energy_j is None  # nobody asked for it


def test_what_is_there_is_not_run_again(folder):
    first = run_here(folder, make_content())
    before = read_results(folder / "study")
    again = InProcess()
    second = run_here(folder, make_content(), again)
    assert (first.ran, second.ran, again.ran) == (4, 0, [])
    assert read_results(folder / "study") == before
    assert len(load_optuna(folder).trials) == 4
    more = InProcess()
    run_here(folder, make_content(bits=[4, 6, 8]), more)
    assert len(more.ran) == 2  # the new bits on both chips


def test_an_interrupted_grid_goes_on(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_inputs(other)
    run_here(other, make_content())
    with pytest.raises(KeyboardInterrupt):
        run_here(folder, make_content(), InProcess(stop_after=3))
    assert len(read_results(folder / "study")) == 3
    assert run_here(folder, make_content()).ran == 1
    assert read_results(folder / "study") == read_results(other / "study")
    assert len(load_optuna(folder).trials) == 4


def test_points_of_equal_inputs_run_once(folder):
    models = {"a": {"ann": "ann.py:build_ann"}, "b": {"ann": "ann.py:build_ann"}}
    engine = InProcess()
    sweep = run_here(folder, make_content(models=models, chips="loihi2", bits=8), engine)
    assert len(sweep.rows) == 2
    a, b = sweep.rows
    assert (a.key == b.key) == (len(engine.ran) == 1)


def test_a_failure_is_said_and_tried_again(folder):
    content = make_content(chips="loihi2", bits=8)
    sweep = run_here(folder, content, InProcess(failing=True))
    assert sweep.failures == (("small on loihi2, signed 4, 8 bits", "a mistake"),)
    assert sweep.rows == ()
    assert len(run_here(folder, content).rows) == 1


def test_a_conversion_that_is_refused_is_a_result(folder):
    content = make_content(chips="loihi2", bits=8, methods="bistable_phase", steps=99)
    sweep = run_here(folder, content)
    (row,) = sweep.rows
    assert row.outcome.reason.startswith("bistable_phase sends a binary digit per step")
    assert run_here(folder, content).rows[0].outcome == row.outcome


def test_fields_of_a_chip_change_what_fits(folder):
    fields = {"core.compartments": [8, 1024]}
    chips = {"extends": "loihi1", "name": "own", "fields": fields}
    content = make_content(chips=chips, methods="balance", bits=8, objectives=["cores", "energy"])
    cores = [row.outcome.cores for row in run_here(folder, content).rows]
    assert cores[0] > cores[1]


SEARCH = {"trials": 10, "seed": 3, "generation": 4}


def test_a_search_that_was_interrupted_has_the_same_trials(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_inputs(other)
    steps = {"low": 2, "high": 8}
    content = make_content(steps=steps, bits=[3, 4, 6, 8], search=SEARCH)
    whole = run_here(other, content)
    for stop in (2, 1, 3):
        with pytest.raises(KeyboardInterrupt):
            run_here(folder, content, InProcess(stop_after=stop))
    again = run_here(folder, content)
    assert {str(r.point) for r in again.rows} == {str(r.point) for r in whole.rows}
    assert read_results(folder / "study") == read_results(other / "study")
    params = [[t.params for t in load_optuna(f).trials] for f in (folder, other)]
    assert params[0] == params[1]
    assert len(params[0]) == 10


def test_two_drivers_share_a_search(folder):
    content = make_content(steps={"low": 2, "high": 8}, search=SEARCH | {"trials": 4})
    with pytest.raises(KeyboardInterrupt):
        run_here(folder, content, InProcess(stop_after=1), "a")
    run_here(folder, content, name="b")
    engine = InProcess()
    run_here(folder, content, engine, "a")
    trials = load_optuna(folder).trials
    names = [t.user_attrs["driver"] for t in trials]
    assert names == ["a"] * 4 + ["b"] * 4
    assert all(t.state.is_finished() for t in trials)
    keys = {t.user_attrs["key"] for t in trials}
    assert {name.removesuffix(".json") for name in read_results(folder / "study")} <= keys
    again = InProcess()
    run_here(folder, content, again, "a")
    assert again.ran == []


def test_a_pruner_stops_trials_on_few_samples(folder):
    search = SEARCH | {"trials": 12, "pruner": "median", "rungs": [6, 12]}
    content = make_content(
        chips="loihi2", bits=[1, 2, 3, 8], steps=[1, 8], objectives="agreement", search=search
    )
    sweep = run_here(folder, content)
    pruned = [row for row in sweep.rows if row.pruned]
    assert pruned
    assert all(row.outcome.samples < 24 for row in pruned)
    whole = [row for row in sweep.rows if row.outcome.fits and not row.pruned]
    assert {row.outcome.samples for row in whole} == {24}
    assert not set(pruned) & set(sweep.front.front)
    states = {t.state.name for t in load_optuna(folder).trials}
    assert states == {"COMPLETE", "PRUNED"}


def test_a_folder_of_somebody_else_is_refused(folder):
    (folder / "study").mkdir()
    (folder / "study" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is there already and is no folder of a study"):
        run_here(folder, make_content())


def test_tables_hold_every_trial(folder):
    sweep = run_here(folder, make_content())
    columns = list_columns(sweep)
    assert {len(column) for column in columns.values()} == {4}
    assert columns["energy_j"][2] is None
    assert columns["on_front"].count(True) == len(sweep.front.front)


def test_a_line_that_a_kill_cut_is_left_out_of_the_log(folder):
    run_here(folder, make_content())
    store = Store(folder / "study")
    lines = store.read_log()
    assert [line["event"] for line in lines] == ["begin", "end"] * 4
    (path,) = (folder / "study" / "log").iterdir()
    path.write_text(path.read_text() + '{"event": "be')
    assert store.read_log() == lines
    assert json.loads((folder / "study" / "study.json").read_text())["format"] != MARK
