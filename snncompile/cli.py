"""The command line; the only place that prints.

A user's mistake ends in one line and exit code 1; results go to standard output, progress to
standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from snncompile.cli_compile import compile_command, show_program
from snncompile.cli_conversion import convert, present
from snncompile.cli_fit import fit_command
from snncompile.errors import InputError, SnnCompileError
from snncompile.hwmodels.load import ChipError
from snncompile.report import estimates

if TYPE_CHECKING:
    from snncompile.ir.graph import Progress as Report
    from snncompile.program import Program

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compile spiking neural networks for neuromorphic chips, run, verify and price them.",
)
lava_app = typer.Typer(
    no_args_is_help=True,
    help="The environment in which Lava runs. SNNCOMPILE_LAVA_ENV says where it is (else in the"
    " user's cache folder), SNNCOMPILE_PYTHON310 which Python 3.10 it is made with (else found).",
)
app.add_typer(lava_app, name="lava")
for command in (convert, present):
    app.command()(command)
app.command("compile")(compile_command)
app.command("fit")(fit_command)

WIDE = 160
"""Columns of a table that does not go to a terminal."""
out = Console(width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True)

Build = Annotated[Path, typer.Argument(help="folder of a compiled Program")]
InputFile = Annotated[Path, typer.Option("--input", help="npz with x (samples, steps, ...), label")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
Model = Annotated[str, typer.Option(help="fast (closed form) or cycle (every message)")]
Costs = Annotated[str | None, typer.Option(help="cost set; see `chips NAME`")]
Timeout = Annotated[float | None, typer.Option(help="seconds that the Lava run may take", min=1)]


def main() -> None:
    """Run the command line; turn every error of ours into one line and exit code 1."""
    try:
        app()
    except (SnnCompileError, ChipError) as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": str(error)}))
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def show(
    build: Build,
    map: Annotated[bool, typer.Option("--map", help="draw where every core is")] = False,
    as_json: Json = False,
) -> None:
    """Show layers, cores, usage of every limit, bounds and what each pass did; or a core map."""
    from snncompile.report.core_map import core_map

    if map:
        out.print(core_map(_program(build)), markup=False, highlight=False, end="")
    else:
        show_program(_program(build), as_json)


@app.command()
def run(
    build: Build,
    input: InputFile,
    backend: Annotated[str, typer.Option(help="reference or lava")] = "reference",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="npz to write")] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Run a Program on spikes; print the accuracy if the input has labels."""
    from snncompile.spikes import read_spikes, write_result

    program = _program(build)
    spikes = read_spikes(input, program.network)
    with _progress(backend) as report:
        result = program.run(spikes.x, backend, progress=report, timeout_s=timeout)
    if output:
        write_result(output, result)
    values: dict[str, Any] = {
        "backend": backend,
        "samples": len(result.spikes),
        "steps": result.spikes.shape[1],
        "output": str(output) if output else None,
    }
    if spikes.label is not None:
        values["accuracy"] = result.accuracy(spikes.label)
    _say(values, as_json)


@app.command()
def emit(
    build: Build,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder or file to write")],
    backend: Annotated[str, typer.Option(help="lava, netx or nir")] = "lava",
    as_json: Json = False,
) -> None:
    """Write a Lava program that runs without snncompile, a lava-dl .net file or a NIR file."""
    _program(build).emit(output, backend)
    files = sorted(p.name for p in output.iterdir()) if output.is_dir() else [output.name]
    _say({"output": str(output), "files": files}, as_json)


