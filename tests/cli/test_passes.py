"""`snncompile passes`, and what `compile` does with passes."""

import inspect
import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Task

import snncompile
from snncompile import registry
from snncompile.cli.passes import show_passes
from snncompile.cli.shared import TimeLeft
from snncompile.options import Options
from snncompile.passes.describe import describe_pass
from snncompile.passes.pipeline import Pipeline
from snncompile.passes.prune.prune import Prune
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.route import Route
from snncompile.passes.timing.retime import Retime

NAMES = ("retime", "quantize", "measure", "prune", "accumulate", "sparsify")
NAMES += ("partition", "place", "route")
COMPILE = ("compile", "network", "--chip", "loihi2", "-o", "out")


def cells(text: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table."""
    rows = (line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in row] for row in rows]


def test_the_list(snncompile_command):
    done = snncompile_command("passes")
    assert (done.code, done.err) == (0, "")
    rows = [row for row in cells(done.out) if row[1]]  # others go on with a meaning
    assert [row[:2] for row in rows] == [
        *([str(i), name] for i, name in enumerate(NAMES, 1)),
        ["on request", "partition_intel"],
        ["on request", "partition_nxtf"],
    ]
    assert rows[3][2:] == [describe_pass(Prune).summary, "on"]
    assert done.out.splitlines()[-2:] == [
        "all with their options, as compile --passes takes them:",
        str(Pipeline.default(Options())),
    ]


def test_one_pass(snncompile_command):
    done = snncompile_command("passes", "quantize")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"quantize\n\n{inspect.getdoc(Quantize)}\n\noptions ")
    rows = [row[:3] for row in cells(done.out) if row[0]]  # others go on with a meaning
    assert rows == [
        ["bits", "int or none", "none"],
        ["steps", "int or none", "none"],
        ["formats", "chip or netx", "chip"],
        ["scales", "neuron or channel or population", "neuron"],
        ["processes", "any or library", "any"],
    ]


def test_a_pass_without_options(snncompile_command):
    done = snncompile_command("passes", "route")
    assert done.out == f"route\n\n{inspect.getdoc(Route)}\n\nno options\n"


def test_the_list_as_json(snncompile_command):
    shown = snncompile_command("passes", "--json").json
    assert shown["default"] == str(Pipeline.default(Options()))
    assert [p["name"] for p in shown["passes"]] == [*NAMES, "partition_intel", "partition_nxtf"]


@pytest.mark.parametrize("name", registry.TABLES["passes"])
def test_every_pass_is_explained(name, snncompile_command):
    shown = snncompile_command("passes", name, "--json").json
    assert shown["name"] == name
    for text in ("summary", "requires", "ensures"):
        assert shown[text].endswith("."), (text, shown[text])
    for option in shown["options"]:
        assert option["type"]
        assert option["default"]
        assert option["doc"].endswith("."), option


def test_options_are_explained(snncompile_command):
    options = snncompile_command("passes", "quantize", "--json").json["options"]
    assert options[1] == {
        "name": "steps",
        "type": "int or none",
        "default": "none",
        "doc": "Time steps of one sample, for the bounds; None for any number.",
    }


def test_an_unknown_pass(snncompile_command):
    done = snncompile_command("passes", "squeeze")
    assert (done.code, done.err) == (
        1,
        "error: no pass called 'squeeze'; known: accumulate, measure, partition, partition_intel,"
        " partition_nxtf, place, prune, quantize, retime, route, sparsify\n",
    )


@pytest.mark.usefixtures("build")
def test_compile_runs_the_passes_of_a_text(snncompile_command):
    passes = "retime,quantize{bits=4},partition,place{placement=linear},route"
    done = snncompile_command(*COMPILE, "--passes", passes, "--json")
    assert done.code == 0, done.err
    assert [line.split(":")[0] for line in done.json["log"]] == [
        *("retime", "quantize", "partition", "place", "route"),
    ]
    assert "4-bit weights" in done.json["log"][1]
    assert snncompile.load("out").passes.startswith("retime,quantize{bits=4 steps=none")


@pytest.mark.usefixtures("build")
def test_compile_skips(snncompile_command):
    done = snncompile_command(*COMPILE, "--skip", "prune", "--skip", "accumulate", "--json")
    assert done.code == 0, done.err
    assert len(done.json["log"]) == 7


MISTAKES = {
    "skipped what others require": (
        ("--skip", "quantize"),
        "pass measure requires an integer network: run quantize before it; ran: retime",
    ),
    "skipped nothing": (
        ("--skip", "squeeze"),
        f"no pass 'squeeze' to run; there are {', '.join(NAMES)}",
    ),
    "print after a pass that does not run": (
        ("--skip", "prune", "--print-after", "prune"),
        "no pass 'prune' to run; there are retime, quantize, measure, accumulate, sparsify,"
        " partition, place, route",
    ),
    "save after a pass that does not run": (
        ("--save-after", "squeeze"),
        f"no pass 'squeeze' to run; there are {', '.join(NAMES)}",
    ),
    "no such option": (
        ("--passes", "retime{bits=1}"),
        "pass retime has no option 'bits'; it has none",
    ),
    "nothing to verify with": (
        ("--verify-each",),
        "--verify-each runs calibration data; give --calibration FILE.npz",
    ),
}


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("words, message", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(words, message, snncompile_command):
    done = snncompile_command(*COMPILE, *words)
    assert (done.code, done.err) == (1, f"error: {message}\n")
    assert not Path("out").exists()


@pytest.mark.usefixtures("build")
def test_a_failing_pass_is_in_the_json(snncompile_command):
    words = ("compile", "network", "--chip", "toy", "-o", "out", "--json")
    error = json.loads(snncompile_command(*words).out)
    assert error["pass"] == "partition"
    assert error["after"] == list(NAMES[:6])


def test_compile_prints_the_design_after_a_pass(build, snncompile_command):
    once = snncompile_command(*COMPILE, "--print-after", "quantize", "--json")
    assert once.code == 0, once.err
    assert once.json["cores"] == 1  # the result alone is on standard output
    assert once.err.startswith("after quantize:\nchip loihi2\ninput input 12\npopulation hidden 6")
    assert once.err.count("after ") == 1
    every = snncompile_command(*COMPILE, "--print-after", "all").err
    assert [line for line in every.splitlines() if line.startswith("after ")] == [
        f"after {name}:" for name in NAMES
    ]
    assert "core 0: input axons 0..11 of input[0:12] to synapses" in every


def test_compile_saves_the_design_after_a_pass(build, snncompile_command):
    for _ in range(2):  # what was saved before is replaced
        words = ("--save-after", "quantize", "--save-after", "partition")
        assert snncompile_command(*COMPILE, *words).code == 0
    written = sorted(path.name for path in Path().glob("out_after*"))
    assert written == [
        *("out_after_partition", "out_after_partition.txt"),
        *("out_after_quantize", "out_after_quantize.txt"),
    ]
    quantized = snncompile.load("out_after_quantize")
    assert isinstance(quantized, snncompile.IntegerNetwork)
    text = Path("out_after_partition.txt").read_text()
    assert str(quantized) in text
    assert "hidden[0:6] on core 0\n" in text
    again = snncompile.compile(quantized, chip="loihi2")
    assert str(again.network) == str(snncompile.load("out").network)


def test_compile_times_and_verifies_passes(build, spikes, snncompile_command):
    words = ("--calibration", spikes, "--verify-each", "--time-passes")
    done = snncompile_command(*COMPILE, *words, "--json")
    assert done.code == 0, done.err
    times = [line.split() for line in done.err.splitlines() if not line.startswith("verify")]
    assert [(unit, name) for _, unit, name in times] == [("s", name) for name in NAMES]
    assert all(float(seconds) >= 0 for seconds, _, _ in times)
    lines = [line for line in done.err.splitlines() if line.startswith("verify-each: ")]
    assert [line.split(": ")[1] for line in lines] == list(NAMES)
    assert lines[0] == "verify-each: retime: all 720 outputs of 2 populations are equal"
    assert "answers differ" in lines[1]
    assert lines[2] == "verify-each: measure: the network is the same"
    with np.load("build/arrays.npz") as known, np.load("out/arrays.npz") as new:
        assert all((known[name] == new[name]).all() for name in known.files)


def test_progress_without_a_terminal_is_for_the_log_alone(monkeypatch, capsys, caplog):
    clock = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr("snncompile.cli.passes.perf_counter", lambda: next(clock))
    with caplog.at_level("INFO", "snncompile"), show_passes("fit toy") as progress:
        progress(Retime(), 0.0)
        progress(Retime(), 0.25)
    assert capsys.readouterr().err == ""
    assert caplog.messages == [
        "fit toy: retime, 0% done in 10 s",
        "fit toy: retime, 25% done in 40 s, about 120 s left",
    ]


def test_progress_on_a_terminal_has_the_pass_and_the_time_left(monkeypatch):
    """As long as a pass takes: rich's own column forgets it after 30 s."""
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=120)
    monkeypatch.setattr("snncompile.cli.passes.err", console)
    with show_passes("fit toy") as progress:
        progress(Retime(), 0.0)
        progress(Retime(), 0.25)
    assert re.search(r"fit toy .* retime .*0:00:0\d about \d+ s left", screen.getvalue())


@pytest.mark.parametrize(
    "share, seconds, left",
    [(0.0, 9, ""), (0.25, 40, "about 120 s left"), (1.0, 40, "about 0 s left")],
)
def test_the_time_left_is_in_proportion(share, seconds, left):
    task = Task(0, "", 1.0, share, lambda: seconds)
    task.start_time = 0.0
    assert str(TimeLeft().render(task)) == left
