"""Every command as a user types it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import chain, integer_chain

import snncompile
from snncompile.cli.model_argument import load_model


def test_compile_writes_a_program_and_shows_it(build, snncompile_command, golden):
    assert sorted(p.name for p in build.iterdir()) == ["arrays.npz", "program.json"]
    done = snncompile_command("show", "build")
    assert done.code == 0
    golden(re.sub("[0-9a-f]{64}", "HASH", done.out))  # floats of errors are of this machine


def test_compile_takes_every_option_of_the_mapping(build, snncompile_command):
    command = ("compile", "network", "--chip", "loihi2", "-o", "own", "--json")
    options = ("--objective", "traffic", "--placement", "linear", "--no-share-cores")
    done = snncompile_command(*command, *options)
    assert (done.code, done.json["cores"]) == (0, 2)
    assert "place: linear" in "\n".join(done.json["log"])
    done = snncompile_command(*command, "--objective", "best")
    assert done.code == 1
    assert done.json["error"].startswith("objective: ")


# Objective -> cores of the small network: slices of equal work spread over all there are.
OBJECTIVES = {"cores": 1, "traffic": 1, "latency": 9}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_objective_decides_the_slices(build, snncompile_command, objective):
    done = snncompile_command(
        *("compile", "network", "--chip", "loihi2", "-o", "own", "--json", "--objective", objective)
    )
    program = snncompile.load("own")
    assert program.options.mapping.objective == objective
    assert done.json["cores"] == program.mapping.cores == OBJECTIVES[objective]
    wanted = snncompile.compile(snncompile.load("network"), chip="loihi2", objective=objective)
    assert program.mapping == wanted.mapping


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


@pytest.mark.parametrize("timing", ["fast", "cycle"])
def test_estimate_json_adds_up(timing, build, spikes, snncompile_command):
    command = ("estimate", "build", "--input", spikes, "--json", "--timing", timing)
    found = snncompile_command(*command).json
    known = [row for row in found["rows"] if row["price_j"] is not None]
    assert found["energy_j"] == pytest.approx(sum(row["energy_j"] for row in known))
    assert found["energy_j"] > 0
    assert found["timing"] == timing
    assert found["latency_s"] == pytest.approx(sum(found["step_s"]))
    unknown = {row["event"] for row in found["rows"] if row["price_j"] is None and row["count"]}
    unknown |= {"static power in missing times"}
    assert unknown == {m.removeprefix("energy of ") for m in found["missing"] if "energy" in m}
    for row in known:
        assert set(row) >= {"layer", "event", "count", "price_j", "energy_j"}
        assert row["energy_j"] == pytest.approx(row["count"] * row["price_j"])


def test_estimate_names_what_its_total_lacks(build, spikes, snncompile_command):
    text = snncompile_command("estimate", "build", "--input", spikes, "--baseline").out
    lacks = "energy without host_input, host_output, static power in missing times"
    assert text.count(lacks) == 1 or lacks in " ".join(text.split())
    assert "missing in these totals: energy of host_input, host_output" in text
    assert "missing in these totals: time of host_input, host_output" in text
    assert "(1) unknown: not in this cost set" in text
    assert (
        " ".join(text.split()).count("has the median dynamic energy of the six runs") == 1
    )  # once
    assert "left out: loading the program, learning, the host's own energy" in text
    assert "cost set measured" in text
    assert "ANN: MAC" in text


def test_estimate_by_the_account_of_sanafe(build, spikes, snncompile_command):
    for account, from_host in (("chip", True), ("sanafe", False)):  # SANA-FE's input is on cores
        command = ("estimate", "build", "--input", spikes, "--account", account, "--json")
        found = snncompile_command(*command).json
        assert found["account"] == account
        events = {row["event"] for row in found["rows"] if row["count"]}
        assert ("host_input" in events) == from_host


def test_estimate_writes_trace_and_tables(build, spikes, snncompile_command):
    done = snncompile_command(
        *("estimate", "build", "--input", spikes),
        *("--timing", "cycle", "--trace", "t.json", "--csv", "t.csv", "--parquet", "t.parquet"),
        *("--steps-csv", "t-steps.csv", "--steps-parquet", "t-steps.parquet"),
    )
    assert done.code == 0
    assert sorted(p.name for p in Path().glob("t*")) == [
        "t-steps.csv",
        "t-steps.parquet",
        "t.csv",
        "t.json",
        "t.parquet",
    ]
    assert Path("t.csv").read_text().startswith("step,core,layer,event,count,energy_j,seconds\n")
    assert Path("t-steps.csv").read_text().startswith("sample,step,seconds,bound\n")


def test_a_table_is_written_to_the_name_that_was_given(build, spikes, snncompile_command):
    before = set(Path().iterdir())
    done = snncompile_command("estimate", "build", "--input", spikes, "--csv", "only.csv")
    assert done.code == 0
    assert {p.name for p in set(Path().iterdir()) - before} == {"only.csv"}


def test_estimate_with_a_timing_that_is_not_there(build, spikes, snncompile_command):
    done = snncompile_command("estimate", "build", "--input", spikes, "--timing", "slow")
    assert done.code == 1
    assert "error: no estimator called 'slow'; known: cycle, fast" in done.err


LAST = "0.1 is the last release that knows the old name"
# Words of a command with an option's old name, the same with the new one, the warning.
OLD_NAMES = [
    (
        ("compile", "network", "--chip", "loihi1", "-o", "own", "--rules", "nxtf"),
        ("compile", "network", "--chip", "loihi1", "-o", "own", "--partitioner", "nxtf"),
        "--rules is called --partitioner now",
    ),
    (
        ("estimate", "build", "--input", "x.npz", "--model", "cycle"),
        ("estimate", "build", "--input", "x.npz", "--timing", "cycle"),
        "--model is called --timing now",
    ),
    (
        ("estimate", "build", "--input", "x.npz", "--rules", "sanafe"),
        ("estimate", "build", "--input", "x.npz", "--account", "sanafe"),
        "--rules is called --account now",
    ),
    (
        ("compare", "build", "build", "--input", "x.npz", "--model", "cycle"),
        ("compare", "build", "build", "--input", "x.npz", "--timing", "cycle"),
        "--model is called --timing now",
    ),
]


@pytest.mark.usefixtures("build", "spikes")
@pytest.mark.parametrize("old, new, warning", OLD_NAMES)
def test_old_names_of_options_work_and_warn(old, new, warning, snncompile_command):
    done, again = (snncompile_command(*words, "--json") for words in (old, new))
    assert (done.code, done.json) == (again.code, again.json)
    assert done.code == 0
    assert (done.err, again.err) == (f"warning: {warning}; {LAST}\n", "")


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
    assert "other: loihi1, cost set davies2018; missing in *: energy of" in text
    assert text.endswith("meaning: another network, another mapping, another chip\n")
    assert found["other_parts"] == ["network", "mapping", "chip"]


def test_two_hashes_are_shown_and_compared(build, spikes, snncompile_command):
    """Nothing was pruned anyway: another file, the same meaning."""
    words = ("compile", "network", "--chip", "loihi2", "--calibration", spikes, "--no-prune")
    assert snncompile_command(*words, "-o", "other").code == 0
    first, second = (snncompile_command("show", b, "--json").json for b in ("build", "other"))
    assert first["meaning"] == second["meaning"]
    assert first["sha256"] != second["sha256"]
    text = snncompile_command("show", "build").out
    assert text.endswith(
        f"meaning: {first['meaning']['all']} (network, mapping, chip)\nfile: {first['sha256']}\n"
    )
    assert snncompile_command("compare", "build", "other", "--input", spikes).out.endswith(
        "meaning: the same\n"
    )
    verified = snncompile_command("verify", "build", "--no-lava", "--input", spikes, "--json")
    assert verified.json["meaning"] == first["meaning"]["all"]


def test_a_program_edited_by_hand_is_refused(build, snncompile_command):
    text = (build / "program.json").read_text()
    (build / "program.json").write_text(text.replace('"value": 23.6', '"value": 23.7', 1))
    done = snncompile_command("show", "build")
    assert (done.code, done.err) == (
        1,
        "error: build: is not as it was saved: damaged, or edited by hand; compile again with the"
        " chip file and options you want, or change it in Python (dataclasses.replace) and save\n",
    )


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


def test_a_python_file_may_define_dataclasses(tmp_path):
    """They look for their file among the imported ones; it leaves no trace there."""
    file = tmp_path / "sizes_of_mine.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from networks import integer_chain\n"
        "@dataclass\n"
        "class Sizes:\n"
        "    first: int\n"
        "    second: int = 3\n"
        "def build():\n"
        "    size = Sizes(2)\n"
        "    return integer_chain(size.first, size.second)\n"
    )
    network = load_model(f"{file}:build")
    assert str(network) == str(integer_chain(2, 3))
    assert "sizes_of_mine" not in sys.modules


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


def test_emit_writes_a_folder_that_names_no_snncompile_import(build, snncompile_command):
    done = snncompile_command("emit", "build", "-o", "lava", "--json")
    assert done.code == 0, done.err
    files = ["README.md", "network.py", "processes", "run.py", "sha256sums.txt", "weights.npz"]
    assert done.json["files"] == files
    code = "".join(path.read_text() for path in Path("lava").rglob("*.py"))
    assert "import snncompile" not in code
    assert "from snncompile" not in code


def test_the_version_is_printed(snncompile_command):
    done = snncompile_command("--version")
    assert (done.code, done.out, done.err) == (0, f"snncompile {snncompile.__version__}\n", "")


@pytest.mark.parametrize("command", [(), ("compile",), ("lava", "install")])
def test_h_is_help(command, snncompile_command):
    assert snncompile_command(*command, "-h").out == snncompile_command(*command, "--help").out


def test_a_refusal_of_several_things_in_json(snncompile_command, tmp_path):
    chain(20, 12, 2, 1, weight=0.5).save(tmp_path / "net")
    words = ("compile", "net", "--chip", "toy", "-o", "out")
    done = snncompile_command(*words, "--json")
    assert (done.code, done.json["error"].splitlines()[0]) == (1, "2 things stand in the way:")
    limits = [(o["where"], o["need"], o["limit"]) for o in done.json["obstacles"]]
    assert limits == [("population a", 20, 8), ("population b", 12, 8)]
    where = "in pass partition, after retime, quantize, measure, prune, accumulate, sparsify"
    assert done.err == f"error: {done.json['error']}\n{where}\n"


def test_show_says_when_older_rules_counted(snncompile_command):
    saved = Path(__file__).parents[1] / "saved" / "packed_rows" / "program_loihi2"
    done = snncompile_command("show", saved)
    assert (done.code, done.err) == (0, "")
    assert "counted by the older rules packed_rows of loihi2" in done.out
