"""Records of an estimate: rows that add up, time steps and their bounds, ranges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.reports import Proof
from snncompile.notebook import format_line, format_rows
from snncompile.renamed import OldAttribute

STATIC = "static power"
"""Event of the rows that count seconds."""
STATIC_REST = "static power in missing times"
"""What the energy of static power lacks where the latency lacks a time."""
ENERGY, TIME = "energy of ", "time of "
"""Beginnings of the entries of `Estimate.missing`."""
LEFT_OUT = ("loading the program", "learning", "the host's own energy")
"""Costs that no cost set prices."""


class Part(NamedTuple):
    """The neurons of one population on one core."""

    layer: str
    core: int


@dataclass(frozen=True)
class Row:
    """One kind of event of one layer, per inference (mean over the samples)."""

    layer: str
    event: str
    count: float | None
    """Events; seconds for static power; None: the time is not known."""
    price_j: float | None
    """Joules per event, watts for static power; None: the cost set does not know."""
    source: str
    """Evidence and origin of the price."""

    @property
    def occurs(self) -> bool:
        """Whether any event is counted; true where the time of a power is not known."""
        return self.count != 0

    @property
    def energy_j(self) -> float | None:
        """Count times price, in joules; None without a price or without a time."""
        if self.price_j == 0:
            return 0.0
        return None if self.price_j is None or self.count is None else self.count * self.price_j


def add_energies(rows: Iterable[Row]) -> float | None:
    """Return the sum of the energies that are known, in joules.

    None where nothing is known of what occurred; `list_unpriced` names what a sum lacks.
    """
    occurred = [row.energy_j for row in rows if row.occurs]
    known = [energy for energy in occurred if energy is not None]
    total = float(sum(known))
    return None if total == 0 and len(known) < len(occurred) else total


def list_unpriced(rows: Iterable[Row], untimed: Iterable[str]) -> tuple[str, ...]:
    """Return what a sum of rows lacks, sorted: events that occurred without a known energy.

    Args:
        rows: of the sum.
        untimed: what the latency lacks; static power lacks its energy in those times.
    """
    names = {row.event for row in rows if row.occurs and row.energy_j is None}
    static = any(row.event == STATIC and row.energy_j for row in rows)
    return tuple(sorted(names | ({STATIC_REST} if static and any(untimed) else set())))


@dataclass(frozen=True)
class Range:
    """Uncertainty of the totals."""

    energy_j: tuple[float, float] | None
    """Lowest and highest energy per inference; None: not known."""
    latency_s: tuple[float, float] | None
    because: tuple[str, ...]
    """Sources of the range."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The estimate by time step, core, layer and event."""

    parts: tuple[Part, ...]
    """Layer and core of each part; the host is the core after the last."""
    events: tuple[str, ...]
    counts: NDArray[np.float64]
    """Mean over the samples, shape (steps, parts, events)."""
    energy_pj: NDArray[np.float64]
    """Price of each event; NaN: not known."""
    time_ns: NDArray[np.float64]
    """Time of each event; NaN: not known."""
    seconds: NDArray[np.float64]
    """Of each step of each sample, barrier sync included: (samples, steps); NaN: not known."""
    bound: NDArray[np.int64]
    """Bound of each step of each sample whose time is known: index into `bound_names`."""
    bound_names: tuple[str, ...]
    links: NDArray[np.int64]
    """Numbers of the links in use, shape (links,); `Mesh.name` says which they are."""
    link_messages: NDArray[np.float64]
    """Messages over each of them per inference, mean over the samples."""


