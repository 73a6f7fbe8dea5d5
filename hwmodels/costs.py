"""What a chip file may say about costs: named sets of prices, each from one origin."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snncompile.hwmodels.records import (
    Count,
    Nanoseconds,
    Picojoules,
    Record,
    Share,
    Watts,
    problem,
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
"""What the estimator can count; see `backends/energy/events.py` for the meaning of each."""


class Price(Record):
    """Cost of one event. An energy or time nobody published is null and is reported as missing."""

    energy_pj: Picojoules
    time_ns: Nanoseconds


class Barrier(Record):
    """Barrier sync of a chip with so many tiles in use; in between, the next larger entry holds."""

    tiles: Annotated[int, Field(gt=0)]
    time_ns: Nanoseconds


class ChipBarrier(Record):
    """Barrier sync of a system with so many chips; in between, the next larger entry holds."""

    chips: Annotated[int, Field(gt=1)]
    time_ns: Nanoseconds


class CostSet(Record):
    """Prices from one origin. Sets are never mixed.

    An event that is not listed is part of another one's price, except for what
    `backends/energy/events.py` calls overheads: there a missing price is reported.
    """

    title: str
    note: str
    prices: dict[Event, Price]
    barrier: Annotated[tuple[Barrier, ...], Field(min_length=1)]
    step_floor_ns: Nanoseconds
    """Shortest possible time step."""
    static_w: Watts
    """Power of one chip in use that no event accounts for."""
    barrier_chips: tuple[ChipBarrier, ...] = ()
    """Barrier sync where more than one chip is in use; empty: not known."""
    barrier_energy_pj: Picojoules | None = None
    """Energy of one barrier sync of one chip; None: not known."""
    link_buffer: Count | None = None
    """Messages that a link or core holds at most; None: without limit."""
    energy_error: Share | None = None
    """Error of the energies against measurements, as published with the set, 0..1."""
    latency_error: Share | None = None
    """Likewise of the times."""

    @model_validator(mode="after")
    def _barrier_grows(self) -> Self:
        tiles = [entry.tiles for entry in self.barrier]
        if tiles != sorted(set(tiles)):
            raise problem(("barrier",), f"the tiles must grow, got {tiles}")
        chips = [entry.chips for entry in self.barrier_chips]
        if chips != sorted(set(chips)):
            raise problem(("barrier_chips",), f"the chips must grow, got {chips}")
        return self
