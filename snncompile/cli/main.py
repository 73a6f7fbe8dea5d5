"""The command line; the only place that prints.

A user's mistake ends in one line and exit code 1; results go to standard output, progress to
standard error.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from dataclasses import asdict
from typing import Annotated, Any

import typer

from snncompile import __version__
from snncompile.cli.check import check
from snncompile.cli.chips import chips
from snncompile.cli.compile import compile_command, show_program
from snncompile.cli.convert import convert, present
from snncompile.cli.encode import encode
from snncompile.cli.estimate import compare, estimate
from snncompile.cli.exit_codes import INTERRUPTED
from snncompile.cli.fit import fit_command
from snncompile.cli.lava import lava_app
from snncompile.cli.log import start_log
from snncompile.cli.passes import passes
from snncompile.cli.report import report
from snncompile.cli.run import emit, run, verify
from snncompile.cli.shared import (
    Build,
    Json,
    err,
    load_program,
    out,
    print_json,
    print_table,
    set_quiet,
)
from snncompile.cli.sweep import sweep_command
from snncompile.cli.usage import USAGE, explain_usage
from snncompile.errors import BoundsWarning, InputError, Obstacle, SnnCompileError
from snncompile.hwmodels.chips import ChipError
from snncompile.report import estimates

HELP = "Compile spiking neural networks for neuromorphic chips, run, verify and price them."
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; every mistake is one line, with an exit code that is not 0.

    Exit codes: 1 for a mistake in data or a result that is not as promised, 2 for one in the
    command, 130 for Ctrl-C.
    """
    try:
        code = _run()
        sys.stdout.flush()
    except OSError as error:
        code = _explain_output(error)
    sys.exit(code)


def _run() -> int:
    """Return the exit code of the command that was typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoundsWarning)  # `show_proof` says it in one line
            code = app(prog_name="snncompile", standalone_mode=False)
    except (SnnCompileError, ChipError) as error:
        _explain_error(error)
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        _explain_error(InputError(f"{error.filename}: {error.strerror}"))  # it may not be looked at
        return 1
    except USAGE as error:
        return explain_usage(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    return code if isinstance(code, int) else 0


def _explain_error(error: Exception) -> None:
    where = getattr(error, "where_it_failed", "")
    if "--json" in sys.argv:
        print(json.dumps(_list_error_values(error)))
    err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    if where:
        err.print(where, markup=False, highlight=False, soft_wrap=True)


def _explain_output(error: OSError) -> int:
    """Return the exit code where the output is closed or full; only the latter is said."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # so that the flush at the end of Python fails no more
    if error.errno == errno.ENOSPC:
        err.print(f"error: the output cannot be written: {error.strerror}", style="red")
    return 1


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
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, and no warnings of ours.")
    ] = False,
    log_level: Annotated[
        str, typer.Option(help="Log to standard error: debug, info, warning or error.")
    ] = "warning",
) -> None:
    """Take the options that stand before the command."""
    set_quiet(quiet)
    start_log(log_level)


def show(
    build: Build,
    map: Annotated[bool, typer.Option("--map", help="draw the cores on the mesh")] = False,
    as_json: Json = False,
) -> None:
    """Show layers, cores, usage of every limit, bounds, log and hashes; or a core map."""
    from snncompile.files.folder import read_seal
    from snncompile.program import PROGRAM
    from snncompile.report.core_map import draw_cores, serialize_cores
    from snncompile.report.tables import serialize_program

    program = load_program(build)
    if map and as_json:
        print_json(serialize_cores(program))
        return
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
        print_table(tables.tabulate_layers(results.program))
        print_table(tables.tabulate_cores(results.program))
        print_table(estimates.tabulate_estimate(results.estimate))
        out.print(results.summary())
    if not results.verification.equal:
        raise typer.Exit(1)


app.add_typer(lava_app, name="lava")
app.command("convert")(convert)
app.command("present")(present)
app.command("compile")(compile_command)
app.command("fit")(fit_command)
app.command("sweep")(sweep_command)
for command in (
    show, report, run, emit, verify, check, estimate, compare, chips, passes, encode, demo,
):  # fmt: skip
    app.command()(command)
