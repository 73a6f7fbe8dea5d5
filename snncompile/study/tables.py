"""A sweep as tables: the front in a terminal, all trials for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from snncompile.files.replace import begins_with, check_file, ends_with_mark
from snncompile.report.html.document import MARK
from snncompile.report.units import UNKNOWN, format_joules, format_seconds
from snncompile.study.drive import Sweep
from snncompile.study.front import Front, Row, is_ranked, keeps_budgets
from snncompile.study.records import HIGHEST, list_limits
from snncompile.study.trials import hide_password

Columns = dict[str, list[Any]]
CHOICES = ("model", "chip", "method", "steps", "bits", "scales", "mapping")
MEASURES = ("cores", "accuracy", "agreement", "energy", "latency")
CSV = ",".join(CHOICES) + ","
"""Beginning of our CSV files; fields of chips come after it."""
LACKS = " *"
"""Mark of a sum that lacks prices or times."""


def list_columns(sweep: Sweep) -> Columns:
    """Return one row per trial, in the order of the study; None: not known."""
    on_front = {id(row) for row in sweep.front.front}
    paths = list(dict.fromkeys(name for row in sweep.rows for name, _ in row.point.fields))
    columns: Columns = {name: [getattr(r.point, name) for r in sweep.rows] for name in CHOICES}
    for path in paths:
        columns[path] = [dict(r.point.fields).get(path) for r in sweep.rows]
    fields = ("fits", "reason", "cores", "chips", "samples", "accuracy", "agreement", "energy_j",
              "latency_s", "answer_loss")  # fmt: skip
    for name in fields:
        columns[name] = [getattr(r.outcome, name) for r in sweep.rows]
    columns["missing"] = ["; ".join(r.outcome.missing) for r in sweep.rows]
    budgets = sweep.front.study.budgets
    columns["keeps_budgets"] = [keeps_budgets(budgets, r.outcome) for r in sweep.rows]
    columns["pruned"] = [r.pruned for r in sweep.rows]
    columns["on_front"] = [id(r) in on_front for r in sweep.rows]
    columns["trial"] = [r.key for r in sweep.rows]
    columns["build"] = [
        None if path is None else str(path) for path in map(sweep.find_build, sweep.rows)
    ]
    return columns


def serialize_sweep(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep as JSON values."""
    columns = list_columns(sweep)
    trials = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    best = sweep.best
    return {
        "study": sweep.front.study.model_dump(mode="json"),
        "folder": str(sweep.folder),
        "storage": hide_password(sweep.storage),
        "ran": sweep.ran,
        "best": None if best is None else best.key,
        "budgets_kept": sweep.front.kept,
        "front": [row.key for row in sweep.front.front],
        "trials": trials,
        "failures": [{"point": point, "reason": reason} for point, reason in sweep.failures],
    }


def show_measure(row: Row, name: str) -> str:
    """Return a value with its unit, and a mark where a sum lacks prices or times."""
    value = row.outcome.measure(name)
    if value is None:
        return UNKNOWN
    if name == "cores":
        return f"{value:,.0f}"
    if name in HIGHEST:
        return f"{value:.2%}"
    text = format_joules(value) if name == "energy" else format_seconds(value)
    return text + LACKS * row.outcome.lacks(name)


def list_varied(front: Front) -> list[str]:
    """Return what the trials differ in, of the choices and the fields of chips."""
    names = [n for n in CHOICES if len({getattr(r.point, n) for r in front.rows}) > 1]
    fields = {name: None for row in front.rows for name, _ in row.point.fields}
    return [*names, *fields]


def shorten_fields(names: Sequence[str]) -> list[str]:
    """Return the last word of each field of a chip; where two have the same one, the whole path."""
    ends = [name.rpartition(".")[2] for name in names]
    return [
        end if ends.count(end) == 1 and (end == name or end not in MEASURES) else name
        for name, end in zip(names, ends, strict=True)
    ]


def read_choice(row: Row, name: str) -> str:
    """Return a choice of a trial as text; empty where it has none."""
    values = {n: getattr(row.point, n) for n in CHOICES} | dict(row.point.fields)
    value = values.get(name)
    return "" if value is None else str(value)


def tabulate_front(front: Front) -> Table:
    """Return the front as a table, from the best of the first objective on."""
    kept = "" if front.kept else ": nothing keeps the budgets, so all trials are ranked"
    table = Table(title=f"{front.study.name}: the front{kept}", title_justify="left")
    varied = list_varied(front)
    measures = [m for m in MEASURES if m == "cores" or m in front.study.wanted]
    for name in shorten_fields(varied):
        table.add_column(name, overflow="fold")
    for name in measures:
        table.add_column(name, justify="right", overflow="fold")
    for row in front.front:
        choices = [read_choice(row, name) for name in varied]
        table.add_row(*map(Text, choices), *(show_measure(row, m) for m in measures))
    return table


WIDTH, HEIGHT = 64, 12
"""Cells of the drawing of a front."""


