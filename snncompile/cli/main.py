"""The command line; the only place that prints.

A user's mistake ends in one line and exit code 1; results go to standard output, progress to
standard error.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from typing import Annotated, Any

import typer

from snncompile import __version__
from snncompile.cli.chips import chips
from snncompile.cli.compile import compile_command, show_program
from snncompile.cli.convert import convert, present
from snncompile.cli.encode import encode
from snncompile.cli.estimate import compare, estimate
from snncompile.cli.fit import fit_command
from snncompile.cli.lava import lava_app
from snncompile.cli.passes import passes
from snncompile.cli.report import report
from snncompile.cli.run import emit, run, verify
from snncompile.cli.shared import Build, Json, err, load_program, out, print_json
from snncompile.errors import BoundsWarning, Obstacle, SnnCompileError
from snncompile.hwmodels.chips import ChipError
from snncompile.report import estimates

HELP = "Compile spiking neural networks for neuromorphic chips, run, verify and price them."
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; turn every error of ours into one line and exit code 1."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoundsWarning)  # `show_proof` says it in one line
            app()
    except (SnnCompileError, ChipError) as error:
        where = getattr(error, "where_it_failed", "")
        if "--json" in sys.argv:
            print(json.dumps(_list_error_values(error)))
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        if where:
            err.print(where, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def _list_error_values(error: Exception) -> dict[str, Any]:
    """Return the message, the obstacles one by one, and the pass that failed."""
    if not isinstance(error, SnnCompileError):
        return {"error": str(error), "obstacles": [asdict(Obstacle(str(error)))]}
    failed = {"pass": error.failed_pass, "after": error.passes_run} if error.failed_pass else {}
    obstacles = [asdict(obstacle) for obstacle in error.obstacles]
    return {"error": str(error), "obstacles": obstacles} | failed


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"snncompile {__version__}")
        raise typer.Exit


@app.callback(help=HELP)
def _take_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def show(
    build: Build,
    map: Annotated[bool, typer.Option("--map", help="draw the cores on the mesh")] = False,
    as_json: Json = False,
) -> None:
    """Show layers, cores, usage of every limit, bounds, log and hashes; or a core map."""
    from snncompile.files.folder import read_seal
    from snncompile.program import PROGRAM
    from snncompile.report.core_map import draw_cores
    from snncompile.report.tables import serialize_program

    program = load_program(build)
    if map:
        out.print(draw_cores(program), markup=False, highlight=False, end="")
        return
    seal = read_seal(build / PROGRAM)
    if as_json:
        print_json(serialize_program(program) | {"sha256": seal})
        return
    show_program(program, as_json)
    out.print(f"meaning: {program.meaning} (network, mapping, chip)", highlight=False)
    out.print(f"file: {seal or 'no hash, written by an older version'}", highlight=False)


def demo(as_json: Json = False) -> None:
    """Train a small network on handwritten digits; compile, run, verify and estimate it."""
    from snncompile.cli.demo import run as run_demo
    from snncompile.report import tables

    results = run_demo(lambda text: err.print(text, markup=False, highlight=False))
    if as_json:
        print_json(results.values())
    else:
        out.print(tables.tabulate_layers(results.program))
        out.print(tables.tabulate_cores(results.program))
        out.print(estimates.tabulate_estimate(results.estimate))
        out.print(results.summary())
    if not results.verification.equal:
        raise typer.Exit(1)


app.add_typer(lava_app, name="lava")
app.command("convert")(convert)
app.command("present")(present)
app.command("compile")(compile_command)
app.command("fit")(fit_command)
for command in (
    show, report, run, emit, verify, estimate, compare, chips, passes, encode, demo,
):  # fmt: skip
    app.command()(command)
