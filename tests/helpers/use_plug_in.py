"""Use the installed package of tests/plug_in as its user would; print what is seen as JSON.

Run in a process of its own, in a folder with demo.rings and x.npz, with the package on the path.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import snncompile
from snncompile.checker.mapping import check
from snncompile.cli.main import app
from snncompile.errors import SnnCompileError
from snncompile.reference.simulate import run_batches

PASSES = "retime,quantize,prune,drop_small_weights{below=6},accumulate,partition,place,route"
BUILD = Path("build")


def run_command(*arguments: str) -> str:
    """Return what `snncompile` prints."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refuse_command(*arguments: str) -> str:
    """Return why `snncompile` refuses."""
    return str(CliRunner().invoke(app, list(arguments)).exception)


def compile_and_use() -> dict:
    """Return what every command says, and what the compiled Program holds."""
    printed = {
        "chips": run_command("chips"),
        "passes": run_command("passes", "drop_small_weights"),
        "compile": run_command(
            *("compile", "demo.rings", "--chip", "pinboard", "-o", str(BUILD), "--passes", PASSES),
            *("--calibration", "x.npz", "--save-after", "drop_small_weights"),
        ),
        "show": run_command("show", str(BUILD)),
        "fit": run_command("fit", "demo.rings", "--chip", "pinboard"),
        "emit": run_command("emit", str(BUILD), "--backend", "rings", "-o", "out.txt"),
    }
    estimates = {
        timing: json.loads(
            run_command("estimate", str(BUILD), "--input", "x.npz", "--timing", timing, "--json")
        )
        for timing in ("fast", "cycle")
    }
    program = snncompile.load(BUILD)
    return {
        "printed": printed,
        "estimates": {timing: estimate["energy_j"] for timing, estimate in estimates.items()},
        "after_pass": Path("build_after_drop_small_weights.txt").read_text(),
        "emitted": Path("out.txt").read_text(),
        "log": list(program.log),
        "neurons": [str(p.neuron) for p in program.network.populations],
        "bounds": [b.quantity for b in program.bounds if b.population == "ring1"],
        "wirings": [p.synapses.wiring.kind for p in program.network.projections],
        "words": [[b.core, b.words, b.format] for b in program.mapping.tables.memory],
        **run_both_ways(program),
        "refused": refuse_changed_words(program),
        "refused_file": refuse_changed_file(),
        "refused_networks": [
            refuse_command("compile", f"{name}.rings", "--chip", "pinboard", "-o", "none")
            for name in ("large", "wrong")
        ],
    }


def run_both_ways(program) -> dict:
    """Return the spikes of each population, and whether the fast way gives the same."""
    x = np.load("x.npz")["x"]
    plain, fast = (list(run_batches(program.network, x, fast=way)) for way in (False, True))
    equal = [bool((b[n] == part[n]).all()) for part, b in zip(plain, fast, strict=True) for n in b]
    spikes = {n: int(sum(part[n].sum() for part in plain)) for n in plain[0]}
    return {"equal": equal, "spikes": spikes}


def refuse_changed_words(program) -> list[str]:
    """Return what the checker says when one word is added to, or taken from, each core in turn."""
    said = []
    memory = program.mapping.tables.memory
    for number, block in enumerate(memory):
        for change in (1, -1):
            changed = replace(block, words=block.words + change)
            blocks = (*memory[:number], changed, *memory[number + 1 :])
            tables = replace(program.mapping.tables, memory=blocks)
            said.append(refuse(check, program, replace(program.mapping, tables=tables)))
    return said


def refuse(check, program, mapping) -> str:
    """Return the message of the checker, or nothing."""
    try:
        check(program.network, program.chip, mapping)
    except SnnCompileError as error:
        return str(error)
    return ""


def refuse_changed_file() -> str:
    """Return what is said of a saved Program in which one word less is written."""
    path = BUILD / "program.json"
    before = path.read_text()
    record = json.loads(before)
    record["mapping"]["memory"][2]["words"] -= 1
    path.write_text(json.dumps(record))
    try:
        snncompile.load(BUILD)
    except SnnCompileError as error:
        return str(error)
    finally:
        path.write_text(before)
    return ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compile_and_use()))
