"""Records of an estimate: rows that add up, time steps and their bounds, ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncompile.renamed import OldAttribute

STATIC = "static power"
"""Event of the rows that count seconds."""
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
    count: float
    """Events; seconds for static power."""
    price_j: float | None
    """Joules per event, watts for static power; None: the cost set does not know."""
    source: str
    """Evidence and origin of the price."""

    @property
    def energy_j(self) -> float | None:
        """Count times price, in joules; None without a price."""
        return None if self.price_j is None else self.count * self.price_j


@dataclass(frozen=True)
class Range:
    """Uncertainty of the totals."""

    energy_j: tuple[float, float]
    """Lowest and highest energy per inference."""
    latency_s: tuple[float, float]
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
    """Time of each event."""
    seconds: NDArray[np.float64]
    """Of each step of each sample, barrier sync included: (samples, steps)."""
    bound: NDArray[np.int64]
    """Bound of each step of each sample: index into `bound_names`."""
    bound_names: tuple[str, ...]


@dataclass(frozen=True)
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
    latency_s: float
    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    """Events that occurred and have no price or time, which the totals therefore lack."""
    range: Range
    utilisation: float
    """Share of the time in which a core's busier half works, mean of the cores in use."""
    bounds: dict[str, float]
    """Bound of a step -> share of the steps with it; the most frequent first."""
    by_step: Steps
    assumed: tuple[str, ...] = ()
    """Assumptions where the chip file is silent."""
    left_out: tuple[str, ...] = LEFT_OUT
    model = OldAttribute("timing")
    rules = OldAttribute("account")

    @property
    def energy_j(self) -> float:
        """Energy per inference: the sum of the rows that have a price."""
        return self.dynamic_j + self.static_j

    @property
    def dynamic_rows(self) -> tuple[Row, ...]:
        """The rows of events."""
        return tuple(r for r in self.rows if r.event != STATIC)

    @property
    def static_rows(self) -> tuple[Row, ...]:
        """The rows of power times time."""
        return tuple(r for r in self.rows if r.event == STATIC)

    @property
    def dynamic_j(self) -> float:
        """Energy of the events."""
        return sum(r.energy_j or 0.0 for r in self.dynamic_rows)

    @property
    def static_j(self) -> float:
        """Power times time of the chips in use."""
        return sum(r.energy_j or 0.0 for r in self.static_rows)

    @property
    def throughput(self) -> float | None:
        """Inferences per second, one after the other; None where no time is known."""
        return 1 / self.latency_s if self.latency_s else None

    @property
    def energy_delay_js(self) -> float:
        """Energy times latency of one inference, in joule seconds."""
        return self.energy_j * self.latency_s

    @property
    def synaptic_ops(self) -> float:
        """Synaptic operations per inference."""
        return sum(r.count for r in self.rows if r.event.startswith("synaptic_op"))

    @property
    def synaptic_op_j(self) -> float | None:
        """Energy of everything per synaptic operation; None without any."""
        return self.energy_j / self.synaptic_ops if self.synaptic_ops else None

    @property
    def label(self) -> str:
        """Name of the total: `energy`, or `energy without ...` naming each missing price."""
        lacking = [m.removeprefix("energy of ") for m in self.missing if m.startswith("energy of")]
        return f"energy without {', '.join(lacking)}" if lacking else "energy"

    @property
    def latency_label(self) -> str:
        """Name of the latency: `latency`, or `latency without ...` naming each missing time."""
        lacking = [m.removeprefix("time of ") for m in self.missing if m.startswith("time of")]
        return f"latency without {', '.join(lacking)}" if lacking else "latency"
