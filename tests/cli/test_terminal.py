"""Commands in a narrow terminal, on a closed pipe, with a wrong word, with Ctrl-C."""

import inspect
import json
import os
import re
import subprocess
import sys
import time
from io import StringIO
from typing import get_args

import numpy as np
import pytest
from report_networks import make_network
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from snncompile.cli import main as cli
from snncompile.cli.lava import lava_app
from snncompile.cli.wide import split_table

SCRIPT = """
import sys
from snncompile.cli.main import main
print("begins", file=sys.stderr, flush=True)
main()
"""
ENTRY = [sys.executable, "-c", SCRIPT]


def start(*words, columns=80, **more):
    """Start a command in a process of its own, its output on a pipe."""
    environment = os.environ | {"COLUMNS": str(columns)}
    return subprocess.Popen(
        [*ENTRY, *map(str, words)], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


COMMANDS = {
    "show": "show build",
    "show --map": "show build --map",
    "chips": "chips",
    "a chip": "chips loihi2",
    "chips check": "chips check my.yaml",
    "passes": "passes",
    "a pass": "passes quantize",
    "estimate": "estimate build --input x.npz --baseline",
    "compare": "compare build build --input x.npz",
    "verify": "verify build --input x.npz --no-lava",
    "fit": "fit network --chip toy --chip loihi2",
    "fit of several": "fit network network --chip loihi1 --chip loihi2",
    "compile": "compile network --chip loihi2 --calibration x.npz -o new",
    "run": "run build --input x.npz -o y.npz",
    "report": "report build --input x.npz --try-seconds 0 -o r.html",
    "check": "check build --fits --energy-below 1mJ --without host_input,host_output --input x.npz",
    "emit": "emit build -o lava",
    "encode": "encode i.npz --steps 4 -o e.npz",
    "convert": "convert ann.py:build --calibration i.npz -o net",
    "present": "present net i.npz -o p.npz",
    "lava check": "lava check",
}
WITHOUT_TABLES = ("show --map", "chips check", "run", "report", "check", "emit", "encode",
                  "convert", "present", "lava check")  # fmt: skip
ANN = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(12, 3), nn.ReLU())
"""


@pytest.fixture
def files(build, spikes, tmp_path, snncompile_command):
    """Everything that the commands above read."""
    (tmp_path / "my.yaml").write_text("extends: toy\nname: my\n")
    (tmp_path / "ann.py").write_text(ANN)
    np.savez(tmp_path / "i.npz", x=np.random.default_rng(1).integers(0, 255, (6, 12)))

    def run(name, *more):
        if name == "present":
            assert snncompile_command(*COMMANDS["convert"].split()).code == 0
        return snncompile_command(*COMMANDS[name].split(), *more)

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_tables_fit_80_columns_and_no_word_is_cut(name, files, monkeypatch):
    monkeypatch.setattr("snncompile.cli.shared.out._width", 80)
    done = files(name)
    assert done.code == 0 or name == "lava check", done.err
    lines = [line for line in done.out.splitlines() if "│" in line or "┃" in line]
    assert bool(lines) == (name not in WITHOUT_TABLES)
    assert max(map(cell_len, lines), default=0) <= 80
    assert all(line.rstrip()[-1] in "│┃" for line in lines)
    assert "…" not in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name, files):
    done = files(name, "--json")
    assert isinstance(done.json, dict), done.err


def test_a_wide_table_becomes_several():
    table = Table(title="t")
    for name in ("layer", *(f"a quantity with a name {i}" for i in range(8))):
        table.add_column(name)
    table.add_row("a_layer_with_a_long_name", *("12,345 of 99,999" for _ in range(8)))
    blocks = split_table(table, 60)
    console = Console(width=60)
    with console.capture() as capture:
        for block in blocks:
            console.print(block)
    text = capture.get()
    assert len(blocks) > 1
    assert text.count("a_layer_with_a_long_name") == len(blocks)
    assert text.count("12,345 of 99,999") == 8
    assert [column.header for block in blocks for column in block.columns[1:]] == [
        column.header for column in table.columns[1:]
    ]


def test_columns_is_obeyed_on_a_pipe(monkeypatch):
    from snncompile.cli import shared

    monkeypatch.setenv("COLUMNS", "72")
    assert shared._choose_width() == 72
    monkeypatch.setenv("COLUMNS", "wide")
    assert shared._choose_width() == shared.WIDE


WRONG = {
    "command": (
        ("shwo", "build"),
        "error: no such command 'shwo'. Did you mean 'show'?; see snncompile --help\n",
    ),
    "option": (
        ("run", "build", "--inptu", "x.npz"),
        "error: no such option: --inptu; did you mean --input?; see snncompile run --help\n",
    ),
    "missing": (("run", "build"), "error: missing option '--input'; see snncompile run --help\n"),
    "number": (
        ("verify", "build", "--input", "x.npz", "--samples", "many"),
        "error: invalid value for '--samples': Input should be a valid integer, unable to parse"
        " string as an integer; see snncompile verify --help\n",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_word_is_one_line(name, snncompile_command):
    words, message = WRONG[name]
    done = snncompile_command(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert done.err == message


def test_a_closed_output_is_no_traceback(build):
    process = start("show", build, "--json")
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() in (0, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_output_is_one_line(build):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*ENTRY, "show", build], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "begins\nerror: the output cannot be written: No space left on device\n"


def test_run_prints_float_accuracy_beside_integer(build, spikes, snncompile_command):
    done = snncompile_command("run", build, "--input", spikes, "--json")
    assert 0 <= done.json["float_accuracy"] <= 1
    text = snncompile_command("run", build, "--input", spikes).out
    assert "\naccuracy: " in text
    assert "\nfloat_accuracy: " in text


def test_labels_out_of_range_or_under_another_name_are_said(
    build, spikes, tmp_path, snncompile_command
):
    x = np.load(spikes)["x"]
    np.savez(tmp_path / "far.npz", x=x, label=np.array([0, 1, 2, 3, -1, 0, 0, 0]))
    done = snncompile_command("run", build, "--input", "far.npz")
    assert done.err == (
        "warning: far.npz: 2 of 8 labels are outside 0..2, the outputs of the network; they count"
        " as wrong answers\n"
    )
    np.savez(tmp_path / "other.npz", x=x, labels=np.zeros(8, int))
    done = snncompile_command("run", build, "--input", "other.npz")
    assert done.err == (
        "warning: other.npz: labels is not read; labels are called label or y, so there is no"
        " accuracy\n"
    )
    assert snncompile_command("--quiet", "run", build, "--input", "other.npz").err == ""


def test_the_map_as_json(build, snncompile_command):
    cores = snncompile_command("show", build, "--map", "--json").json
    assert cores["cores"][0] == {
        "core": 0, "chip": 0, "tile_x": 0, "tile_y": 0,
        "slices": ["hidden[0:6]", "output[0:3]"],
    }  # fmt: skip


def test_log_level(build, snncompile_command):
    done = snncompile_command(
        "--log-level", "info", "compile", "network", "--chip", "loihi2", "-o", "other", "--json"
    )
    assert "INFO snncompile.cli.passes: compile: retime, 0% done in " in done.err
    json.loads(done.out)
    wrong = snncompile_command("--log-level", "loud", "chips")
    assert wrong.err == ("error: no log level called 'loud'; known: debug, info, warning, error\n")
    assert cli  # the module under test


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal of 100 columns; returns what was shown."""
    from snncompile.cli import shared

    console = Console(file=StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(shared, "err", console)
    return lambda: console.file.getvalue()


def test_samples_show_the_time_left_of_each_run(terminal):
    from snncompile.cli.shared import show_progress

    with show_progress("comparing runs") as progress:
        progress(3, 4)
        time.sleep(0.3)
    first = terminal()
    assert re.search(r"comparing runs .*3/4.* about \d+ s left", first)
    with show_progress("comparing runs") as progress:
        for done in (4, 1):  # the next run begins
            progress(done, 4)
            time.sleep(0.3)
    last = terminal()[len(first) :]
    assert last.index("4/4") < last.index("1/4")


def test_work_shows_what_is_done_and_the_time_left(terminal):
    from snncompile.cli.shared import show_work

    with show_work("importing net.py:build") as say:
        say("comparing with the module", 0.5)
        time.sleep(0.3)
    assert re.search(
        r"importing net.py:build .*comparing with the module .* about \d+ s left", terminal()
    )


def test_the_times_are_whole_in_80_columns(terminal, monkeypatch):
    from snncompile.cli import shared

    monkeypatch.setattr(shared.err, "_width", 80)
    with shared.show_work(f"importing {'a/' * 40}model.py:build") as say:
        say("comparing with the module, layer after layer, step after step", 0.5)
        time.sleep(0.3)
    with shared.show_progress("comparing runs") as progress:
        progress(12_000, 60_000)
        time.sleep(0.3)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal())
    times = r"0:00:0\d about \d s left"
    assert re.search(rf"importing .*…\S*build [━╺╸]+ compar.*….* {times}", shown), shown
    assert re.search(rf"comparing runs .* 12000/60000 {times}", shown), shown
    assert max(map(cell_len, re.split(r"[\r\n]+", shown))) <= 80


