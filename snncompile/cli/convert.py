"""`snncompile convert` and `present`: conversion of trained networks, and their input."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snncompile.cli.shared import (
    Json,
    print_table,
    print_values,
    print_warning,
    show_busy,
    show_work,
)
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.conversion.auto_records import Budget


def convert(
    model: Annotated[
        str, typer.Argument(help=".onnx file, or file.py:function that returns a torch module")
    ],
    calibration: Annotated[Path, typer.Option(help="npz with x (samples, ...)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to write the network to")],
    method: Annotated[
        str,
        typer.Option(
            help="signed, balance, bistable_rate, bistable_phase, graded, sigma_delta, auto"
        ),
    ] = "signed",
    steps: Annotated[
        int | None,
        typer.Option(
            help="time steps of a layer's window (32; bistable_phase: 8; graded, sigma_delta: 1)",
            min=1,
        ),
    ] = None,
    coding: Annotated[
        str | None, typer.Option(help="constant, rate, poisson, phase; analog: a frame per step")
    ] = None,
    message_bits: Annotated[
        str | None,
        typer.Option(
            help="with graded, sigma_delta: bits of a message, 1 to 8 (8); sums: of each layer as"
            " many as suit the sums of its readers"
        ),
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(help="with sigma_delta: smallest change that is sent (1: every change)"),
    ] = None,
    processes: Annotated[
        str,
        typer.Option(
            help="any; library: neurons of Lava's own library, for emit --for hardware, with"
            " balance, sigma_delta, graded (its convolutions)"
        ),
    ] = "any",
    calibrate_bias: Annotated[
        bool,
        typer.Option("--calibrate-bias", help="correct biases for the loss of few steps (slower)"),
    ] = False,
    max_steps: Annotated[
        int | None,
        typer.Option(help="with method auto: largest number of time steps, delays included", min=1),
    ] = None,
    max_energy: Annotated[
        float | None,
        typer.Option(help="with method auto: largest energy of an inference, in joules"),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            help="with method auto: largest share of answers that differ from the model's"
        ),
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(help="with method auto: chip that candidates are compiled for (loihi2)"),
    ] = None,
    aim: Annotated[
        str | None,
        typer.Option(
            help="with method auto: what to choose by within the limits, steps, spikes, energy,"
            " cores or agreement (steps; with --max-steps or --max-energy agreement)"
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            help="with method auto: seconds until it has chosen; then, or with Ctrl-C, it takes the"
            " best so far"
        ),
    ] = None,
    diagnose: Annotated[
        int | None,
        typer.Option(
            help="number of calibration samples with which to report the loss of every layer", min=1
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a trained network to a spiking one, to be compiled like any other."""
    from snncompile.cli.model_argument import load_ann
    from snncompile.conversion.auto_time import Deadline
    from snncompile.conversion.convert import add_bias_calibration, set_messages
    from snncompile.conversion.convert import convert as convert_module
    from snncompile.conversion.diagnosis import diagnose as diagnose_layers
    from snncompile.files.spikes import read_values
    from snncompile.report.trials import tabulate_trials

    deadline = Deadline(time)
    x = read_values(calibration)
    only_auto = {
        "--max-steps": max_steps,
        "--max-energy": max_energy,
        "--max-loss": max_loss,
        "--chip": chip,
        "--aim": aim,
        "--time": time,
    }
    _check_auto_options(method, [name for name, value in only_auto.items() if value is not None])
    budget = _make_budget(max_steps, max_energy, max_loss, chip, time, aim)
    messages = (message_bits, least) != (None, None)
    if method == "auto" and (steps is not None or calibrate_bias or messages):
        drop = "--message-bits and --least" if messages else "--steps and --calibrate-bias"
        raise InputError(f"auto chooses steps and options itself; drop {drop}")
    full_method = add_bias_calibration(method) if calibrate_bias else method
    if messages:
        number = message_bits is not None and message_bits.isdecimal() and len(message_bits) < 9
        bits = int(message_bits) if number else message_bits  # type: ignore[arg-type]
        full_method = set_messages(full_method, bits, least)
    with show_work("convert") as say:
        conversion = convert_module(
            load_ann(model),
            x,
            full_method,
            steps,
            coding=coding,  # type: ignore[arg-type]
            processes=processes,  # type: ignore[arg-type]
            budget=budget,
            title=Path(model).stem if model.endswith(".onnx") else None,
            say=say,
            deadline=deadline,
        )
    with show_busy("comparing layers"):
        rows = diagnose_layers(conversion, x[:diagnose]) if diagnose else ()
    with show_busy(f"writing {output}"):
        conversion.network.save(output)
    notes = conversion.network.notes
    if conversion.stopped:
        print_warning(f"auto took the best so far, {conversion.stopped}")
    if as_json:
        layers = {"layers": [asdict(row) for row in rows]} if diagnose else {}
        trials = {"tried": [asdict(t) for t in conversion.trials]} if method == "auto" else {}
        values = {"output": str(output), "notes": list(notes), **trials, **layers}
        print_values(values, as_json)
    else:
        if conversion.trials:
            print_table(tabulate_trials(conversion.trials))
        notes = tuple(note for note in notes if "auto tried" not in note)  # the table has them
        lines = {row.layer: str(row).removeprefix(f"{row.layer}: ") for row in rows}
        print_values({"output": str(output), "notes": "; ".join(notes), **lines}, as_json)


def _check_auto_options(method: str, given: list[str]) -> None:
    """Refuse options of "auto" with another method."""
    if method == "auto" or not given:
        return
    why = "which compiles its candidates; here the chip is chosen by `snncompile compile --chip`"
    if given != ["--chip"]:
        why = f"which searches within limits; {method} takes --steps"
    are = "is" if len(given) == 1 else "are"
    raise InputError(f"{' and '.join(given)} {are} for --method auto, {why}")


def _make_budget(
    steps: int | None,
    energy: float | None,
    loss: float | None,
    chip: str | None,
    seconds: float | None,
    aim: str | None,
) -> Budget | None:
    """Return the budget of "auto", None if no option gives one."""
    from snncompile.conversion.auto_records import Budget

    if {steps, energy, loss, chip, seconds, aim} == {None}:
        return None
    return Budget(steps, energy, loss, chip or "loihi2", seconds, aim)  # type: ignore[arg-type]


def present(
    network: Annotated[Path, typer.Argument(help="folder of a converted network or its Program")],
    values: Annotated[Path, typer.Argument(help="npz with x (samples, ...), label or y")],
    output: Annotated[Path, typer.Option("-o", "--output", help="npz to write")],
    samples: Annotated[
        int | None, typer.Option(help="number of samples, from the first; all if not given", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Encode images by the input coding of a converted network."""
    from snncompile.compiler import load
    from snncompile.files.spikes import present_file, write_spikes
    from snncompile.program import Program

    loaded = load(network)
    shown = loaded.network if isinstance(loaded, Program) else loaded
    with show_busy(f"encoding {values}"):
        spikes = present_file(values, shown, samples)
        write_spikes(output, spikes)
    print_values({"output": str(output), "shape": list(spikes.x.shape)}, as_json)
