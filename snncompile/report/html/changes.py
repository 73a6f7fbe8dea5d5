"""Changes that a report tries: fewer bits, another method, sharing cores, more chips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from snncompile.conversion.convert import convert, find_method
from snncompile.conversion.method import Method
from snncompile.cores.memory_words import ENCODINGS
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.passes.analysis.number_ranges import choose_default_bits
from snncompile.program import Program
from snncompile.report.html.request import Request

FEWER_BITS = (4, 6, 2)
METHODS = (
    ("signed", (32, 16)),
    ("bistable_phase", (8, 5)),
    ("balance", (64,)),
    ("graded", (1,)),
)
"""Methods of conversion, each with time steps of a layer's window to try."""
CONVERTED = "convert: "
"""Beginning of the notes of converted networks."""
CALIBRATION = 128
"""Images with which a method is calibrated, at most."""
NO_MODEL = (
    "not tried: it takes the trained model and its images: --model file.py:function --images x.npz,"
    " in Python report(images=..., model=...)"
)
HARD = {"soft": "hard", "delayed_soft": "delayed_hard"}
"""Resets that keep what exceeds the threshold, and those that do not."""


def keep_source(program: Program) -> Any:
    """Return what the Program was compiled from."""
    return program.source if program.source is not None else program.network


@dataclass(frozen=True, eq=False)
class Change:
    """A change of the options, of the chip or of the network."""

    kind: str
    """bits, method, cores or chips."""
    title: str
    chip: Chip
    options: dict[str, Any] = field(default_factory=dict)
    make_source: Callable[[Program], Any] = keep_source
    """Makes the network to compile."""
    why_not: str = ""
    """Why it cannot be tried."""


def list_changes(program: Program, request: Request) -> Iterator[Change]:
    """Yield the changes that can be tried of a Program: bits, method, cores, chips."""
    chip, options = program.chip, program.options
    if isinstance(program.source, Network):
        now = options.quantize.bits or choose_default_bits(chip)
        for bits in (b for b in FEWER_BITS if b < now and b in chip.formats.weight_bits.values):
            yield Change("bits", f"{bits}-bit weights", chip, {"bits": bits})
        scales = "population" if options.quantize.scales != "population" else "neuron"
        yield Change("bits", f"one scale per {scales}", chip, {"scales": scales})
        yield from _list_methods(program, program.source, request)
    if chip.encoding in ENCODINGS:
        yield from _list_mappings(program)


def _list_methods(program: Program, source: Network, request: Request) -> Iterator[Change]:
    """Yield other methods of conversion; hard resets where nothing was converted."""
    chip = program.chip
    origin = next((note for note in source.notes if note.startswith(CONVERTED)), None)
    if origin is None:
        if any(_is_soft(p) for p in source.populations):
            yield Change("method", "hard resets", chip, make_source=lambda _: harden_resets(source))
        return
    if request.model is None or request.images is None:
        yield Change("method", "another method of conversion", chip, why_not=NO_MODEL)
        return
    for name, windows in METHODS:
        for steps in windows:
            method = find_method(name)
            if not origin.startswith(f"{CONVERTED}{method}, {steps} steps"):
                make = _make_conversion(method, steps, request)
                title = f"{name}, {steps} steps" if steps > 1 else name
                yield Change("method", title, chip, make_source=make)


def _make_conversion(method: Method, steps: int, request: Request) -> Callable[[Program], Network]:
    """Return what converts the trained model by a method."""

    def make(program: Program) -> Network:
        images, title = request.images, program.network.title
        assert images is not None
        return convert(request.model, images[:CALIBRATION], method, steps, title=title).network

    return make


def harden_resets(network: Network) -> Network:
    """Return the network with hard resets in place of soft ones."""
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset=HARD[p.neuron.reset]))  # type: ignore[attr-defined, call-arg]
        if _is_soft(p)
        else p
        for p in network.populations
    )
    return replace(network, populations=populations)


def _is_soft(population: Population) -> bool:
    return getattr(population.neuron, "reset", None) in HARD


def _list_mappings(program: Program) -> Iterator[Change]:
    """Yield other ways to spread the same network over cores and chips."""
    chip, mapping = program.chip, program.options.mapping
    shares = not mapping.share_cores
    title = "layers share cores" if shares else "a core per layer"
    yield Change("cores", title, chip, {"share_cores": shares})
    titles = {
        "cores": "as few cores as possible",
        "latency": "work spread over all cores",
        "traffic": "least spike traffic",
    }
    for objective, title in titles.items():
        if objective != mapping.objective:
            yield Change("cores", title, chip, {"objective": objective})
    boards = [chip.model_copy(update={"board": board}) for board in chip.boards]
    larger = sorted((c for c in boards if c.chips > chip.chips), key=lambda c: c.chips)
    for board in larger[:1]:
        title = f"{board.chips:,} chips, work spread"
        yield Change("chips", title, board, {"objective": "latency"})
