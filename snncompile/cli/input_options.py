"""Options of commands that import a torch module: its sample, and what it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snncompile.errors import InputError

PANEL = "Input of a torch module"
Sample = Annotated[
    Path | None,
    typer.Option(
        "--sample",
        help="npz with x (samples, steps, ...) to import with, where the function returns the"
        " module alone, or in place of its sample",
        rich_help_panel=PANEL,
    ),
]
InputKind = Annotated[
    str | None,
    typer.Option(
        help="spikes, counts, polarity, analog or biases; if not given, what the sample is",
        rich_help_panel=PANEL,
    ),
]
InputBits = Annotated[
    int | None,
    typer.Option(help="bits of an analog value, the sign included (8)", rich_help_panel=PANEL),
]
InputRange = Annotated[
    str | None,
    typer.Option(
        help="LOW,HIGH: range of counts or analog values, where it is wider than the sample's",
        rich_help_panel=PANEL,
    ),
]


def collect_input_options(
    sample: Path | None, kind: str | None, bits: int | None, value_range: str | None
) -> dict[str, Any]:
    """Return the arguments of `from_torch` that are given.

    Raises:
        InputError: the file of the sample cannot be read, or the range is no two numbers.
    """
    from snncompile.files.spikes import read_spikes

    options = {
        "sample": read_spikes(sample).x if sample else None,
        "input": kind,
        "input_bits": bits,
        "input_range": _read_range(value_range) if value_range else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _read_range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(","))
    except ValueError:
        raise InputError(
            f"--input-range {text}: expected two numbers, --input-range=-1,1"
        ) from None
    return low, high
