"""`snncompile fit`: whether a network fits, on which chips, at what cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from snncompile.cli.options import takes_options
from snncompile.cli.passes import show_passes
from snncompile.cli.shared import Json, print_json, print_table, show_busy


@takes_options("bits")
def fit_command(
    model: Annotated[
        str, typer.Argument(help=".net or .nir file, file.py:function, or saved network")
    ],
    chip: Annotated[
        list[str] | None,
        typer.Option(help="name or file of a chip; repeat for more; all chips if not given"),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option("--input", help="npz with x and label: accuracy of each trial that fits"),
    ] = None,
    as_json: Json = False,
    **single: Any,
) -> None:
    """Report whether MODEL fits a chip, its cost and remedies; exit 1 if nothing fits."""
    from snncompile.cli.model_argument import load_model
    from snncompile.files.spikes import read_spikes
    from snncompile.fit import fit
    from snncompile.hwmodels import chips

    with show_busy(f"importing {model}"):
        network = load_model(model)
    spikes = read_spikes(input, network) if input else None
    if spikes is not None:
        single |= {"x": spikes.x, "label": spikes.label}
    trials: list[Any] = []
    names = chip or chips.list_names()
    for number, name in enumerate(names, 1):
        many = f" ({number} of {len(names)})" if len(names) > 1 else ""
        with show_passes(f"fit {name}{many}") as progress:
            trials += fit(network, chip=name, alone=not chip, progress=progress, **single)
    if as_json:
        print_json({"trials": [asdict(t) | {"fits": t.fits} for t in trials]})
    else:
        print_table(tabulate_trials(network.title, trials))
    if not any(trial.fits for trial in trials):
        raise typer.Exit(1)


def tabulate_trials(title: str, trials: list[Any]) -> Table:
    """Return one row per trial."""
    table = Table(title=f"{title}: what was tried", title_justify="left")
    for column in ("chip", "tried", "cores", "at least", "chips", "accuracy", "fullest", "why"):
        right = column in ("cores", "at least", "chips", "accuracy")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for t in trials:
        table.add_row(
            t.chip,
            t.what,
            "does not fit" if t.cores is None else f"{t.cores:,}",
            "" if t.at_least is None else f"{t.at_least:,} ({t.scarcest})",
            "" if t.chips is None else str(t.chips),
            "" if t.accuracy is None else f"{t.accuracy:.2%}",
            t.fullest,
            t.why,
        )
    return table
