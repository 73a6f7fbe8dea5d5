"""Energy and latency per inference in closed form: counts x price, and the slowest core per step.

One sample at a time. A time step lasts as long as its busiest core works through its events, plus
the longest route a message takes, plus barrier sync; at least the chip's step floor. Energy is one
row per layer and kind of event; the total is the sum of the rows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.backends.energy.counts import CoreCounts, count, network_steps
from snncompile.errors import InputError
from snncompile.hwmodels.schema import CostSet, Number, Price
from snncompile.ir.graph import Progress
from snncompile.program import Program
from snncompile.reference.simulate import batches, check_spikes

HOPS = ("hop_east_west", "hop_north_south")
LEFT_OUT = (
    "host input and output",
    "queues on the links of the mesh",
    "loading the program",
)
"""What no cost set of the closed form prices."""


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
class Estimate:
    """What one inference costs, and where every number comes from."""

    chip: str
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
    left_out: tuple[str, ...] = LEFT_OUT

    @property
    def energy_j(self) -> float:
        """Energy per inference: the sum of the rows that have a price."""
        return self.dynamic_j + self.static_j

    @property
    def dynamic_j(self) -> float:
        """Energy of the events."""
        return sum(r.energy_j or 0.0 for r in self.rows if r.event != "static power")

    @property
    def static_j(self) -> float:
        """Power times time of the chips in use."""
        return sum(r.energy_j or 0.0 for r in self.rows if r.event == "static power")


def estimate(
    program: Program, x: ArrayLike, *, costs: str | None = None, progress: Progress | None = None
) -> Estimate:
    """Return the estimate for the activity that spikes x cause; see `Program.estimate`."""
    name = costs or program.chip.default_costs
    if name not in program.chip.costs:
        known = ", ".join(program.chip.costs)
        raise InputError(f"{program.chip.name} has no cost set {name!r}; it has {known}")
    spikes = check_spikes(program.network, x)
    ledger = _Ledger(program, program.chip.costs[name])
    for trains in batches(program.network, spikes, progress=progress):
        ledger.add(list(count(program, trains)))
    return ledger.close(name, len(spikes), network_steps(program, spikes.shape[1]))


class _Ledger:
    """Sums counts and time over batches; only here, where all samples must come together."""

    def __init__(self, program: Program, costs: CostSet) -> None:
        self.program, self.costs = program, costs
        self.counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.untimed: set[str] = set()
        self.seconds = 0.0

    def add(self, cores: list[CoreCounts]) -> None:
        """Add one batch of samples."""
        for core in cores:
            for event in self.costs.prices:
                self.counts[core.slice.population, event] += int(core.events[event].sum())
        work: dict[int, NDArray[np.float64]] = {}
        for core in cores:
            work[core.slice.core] = work.get(core.slice.core, 0.0) + self._busy_ns(core)
        busy = np.max(list(work.values()), axis=0)
        route = np.max([self._route_ns(core) for core in cores], axis=0)
        step = busy + route + self._barrier_ns()
        self.seconds += float(np.maximum(step, self.costs.step_floor_ns.value or 0.0).sum()) * 1e-9

    def close(self, name: str, samples: int, steps: int) -> Estimate:
        """Return the means over all samples."""
        latency = self.seconds / samples
        rows = [
            _row(layer, event, total / samples, self.costs.prices[event].energy_pj, self.program)  # type: ignore[index]
            for (layer, event), total in self.counts.items()
        ]
        chips = self.program.mapping.chips
        static = self.costs.static_w
        watts = None if static.value is None else static.value * chips
        rows.append(Row("chip", "static power", latency, watts, _origin(static, self.program)))
        unpriced = {r.event for r in rows if r.price_j is None and r.count}
        missing = [f"energy of {event}" for event in sorted(unpriced)]
        missing += [f"time of {event}" for event in sorted(self.untimed)]
        return Estimate(
            chip=self.program.chip.name,
            costs=name,
            title=self.costs.title,
            note=self.costs.note,
            samples=samples,
            steps=steps,
            latency_s=latency,
            rows=tuple(rows),
            missing=tuple(missing),
        )

    def _busy_ns(self, core: CoreCounts) -> NDArray[np.float64]:
        """Return how long the core works in each step: its events one after the other."""
        parts = [
            core.events[event] * self._time_ns(event, price, core)
            for event, price in self.costs.prices.items()
            if event not in HOPS
        ]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    def _route_ns(self, core: CoreCounts) -> NDArray[np.float64]:
        """Return the time of the longest route that a message of the core takes in each step."""
        longest = np.zeros(core.events["spike"].shape)
        times = {hop: self._time_ns(hop, self.costs.prices.get(hop), core) for hop in HOPS}  # type: ignore[call-overload]
        for (columns, rows), messages in core.routes.items():
            time = columns * times["hop_east_west"] + rows * times["hop_north_south"]
            longest = np.maximum(longest, (messages > 0) * time)
        return longest

    def _barrier_ns(self) -> float:
        """Return the barrier time of the next larger entry; of the last beyond the table."""
        table = sorted(self.costs.barrier, key=lambda entry: entry.tiles)
        tiles = self.program.mapping.tiles
        entry = next((b for b in table if b.tiles >= tiles), table[-1])
        if entry.time_ns.value is None:
            self.untimed.add("barrier sync")
        return entry.time_ns.value or 0.0

    def _time_ns(self, event: str, price: Price | None, core: CoreCounts) -> float:
        if price is None or price.time_ns.value is None:
            if core.events[event].any():
                self.untimed.add(event)
            return 0.0
        return price.time_ns.value


def _row(layer: str, event: str, count: float, price: Number, program: Program) -> Row:
    joules = None if price.value is None else price.value * 1e-12
    return Row(layer, event, count, joules, _origin(price, program))


def _origin(number: Number, program: Program) -> str:
    return f"{number.evidence}: {program.chip.sources[number.source]}"
