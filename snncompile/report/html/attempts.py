"""Changes that are tried: each compiles the network again and measures what it brings."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.compiler import compile
from snncompile.errors import BoundsWarning, SnnCompileError
from snncompile.ir.graph import Network
from snncompile.ir.host_part import take
from snncompile.passes.base import Pass
from snncompile.program import Program
from snncompile.report.html.changes import Change, list_changes
from snncompile.report.html.request import Request

if TYPE_CHECKING:
    from snncompile.backends.energy.result import Estimate

TIME_UP = "not tried: the time for trying was over"


@dataclass(frozen=True, eq=False)
class Measured:
    """What a Program costs; None: not known."""

    cores: int
    chips: int
    estimate: Estimate | None = None
    accuracy: float | None = None
    """Share of the samples whose answer is the label."""
    float_accuracy: float | None = None
    same_answers: float | None = None
    """Share of the samples whose answer is that of the float network."""
    float_answers: NDArray[Any] | None = None
    """Answers of the float network."""

    @classmethod
    def count(cls, program: Program) -> Measured:
        """Return cores and chips alone."""
        return cls(program.mapping.cores, program.mapping.chips)

    @property
    def energy_j(self) -> float | None:
        """Energy per inference; None: not known."""
        return None if self.estimate is None else self.estimate.energy_j

    @property
    def latency_s(self) -> float | None:
        """Latency of an inference; None: not known."""
        return None if self.estimate is None else self.estimate.latency_s

    @property
    def quality(self) -> float | None:
        """Accuracy where there are labels, else the share of the float network's answers."""
        return self.same_answers if self.accuracy is None else self.accuracy


@dataclass(frozen=True, eq=False)
class Attempt:
    """One change, and what it brought."""

    title: str
    measured: Measured | None
    """None: it was refused, or not tried."""
    why: str = ""
    """Why it was refused or not tried."""


class _TimeUpError(Exception):
    """The time for trying is over."""


def measure_program(
    program: Program, request: Request, wanted: NDArray[Any] | None = None
) -> Measured:
    """Return the cost of a Program on the input of a request, and how well it answers.

    Args:
        program: the Program.
        request: with an input.
        wanted: answers to compare with; those of the Program's own float network if not given.
    """
    x = request.shown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundsWarning)
        estimate = program.estimate(x, request.costs, timing=request.timing, host=request.host)
        result = program.run(x, host=request.host)
    measured = Measured(program.mapping.cores, program.mapping.chips, estimate)
    if np.prod(program.network.output_shape) < 2:
        return measured
    label, floats = request.label, None
    if wanted is None and program.source is not None:
        shown = take(program.source.input.host_part, x, request.host)
        of_source = load_floats(program.source, shown)
        wanted = of_source.prediction
        floats = None if label is None else of_source.accuracy(label)
    return replace(
        measured,
        accuracy=None if label is None else result.accuracy(label),
        float_accuracy=floats,
        same_answers=None if wanted is None else float((wanted == result.prediction).mean()),
        float_answers=wanted,
    )


def load_floats(source: Network, shown: Any) -> Any:
    """Return the result of the float network."""
    from snncompile.reference.simulate import run_float

    return run_float(source, shown)


def try_changes(
    program: Program, now: Measured, request: Request, say: Callable[[str, float], None]
) -> tuple[Attempt, ...]:
    """Return what each change brought, in a fixed order; those beyond the time are not tried.

    The first change of every kind is tried first, so that none is left out where time is short.
    """
    changes = list(list_changes(program, request))
    if request.seconds <= 0:
        return tuple(
            Attempt(c.title, None, c.why_not or "not tried: trying was left out") for c in changes
        )
    end = perf_counter() + request.seconds
    attempts: dict[int, Attempt] = {}
    for done, number in enumerate(_order(changes)):
        say(f"trying {changes[number].title}", done / len(changes))
        attempts[number] = _try(program, changes[number], now, request, end)
    return tuple(attempts[number] for number in range(len(changes)))


def _order(changes: list[Change]) -> list[int]:
    """Return the numbers of the changes: the first of each kind, then the second, ..."""
    seen: Counter[str] = Counter()
    turns = []
    for number, change in enumerate(changes):
        turns.append((seen[change.kind], number))
        seen[change.kind] += 1
    return [number for _, number in sorted(turns)]


def _try(program: Program, change: Change, now: Measured, request: Request, end: float) -> Attempt:
    def watch(a_pass: Pass, share: float) -> None:
        if perf_counter() > end:
            raise _TimeUpError

    if change.why_not:
        return Attempt(change.title, None, change.why_not)
    try:
        if perf_counter() > end:
            raise _TimeUpError
        source = change.make_source(program)
        own = replace(request, x=None) if request.images is not None else request
        own = own.show_to(source)
        other = compile(
            source,
            chip=change.chip,
            calibration=take(source.input.host_part, own.shown, own.host),
            options=program.options.change(**change.options),
            progress=watch,
        )
        return Attempt(change.title, measure_program(other, own, now.float_answers))
    except _TimeUpError:
        return Attempt(change.title, None, TIME_UP)
    except SnnCompileError as error:
        return Attempt(change.title, None, str(error).splitlines()[0])
