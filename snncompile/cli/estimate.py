"""`snncompile estimate` and `compare`: energy and latency of one Program, or of two."""

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
    choose_current,
    err,
    load_program,
    out,
    print_json,
    print_table,
    show_progress,
    show_proof,
)
from snncompile.report import estimates

OldName = Annotated[str | None, typer.Option(hidden=True)]


def estimate(
    build: Build,
    input: InputFile,
    timing: Timing = "fast",
    costs: Costs = None,
    account: Annotated[
        str, typer.Option(help="chip, or sanafe for SANA-FE's account of a step")
    ] = "chip",
    clock_mhz: Annotated[
        float | None, typer.Option(help="clock of a chip whose clock the user chooses")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="JSON file to write for Perfetto, of the first sample")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="CSV file to write: events by time step and core")
    ] = None,
    steps_csv: Annotated[
        Path | None, typer.Option(help="CSV file to write: time steps of each sample")
    ] = None,
    parquet: Annotated[Path | None, typer.Option(help="the events as Parquet")] = None,
    steps_parquet: Annotated[Path | None, typer.Option(help="the time steps as Parquet")] = None,
    sanafe: Annotated[Path | None, typer.Option(help="folder to write SANA-FE's files to")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="compare with the arithmetic of an ANN")
    ] = False,
    as_json: Json = False,
    model: OldName = None,
    rules: OldName = None,
) -> None:
    """Estimate energy and latency per inference, from the activity of the input."""
    from snncompile.backends.energy import baseline as arithmetic
    from snncompile.backends.energy.outputs import Outputs
    from snncompile.files.spikes import read_spikes

    timing = choose_current("--timing", timing, "--model", model)
    account = choose_current("--account", account, "--rules", rules)
    program = load_program(build).at_clock(clock_mhz)
    spikes = read_spikes(input, program.network)
    with show_progress("reference") as report:
        result = program.estimate(spikes.x, costs, timing=timing, account=account, progress=report)
    files = Outputs(trace, csv, steps_csv, parquet, steps_parquet, sanafe)
    for line in files.write(program, spikes.x, result):
        err.print(line, markup=False)
    show_proof(result.proof)
    rows = arithmetic.compare_arithmetic(program, result)
    if as_json:
        print_json(estimates.serialize_estimate(result) | estimates.serialize_baseline(rows))
        return
    print_table(estimates.tabulate_estimate(result))
    if baseline:
        print_table(estimates.tabulate_baseline(rows, arithmetic.SOURCE))
    for line in estimates.summarize_estimate(result):
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
    from snncompile.report import comparison
    from snncompile.report.tables import serialize_proof

    timing = choose_current("--timing", timing, "--model", model)
    programs = (load_program(a), load_program(b))
    results = []
    for program in programs:
        spikes = read_spikes(input, program.network)
        with show_progress("reference") as report:
            results.append(program.estimate(spikes.x, costs, timing=timing, progress=report))
        show_proof(results[-1].proof)
    rows = comparison.compare_estimates(programs, (results[0], results[1]))
    other = comparison.list_other_parts(programs)
    if as_json:
        proofs = {side: serialize_proof(r.proof) for side, r in zip("ab", results, strict=True)}
        others = {"other_parts": other, "proofs": proofs}
        print_json({"a": str(a), "b": str(b), "rows": rows, **others})
        return
    print_table(comparison.tabulate_comparison((str(a), str(b)), rows))
    for folder, result in zip((a, b), results, strict=True):
        out.print(comparison.list_lacking(str(folder), result), markup=False)
    out.print(comparison.describe_meaning(other))