@dataclass(frozen=True, repr=False)
class Estimate:
    """Cost of one inference, with the source of every number."""

    chip: str
    timing: str
    """`fast` or `cycle`."""
    account: str
    """`chip` or `sanafe`."""
    costs: str
    """Name of the cost set."""
    title: str
    note: str
    samples: int
    steps: int
    """Time steps from the first input to the last output of one sample."""
    latency_s: float | None
    """None: no time of what occurred is known."""
    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    """Events that occurred and have no price or time, which the totals therefore lack."""
    range: Range
    utilisation: float | None
    """Share of the time in which a core's busier half works, mean of the cores in use; None: no
    time of that work is known."""
    bounds: dict[str, float]
    """Bound of a step -> share of the steps with it; the most frequent first."""
    by_step: Steps
    assumed: tuple[str, ...] = ()
    """Assumptions where the chip file is silent."""
    left_out: tuple[str, ...] = LEFT_OUT
    proof: Proof | None = None
    """Bounds for the steps of the input."""
    model = OldAttribute("timing")
    rules = OldAttribute("account")

    @property
    def energy_j(self) -> float | None:
        """Energy per inference: the sum of the rows that have a price.

        None where no row that occurred has one; `label` names the rows that the sum lacks.
        """
        return add_energies(self.rows)

    @property
    def dynamic_rows(self) -> tuple[Row, ...]:
        """The rows of events."""
        return tuple(r for r in self.rows if r.event != STATIC)

    @property
    def static_rows(self) -> tuple[Row, ...]:
        """The rows of power times time."""
        return tuple(r for r in self.rows if r.event == STATIC)

    @property
    def dynamic_j(self) -> float | None:
        """Energy of the events; None where none has a price."""
        return add_energies(self.dynamic_rows)

    @property
    def static_j(self) -> float | None:
        """Power times time of the chips in use; None where one of them is not known."""
        return add_energies(self.static_rows)

    @property
    def throughput(self) -> float | None:
        """Inferences per second, one after the other; None where no time is known."""
        return 1 / self.latency_s if self.latency_s else None

    @property
    def energy_delay_js(self) -> float | None:
        """Energy times latency of one inference, in joule seconds; None where one is unknown."""
        energy, latency = self.energy_j, self.latency_s
        return None if energy is None or latency is None else energy * latency

    @property
    def synaptic_ops(self) -> float:
        """Synaptic operations per inference."""
        return sum(r.count or 0.0 for r in self.rows if r.event.startswith("synaptic_op"))

    @property
    def synaptic_op_j(self) -> float | None:
        """Energy of everything per synaptic operation; None without any or if unknown."""
        energy = self.energy_j
        return energy / self.synaptic_ops if self.synaptic_ops and energy is not None else None

    @property
    def label(self) -> str:
        """Name of the total: `energy`, or `energy without ...` naming each missing price."""
        return f"energy{format_lacking(self.unpriced)}"

    @property
    def latency_label(self) -> str:
        """Name of the latency: `latency`, or `latency without ...` naming each missing time."""
        return f"latency{format_lacking(self.untimed)}"

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Events whose energy the totals lack."""
        return tuple(m.removeprefix(ENERGY) for m in self.missing if m.startswith(ENERGY))

    @property
    def untimed(self) -> tuple[str, ...]:
        """Events whose time the latency lacks."""
        return tuple(m.removeprefix(TIME) for m in self.missing if m.startswith(TIME))

    def _list_facts(self) -> list[tuple[str, object]]:
        """Return what a short text shows of the estimate."""
        return [
            ("chip", self.chip),
            ("costs", self.costs),
            ("energy_j", self.energy_j),
            ("latency_s", self.latency_s),
            ("samples", self.samples),
            ("steps", self.steps),
            ("missing", ", ".join(self.missing) or "nothing"),
        ]

    def __repr__(self) -> str:
        """One line."""
        return format_line("Estimate", self._list_facts())

    def _repr_html_(self) -> str:
        layers = dict.fromkeys(row.layer for row in self.rows)
        sums = {
            name: add_energies(row for row in self.rows if row.layer == name) for name in layers
        }
        rows = [(f"energy_j of {name}", energy) for name, energy in sums.items()]
        return format_rows("Estimate", [*self._list_facts(), *rows])


def format_lacking(events: tuple[str, ...]) -> str:
    """Return ` without barrier sync, host_input`; empty where nothing is missing."""
    return f" without {', '.join(events)}" if events else ""
