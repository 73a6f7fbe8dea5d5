"""Shared by the commands: consoles, arguments, printing of results and progress."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from snncompile.cli.wide import split_table
from snncompile.errors import InputError
from snncompile.renamed import describe_renaming

if TYPE_CHECKING:
    from rich.table import Table

    from snncompile.ir.graph import Progress as Report
    from snncompile.ir.reports import Proof
    from snncompile.program import Program


LOG = logging.getLogger(__name__)
WIDE = 160
"""Columns of a table that does not go to a terminal."""


def _choose_width() -> int | None:
    """Return the columns of the output: COLUMNS, else the terminal's (None), else `WIDE`."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    return None if sys.stdout.isatty() else WIDE


out = Console(width=_choose_width())
err = Console(stderr=True)

Build = Annotated[Path, typer.Argument(help="folder of a compiled Program")]
InputFile = Annotated[Path, typer.Option("--input", help="npz with x (samples, steps, ...), label")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
Timing = Annotated[str, typer.Option(help="fast (closed form) or cycle (every message)")]
Costs = Annotated[str | None, typer.Option(help="cost set; see `chips NAME`")]
Timeout = Annotated[float | None, typer.Option(help="time limit of the Lava run in seconds", min=1)]


def set_quiet(quiet: bool) -> None:
    """Show no progress and no warnings from now on, or show them again."""
    global _quiet
    _quiet = quiet


_quiet = False


def is_silent(console: Console | None = None) -> bool:
    """Whether no progress is shown: wanted so, or standard error is no terminal."""
    return _quiet or not (console or err).is_terminal


def print_table(table: Table) -> None:
    """Print a table; one that is too wide is cut into several that repeat its first column."""
    for block in split_table(table, out.width):
        out.print(block)


def load_program(build: Path) -> Program:
    """Return the Program of a folder.

    Raises:
        InputError: there is no such folder, or it holds no Program.
    """
    from snncompile.compiler import load
    from snncompile.program import PROGRAM, Program

    if not build.exists():
        raise InputError(f"{build}: no such folder; snncompile compile ... -o {build} makes one")
    with show_busy(f"reading {build}"):
        program = load(build)
    if not isinstance(program, Program):
        raise InputError(f"{build}: has no {PROGRAM}; compile the network in it first")
    return program


def print_values(values: dict[str, Any], as_json: bool) -> None:
    """Print values as JSON, or one line each without those that are None."""
    if as_json:
        print_json(values)
        return
    for key, value in values.items():
        if value is not None:
            shown = f"{value:.2%}" if key in ("accuracy", "float_accuracy", "rate") else value
            out.print(f"{key}: {shown}", markup=False)


def print_fidelity(program: Program, only_other: bool = False) -> None:
    """Print whether the chip's spikes are those computed here; a warning if they are not.

    Args:
        program: for a chip.
        only_other: print the warning alone.
    """
    from snncompile.report.tables import serialize_fidelity

    fidelity = serialize_fidelity(program)
    other = fidelity["spikes"] == "other"
    if other or not only_other:
        line = f"{'warning: ' * other}fidelity: {fidelity['sentence']}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def show_proof(proof: Proof | None) -> None:
    """Say on standard error if bounds were proved anew for more steps, and which one lapses."""
    if proof is not None and proof.anew:
        warning = "warning: " if proof.lapsed else ""
        err.print(f"{warning}{proof}", markup=False, highlight=False, soft_wrap=True)


def choose_current(new: str, value: Any, old: str, given: Any) -> Any:
    """Return the value of an option, with a warning if it is given under its old name."""
    if given is None:
        return value
    print_warning(describe_renaming(old, new))
    return given


def print_warning(text: str) -> None:
    """Print a warning to standard error, where no JSON is."""
    if _quiet:
        return
    err.print(f"warning: {text}", markup=False, highlight=False, soft_wrap=True)


def print_json(values: Any) -> None:
    """Print values as JSON; refuse NaN and infinity."""
    print(json.dumps(values, indent=1, allow_nan=False))


def shorten(text: str, width: int) -> str:
    """Return a text of at most some characters, cut within, so that the times stay whole."""
    width = max(width, 8)
    if len(text) <= width:
        return text
    return f"{text[: width // 2]}…{text[len(text) - (width - width // 2 - 1) :]}"


class TimeLeft(ProgressColumn):
    """The time left as if the rest took as long per share as what is done.

    Rich's own column shows nothing while a step takes longer than 30 s.
    """

    def render(self, task: Task) -> Text:
        """Return `about 90 s left`, or nothing before the first share is done."""
        left = estimate_left(task.completed / task.total if task.total else 0, task.elapsed or 0.0)
        return Text("" if left is None else f"about {left:.0f} s left")


def estimate_left(share: float, seconds: float) -> float | None:
    """Return the seconds that the rest takes; None before anything is done."""
    return seconds * (1 - share) / share if share else None


def describe_progress(text: str, share: float, seconds: float) -> str:
    """Return `quantize, 25% done in 30 s, about 90 s left`."""
    left = estimate_left(share, seconds)
    rest = "" if left is None else f", about {left:.0f} s left"
    return f"{text}, {share:.0%} done in {seconds:.0f} s{rest}"


@contextmanager
def show_progress(title: str) -> Iterator[Report]:
    """Show on standard error how many samples are done, and the time left."""
    columns = (
        TextColumn(shorten(title, err.width - 56)), BarColumn(bar_width=12), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeLeft(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True, disable=is_silent()) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            if done < bar.tasks[0].completed:  # the next run begins
                bar.reset(task, total=total)
            bar.update(task, completed=done, total=total)
            LOG.debug("%s: %d of %d", title, done, total)

        yield show


@contextmanager
def show_work(title: str) -> Iterator[Callable[[str, float], None]]:
    """Show on standard error what is done now, the share that is done, and the time left.

    Where standard error is no terminal, that is for the log alone: `--log-level info`.
    """
    LOG.debug("%s", title)
    room = err.width - 40  # beside the bar, the times and the gaps
    name = shorten(title, room // 2)
    columns = (
        TextColumn(name),
        BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TimeLeft(),
    )
    with Progress(*columns, console=err, transient=True, disable=is_silent()) as bar:
        task = bar.add_task("", total=1.0)
        begun = perf_counter()

        def show(text: str, share: float) -> None:
            shown = shorten(text, room - len(name))
            bar.update(task, description=shown, completed=share)
            LOG.info("%s: %s", title, describe_progress(text, share, perf_counter() - begun))

        yield show


@contextmanager
def show_busy(title: str) -> Iterator[None]:
    """Show on standard error that work of unknown length goes on, and for how long it has."""
    LOG.debug("%s", title)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=is_silent()) as bar:
        bar.add_task(title, total=None)
        yield