def draw_front(front: Front) -> str:
    """Return the trials by the first two objectives as characters; empty with one objective.

    `o` is a trial, `#` one on the front.
    """
    rows = [row for row in front.rows if is_ranked(front.study, row)]
    if len(front.study.objectives) < 2 or len(rows) < 2:
        return ""
    up, right = front.study.objectives[:2]
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]
    on_front = {row.key for row in front.front}
    xs, ys = ([float(r.outcome.measure(o) or 0.0) for r in rows] for o in (right, up))
    for row, x, y in zip(rows, xs, ys, strict=True):
        column = round(_scale(x, xs) * (WIDTH - 1))
        line = HEIGHT - 1 - round(_scale(y, ys) * (HEIGHT - 1))
        if cells[line][column] != "#":
            cells[line][column] = "#" if row.key in on_front else "o"
    low, high = (rows[xs.index(end(xs))] for end in (min, max))
    least, greatest = (rows[ys.index(end(ys))] for end in (min, max))
    edge = [show_measure(greatest, up), *[""] * (HEIGHT - 2), show_measure(least, up)]
    lines = [f"{text:>12} |{''.join(row).rstrip()}" for text, row in zip(edge, cells, strict=True)]
    ends = show_measure(low, right), show_measure(high, right)
    axis = f"{ends[0]}{ends[1].rjust(WIDTH - len(ends[0]))}"
    return "\n".join([f"{up} over {right}", *lines, f"{'':12} +{'-' * WIDTH}", f"{'':14}{axis}"])


def _scale(value: float, values: Sequence[float]) -> float:
    """Return 0 for the least value and 1 for the greatest."""
    low, high = min(values), max(values)
    return 0.5 if low == high else (value - low) / (high - low)


def summarize(sweep: Sweep) -> list[str]:
    """Return how many trials there are, what was left out, and where everything is."""
    front = sweep.front
    counts = {name: front.count(name) for name in ("fits", "misfits", "pruned")}
    unranked = counts["fits"] - sum(is_ranked(front.study, row) for row in front.rows)
    lines = [
        f"{len(front.rows):,} trials: {counts['fits']:,} fit, {counts['misfits']:,} do not"
        + f", {counts['pruned']:,} pruned" * bool(counts["pruned"])
        + f"; {sweep.ran:,} ran now"
        + ", the others were there" * (sweep.ran < len(front.rows))
    ]
    if sweep.repeated:
        lines.append(f"{sweep.repeated:,} more chose a point that another trial had chosen")
    if unranked:
        lines.append(f"{unranked:,} are not ranked: an objective is not known of them")
    if any(row.outcome.lacks(m) for row in front.front for m in front.study.wanted):
        lacking = sorted({name for row in front.front for name in row.outcome.missing})
        lines.append(f"* without {', '.join(lacking)}")
    if unproved := _list_unproved(front):
        lines.append(f"whether {', '.join(unproved)} is kept is not known: * is a lower bound")
    lines += [f"misfit: {text}" for text in list_misfits(front)]
    if sweep.best is not None:
        values = ", ".join(f"{o} {show_measure(sweep.best, o)}" for o in front.study.objectives)
        lines.append(f"best: {sweep.best.point}: {values}")
    elif front.front:
        lines.append("best: nothing keeps the budgets")
    return [*lines, f"folder: {sweep.folder}", f"storage: {hide_password(sweep.storage)}"]


def _list_unproved(front: Front) -> list[str]:
    """Return the budgets that trials of the front keep by sums that lack prices or times."""
    rows = front.front if front.kept else ()
    names = [name for name, _ in list_limits(front.study.budgets)]
    return [name for name in names if any(r.outcome.lacks(name.partition("_")[0]) for r in rows)]


def list_failures(sweep: Sweep) -> list[str]:
    """Return each reason of trials without a result, with their number and the first of them."""
    points: dict[str, list[str]] = {}
    for point, reason in sweep.failures:
        points.setdefault(reason, []).append(point)
    return [
        f"failed: {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {reason}"
        for reason, names in points.items()
    ]


def list_misfits(front: Front) -> list[str]:
    """Return each reason of misfits with the number of trials, the most frequent first."""
    reasons: dict[str, list[Row]] = {}
    for row in front.rows:
        if not row.outcome.fits:
            reasons.setdefault(row.outcome.reason, []).append(row)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return [f"{len(rows)} x {rows[0].point.chip}: {reason}" for reason, rows in ordered]


def write_table(path: Path, sweep: Sweep, kind: str) -> None:
    """Write all trials as CSV or Parquet.

    Raises:
        InputError: at the path is something else than such a table, or it cannot be written.
        BackendError: pyarrow is not installed.
    """
    from snncompile.backends.energy.export import write_csv, write_parquet

    columns = list_columns(sweep)
    if kind == "csv":
        write_csv(path, columns, CSV)
    else:
        write_parquet(path, {name: _unite(values) for name, values in columns.items()})


def _unite(values: list[Any]) -> list[Any]:
    """Return values of one kind: text, where a field of a chip has words and numbers."""
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds - {int, float}) + bool(kinds & {int, float}) < 2:
        return values
    return [None if value is None else str(value) for value in values]


def check_outputs(csv: Path | None, parquet: Path | None, report: Path | None) -> None:
    """Refuse files that cannot be written after a sweep, before it runs.

    Raises:
        InputError: at a path is something else than an older result, or its folder is not writable.
        BackendError: a package that writes one is not installed.
    """
    from snncompile.backends.energy.export import import_pyarrow
    from snncompile.report.html.page import read_plotly

    if csv is not None:
        check_file(csv, begins_with(CSV))
    if parquet is not None:
        import_pyarrow()
        check_file(parquet, ends_with_mark)
    if report is not None:
        read_plotly()
        check_file(report, begins_with(MARK))
