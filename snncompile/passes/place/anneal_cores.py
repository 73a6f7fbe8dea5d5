"""Swap cores between tiles as long as spikes travel less: simulated annealing, compiled."""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.machine_code import compile_function

TRIALS = 200
"""Swaps measured to choose the first heat."""


@compile_function
def anneal_cores(
    slot: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
    host: Floats,
    moves: int,
    seed: int,
) -> Ints:
    """Return slots of the cores under which spikes times hops are small.

    Args:
        slot: first slot of each core, shape (cores,).
        x: column of each slot, shape (slots,).
        y: row of each slot.
        ends: neighbours of core i are other[ends[i]:ends[i + 1]].
        other: neighbours, both ways.
        spikes: to and from each neighbour.
        host: spikes from the host, at tile 0,0, to each core.
        moves: number of swaps to try.
        seed: same seed, same result.
    """
    np.random.seed(seed)
    slot = slot.copy()
    holder = np.full(len(x), -1)
    for core in range(len(slot)):
        holder[slot[core]] = core
    best, saved, most_saved = slot.copy(), 0.0, 0.0
    heat = _measure_heat(slot, holder, x, y, ends, other, spikes, host)
    cooling = (1e-3) ** (1.0 / max(1, moves))
    for _ in range(moves):
        heat *= cooling
        core, to = np.random.randint(len(slot)), np.random.randint(len(x))
        gain = _measure_swap_gain(core, to, slot, holder, x, y, ends, other, spikes, host)
        if gain >= 0 or (heat > 0 and np.random.random() < np.exp(gain / heat)):
            _swap(core, to, slot, holder)
            saved += gain
            if saved > most_saved + 1e-9:
                most_saved = saved
                best[:] = slot
    return best


@compile_function
def _measure_heat(
    slot: Ints,
    holder: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
    host: Floats,
) -> float:
    """Return half the mean effect of a swap: the first heat."""
    total = 0.0
    for _ in range(TRIALS):
        core, to = np.random.randint(len(slot)), np.random.randint(len(x))
        total += abs(_measure_swap_gain(core, to, slot, holder, x, y, ends, other, spikes, host))
    return total / TRIALS / 2


@compile_function
def _swap(core: int, to: int, slot: Ints, holder: Ints) -> None:
    """Move a core to a slot, and the core of that slot to the first core's slot."""
    at, there = slot[core], holder[to]
    slot[core], holder[to], holder[at] = to, core, there
    if there >= 0:
        slot[there] = at


@compile_function
def _measure_swap_gain(
    core: int,
    to: int,
    slot: Ints,
    holder: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
    host: Floats,
) -> float:
    """Return the spike hops saved by a swap; 0 within a tile."""
    at, there = slot[core], holder[to]
    if x[at] == x[to] and y[at] == y[to]:
        return 0.0
    gain = _measure_gain(core, there, to, slot, x, y, ends, other, spikes, host)
    if there >= 0:
        gain += _measure_gain(there, core, at, slot, x, y, ends, other, spikes, host)
    return gain


@compile_function
def _measure_gain(
    core: int,
    fixed: int,
    to: int,
    slot: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
    host: Floats,
) -> float:
    """Return the spike hops saved by moving a core; its distance to `fixed` stays as it is."""
    at = slot[core]
    total = float(host[core] * (x[at] + y[at] - x[to] - y[to]))
    for k in range(ends[core], ends[core + 1]):
        if other[k] == fixed or other[k] == core:
            continue
        other_slot = slot[other[k]]
        before = abs(x[at] - x[other_slot]) + abs(y[at] - y[other_slot])
        after = abs(x[to] - x[other_slot]) + abs(y[to] - y[other_slot])
        total += spikes[k] * (before - after)
    return total
