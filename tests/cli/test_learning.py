"""Programs that learn, on the command line: run, go on, save, verify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.learning_state import name_weights
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.reference import backend as reference
from snncompile.synapses.dense import dense

RULE = snncompile.stdp(
    learning_rate=2**-9, a_plus=1, a_minus=-1, tau_plus=4, tau_minus=4, limit=1.0
)


@pytest.fixture(scope="session")
def made_learner(tmp_path_factory) -> Path:
    """A folder with x.npz, its two halves and `learner`, a Program whose last layer learns."""
    folder = tmp_path_factory.mktemp("learner")
    rng = np.random.default_rng(0)
    network = Network(
        Input("input", (20,)),
        (
            Population("f", (12,), CubaLif(1.0, 0.1, 1.0)),
            Population("h", (6,), CubaLif(1.0, 0.2, 1.0)),
        ),
        (
            Projection("input", "f", dense(rng.normal(0.2, 0.3, (12, 20)))),
            Projection("f", "h", dense(rng.uniform(0, 0.5, (6, 12))), rule=RULE),
        ),
        "h",
    )
    x = (rng.random((6, 15, 20)) < 0.3).astype(np.uint8)
    for name, part in (("x", x), ("a", x[:4]), ("b", x[4:])):
        np.savez(folder / f"{name}.npz", x=part)
    snncompile.compile(network, chip="loihi1", calibration=x).save(folder / "learner")
    return folder


@pytest.fixture
def learner(made_learner, tmp_path, snncompile_command) -> Path:
    """Copies of these in the folder of the command line."""
    for file in made_learner.glob("*.npz"):
        shutil.copy(file, tmp_path)
    return shutil.copytree(made_learner / "learner", tmp_path / "learner")


def test_run_goes_on_from_what_it_saved(learner, snncompile_command):
    before = snncompile.load(learner).network.plastic[0].synapses.weight
    words = ("run", "learner", "--input", "a.npz", "--learned", "taught")
    done = snncompile_command(*words, "--json")
    assert done.code == 0, done.err
    taught = snncompile.load("taught").network.plastic[0].synapses.weight
    changed = int((taught != before).sum())
    assert done.json["learned"] == "taught"
    assert done.json["weights"] == {"f -> h": {"changed": changed, "of": 72}}
    assert 0 < changed <= 72
    assert (snncompile.load(learner).network.plastic[0].synapses.weight == before).all()
    assert snncompile_command("run", "taught", "--input", "b.npz", "-o", "b_y.npz").code == 0
    assert snncompile_command("run", "learner", "--input", "x.npz", "-o", "x_y.npz").code == 0
    with np.load("x_y.npz") as whole, np.load("b_y.npz") as second:
        assert (whole["spikes"][4:] == second["spikes"]).all()


def test_run_prints_the_changes_in_80_columns(learner, snncompile_command, monkeypatch):
    monkeypatch.setattr("snncompile.cli.shared.out._width", 80)
    done = snncompile_command("run", "learner", "--input", "a.npz", "--learned", "taught")
    taught = snncompile.load("taught").network.plastic[0].synapses.weight
    before = snncompile.load(learner).network.plastic[0].synapses.weight
    lines = done.out.splitlines()
    assert f"weights f -> h: {(taught != before).sum()} of 72 changed" in lines
    assert "learned: taught" in lines
    assert max(map(cell_len, lines)) <= 80


def test_an_older_result_is_replaced(learner, snncompile_command):
    for name in ("a.npz", "x.npz"):
        words = ("run", "learner", "--input", name, "--learned", "taught")
        assert snncompile_command(*words).code == 0
    wanted = snncompile.load(learner).run(np.load("x.npz")["x"]).learned[1].weight
    assert (snncompile.load("taught").network.plastic[0].synapses.weight == wanted).all()


@pytest.mark.usefixtures("learner")
def test_what_is_not_ours_stays(snncompile_command, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    done = snncompile_command("run", "learner", "--input", "a.npz", "--learned", "mine")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"error: {tmp_path / 'mine'}: ")
    assert done.err.count("error") == 1
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("build")
def test_a_program_that_does_not_learn_is_refused(spikes, snncompile_command, tmp_path):
    done = snncompile_command("run", "build", "--input", spikes, "--learned", "taught")
    assert (done.code, done.err) == (
        1,
        "error: build: none of its projections learns, so there is nothing to write with"
        " --learned; give one a rule with plastic(network, source, target, rule)\n",
    )
    assert not (tmp_path / "taught").exists()
    assert "weights" not in snncompile_command("run", "build", "--input", spikes, "--json").json


@pytest.mark.usefixtures("learner")
def test_lava_gives_no_state_to_go_on_from(snncompile_command, tmp_path):
    words = ("run", "learner", "--input", "a.npz", "--learned", "taught", "--backend", "lava")
    done = snncompile_command(*words)
    assert (done.code, done.err) == (
        1,
        "error: --learned needs --backend reference: a run on lava gives no traces and generators"
        " to go on from\n",
    )
    assert not (tmp_path / "taught").exists()


@pytest.fixture
def other_lava(monkeypatch):
    """A Lava backend that learns one weight wrong."""
    from snncompile.backends.lava import run as lava

    def spike_trains(network, x, *, progress=None, timeout_s=None):
        outputs = dict(reference.spike_trains(network, x))
        name = name_weights(1)
        outputs[name] = outputs[name] + np.eye(6, 12, dtype=np.int16)
        return outputs

    monkeypatch.setattr(lava, "spike_trains", spike_trains)


@pytest.mark.usefixtures("learner", "other_lava")
def test_the_table_of_verify_has_a_row_of_weights(snncompile_command, monkeypatch):
    monkeypatch.setattr("snncompile.cli.shared.out._width", 80)
    done = snncompile_command("verify", "learner", "--input", "x.npz")
    assert done.code == 1
    rows = [line for line in done.out.splitlines() if "weights f -> h" in line and "│" in line]
    assert any("91.67%" in row for row in rows), done.out  # 6 of 72 differ
    assert max(cell_len(line) for line in done.out.splitlines() if "│" in line) <= 80
    assert "first difference: weights f -> h after sample 5, synapse 0" in done.out
    shown = json.loads(snncompile_command("verify", "learner", "--input", "x.npz", "--json").out)
    (row,) = [r for r in shown["comparisons"][2]["rows"] if r["population"] == "weights f -> h"]
    assert (row["outputs"], row["differences"]) == (72, 6)


@pytest.mark.usefixtures("learner")
def test_without_lava_there_is_no_row_of_weights(snncompile_command):
    done = snncompile_command("verify", "learner", "--input", "x.npz", "--no-lava")
    assert done.code == 0, done.err
    assert "weights f -> h" not in done.out


@pytest.mark.usefixtures("learner")
def test_fit_names_chips_without_learning(snncompile_command):
    snncompile.load("learner").source.save("network")
    done = snncompile_command("fit", "network", "--chip", "loihi1", "--chip", "toy", "--json")
    assert "projection f -> h learns: toy has no synapses that learn" in done.out
    assert "loihi1 has no synapses that learn" not in done.out
