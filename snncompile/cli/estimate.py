"""`snncompile estimate` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snncompile.cli.shared import (
    Build,
    Costs,
    InputFile,
    Json,
    Timing,
    _print_json,
    _program,
    _progress,
    current,
    err,
    out,
)
from snncompile.report import estimates

OldName = Annotated[str | None, typer.Option(hidden=True)]


def estimate(
    build: Build,
    input: InputFile,
    timing: Timing = "fast",
    costs: Costs = None,
    account: Annotated[
        str, typer.Option(help="chip, or sanafe to account as SANA-FE does")
    ] = "chip",
    clock_mhz: Annotated[float | None, typer.Option(help="where the user chooses it")] = None,
    trace: Annotated[Path | None, typer.Option(help="JSON for Perfetto, first sample")] = None,
    csv: Annotated[Path | None, typer.Option(help="events by step and core, and steps")] = None,
    parquet: Annotated[Path | None, typer.Option(help="the same as Parquet")] = None,
    sanafe: Annotated[Path | None, typer.Option(help="folder for SANA-FE's files")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="compare with an ANN")] = False,
    as_json: Json = False,
    model: OldName = None,
    rules: OldName = None,
) -> None:
    """Estimate energy and latency per inference, with the activity of the input."""
    from snncompile.backends.energy import baseline as arithmetic
    from snncompile.backends.energy.outputs import Outputs
    from snncompile.files.spikes import read_spikes

    timing = current("--timing", timing, "--model", model)
    account = current("--account", account, "--rules", rules)
    program = _program(build).at_clock(clock_mhz)
    spikes = read_spikes(input, program.network)
    with _progress("reference") as report:
        found = program.estimate(spikes.x, costs, timing=timing, account=account, progress=report)
    for line in Outputs(trace, csv, parquet, sanafe).write(program, spikes.x, found):
        err.print(line, markup=False)
    rows = arithmetic.compare_arithmetic(program, found)
    if as_json:
        _print_json(estimates.estimate_values(found) | estimates.baseline_values(rows))
        return
    out.print(estimates.estimate_table(found))
    if baseline:
        out.print(estimates.baseline_table(rows, arithmetic.SOURCE))
    for line in estimates.estimate_lines(found):
        out.print(line, markup=False)


def compare(
    a: Build,
    b: Build,
    input: InputFile,
    timing: Timing = "fast",
    costs: Costs = None,
    as_json: Json = False,
    model: OldName = None,
) -> None:
    """Compare the estimates of two Programs for the same input."""
    from snncompile.files.spikes import read_spikes

    timing = current("--timing", timing, "--model", model)
    programs = (_program(a), _program(b))
    found = []
    for program in programs:
        spikes = read_spikes(input, program.network)
        with _progress("reference") as report:
            found.append(program.estimate(spikes.x, costs, timing=timing, progress=report))
    rows = estimates.comparison(programs, (found[0], found[1]))
    if as_json:
        _print_json({"a": str(a), "b": str(b), "rows": rows})
        return
    out.print(estimates.comparison_table((str(a), str(b)), rows))
    for side, each in zip((a, b), found, strict=True):
        missing = f"; missing: {', '.join(each.missing)}" if each.missing else ""
        out.print(f"{side}: {each.chip}, cost set {each.costs}{missing}", markup=False)