@app.command()
def verify(
    build: Build,
    input: InputFile,
    samples: Annotated[int, typer.Option(help="compare only the first so many", min=1)] = 16,
    model: Annotated[
        str | None, typer.Option(help="file.py:function it was compiled from, to run its library")
    ] = None,
    lava: Annotated[bool, typer.Option(help="run Lava too")] = True,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Compare source library, float network, reference and Lava, output by output.

    Exit 1 if outputs differ that are promised to be equal: library and float, reference and Lava.
    """
    from snncompile.frontends.model import load_native
    from snncompile.report.verification import comparison_table, verification_values
    from snncompile.spikes import read_spikes

    program = _program(build)
    spikes = read_spikes(input, program.network)
    native = load_native(model) if model else None
    with _progress("lava") as report:
        found = program.verify(
            spikes.x, samples, model=native, lava=lava, progress=report, timeout_s=timeout
        )
    if as_json:
        _print_json(verification_values(found))
    else:
        out.print(comparison_table(found))
        for comparison in found.comparisons:
            out.print(str(comparison), markup=False, soft_wrap=True)
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def estimate(
    build: Build,
    input: InputFile,
    model: Model = "fast",
    costs: Costs = None,
    rules: Annotated[str, typer.Option(help="chip, or sanafe for SANA-FE's account")] = "chip",
    clock_mhz: Annotated[float | None, typer.Option(help="where the user chooses it")] = None,
    trace: Annotated[Path | None, typer.Option(help="JSON for Perfetto, first sample")] = None,
    csv: Annotated[Path | None, typer.Option(help="events by step and core, and steps")] = None,
    parquet: Annotated[Path | None, typer.Option(help="the same as Parquet")] = None,
    sanafe: Annotated[Path | None, typer.Option(help="folder for SANA-FE's files")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="compare with an ANN")] = False,
    as_json: Json = False,
) -> None:
    """Estimate energy and latency per inference, with the activity of the input."""
    from snncompile.backends.energy import baseline as arithmetic
    from snncompile.backends.energy.outputs import Outputs
    from snncompile.spikes import read_spikes

    program = _program(build).at_clock(clock_mhz)
    spikes = read_spikes(input, program.network)
    with _progress("reference") as report:
        found = program.estimate(spikes.x, costs, model=model, rules=rules, progress=report)
    for line in Outputs(trace, csv, parquet, sanafe).write(program, spikes.x, found):
        err.print(line, markup=False)
    rows = arithmetic.baseline(program, found)
    if as_json:
        _print_json(estimates.estimate_values(found) | estimates.baseline_values(rows))
        return
    out.print(estimates.estimate_table(found))
    if baseline:
        out.print(estimates.baseline_table(rows, arithmetic.SOURCE))
    for line in estimates.estimate_lines(found):
        out.print(line, markup=False)


@app.command()
def compare(
    a: Build,
    b: Build,
    input: InputFile,
    model: Model = "fast",
    costs: Costs = None,
    as_json: Json = False,
) -> None:
    """Compare the estimates of two Programs for the same input."""
    from snncompile.spikes import read_spikes

    programs = (_program(a), _program(b))
    found = []
    for program in programs:
        spikes = read_spikes(input, program.network)
        with _progress("reference") as report:
            found.append(program.estimate(spikes.x, costs, model=model, progress=report))
    rows = estimates.comparison(programs, (found[0], found[1]))
    if as_json:
        _print_json({"a": str(a), "b": str(b), "rows": rows})
        return
    out.print(estimates.comparison_table((str(a), str(b)), rows))
    for side, each in zip((a, b), found, strict=True):
        missing = f"; missing: {', '.join(each.missing)}" if each.missing else ""
        out.print(f"{side}: {each.chip}, cost set {each.costs}{missing}", markup=False)


@app.command()
def chips(
    name: Annotated[str | None, typer.Argument(help="a chip, or the path of a chip file")] = None,
    as_json: Json = False,
) -> None:
    """List the chips, or every number of one chip with its source."""
    from snncompile.hwmodels import load
    from snncompile.report import tables

    if name is None:
        known = [load.load(n) for n in load.names()]
        if as_json:
            _print_json({"chips": [{"name": c.name, "title": c.title} for c in known]})
        else:
            out.print(tables.chips_table(known))
        return
    chip = load.load(name)
    if as_json:
        _print_json(chip.model_dump(mode="json"))
        return
    out.print(tables.chip_table(chip))
    for costs in chip.costs:
        out.print(tables.costs_table(chip, costs))
    out.print(f"fidelity: {chip.fidelity}")


@app.command()
def encode(
    images: Annotated[Path, typer.Argument(help="npz with images x (samples, ...), labels y")],
    output: Annotated[Path, typer.Option("-o", "--output", help="npz to write")],
    steps: Annotated[int, typer.Option(help="time steps per image", min=1)],
    samples: Annotated[int | None, typer.Option(help="only the first so many", min=1)] = None,
    flatten: Annotated[bool, typer.Option("--flatten", help="one axis for all pixels")] = False,
    as_json: Json = False,
) -> None:
    """Make spikes of images: one neuron per pixel adds pixel/255 a step and fires above 1."""
    from snncompile.spikes import encode_file, write_spikes

    spikes = encode_file(images, steps, samples, flatten)
    write_spikes(output, spikes)
    values = {"output": str(output), "shape": list(spikes.x.shape), "rate": float(spikes.x.mean())}
    _say(values, as_json)


@app.command()
def demo(as_json: Json = False) -> None:
    """Train a small network on handwritten digits, compile, run and verify it, price it."""
    from snncompile import demo as the_demo
    from snncompile.report import tables

    found = the_demo.run(lambda text: err.print(text, markup=False, highlight=False))
    if as_json:
        _print_json(found.values())
    else:
        out.print(tables.layer_table(found.program))
        out.print(tables.core_table(found.program))
        out.print(estimates.estimate_table(found.estimate))
        out.print(found.summary())
    if not found.verification.equal:
        raise typer.Exit(1)


@lava_app.command("install")
def lava_install(as_json: Json = False) -> None:
    """Make the environment: find or install Python 3.10, install lava-nc."""
    from snncompile.backends.lava import environment

    path = environment.install(lambda text: err.print(text, markup=False, highlight=False))
    _say({"path": str(path), "installed": True}, as_json)


@lava_app.command("check")
def lava_check(as_json: Json = False) -> None:
    """Tell the state of the environment; exit 1 if Lava cannot run."""
    from snncompile.backends.lava import environment

    state = environment.check()
    values = {name: getattr(state, name) for name in type(state).__dataclass_fields__}
    _say({k: str(v) if isinstance(v, Path) else v for k, v in values.items()}, as_json)
    if not state.installed:
        raise typer.Exit(1)


def _program(build: Path) -> Program:
    from snncompile.compiler import load
    from snncompile.program import PROGRAM, Program

    if not build.exists():
        raise InputError(f"{build}: no such folder; snncompile compile ... -o {build} makes one")
    program = load(build)
    if not isinstance(program, Program):
        raise InputError(f"{build}: has no {PROGRAM}; compile the network in it first")
    return program


def _say(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(values)
        return
    for key, value in values.items():
        if value is not None:
            shown = f"{value:.2%}" if key in ("accuracy", "rate") else value
            out.print(f"{key}: {shown}", markup=False)


def _print_json(values: Any) -> None:
    print(json.dumps(values, indent=1, allow_nan=False))


@contextmanager
def _progress(what: str) -> Iterator[Report]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
