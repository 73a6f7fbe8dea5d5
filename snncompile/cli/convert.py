"""Commands of the command line that belong to conversion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snncompile.cli.passes import show_passes
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.conversion.auto import Budget

Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


def convert(
    model: Annotated[str, typer.Argument(help="file.py:function that returns a torch module")],
    calibration: Annotated[Path, typer.Option(help="npz with x (samples, ...)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the network to write")],
    method: Annotated[
        str, typer.Option(help="signed, balance, bistable_rate, bistable_phase, auto")
    ] = "signed",
    steps: Annotated[
        int | None, typer.Option(help="time steps of a layer's window (32)", min=1)
    ] = None,
    coding: Annotated[str | None, typer.Option(help="constant, rate, poisson, phase")] = None,
    calibrate_bias: Annotated[
        bool, typer.Option("--calibrate-bias", help="biases make up for few steps (slower)")
    ] = False,
    max_steps: Annotated[
        int | None, typer.Option(help="auto: most time steps in all, delays included", min=1)
    ] = None,
    max_energy: Annotated[
        float | None, typer.Option(help="auto: most joules of an inference")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="auto: largest share of answers unlike the model's")
    ] = None,
    chip: Annotated[str | None, typer.Option(help="auto: whose integers (loihi2)")] = None,
    diagnose: Annotated[
        int | None,
        typer.Option(help="so many calibration samples through every layer: where it loses", min=1),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a spiking network of a trained network of ReLUs, to be compiled like any other."""
    from snncompile.cli.model_argument import load_ann
    from snncompile.cli.shared import _say as say
    from snncompile.conversion.convert import add_bias_calibration
    from snncompile.conversion.convert import convert as conversion
    from snncompile.conversion.diagnosis import diagnose as diagnosis
    from snncompile.files.spikes import read_values

    x = read_values(calibration)
    budget = _budget(max_steps, max_energy, max_loss, chip)
    if method == "auto" and (steps is not None or calibrate_bias):
        raise InputError(
            "auto chooses steps and options itself; leave out --steps, --calibrate-bias"
        )
    how = add_bias_calibration(method) if calibrate_bias else method
    options = {"coding": coding, "budget": budget}
    with show_passes("convert") as progress:
        made = conversion(load_ann(model), x, how, steps or 32, **options, progress=progress)  # type: ignore[arg-type]
    rows = diagnosis(made, x[:diagnose]) if diagnose else ()
    made.network.save(output)
    notes = made.network.notes
    if as_json:
        layers = {"layers": [asdict(row) for row in rows]} if diagnose else {}
        say({"output": str(output), "notes": list(notes), **layers}, as_json)
    else:
        lines = {row.layer: str(row).removeprefix(f"{row.layer}: ") for row in rows}
        say({"output": str(output), "notes": "; ".join(notes), **lines}, as_json)


def _budget(
    steps: int | None, energy: float | None, loss: float | None, chip: str | None
) -> Budget | None:
    """Return the budget of "auto", None if no option gives one."""
    from snncompile.conversion.auto import Budget

    if (steps, energy, loss, chip) == (None, None, None, None):
        return None
    return Budget(steps, energy, loss, chip or "loihi2")


def present(
    network: Annotated[Path, typer.Argument(help="folder of a converted network or its Program")],
    values: Annotated[Path, typer.Argument(help="npz with x (samples, ...), label or y")],
    output: Annotated[Path, typer.Option("-o", "--output", help="npz to write")],
    samples: Annotated[int | None, typer.Option(help="only the first so many", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Make what a converted network is shown of images, as its input coding says."""
    from snncompile.cli.shared import _say as say
    from snncompile.compiler import load
    from snncompile.files.spikes import present_file, write_spikes
    from snncompile.program import Program

    made = load(network)
    shown = present_file(values, made.network if isinstance(made, Program) else made, samples)
    write_spikes(output, shown)
    say({"output": str(output), "shape": list(shown.x.shape)}, as_json)
