"""`snncompile fit`: whether a network fits, on which chips, at what cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from snncompile.cli.options import takes_options
from snncompile.cli.passes import show_passes
from snncompile.cli.shared import Json, print_json, print_table, show_work


@takes_options("bits")
def fit_command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help=".net or .nir files, file.py:function, or saved networks"
        ),
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
    """Report whether MODEL fits a chip, its cost and remedies; exit 1 if one fits nowhere."""
    rows: list[tuple[str, Any]] = []
    fitting = []
    for number, model in enumerate(models, 1):
        of = f" ({number} of {len(models)})" if len(models) > 1 else ""
        title, trials = _try_model(f"{model}{of}", model, chip, input, single)
        name = title if len(models) == 1 else f"{model}: {title}"
        rows += [(name, trial) for trial in trials]
        fitting.append(any(trial.fits for trial in trials))
    if as_json:
        listed = [{"network": name} | asdict(t) | {"fits": t.fits} for name, t in rows]
        print_json({"trials": listed})
    else:
        print_table(tabulate_trials(rows))
    if not all(fitting):
        raise typer.Exit(1)


def _try_model(
    shown: str, model: str, chip: list[str] | None, input: Path | None, single: dict[str, Any]
) -> tuple[str, list[Any]]:
    """Return the title of a network and what was tried of it."""
    from snncompile.cli.model_argument import load_model
    from snncompile.files.spikes import read_spikes
    from snncompile.fit import fit
    from snncompile.hwmodels import chips

    with show_work(f"importing {shown}") as say:
        network = load_model(model, progress=say)
    spikes = read_spikes(input, network) if input else None
    if spikes is not None:
        single = single | {"x": spikes.x, "label": spikes.label}
    trials: list[Any] = []
    names = chip or chips.list_names()
    for number, name in enumerate(names, 1):
        many = f" ({number} of {len(names)})" if len(names) > 1 else ""
        with show_passes(f"fit {shown}: {name}{many}") as progress:
            trials += fit(network, chip=name, alone=not chip, progress=progress, **single)
    return network.title, trials


def tabulate_trials(rows: list[tuple[str, Any]]) -> Table:
    """Return one row per name of a network and trial."""
    names = list(dict.fromkeys(name for name, _ in rows))
    several = len(names) > 1
    title = "what was tried" if several else f"{names[0]}: what was tried"
    table = Table(title=title, title_justify="left")
    if several:
        table.add_column("network", overflow="fold")
    for column in ("chip", "tried", "cores", "at least", "chips", "accuracy", "fullest", "why"):
        right = column in ("cores", "at least", "chips", "accuracy")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for name, t in rows:
        table.add_row(
            *([name] if several else []),
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
