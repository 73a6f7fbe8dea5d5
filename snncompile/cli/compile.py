"""`snncompile compile`, and how a Program is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from snncompile.program import Program

WIDE = 160
"""Columns of a table that does not go to a terminal."""


def compile_command(
    model: Annotated[
        str, typer.Argument(help=".net or .nir file, file.py:function, or saved network")
    ],
    chip: Annotated[str, typer.Option(help="name of a chip, or path of a chip file")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to write")],
    calibration: Annotated[Path | None, typer.Option(help="npz with spikes x")] = None,
    bits: Annotated[int, typer.Option(help="bits of a weight")] = 8,
    steps: Annotated[int | None, typer.Option(help="time steps of one sample")] = None,
    formats: Annotated[str, typer.Option(help="chip, or netx: what a .net file holds")] = "chip",
    prune: Annotated[bool, typer.Option(help="drop neurons that change no output")] = True,
    rules: Annotated[str, typer.Option(help="free, or nxtf to cut as Intel's compiler")] = "free",
    encoding: Annotated[
        str | None, typer.Option(help="with nxtf: sparse, run_length, dense1, dense2")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="of the mapping: cores, traffic or latency")
    ] = "cores",
    placement: Annotated[
        str, typer.Option(help="annealed, bisection, greedy, linear or random")
    ] = "annealed",
    share_cores: Annotated[
        bool, typer.Option(help="let slices of different populations share a core")
    ] = True,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE where a .nir file is silent: reset=soft, dt=1e-3, ..."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Compile MODEL for a chip and write the Program to a folder."""
    from snncompile.cli.model_argument import load_model
    from snncompile.compiler import compile
    from snncompile.files.spikes import read_spikes
    from snncompile.frontends.nir.assumptions import from_words

    network = load_model(model, from_words(assume) if assume else None)
    data = read_spikes(calibration, network).x if calibration else None
    program = compile(
        network,
        chip=chip,
        calibration=data,
        bits=bits,
        steps=steps,
        formats=formats,
        prune=prune,
        rules=rules,
        encoding=encoding,
        objective=objective,
        placement=placement,
        share_cores=share_cores,
    )
    program.save(output)
    show_program(program, as_json)


def show_program(program: Program, as_json: bool) -> None:
    """Print layers, cores, bounds that do not hold, and what each pass did."""
    from snncompile.report import tables

    if as_json:
        print(json.dumps(tables.program_values(program), indent=1, allow_nan=False))
        return
    out = Console(width=None if sys.stdout.isatty() else WIDE)
    out.print(tables.layer_table(program))
    out.print(tables.core_table(program))
    for bound in program.bounds:
        if not bound.holds:
            out.print(f"bounds: {bound}", markup=False)
    for line in program.log:
        out.print(line, markup=False)
