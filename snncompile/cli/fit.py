"""`snncompile fit`: does it fit, on what, at what cost."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from snncompile.cli.options import takes_options
from snncompile.cli.passes import show_passes

WIDE = 160
"""Columns of a table that does not go to a terminal."""


@takes_options("bits")
def fit_command(
    model: Annotated[
        str, typer.Argument(help=".net or .nir file, file.py:function, or saved network")
    ],
    chip: Annotated[
        list[str] | None, typer.Option(help="name or file of a chip; again for more; all if none")
    ] = None,
    input: Annotated[
        Path | None, typer.Option("--input", help="npz with x and label: accuracy of what fits")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
    **single: Any,
) -> None:
    """Say whether MODEL fits a chip, at what cost, and what would help; exit 1 if nothing fits."""
    from snncompile.cli.model_argument import load_model
    from snncompile.files.spikes import read_spikes
    from snncompile.fit import fit
    from snncompile.hwmodels import chips

    network = load_model(model)
    data = read_spikes(input, network) if input else None
    if data is not None:
        single |= {"x": data.x, "label": data.label}
    trials: list[Any] = []
    for name in chip or chips.list_names():
        with show_passes(f"fit {name}") as progress:
            trials += fit(network, chip=name, alone=not chip, progress=progress, **single)
    if as_json:
        found = {"trials": [asdict(t) | {"fits": t.fits} for t in trials]}
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table(network.title, trials))
    if not any(trial.fits for trial in trials):
        raise typer.Exit(1)


def table(title: str, trials: list[Any]) -> Table:
    """Return one row per trial."""
    found = Table(title=f"{title}: what was tried", title_justify="left")
    for column in ("chip", "tried", "cores", "at least", "chips", "accuracy", "fullest", "why"):
        right = column in ("cores", "at least", "chips", "accuracy")
        found.add_column(column, justify="right" if right else "left", overflow="fold")
    for t in trials:
        found.add_row(
            t.chip,
            t.what,
            "does not fit" if t.cores is None else f"{t.cores:,}",
            "" if t.at_least is None else f"{t.at_least:,} ({t.scarcest})",
            "" if t.chips is None else str(t.chips),
            "" if t.accuracy is None else f"{t.accuracy:.2%}",
            t.fullest,
            t.why,
        )
    return found
