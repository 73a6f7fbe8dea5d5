"""`snncompile compile`, and the tables of a Program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.input_options import (
    InputBits,
    InputKind,
    InputRange,
    Sample,
    collect_input_options,
)
from snncompile.cli.options import takes_options
from snncompile.cli.passes import (
    PassesText,
    PassOptions,
    PrintAfter,
    SaveAfter,
    Skip,
    TimePasses,
    VerifyEachPass,
    show_passes,
)
from snncompile.cli.shared import (
    Json,
    out,
    print_fidelity,
    print_json,
    print_table,
    print_warning,
    show_busy,
    show_work,
)

if TYPE_CHECKING:
    from snncompile.program import Program


@takes_options()
def compile_command(
    model: Annotated[
        str, typer.Argument(help=".net or .nir file, file.py:function, or saved network")
    ],
    chip: Annotated[str, typer.Option(help="name of a chip, or path of a chip file")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to write")],
    calibration: Annotated[
        Path | None,
        typer.Option(help="npz with x (samples, steps, ...), what the network is shown"),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for a fact that a .nir file lacks: reset=soft, dt=1e-3, ..."),
    ] = None,
    sample: Sample = None,
    input_kind: InputKind = None,
    input_bits: InputBits = None,
    input_range: InputRange = None,
    passes: PassesText = None,
    skip: Skip = None,
    print_after: PrintAfter = None,
    save_after: SaveAfter = None,
    time_passes: TimePasses = False,
    verify_each: VerifyEachPass = False,
    as_json: Json = False,
    **single: Any,
) -> None:
    """Compile MODEL for a chip and write the Program to a folder."""
    from snncompile.cli.model_argument import load_model
    from snncompile.compiler import compile
    from snncompile.files.spikes import read_spikes
    from snncompile.frontends.nir.words import parse_words

    shown = collect_input_options(sample, input_kind, input_bits, input_range)
    with show_work(f"importing {model}") as say:
        network = load_model(model, parse_words(assume) if assume else None, shown, say)
    spikes = read_spikes(calibration, network).x if calibration else None
    between = PassOptions(output, print_after or [], save_after or [], time_passes, verify_each)
    with show_passes("compile") as progress:
        program = compile(
            network,
            chip=chip,
            calibration=spikes,
            passes=passes,
            skip=skip or (),
            hooks=between.make_hooks(spikes),
            progress=progress,
            **single,
        )
    with show_busy(f"writing {output}"):
        program.save(output)
    show_program(program, as_json)


def show_program(program: Program, as_json: bool) -> None:
    """Print layers, cores, the loss, bounds that do not hold, the log, and warnings aside."""
    from snncompile.report import tables

    if as_json:
        print_json(tables.serialize_program(program))
    else:
        _print_tables(program)
    for text in program.warnings:
        print_warning(text)


def _print_tables(program: Program) -> None:
    from snncompile.ir.reports import format_steps
    from snncompile.report import tables
    from snncompile.report.loss import tabulate_loss

    print_table(tables.tabulate_layers(program))
    print_table(tables.tabulate_cores(program))
    if line := tables.describe_counting(program):
        out.print(line, markup=False)
    if program.loss.status == "measured":
        print_table(tabulate_loss(program.loss))
    else:
        out.print(str(program.loss), markup=False)
    out.print(f"bounds: proved for {format_steps(program.options.quantize.steps)}")
    for bound in program.bounds:
        if not bound.holds:
            out.print(f"bounds: {bound}", markup=False)
    for line in program.log:
        out.print(line, markup=False)
    print_fidelity(program)
