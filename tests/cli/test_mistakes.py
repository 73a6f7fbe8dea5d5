"""What a user can get wrong: one line, and nothing left behind."""

import json
import pickle

import numpy as np
import pytest

from snncompile.synapses.dense import dense


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
        " takes 1 core; on loihi2 it takes 1 core"
        "\nin pass partition, after retime, quantize, measure, prune, accumulate, sparsify",
    ),
    "weight bits": (
        ("compile", "network", *COMPILE, "--bits", "9"),
        "loihi2 has no signed 9-bit weights; choose from 2, 3, 4, 5, 6, 7, 8"
        "\nin pass quantize, after retime",
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
        "input holds values from 0.5 to 0.5, expected spikes: 0 or 1; a network for such values is"
        ' imported with input="analog"',
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
        "loihi2 has no cost set 'sanafe'; it has loihi1_scaled, measured",
    ),
    "unknown account": (
        ("estimate", "build", "--input", "x.npz", "--account", "board"),
        "no account called 'board'; known: chip, sanafe",
    ),
    "a clock that is not the user's": (
        ("estimate", "build", "--input", "x.npz", "--clock-mhz", "50"),
        "loihi2 has no times that depend on a clock",
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
@pytest.mark.parametrize(
    "words",
    [
        "show {}",
        "run {} --input x.npz",
        "compile {} --chip toy -o out",
        "compile {}.nir --chip toy -o out",
        "compile {}.py:build --chip toy -o out",
    ],
)
def test_a_name_that_cannot_be_looked_at_is_one_line(words, snncompile_command, tmp_path):
    name = "n" * 256
    done = snncompile_command(*words.format(name).split())
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: {name}")
    assert line.endswith(": File name too long")
    assert done.code == 1


@pytest.mark.usefixtures("build")
def test_a_mistake_with_json_is_json_too(snncompile_command):
    done = snncompile_command("run", "build", "--input", "nothing.npz", "--json")
    assert done.code == 1
    message = "nothing.npz: no such file"
    values = {"where": "", "resource": "", "need": None, "limit": None, "hint": ""}
    assert json.loads(done.out) == {
        "error": message,
        "obstacles": [{"message": message, **values}],
    }


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
        " on loihi2 it takes 5 cores\n"
        "in pass partition, after retime, quantize, measure, prune, accumulate, sparsify\n"
    )
