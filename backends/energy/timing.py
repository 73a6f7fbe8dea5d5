"""Duration of a time step, in closed form; `cycle` follows every message instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.backends.energy.costs import Costs
from snncompile.backends.energy.counts import Counts, Machine
from snncompile.backends.energy.events import COLUMN, EVENTS, RECEIVING, SENDING, TRAVEL

Account = Literal["chip", "sanafe"]


@dataclass(frozen=True, eq=False)
class Work:
    """Nanoseconds of work in each step of a batch: a lower bound for any schedule."""

    sending: Floats
    """Of the sending half of each core, shape (steps, cores)."""
    receiving: Floats
    """Of the receiving half, shape (steps, cores)."""
    links: Floats
    """Of each link in use, shape (steps, links)."""

    @property
    def longest(self) -> Floats:
        """Work of the busiest half or link in each step."""
        resources = (self.sending, self.receiving, self.links)
        longest: Floats = np.max(
            [resource.max(axis=1, initial=0.0) for resource in resources], axis=0
        )
        return longest


def measure_work(machine: Machine, costs: Costs, counts: Counts) -> Work:
    """Return the work of the events, one after the other in each half of a core."""
    cores = _sum_by_core(machine, counts.events @ _split_times(machine, costs))
    links = (counts.sent @ machine.ways.incidence) * find_link_times(machine, costs)
    return Work(cores[..., 0], cores[..., 1], links)


def find_link_times(machine: Machine, costs: Costs) -> Floats:
    """Return the time of a message on each link in use."""
    t = costs.time_ns
    east_west, north_south, crossing = (t[COLUMN[event]] for event in TRAVEL)
    ways = machine.ways
    own = np.where(ways.upright, north_south, east_west)
    times: Floats = np.where(ways.joins_chips, crossing, own)
    return times


def _split_times(machine: Machine, costs: Costs) -> Floats:
    """Return the time of each event in the sending and in the receiving half, (events, 2)."""
    sending = SENDING if machine.layout.host is None else (*SENDING, "host_input")
    times = np.zeros((len(EVENTS), 2))
    for half, events in enumerate((sending, RECEIVING)):
        columns = [COLUMN[event] for event in events]
        times[columns, half] = costs.time_ns[columns]
    return times


def _sum_by_core(machine: Machine, by_part: Floats) -> Floats:
    """Return sums over the parts of each core: (steps, parts, n) to (steps, cores, n)."""
    held, first = np.unique(machine.layout.part_core, return_index=True)
    cores = np.zeros((len(by_part), machine.layout.cores, by_part.shape[2]))
    cores[:, held] = np.add.reduceat(by_part, first, axis=1)
    return cores


def find_barrier_ns(machine: Machine, costs: Costs, account: Account) -> float | None:
    """Return the time of the barrier sync that ends every step; None: not known."""
    if account == "sanafe":
        return costs.barrier_below_ns(machine.tiles)
    return costs.barrier_ns(machine.program.mapping.tiles, machine.program.mapping.chips)


def name_bounds(machine: Machine) -> tuple[str, ...]:
    """Return the names of all bounds of a step; `find_bounds` gives indices into it."""
    host = machine.layout.host
    cores = ["the host" if c == host else f"core {c}" for c in range(machine.layout.cores)]
    return (
        *(f"{core} sending" for core in cores),
        *(f"{core} receiving" for core in cores),
        *(machine.mesh.name(link) for link in machine.ways.links),
        "barrier sync",
        "shortest time step",
    )


def find_bounds(done: Work, barrier: float, floor: float, step: Floats) -> NDArray[np.int64]:
    """Return the bound of each step: the largest of all cores' and links' work, barrier and floor.

    Args:
        done: the work.
        barrier: time of the barrier sync.
        floor: shortest time step.
        step: time of each step.
    """
    shape = (len(step), 1)
    overhead = np.concatenate([np.full(shape, barrier), np.full(shape, floor)], axis=1)
    overhead[:, 1] = np.where(step > floor, -1.0, np.inf)
    every = np.concatenate([done.sending, done.receiving, done.links, overhead], axis=1)
    return np.asarray(every.argmax(axis=1), np.int64)
