"""Every command as a user types it."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from snncompile.synapses.dense import dense


def test_compile_writes_a_program_and_shows_it(build, snncompile_command, golden):
    assert sorted(p.name for p in build.iterdir()) == ["arrays.npz", "program.json"]
    done = snncompile_command("show", "build")
    assert done.code == 0
    golden(done.out)


def test_show_json_has_the_keys_others_rely_on(build, snncompile_command):
    shown = snncompile_command("show", "build", "--json").json
    assert shown["cores"] == 1  # both share one
    assert shown["chips"] == 1
    assert shown["layers"] == [
        {"name": "hidden", "neurons": 6, "cores": 1},
        {"name": "output", "neurons": 3, "cores": 1},
    ]


def test_run_writes_spikes_and_prediction_and_tells_the_accuracy(build, spikes, snncompile_command):
    done = snncompile_command("run", "build", "--input", spikes, "-o", "y.npz", "--json")
    assert done.code == 0
    with np.load("y.npz") as y, np.load(spikes) as x:
        assert y["spikes"].shape == (8, 10, 3)
        assert set(np.unique(y["spikes"])) == {0, 1}
        sums = y["spikes"].sum(axis=1, dtype=int)
        assert y["prediction"].tolist() == sums.argmax(axis=1).tolist()
        assert done.json["accuracy"] == (y["prediction"] == x["label"]).mean()


def test_run_without_labels_tells_no_accuracy(build, spikes, snncompile_command):
    with np.load(spikes) as data:
        np.savez("plain.npz", x=data["x"])
    assert (
        "accuracy" not in snncompile_command("run", "build", "--input", "plain.npz", "--json").json
    )


@pytest.mark.parametrize("model", ["fast", "cycle"])
def test_estimate_json_adds_up(model, build, spikes, snncompile_command):
    command = ("estimate", "build", "--input", spikes, "--json", "--model", model)
    found = snncompile_command(*command).json
    known = [row for row in found["rows"] if row["price_j"] is not None]
    assert found["energy_j"] == pytest.approx(sum(row["energy_j"] for row in known))
    assert found["energy_j"] > 0
    assert found["model"] == model
    assert found["latency_s"] == pytest.approx(sum(found["step_s"]))
    unknown = {row["event"] for row in found["rows"] if row["price_j"] is None and row["count"]}
    assert unknown == {m.removeprefix("energy of ") for m in found["missing"] if "energy" in m}
    for row in known:
        assert set(row) >= {"layer", "event", "count", "price_j", "energy_j"}
        assert row["energy_j"] == pytest.approx(row["count"] * row["price_j"])


def test_estimate_names_what_its_total_lacks(build, spikes, snncompile_command):
    text = snncompile_command("estimate", "build", "--input", spikes, "--baseline").out
    lacks = "energy without barrier sync, host_input, host_output"
    assert text.count(lacks) == 1 or lacks in " ".join(text.split())
    assert "missing in these totals: energy of barrier sync, host_input, host_output" in text
    assert "missing in these totals: time of host_input, host_output" in text
    assert "(1) unknown: not in this cost set" in text
    assert text.count("as nothing is published") == 1  # each source once
    assert "left out: loading the program, learning, the host's own energy" in text
    assert "cost set loihi1_scaled" in text
    assert "ANN: MAC" in text


def test_estimate_by_the_rules_of_sanafe(build, spikes, snncompile_command):
    for rules, from_host in (("chip", True), ("sanafe", False)):  # SANA-FE's input is on cores
        command = ("estimate", "build", "--input", spikes, "--rules", rules, "--json")
        found = snncompile_command(*command).json
        assert found["rules"] == rules
        events = {row["event"] for row in found["rows"] if row["count"]}
        assert ("host_input" in events) == from_host


def test_estimate_writes_trace_and_tables(build, spikes, snncompile_command):
    done = snncompile_command(
        *("estimate", "build", "--input", spikes),
        *("--model", "cycle", "--trace", "t.json", "--csv", "t.csv", "--parquet", "t.parquet"),
    )
    assert done.code == 0
    assert sorted(p.name for p in Path().glob("t.*")) == [
        "t.csv",
        "t.json",
        "t.parquet",
        "t.steps.csv",
        "t.steps.parquet",
    ]


def test_estimate_with_a_model_that_is_not_there(build, spikes, snncompile_command):
    done = snncompile_command("estimate", "build", "--input", spikes, "--model", "slow")
    assert done.code == 1
    assert "error: no estimator called 'slow'; known: cycle, fast" in done.err


def test_compare_two_programs(build, spikes, snncompile_command):
    done = snncompile_command("compile", "network", "--chip", "loihi1", "-o", "other")
    assert done.code == 0
    found = snncompile_command("compare", "build", "other", "--input", spikes, "--json").json
    rows = {row["figure"]: row for row in found["rows"]}
    assert rows["cores"]["a"] == 1
    assert rows["latency"]["ratio"] == pytest.approx(rows["latency"]["b"] / rows["latency"]["a"])
    total = sum(row["a"] or 0 for name, row in rows.items() if name.startswith("energy of"))
    assert rows["energy"]["a"] == pytest.approx(total)
    text = snncompile_command("compare", "build", "other", "--input", spikes).out
    assert "other: loihi1, cost set davies2018; missing: energy of" in text


def test_compiling_twice_gives_the_same_bytes(build, spikes, snncompile_command):
    again = ("--chip", "loihi2", "--calibration", spikes, "-o", "again")
    assert snncompile_command("compile", "network", *again).code == 0
    for name in ("program.json", "arrays.npz"):
        assert (build / name).read_bytes() == Path("again", name).read_bytes()


def test_compiling_into_an_old_program_replaces_it(build, snncompile_command):
    done = snncompile_command("compile", "network", "--chip", "loihi1", "-o", "build", "--json")
    assert done.code == 0
    assert snncompile_command("show", "build", "--json").json["chip"] == "loihi1"


def test_a_function_of_a_python_file_is_a_model(snncompile_command, tmp_path):
    pytest.importorskip("snntorch")
    (tmp_path / "model.py").write_text(
        "import numpy as np, snntorch\n"
        "from torch import nn\n"
        "def build():\n"
        "    module = nn.Sequential(nn.Linear(4, 3), snntorch.Leaky(beta=0.5, init_hidden=True))\n"
        "    return module, np.ones((2, 5, 4))\n"
    )
    done = snncompile_command(
        "compile", "model.py:build", "--chip", "loihi2", "-o", "out", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["layers"][0]["neurons"] == 3


def test_a_net_file_is_a_model(snncompile_command, net_file):
    net_file(np.array([[2, -4], [254, -256]]))
    done = snncompile_command("compile", "network.net", "--chip", "loihi1", "-o", "out", "--json")
    assert done.code == 0, done.err
    assert done.json["cores"] == 1


def test_encode_is_one_neuron_per_pixel(snncompile_command):
    images = np.array([[[0, 255], [128, 51]]], np.uint8)
    np.savez("images.npz", x=images, y=np.array([4]))
    done = snncompile_command("encode", "images.npz", "--steps", 5, "-o", "x.npz", "--flatten")
    assert done.code == 0, done.err
    with np.load("x.npz") as data:
        # 255: v is 1, not above 1, then 2 > 1: fires every second step. 128: v is 1.004 in step 2.
        assert data["x"][0].T.tolist() == [
            [0, 0, 0, 0, 0],
            [0, 1, 0, 1, 0],
            [0, 1, 0, 1, 0],
            [0, 0, 0, 0, 0],
        ]
        assert data["label"].tolist() == [4]


def test_chips_lists_them_and_shows_one(snncompile_command):
    assert [c["name"] for c in snncompile_command("chips", "--json").json["chips"]] == [
        "loihi1",
        "loihi2",
        "odin",
        "paicore2",
        "speck2",
        "spinnaker1",
        "spinnaker2",
        "toy",
        "truenorth",
        "xylo-audio2",
    ]
    assert snncompile_command("chips", "toy", "--json").json["core"]["compartments"]["value"] == 4
    assert "made up" in snncompile_command("chips", "toy").out


@pytest.fixture
def lying_lava(monkeypatch):
    """A Lava backend that gets one spike of the last layer wrong."""
    from snncompile.backends.lava import run as lava
    from snncompile.reference import backend as reference

    def trains(network, x, *, progress=None, timeout_s=None):
        found = reference.trains(network, x)
        wrong = found[network.output].copy()
        wrong[1, 4, 2] ^= 1
        return found | {network.output: wrong}

    monkeypatch.setattr(lava, "trains", trains)


@pytest.mark.usefixtures("build", "lying_lava")
def test_verify_finds_the_first_difference_and_exits_with_1(spikes, snncompile_command):
    done = snncompile_command("verify", "build", "--input", spikes, "--samples", 3)
    assert done.code == 1
    assert "first difference: sample 1, step 4, population output, neuron 2: the ref" in done.out
    done = snncompile_command("verify", "build", "--input", spikes, "--samples", 3, "--json")
    assert done.code == 1
    assert done.json["equal"] is False
    assert done.json["samples"] == 3
    lava = done.json["comparisons"][2]
    assert [row["differences"] for row in lava["rows"]] == [0, 1]
    assert lava["difference"] == done.json["first"]


MODEL = """
import numpy as np, snntorch, torch
from torch import nn

