"""`snncompile sweep`: the trials of a study on as many processes as there are, and their front."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from snncompile.cli.shared import Json, err, is_silent, out, print_json, print_table
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.study.drive import News, Sweep

LOG = logging.getLogger(__name__)
WAITING = "the scheduler has no workers yet; the trials wait for them"


def sweep_command(
    study: Annotated[Path, typer.Argument(help="study file (docs/sweep.md)")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="folder for inputs and results (STUDY.sweep)"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="address of a Dask scheduler; local workers if not given"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="local worker processes; one per core", min=1)
    ] = None,
    threads: Annotated[int, typer.Option(help="threads of each local worker", min=1)] = 1,
    storage: Annotated[
        str | None, typer.Option(help="URL of Optuna's storage; SQLite in the folder if not given")
    ] = None,
    driver: Annotated[
        str, typer.Option(help="name of this driver, where several share one storage")
    ] = "driver",
    csv: Annotated[Path | None, typer.Option(help="file to write: all trials")] = None,
    parquet: Annotated[Path | None, typer.Option(help="the same table as Parquet")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="HTML file to write: the front, each point with its build's report"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try what STUDY lists and show the front; run again, it goes on where it was stopped."""
    from snncompile.study.drive import run_study
    from snncompile.study.engine import import_dask
    from snncompile.study.read import read_study
    from snncompile.study.sweep import name_folder
    from snncompile.study.tables import check_outputs, list_failures

    import_dask()
    try:
        record = read_study(study)
    except InputError as error:
        _list_mistakes(error)
        raise
    check_outputs(csv, parquet, report)
    with _show_news(record.name) as tell:
        sweep = run_study(
            record,
            output or name_folder(study),
            scheduler=scheduler,
            workers=workers,
            threads=threads,
            storage=storage,
            driver=driver,
            tell=tell,
        )
    if as_json:
        from snncompile.study.tables import serialize_sweep

        print_json(serialize_sweep(sweep))
    else:
        _print_sweep(sweep)
    _write_files(sweep, csv, parquet, report)
    for line in list_failures(sweep):
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    if sweep.failures:
        raise typer.Exit(1)


def _list_mistakes(error: InputError) -> None:
    """Print every mistake of a study, where the message has not all of them."""
    if len(error.obstacles) > 1:
        for obstacle in error.obstacles:
            err.print(obstacle.message, markup=False, highlight=False, soft_wrap=True)


def _write_files(sweep: Sweep, csv: Path | None, parquet: Path | None, report: Path | None) -> None:
    from snncompile.study.tables import write_table

    for path, kind in ((csv, "csv"), (parquet, "parquet")):
        if path is not None:
            write_table(path, sweep, kind)
    if report is not None:
        from snncompile.study.page import write_page

        write_page(report, sweep)


def _print_sweep(sweep: Sweep) -> None:
    from snncompile.study.tables import draw_front, summarize, tabulate_front

    if sweep.front.front:
        print_table(tabulate_front(sweep.front))
        out.print(draw_front(sweep.front), markup=False, highlight=False)
    for line in summarize(sweep):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _show_news(name: str) -> Iterator[Callable[[News], None]]:
    """Show on standard error what is done, the time left and the best trial so far."""
    columns = (
        TextColumn(name, markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    said: set[str] = set()
    with Progress(*columns, console=err, transient=True, disable=is_silent()) as bar:
        task = bar.add_task("", total=None)
        done = 0

        def tell(news: News) -> None:
            nonlocal done
            done = news.done
            if news.dashboard and news.dashboard not in said:
                said.add(news.dashboard)
                err.print(f"dashboard: {news.dashboard}", markup=False, highlight=False)
            if news.threads == 0 and WAITING not in said:
                said.add(WAITING)
                err.print(WAITING, markup=False, highlight=False)
            text = _describe(news)
            bar.update(task, completed=news.done, total=news.total, description=text)
            LOG.info("%s: %d of %d, %s", name, news.done, news.total, text)

        try:
            yield tell
        except KeyboardInterrupt:
            err.print(
                f"stopped: {done:,} trials are done and kept; the same command goes on",
                highlight=False,
            )
            raise


def _describe(news: News) -> str:
    """Return `about 90 s left, best: ...`."""
    left = "" if news.seconds_left is None else f"about {news.seconds_left:.0f} s left"
    best = "" if news.best is None else f"best: {news.best.point}"
    return ", ".join(text for text in (left, best) if text)
