"""Swap cores between tiles as long as spikes travel less: simulated annealing, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from snncompile.arrays import Floats, Ints

TRIALS = 200
"""Swaps whose effect is measured before the first is made."""


@njit(cache=True)
def anneal(
    slot: Ints, x: Ints, y: Ints, ends: Ints, other: Ints, spikes: Floats, moves: int, seed: int
) -> Ints:
    """Return slots of the cores under which spikes times hops are small.

    Args:
        slot: of each core, shape (cores,), to begin with.
        x: column of each slot, shape (slots,).
        y: row of each slot.
        ends: neighbours of core i are other[ends[i]:ends[i + 1]].
        other: neighbours, both ways.
        spikes: to and from each of them.
        moves: swaps to try.
        seed: same seed, same result.
    """
    np.random.seed(seed)
    slot = slot.copy()
    holder = np.full(len(x), -1)
    for core in range(len(slot)):
        holder[slot[core]] = core
    best, saved, most_saved = slot.copy(), 0.0, 0.0
    heat = _heat(slot, holder, x, y, ends, other, spikes)
    cooling = (1e-3) ** (1.0 / max(1, moves))
    for _ in range(moves):
        heat *= cooling
        core, to = np.random.randint(len(slot)), np.random.randint(len(x))
        gain = _swap_gain(core, to, slot, holder, x, y, ends, other, spikes)
        if gain >= 0 or (heat > 0 and np.random.random() < np.exp(gain / heat)):
            _swap(core, to, slot, holder)
            saved += gain
            if saved > most_saved + 1e-9:
                most_saved = saved
                best[:] = slot
    return best


@njit(cache=True)
def _heat(
    slot: Ints, holder: Ints, x: Ints, y: Ints, ends: Ints, other: Ints, spikes: Floats
) -> float:
    """Return half of what a swap changes on average, the heat to begin with."""
    total = 0.0
    for _ in range(TRIALS):
        core, to = np.random.randint(len(slot)), np.random.randint(len(x))
        total += abs(_swap_gain(core, to, slot, holder, x, y, ends, other, spikes))
    return total / TRIALS / 2


@njit(cache=True)
def _swap(core: int, to: int, slot: Ints, holder: Ints) -> None:
    """Move a core to a slot, and the core that is there to where it was."""
    at, there = slot[core], holder[to]
    slot[core], holder[to], holder[at] = to, core, there
    if there >= 0:
        slot[there] = at


@njit(cache=True)
def _swap_gain(
    core: int,
    to: int,
    slot: Ints,
    holder: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
) -> float:
    """Return the spike hops saved by a swap; a swap within a tile is no good and no harm."""
    at, there = slot[core], holder[to]
    if x[at] == x[to] and y[at] == y[to]:
        return 0.0
    gain = _gain(core, there, to, slot, x, y, ends, other, spikes)
    if there >= 0:
        gain += _gain(there, core, at, slot, x, y, ends, other, spikes)
    return gain


@njit(cache=True)
def _gain(
    core: int,
    fixed: int,
    to: int,
    slot: Ints,
    x: Ints,
    y: Ints,
    ends: Ints,
    other: Ints,
    spikes: Floats,
) -> float:
    """Return the spike hops saved by moving a core; its distance to `fixed` stays as it is."""
    at, total = slot[core], 0.0
    for k in range(ends[core], ends[core + 1]):
        if other[k] == fixed or other[k] == core:
            continue
        place = slot[other[k]]
        before = abs(x[at] - x[place]) + abs(y[at] - y[place])
        after = abs(x[to] - x[place]) + abs(y[to] - y[place])
        total += spikes[k] * (before - after)
    return total
