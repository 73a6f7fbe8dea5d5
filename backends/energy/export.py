"""An estimate as tables for other programs: CSV or Parquet."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snncompile.arrays import Floats
from snncompile.backends.energy.result import Estimate
from snncompile.errors import BackendError
from snncompile.files.replace import MARK, begins_with, ends_with_mark, replace_file

Columns = dict[str, list[Any]]


def list_events(estimate: Estimate) -> Columns:
    """Return one row per step, part and event that occurs.

    Counts, joules and seconds are means over the samples; an energy is None where the cost set has
    no price, and seconds where it has no time. Seconds are the work an event makes; work of
    different cores goes on at once.
    """
    by = estimate.by_step
    step, part_index, event = np.nonzero(by.counts)
    count = by.counts[step, part_index, event]
    return {
        "step": step.tolist(),
        "core": [by.parts[p].core for p in part_index],
        "layer": [by.parts[p].layer for p in part_index],
        "event": [by.events[e] for e in event],
        "count": count.tolist(),
        "energy_j": _hide_unknown(count * by.energy_pj[event] * 1e-12),
        "seconds": _hide_unknown(count * by.time_ns[event] * 1e-9),
    }


def _hide_unknown(values: Floats) -> list[float | None]:
    """Return the values, None for NaN."""
    return [None if np.isnan(value) else value for value in values.ravel().tolist()]


def list_steps(estimate: Estimate) -> Columns:
    """Return the duration and the bound of each step of each sample; None: not known."""
    by = estimate.by_step
    sample, step = np.indices(by.seconds.shape).reshape(2, -1)
    return {
        "sample": sample.tolist(),
        "step": step.tolist(),
        "seconds": _hide_unknown(by.seconds),
        "bound": [
            None if unknown else by.bound_names[i]
            for i, unknown in zip(by.bound.ravel(), np.isnan(by.seconds).ravel(), strict=True)
        ],
    }


def write_csv(path: Path, columns: Columns, begin: str = "") -> None:
    """Write a table as CSV, None as an empty field; nothing half-written is left behind.

    Args:
        path: of the file; one that begins like ours is replaced.
        columns: by name.
        begin: of files of ours, where not all have the same columns.
    """
    ours = begins_with(begin or ",".join(columns) + "\n")
    with replace_file(path, ours) as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_parquet(path: Path, columns: Columns) -> None:
    """Write a table as Parquet; nothing half-written is left behind.

    Raises:
        BackendError: pyarrow is not installed.
    """
    arrow, parquet = import_pyarrow()
    with replace_file(path, ends_with_mark) as aside:
        table = arrow.table(columns).replace_schema_metadata({"source": MARK})
        parquet.write_table(table, aside)


def import_pyarrow() -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        BackendError: pyarrow is not installed.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise BackendError(
            "writing Parquet needs pyarrow; install it with pip install 'snncompile[parquet]'"
            " or write CSV"
        ) from None


def write_table(path: Path, columns: Columns, kind: Literal["csv", "parquet"]) -> None:
    """Write a table to a file of this name, and nothing else; see `write_csv`, `write_parquet`."""
    (write_parquet if kind == "parquet" else write_csv)(path, columns)
