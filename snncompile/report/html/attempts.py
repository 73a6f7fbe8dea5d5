"""Changes that are tried: each compiles the network again and measures what it brings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.compiler import compile
from snncompile.cores.memory_words import ENCODINGS
from snncompile.errors import BoundsWarning, SnnCompileError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network
from snncompile.ir.host_part import take
from snncompile.passes.analysis.number_ranges import choose_default_bits
from snncompile.passes.base import Pass
from snncompile.program import Program
from snncompile.report.html.request import Request

if TYPE_CHECKING:
    from snncompile.backends.energy.result import Estimate

FEWER_BITS = (6, 4, 2)
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


@dataclass(frozen=True)
class Change:
    """A change of the options or of the chip."""

    title: str
    chip: Chip
    options: dict[str, Any]


class _TimeUpError(Exception):
    """The time for trying is over."""


def measure_program(program: Program, request: Request) -> Measured:
    """Return the cost of a Program on the input of a request, and how well it answers."""
    x = request.shown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundsWarning)
        estimate = program.estimate(x, request.costs, timing=request.timing, host=request.host)
        result = program.run(x, host=request.host)
    if np.prod(program.network.output_shape) < 2:
        return Measured(program.mapping.cores, program.mapping.chips, estimate)
    accuracy = None if request.label is None else result.accuracy(request.label)
    floats = same = None
    if program.source is not None:
        shown = take(program.source.input.host_part, x, request.host)
        of_source = load_floats(program.source, shown)
        floats = None if request.label is None else of_source.accuracy(request.label)
        same = float((of_source.prediction == result.prediction).mean())
    return Measured(program.mapping.cores, program.mapping.chips, estimate, accuracy, floats, same)


def load_floats(source: Network, shown: Any) -> Any:
    """Return the result of the float network."""
    from snncompile.reference.simulate import run_float

    return run_float(source, shown)


def try_changes(
    program: Program, now: Measured, request: Request, say: Callable[[str, float], None]
) -> tuple[Attempt, ...]:
    """Return what each change brought, in a fixed order; those beyond the time are not tried."""
    changes = list(list_changes(program))
    if request.seconds <= 0:
        return tuple(Attempt(c.title, None, "not tried: trying was left out") for c in changes)
    end = perf_counter() + request.seconds
    attempts = []
    for number, change in enumerate(changes):
        say(f"trying {change.title}", number / len(changes))
        attempts.append(_try(program, change, request, end))
    return tuple(attempts)


def list_changes(program: Program) -> Iterator[Change]:
    """Yield the changes that can be tried of a Program: bits, method, cores, chips."""
    chip, options = program.chip, program.options
    if isinstance(program.source, Network):
        now = options.quantize.bits or choose_default_bits(chip)
        for bits in (b for b in FEWER_BITS if b < now and b in chip.formats.weight_bits.values):
            yield Change(f"{bits}-bit weights", chip, {"bits": bits})
        scales = "population" if options.quantize.scales != "population" else "neuron"
        yield Change(f"one scale per {scales}", chip, {"scales": scales})
    if chip.encoding not in ENCODINGS:
        return
    shares = not options.mapping.share_cores
    yield Change(
        "layers share cores" if shares else "a core per layer", chip, {"share_cores": shares}
    )
    titles = {
        "cores": "as few cores as possible",
        "traffic": "least spike traffic",
        "latency": "work spread over all cores",
    }
    for objective, title in titles.items():
        if objective != options.mapping.objective:
            yield Change(title, chip, {"objective": objective})
    boards = [chip.model_copy(update={"board": board}) for board in chip.boards]
    larger = sorted((c for c in boards if c.chips > chip.chips), key=lambda c: c.chips)
    for board in larger[:1]:
        title = f"{board.chips:,} chips, work spread"
        yield Change(title, board, {"objective": "latency"})


def _try(program: Program, change: Change, request: Request, end: float) -> Attempt:
    def watch(a_pass: Pass, share: float) -> None:
        if perf_counter() > end:
            raise _TimeUpError

    try:
        if perf_counter() > end:
            raise _TimeUpError
        options = program.options.change(**change.options)
        calibration = take(program.network.input.host_part, request.shown, request.host)
        source = program.source if program.source is not None else program.network
        other = compile(
            source, chip=change.chip, calibration=calibration, options=options, progress=watch
        )
        return Attempt(change.title, measure_program(other, request))
    except _TimeUpError:
        return Attempt(change.title, None, TIME_UP)
    except SnnCompileError as error:
        return Attempt(change.title, None, str(error).splitlines()[0])
