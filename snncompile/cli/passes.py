"""`snncompile passes`, and the options of `compile` that show and write designs between passes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from snncompile.cli.shared import (
    Json,
    TimeLeft,
    describe_progress,
    err,
    is_silent,
    out,
    print_json,
    print_table,
    shorten,
)
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.passes.base import Pass
    from snncompile.passes.describe import PassDescription
    from snncompile.passes.pipeline import PassProgress, Pipeline, Step

ALL = "all"
LOG = logging.getLogger(__name__)
PassesText = Annotated[
    str | None,
    typer.Option(
        "--passes", help="passes to run, as text: retime,quantize{bits=6},...; see `passes`"
    ),
]
Skip = Annotated[list[str] | None, typer.Option(help="a pass to skip; repeat for more")]
PrintAfter = Annotated[
    list[str] | None,
    typer.Option(help="print the design after this pass, or after all; repeat for more"),
]
SaveAfter = Annotated[
    list[str] | None,
    typer.Option(
        help="write the design after this pass, or after all, beside the output: the network to"
        " the folder OUTPUT_after_PASS, all of it as text to OUTPUT_after_PASS.txt"
    ),
]
TimePasses = Annotated[bool, typer.Option("--time-passes", help="print the time of each pass")]
VerifyEachPass = Annotated[
    bool,
    typer.Option(
        "--verify-each",
        help="run the calibration data (64 samples) before and after each pass: an error where"
        " spikes differ; after quantize the loss is reported",
    ),
]


def passes(
    name: Annotated[str | None, typer.Argument(help="a pass")] = None, as_json: Json = False
) -> None:
    """List the passes in the order in which they run, or explain one with its options."""
    from snncompile import registry
    from snncompile.options import Options
    from snncompile.passes.describe import describe_pass
    from snncompile.passes.pipeline import Pipeline
    from snncompile.passes.text import load_pass

    if name is not None:
        description = describe_pass(load_pass(name))
        if as_json:
            print_json(asdict(description))
        else:
            _print_description(description)
        return
    default = Pipeline.default(Options())
    others = [other for other in registry.list_names("passes") if other not in default.names]
    names = [*default.names, *others]
    known = [describe_pass(load_pass(known)) for known in names]
    if as_json:
        print_json({"default": str(default), "passes": [asdict(d) for d in known]})
        return
    print_table(_tabulate_passes(known, default))
    text = f"all with their options, as compile --passes takes them:\n{default}"
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _tabulate_passes(known: list[PassDescription], default: Pipeline) -> Table:
    table = Table(title="passes, in the order in which they run", title_justify="left")
    for column in ("", "pass", "does", "options"):
        table.add_column(column, overflow="fold", justify="left" if column else "right")
    for number, d in enumerate(known, 1):
        position = str(number) if d.name in default.names else "on request"
        table.add_row(position, d.name, d.summary, ", ".join(o.name for o in d.options))
    return table


def _print_description(description: PassDescription) -> None:
    """Print name, docstring with the contract, and options."""
    out.print(f"{description.name}\n\n{description.doc}\n", markup=False, highlight=False)
    if not description.options:
        out.print("no options")
        return
    table = Table(title="options", title_justify="left")
    for column in ("option", "type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for o in description.options:
        table.add_row(o.name, o.type, o.default, o.doc)
    print_table(table)


@dataclass(frozen=True)
class PassOptions:
    """Options of `compile` that show and write designs between passes."""

    output: Path
    print_after: list[str] = field(default_factory=list)
    save_after: list[str] = field(default_factory=list)
    time_passes: bool = False
    verify_each: bool = False

    def make_hooks(self, calibration: Any) -> list[Callable[[Step], None]]:
        """Return the hooks of the pipeline.

        Raises:
            InputError: passes are to be verified without calibration data.
        """
        from snncompile.verify_passes import VerifyEach

        if self.verify_each and calibration is None:
            raise InputError("--verify-each runs calibration data; give --calibration FILE.npz")
        hooks: list[Callable[[Step], None]] = []
        if self.time_passes:
            hooks.append(lambda step: _print_aside(f"{step.seconds:8.3f} s  {step.a_pass.name}"))
        if self.print_after:
            hooks.append(self._print)
        if self.save_after:
            hooks.append(self._save)
        if self.verify_each:
            hooks.append(VerifyEach(_print_aside))
        return hooks

    def _print(self, step: Step) -> None:
        if _is_named(step, self.print_after):
            _print_aside(f"after {step.a_pass.name}:\n{step.after}")

    def _save(self, step: Step) -> None:
        if _is_named(step, self.save_after):
            path = _name_beside(self.output, step.a_pass.name)
            step.after.network.save(path)
            path.with_name(f"{path.name}.txt").write_text(str(step.after), encoding="utf-8")


def _is_named(step: Step, names: list[str]) -> bool:
    """Whether a pass is among the names; refuse names of passes that do not run."""
    from snncompile.passes.pipeline import check_pass_name

    for name in names:
        if name != ALL:
            check_pass_name(name, step.names)
    return step.a_pass.name in names or ALL in names


@contextmanager
def show_passes(title: str) -> Iterator[PassProgress]:
    """Show on standard error which pass runs, the share that is done, and the time left.

    Where standard error is no terminal, that is for the log alone: `--log-level info`.
    """
    columns = (
        TextColumn(shorten(title, err.width - 60)),
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeLeft(),
    )
    begun = perf_counter()
    with Progress(*columns, console=err, transient=True, disable=is_silent(err)) as bar:
        task = bar.add_task("", total=1.0, visible=False)

        def show(a_pass: Pass, share: float) -> None:
            bar.update(task, description=a_pass.name, completed=share, visible=True)
            LOG.info("%s: %s", title, describe_progress(a_pass.name, share, perf_counter() - begun))

        yield show


def _print_aside(text: str) -> None:
    """Print to standard error, where no JSON is."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _name_beside(output: Path, a_pass: str) -> Path:
    """Return the folder for the design after a pass, beside the output; `.` has a name too."""
    whole = output if output.name else output.resolve()
    return whole.with_name(f"{whole.name}_after_{a_pass}")
