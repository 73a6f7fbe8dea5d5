"""Costs of a chip file: named sets of prices, each from one origin."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snncompile.hwmodels.records import (
    Count,
    Cycles,
    Nanoseconds,
    Number,
    Picojoules,
    Record,
    Share,
    Watts,
    WattsPerMegahertz,
    list_numbers,
    make_problem,
)

Event = Literal[
    "synaptic_op",
    "synaptic_op_dense",
    "synaptic_op_convolution",
    "synaptic_op_sparse",
    "neuron_active",
    "neuron_inactive",
    "neuron_mapped",
    "neuron_updated",
    "spike",
    "message_within_tile",
    "message_out",
    "message_in",
    "hop_east_west",
    "hop_north_south",
    "chip_crossing",
    "host_input",
    "host_output",
    "learning_update",
]
"""Events that the estimator counts; `backends/energy/events.py` has the meaning of each."""


class Timed(Record):
    """A duration: nanoseconds, or cycles of a clock that the user chooses."""

    time_ns: Nanoseconds
    cycles: Cycles | None = None
    """If given, the time is null until there is a clock; see `CostSet.at_clock`."""

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.cycles is not None and self.time_ns.value is not None:
            raise make_problem(("cycles",), "the time is known; give nanoseconds or cycles")
        return self

    def at_end(self, end: Literal["low", "high"]) -> Self:
        """Return this with the lowest or highest of its numbers; see `Number.at_end`."""
        numbers = {name: n.at_end(end) for name, n in self if isinstance(n, Number)}
        return self.model_copy(update=numbers)

    def at_clock(self, mhz: float) -> Self:
        """Return this with a time instead of cycles, at a clock of `mhz`."""
        if self.cycles is None or self.cycles.value is None:
            return self
        value = self.cycles.value * 1e3 / mhz
        time = Number(value=value, unit="ns", evidence="derived", source=self.cycles.source)
        return self.model_copy(update={"time_ns": time, "cycles": None})


class Price(Timed):
    """Cost of one event. An unpublished energy or time is null and reported as missing."""

    energy_pj: Picojoules


class Barrier(Timed):
    """Barrier sync of a chip with up to `tiles` tiles in use."""

    tiles: Annotated[int, Field(gt=0)]


class ChipBarrier(Record):
    """Barrier sync of a system of up to `chips` chips."""

    chips: Annotated[int, Field(gt=1)]
    time_ns: Nanoseconds

    def at_end(self, end: Literal["low", "high"]) -> Self:
        """Return this with the lowest or highest time; see `Number.at_end`."""
        return self.model_copy(update={"time_ns": self.time_ns.at_end(end)})


class CostSet(Record):
    """Prices from one origin. Sets are never mixed.

    An event that is not listed is included in another one's price, except for overheads
    (`backends/energy/events.py`), whose missing price is reported.
    """

    title: str
    note: str
    prices: dict[Event, Price]
    barrier: Annotated[tuple[Barrier, ...], Field(min_length=1)]
    step_floor_ns: Nanoseconds
    """Shortest possible time step."""
    static_w: Watts
    """Power of one chip in use, apart from all events."""
    clock_w_per_mhz: WattsPerMegahertz | None = None
    """Power of the clock, where the user chooses it; not in the static power."""
    barrier_chips: tuple[ChipBarrier, ...] = ()
    """Barrier sync where more than one chip is in use; empty: not known."""
    barrier_energy_pj: Picojoules | None = None
    """Energy of one barrier sync of one chip; None: not known."""
    link_buffer: Count | None = None
    """Most messages that a link or core holds; None: without limit."""
    energy_error: Share | None = None
    """Error of the energies against measurements, as published with the set, 0..1."""
    latency_error: Share | None = None
    """Likewise of the times."""

    @property
    def has_ends(self) -> bool:
        """Whether any of its numbers has a spread of its own."""
        return any(isinstance(n, Number) and n.has_ends for n in list_numbers(self))

    def at_end(self, end: Literal["low", "high"]) -> CostSet:
        """Return the set with the lowest or highest of all numbers that have a spread."""
        return self.model_copy(
            update={
                "prices": {event: price.at_end(end) for event, price in self.prices.items()},
                "barrier": tuple(entry.at_end(end) for entry in self.barrier),
                "barrier_chips": tuple(entry.at_end(end) for entry in self.barrier_chips),
                "step_floor_ns": self.step_floor_ns.at_end(end),
                "static_w": self.static_w.at_end(end),
            }
        )

    @property
    def has_cycles(self) -> bool:
        """Whether a time depends on the clock."""
        return any(timed.cycles is not None for timed in (*self.prices.values(), *self.barrier))

    def at_clock(self, mhz: float) -> CostSet:
        """Return the set with times instead of cycles, and the clock's power as static power."""
        static, clock = self.static_w, self.clock_w_per_mhz
        if clock is not None and clock.value is not None and static.value is not None:
            value = static.value + clock.value * mhz
            static = static.model_copy(update={"value": value, "evidence": "derived"})
        return self.model_copy(
            update={
                "prices": {event: price.at_clock(mhz) for event, price in self.prices.items()},
                "barrier": tuple(entry.at_clock(mhz) for entry in self.barrier),
                "static_w": static,
                "clock_w_per_mhz": None,
            }
        )

    @model_validator(mode="after")
    def _barrier_grows(self) -> Self:
        tiles = [entry.tiles for entry in self.barrier]
        if tiles != sorted(set(tiles)):
            raise make_problem(("barrier",), f"the tiles must grow, got {tiles}")
        chips = [entry.chips for entry in self.barrier_chips]
        if chips != sorted(set(chips)):
            raise make_problem(("barrier_chips",), f"the chips must grow, got {chips}")
        return self
