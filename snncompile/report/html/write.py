"""Make and write a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from snncompile.errors import InputError
from snncompile.ir.graph import Say
from snncompile.program import Program
from snncompile.report.html.document import Page
from snncompile.report.html.facts import gather
from snncompile.report.html.page import read_plotly, render
from snncompile.report.html.request import SAMPLES, Request


def make_report(
    programs: Sequence[tuple[str, Program]],
    x: ArrayLike | None = None,
    label: ArrayLike | None = None,
    *,
    samples: int | None = SAMPLES,
    progress: Say | None = None,
    **more: Any,
) -> Page:
    """Return the report of some Programs, with names.

    Args:
        programs: name and Program, one or more.
        x: input, shape (samples, steps, *input.shape); without it time and energy are unknown.
        label: class of each sample.
        samples: of the input that are run, from the first; None for all.
        progress: called with what is done, and the share that is done.
        **more: see `Request`; `images` in place of x are shown to each converted network by its own
            coding, and with `model`, the trained module, other methods of conversion are tried.

    Raises:
        InputError: plotly is missing, no Program is given or the network cannot take x.
    """
    if not programs:
        raise InputError("a report needs at least one Program")
    if samples is not None and samples < 1:
        raise InputError(f"a report runs at least 1 sample, got {samples}")
    read_plotly()
    request = Request.of(x, label, samples, **more)
    builds = []
    for number, (name, program) in enumerate(programs):

        def say(text: str, share: float, number: int = number, name: str = name) -> None:
            if progress:
                progress(f"{name}: {text}", (number + share) / len(programs))

        builds.append(gather(program, name, request, say))
    return Page(*render(tuple(builds)))


def report_program(
    program: Program, x: ArrayLike | None = None, label: ArrayLike | None = None, **more: Any
) -> Page:
    """Return the report of one Program; see `Program.report`."""
    return make_report([(program.network.title, program)], x, label, **more)
