"""Commands of the command line that belong to conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


def convert(
    model: Annotated[str, typer.Argument(help="file.py:function that returns a torch module")],
    calibration: Annotated[Path, typer.Option(help="npz with x (samples, ...)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the network to write")],
    method: Annotated[str, typer.Option(help="signed, balance, bistable_phase ...")] = "signed",
    steps: Annotated[int, typer.Option(help="time steps of a layer's window", min=1)] = 32,
    coding: Annotated[str | None, typer.Option(help="constant, rate, poisson, phase")] = None,
    as_json: Json = False,
) -> None:
    """Make a spiking network of a trained network of ReLUs, to be compiled like any other."""
    from snncompile.cli import _say as say
    from snncompile.conversion.convert import from_ann
    from snncompile.frontends.model import load_ann
    from snncompile.spikes import read_values

    x = read_values(calibration)
    network = from_ann(load_ann(model), x, method, steps, coding=coding)  # type: ignore[arg-type]
    network.save(output)
    values = {"output": str(output), "notes": list(network.notes)}
    say(values if as_json else values | {"notes": "; ".join(network.notes)}, as_json)


def present(
    network: Annotated[Path, typer.Argument(help="folder of a converted network or its Program")],
    values: Annotated[Path, typer.Argument(help="npz with x (samples, ...), label or y")],
    output: Annotated[Path, typer.Option("-o", "--output", help="npz to write")],
    samples: Annotated[int | None, typer.Option(help="only the first so many", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Make what a converted network is shown of images, as its input coding says."""
    from snncompile.cli import _say as say
    from snncompile.compiler import load
    from snncompile.program import Program
    from snncompile.spikes import present_file, write_spikes

    made = load(network)
    shown = present_file(values, made.network if isinstance(made, Program) else made, samples)
    write_spikes(output, shown)
    say({"output": str(output), "shape": list(shown.x.shape)}, as_json)