def build():
    torch.manual_seed(1)
    layers = [nn.Linear(12, 6), snntorch.Leaky(0.9, init_hidden=True), nn.Linear(6, 3)]
    module = nn.Sequential(*layers, snntorch.Leaky(0.9, init_hidden=True, threshold=0.2))
    return module, (np.random.default_rng(0).random((4, 10, 12)) < 0.4).astype(np.uint8)

def other():
    return nn.Sequential(nn.Linear(12, 6), snntorch.Leaky(0.9, init_hidden=True)), build()[1]

def network():
    import snncompile
    return snncompile.from_torch(*build())
"""


@pytest.fixture
def model(tmp_path, spikes, snncompile_command):
    """A Program compiled from a file with a torch module."""
    (tmp_path / "model.py").write_text(MODEL)
    done = snncompile_command("compile", "model.py:build", "--chip", "loihi2", "-o", "build")
    assert done.code == 0, done.err


@pytest.mark.usefixtures("model")
def test_verify_runs_the_library_and_the_float_network(spikes, snncompile_command):
    words = ("verify", "build", "--input", spikes, "--no-lava")
    done = snncompile_command(*words, "--model", "model.py:build", "--json")
    assert done.code == 0, done.err
    library, rounding, lava = done.json["comparisons"]
    assert library["equal"]
    assert [row["outputs"] for row in library["rows"]] == [8 * 10 * 6, 8 * 10 * 3]
    assert (rounding["promised"], rounding["missing"]) == (False, "")
    assert lava["missing"] == "Lava was left out"
    text = snncompile_command(*words).out
    assert "the source library and the float network: not compared, no model was given" in text
    assert "the reference and Lava: not compared, Lava was left out" in text


VERIFY_REFUSED = [
    (
        "model.py:other",
        "error: the model has a layer layer_1 (6,), the Program was compiled from hidden (6,),"
        " output (3,); give the model it was compiled from\n",
    ),
    ("build", "error: build: only a torch module can run by itself; give file.py:function\n"),
    ("model.py:network", "error: model.py:network: returned Network, expected (module, sample)\n"),
]


@pytest.mark.parametrize("name, message", VERIFY_REFUSED)
def test_verify_refuses_another_model(name, message, build, spikes, tmp_path, snncompile_command):
    (tmp_path / "model.py").write_text(MODEL)
    done = snncompile_command("verify", "build", "--input", spikes, "--no-lava", "--model", name)
    assert (done.code, done.err) == (1, message)


@pytest.mark.lava
@pytest.mark.usefixtures("build", "lava")
def test_verify_and_run_on_lava(spikes, snncompile_command):
    done = snncompile_command("verify", "build", "--input", spikes, "--json")
    assert done.code == 0, done.err
    assert done.json["equal"] is True
    assert done.json["samples"] == 8
    lava = snncompile_command("run", "build", "--input", spikes, "--backend", "lava", "--json")
    reference = snncompile_command("run", "build", "--input", spikes, "--json")
    assert lava.json["accuracy"] == reference.json["accuracy"]


def test_emit_writes_a_folder_that_names_no_snncompile_import(build, snncompile_command):
    done = snncompile_command("emit", "build", "-o", "lava", "--json")
    assert done.code == 0, done.err
    assert done.json["files"] == ["README.md", "network.py", "processes", "run.py", "weights.npz"]
    code = "".join(path.read_text() for path in Path("lava").rglob("*.py"))
    assert "import snncompile" not in code
    assert "from snncompile" not in code


@pytest.fixture
def mistakes(build, spikes, net_file, tmp_path):
    """Files with which a user, or a stranger, can go wrong."""
    whole = net_file(np.full((2, 3), 2.0)).read_bytes()
    (tmp_path / "cut.net").write_bytes(whole[: len(whole) // 2])
    net_file(np.array([[2.0, np.nan]]), "nan.net")
    (tmp_path / "pickle.net").write_bytes(pickle.dumps({"weight": [1]}))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"x": [1]}))
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weight": [1]}))
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 5, 13), np.uint8))
    np.savez(tmp_path / "flat.npz", x=np.zeros((2, 12), np.uint8))
    np.savez(tmp_path / "grey.npz", x=np.full((2, 5, 12), 0.5))
    np.savez(tmp_path / "nox.npz", y=np.zeros(3))
    np.savez(tmp_path / "labels.npz", x=np.zeros((2, 5, 12), np.uint8), label=np.zeros(3, int))
    (tmp_path / "broken.py").write_text("def build():\n    return 1 / 0\n")
    (tmp_path / "number.py").write_text("def build():\n    return 3\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "program.json").write_text('{"format": "snncompile prog')


NET = "expected a .net or .nir file, file.py:function or the folder of a saved network"
COMPILE = ("--chip", "loihi2", "-o", "out")
# A new case is one more entry: the words of the command, then the whole message.
MISTAKES = {
    "unknown chip": (
        ("compile", "network", "--chip", "loihi9", "-o", "out"),
        "no chip called 'loihi9'; known: loihi1, loihi2, odin, paicore2, speck2, spinnaker1,"
        " spinnaker2, toy, truenorth, xylo-audio2; or give the path of a YAML file",
    ),
    "no model": (("compile", "nothing.net", *COMPILE), f"nothing.net: no such file; {NET}"),
    "checkpoint": (
        ("compile", "model.pt", *COMPILE),
        "model.pt: a checkpoint holds no network, only numbers, and may hold a pickle; write a"
        " function that builds the module and loads it, and give file.py:function",
    ),
    "no function named": (
        ("compile", "broken.py", *COMPILE),
        "broken.py: add the function that returns (module, sample): broken.py:NAME",
    ),
    "missing function": (
        ("compile", "broken.py:make", *COMPILE),
        "broken.py: has no function 'make'",
    ),
    "the user's own error": (
        ("compile", "broken.py:build", *COMPILE),
        "broken.py line 2: ZeroDivisionError: division by zero",
    ),
    "not a module": (
        ("compile", "number.py:build", *COMPILE),
        "number.py:build: returned int, expected (module, sample)",
    ),
    "not a network folder": (
        ("compile", "taken", *COMPILE),
        f"taken: has no network.json; {NET}",
    ),
    "too large for toy": (
        ("compile", "network", "--chip", "toy", "-o", "out"),
        "population hidden: needs 12 input axons for one neuron, the chip allows 8; toy has no"
        " accumulating neuron, which would split its sources over cores; on loihi1 it"
        " takes 1 core; on loihi2 it takes 1 core",
    ),
    "weight bits": (
        ("compile", "network", *COMPILE, "--bits", "9"),
        "loihi2 has no signed 9-bit weights; choose from 2, 3, 4, 5, 6, 7, 8",
    ),
    "foreign folder": (
        ("compile", "network", "--chip", "loihi2", "-o", "taken"),
        "{tmp}/taken: is there already and is not a result of ours; choose another",
    ),
    "emit over other things": (
        ("emit", "build", "-o", "taken"),
        "{tmp}/taken: is there already and is not a result of ours; choose another",
    ),
    "no build": (
        ("show", "nowhere"),
        "nowhere: no such folder; snncompile compile ... -o nowhere makes one",
    ),
    "network, not Program": (
        ("show", "network"),
        "network: has no program.json; compile the network in it first",
    ),
    "half a Program": (("show", "half"), "half/program.json: not valid JSON"),
    "wrong input shape": (
        ("run", "build", "--input", "wide.npz"),
        "wide.npz: x has shape (2, 5, 13), the network takes (samples, steps, 12)",
    ),
    "no time axis": (
        ("run", "build", "--input", "flat.npz"),
        "flat.npz: x has shape (2, 12), the network takes (samples, steps, 12)",
    ),
    "not spikes": (
        ("run", "build", "--input", "grey.npz"),
        "input holds values from 0.5 to 0.5, expected spikes: 0 or 1; make spikes of them first"
        " (snncompile encode)",
    ),
    "no x": (
        ("run", "build", "--input", "nox.npz"),
        "nox.npz: has no array x of shape (samples, steps, ...); it has y",
    ),
    "labels": (
        ("run", "build", "--input", "labels.npz"),
        "labels.npz: label has shape (3,), expected (2,) integers",
    ),
    "pickle as input": (
        ("run", "build", "--input", "pickle.npz"),
        "pickle.npz: not a readable .npz file (numpy.savez writes one)",
    ),
    "objects as input": (
        ("run", "build", "--input", "objects.npz"),
        "objects.npz: x has dtype object, expected numbers",
    ),
    "no input": (("run", "build", "--input", "nothing.npz"), "nothing.npz: no such file"),
    "unknown backend": (
        ("run", "build", "--input", "x.npz", "--backend", "loihi"),
        "no backend called 'loihi'; known: lava, reference",
    ),
    "unknown cost set": (
        ("estimate", "build", "--input", "x.npz", "--costs", "sanafe"),
        "loihi2 has no cost set 'sanafe'; it has loihi1_scaled, pilotnet_fitted",
    ),
    "unknown rules": (
        ("estimate", "build", "--input", "x.npz", "--rules", "board"),
        "no rules called 'board'; known: chip, sanafe",
    ),
}


@pytest.mark.usefixtures("mistakes")
@pytest.mark.parametrize("words, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    words, message, snncompile_command, tmp_path
):
    before = sorted(tmp_path.rglob("*"))
    done = snncompile_command(*words)
    assert done.code == 1
    assert done.err == f"error: {message.format(tmp=tmp_path)}\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("mistakes")
@pytest.mark.parametrize("name", ["cut.net", "nan.net", "pickle.net"])
def test_a_bad_net_file_is_one_line_and_leaves_nothing_behind(
    name, snncompile_command, tmp_path, golden
):
    before = sorted(tmp_path.rglob("*"))
    done = snncompile_command("compile", name, *COMPILE)
    assert done.code == 1
    assert done.err.count("\n") == 1
    golden(done.err)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("build")
def test_a_mistake_with_json_is_json_too(snncompile_command):
    done = snncompile_command("run", "build", "--input", "nothing.npz", "--json")
    assert done.code == 1
    assert json.loads(done.out) == {"error": "nothing.npz: no such file"}


def test_a_network_too_large_for_loihi1_says_what_would_fit(snncompile_command, tmp_path):
    from snncompile.ir.graph import Input, Network, Population, Projection
    from snncompile.neurons.cuba_lif import CubaLif

    sources, neurons = 5000, 40
    Network(
        Input("input", (sources,)),
        (Population("wide", (neurons,), CubaLif(1.0, 0.1, 1.0)),),
        (Projection("input", "wide", dense(np.ones((neurons, sources)))),),
        "wide",
        title="wide",
    ).save(tmp_path / "wide")
    done = snncompile_command("compile", "wide", "--chip", "loihi1", "-o", "out")
    assert done.code == 1
    assert done.err == (
        "error: population wide: needs 5,000 input axons for one neuron, the chip allows 4,096;"
        " loihi1 has no accumulating neuron, which would split its sources over cores;"
        " on loihi2 it takes 3 cores\n"
    )