def test_quiet_and_pipes_show_nothing(terminal, monkeypatch):
    from snncompile.cli import shared

    monkeypatch.setattr(shared, "_quiet", True)
    with shared.show_work("importing") as say, shared.show_progress("runs") as progress:
        say("half", 0.5)
        progress(1, 2)
    assert terminal() == ""


def test_an_import_says_how_far_it_is(tmp_path):
    import torch

    from snncompile.frontends.torch.from_torch import from_torch
    from snncompile.training import Lif

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), Lif(0.1))
    x = (np.random.default_rng(0).random((50, 60, 4)) < 0.5).astype(np.uint8)
    said = []
    from_torch(module, x, progress=lambda text, share: said.append((text, share)))
    assert said[0] == ("reading the module", 0.0)
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert {text for text, _ in said[1:]} == {"comparing with the module"}
    assert 0.2 <= shares[1] < shares[-1] < 1


def test_fit_of_several_networks_is_one_table(build, tmp_path, snncompile_command):
    make_network(neurons=300).save(tmp_path / "large")
    words = ("fit", "network", "large", "--chip", "toy")
    done = snncompile_command(*words, "--json")
    fits = {}
    for trial in done.json["trials"]:
        fits[trial["network"]] = fits.get(trial["network"], False) or trial["fits"]
    assert list(fits) == ["network: small", "large: small"]
    assert done.code == (0 if all(fits.values()) else 1)
    alone = snncompile_command("fit", "network", "--chip", "toy", "--json")
    assert alone.code == (0 if any(t["fits"] for t in alone.json["trials"]) else 1)
    assert {t["network"] for t in alone.json["trials"]} == {"small"}
    assert "network: small" in snncompile_command(*words).out


def test_help_shows_every_word_in_brackets():
    """Rich takes `[events]` for the name of a style, and shows nothing, unless \\ stands before."""
    commands = [*cli.app.registered_commands, *lava_app.registered_commands]
    assert len(commands) > 15
    for command in commands:
        function = command.callback
        texts = [command.help or "", function.__doc__ or ""]
        for parameter in inspect.get_annotations(function, eval_str=True).values():
            texts += [text for m in get_args(parameter)[1:] if (text := getattr(m, "help", None))]
        assert [t for t in texts if re.search(r"(?<!\\)\[/?[a-z]", t)] == [], function.__name__
