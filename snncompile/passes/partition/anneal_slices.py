"""Move slices from core to core as long as spikes travel less: simulated annealing, compiled.

A slice moves to a core with room, two slices change places, or two cores do with all they hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from snncompile.arrays import Floats, Ints

COPY = 0.01
"""Hops that a copy to another core of the same tile counts as: fewer copies are better."""
TRIALS = 200
"""Moves whose effect is measured before the first is made."""
COLDEST = 1e-3
"""Share of the heat that is left at the end."""


class Task(NamedTuple):
    """What does not change while slices move."""

    spikes: Floats
    home: Ints
    ends: Ints
    listeners: Ints
    """See `Atoms`."""
    touch_ends: Ints
    touching: Ints
    """See `Atoms.touching`."""
    x: Ints
    y: Ints
    """Column and row of each slot, that is of each core of the mesh."""
    per_tile: int
    need: Floats
    """What each slice takes, shape (slices, resources)."""
    most: Floats
    """What a core has, shape (resources,)."""


class State(NamedTuple):
    """Where the slices are."""

    slot: Ints
    """Of each slice."""
    left: Floats
    """What is left on each slot, shape (slots, resources)."""
    cost: Floats
    """Of each atom: spikes times hops."""
    stamp: Ints
    """Of each atom: the number of the move that last looked at it."""
    after: Floats
    """Of each atom: what it costs after the move that is looked at."""


@njit(cache=True)
def moved(task: Task, slot: Ints, moves: int, seed: int) -> Ints:
    """Return slots of the slices under which spikes times hops are small.

    Args:
        task: what is to be placed where.
        slot: of each slice, to begin with; never worse at the end.
        moves: to try.
        seed: same seed, same result.
    """
    np.random.seed(seed)
    state = _begin(task, slot)
    heat = 0.0
    for move in range(TRIALS):
        heat += abs(_try(task, state, move, np.inf)) / TRIALS / 2
    state = _begin(task, slot)
    best, saved, most_saved = slot.copy(), 0.0, 0.0
    cooling = COLDEST ** (1.0 / max(1, moves))
    for move in range(moves):
        heat *= cooling
        saved += _try(task, state, move, heat)
        if saved > most_saved + 1e-9:
            most_saved = saved
            best[:] = state.slot
    return best


@njit(cache=True)
def hops(task: Task, slot: Ints) -> float:
    """Return the spikes times hops of slices on these slots, `COPY` per copy included."""
    return float(_begin(task, slot).cost.sum())


@njit(cache=True)
def _begin(task: Task, slot: Ints) -> State:
    slot = slot.copy()
    left = np.empty((len(task.x), len(task.most)))
    left[:] = task.most
    for s in range(len(slot)):
        left[slot[s]] -= task.need[s]
    cost = np.empty(len(task.spikes))
    for atom in range(len(cost)):
        cost[atom] = _atom(task, slot, atom)
    return State(slot, left, cost, np.full(len(cost), -1), cost.copy())


@njit(cache=True)
def _atom(task: Task, slot: Ints, atom: int) -> float:
    """Return the hops of one atom's spikes, one copy per core that listens."""
    home, total = slot[task.home[atom]], 0.0
    first, last = task.ends[atom], task.ends[atom + 1]
    for i in range(first, last):
        to = slot[task.listeners[i]]
        if to == home:
            continue
        again = False
        for j in range(first, i):
            again = again or slot[task.listeners[j]] == to
        if not again:
            total += abs(task.x[to] - task.x[home]) + abs(task.y[to] - task.y[home]) + COPY
    return float(total * task.spikes[atom])


@njit(cache=True)
def _try(task: Task, state: State, move: int, heat: float) -> float:
    """Make one move if it is allowed; return the hops saved by it, 0 if it was not made."""
    s, kind = np.random.randint(len(state.slot)), np.random.random()
    if kind < 0.2:
        return _cores(task, state, move, heat, state.slot[s], _target(task, state))
    if kind < 0.6:
        return _slices(task, state, move, heat, s, -1, _target(task, state))
    other = np.random.randint(len(state.slot))
    return _slices(task, state, move, heat, s, other, state.slot[other])


@njit(cache=True)
def _target(task: Task, state: State) -> int:
    """Return a slot: mostly one of a tile in use."""
    if np.random.random() < 0.2:
        return np.random.randint(len(task.x))
    near = int(state.slot[np.random.randint(len(state.slot))])
    tile = near // task.per_tile * task.per_tile
    return min(tile + np.random.randint(task.per_tile), len(task.x) - 1)


@njit(cache=True)
def _slices(task: Task, state: State, move: int, heat: float, s: int, other: int, to: int) -> float:
    """Move a slice to a slot, and the other slice, unless it is -1, to where the first was."""
    at = state.slot[s]
    if at == to or not _room(task, state, s, other, at, to):
        return 0.0
    _put(task, state, s, to)
    if other >= 0:
        _put(task, state, other, at)
    gain = _look(task, state, move, s)
    if other >= 0:
        gain += _look(task, state, move, other)
    if _taken(gain, heat):
        _keep(task, state, move, s)
        if other >= 0:
            _keep(task, state, move, other)
        return gain
    _put(task, state, s, at)
    if other >= 0:
        _put(task, state, other, to)
    return 0.0


@njit(cache=True)
def _cores(task: Task, state: State, move: int, heat: float, one: int, two: int) -> float:
    """Swap all that two slots hold."""
    if one == two or (task.x[one] == task.x[two] and task.y[one] == task.y[two]):
        return 0.0
    _swap(state, one, two)
    gain = 0.0
    for s in range(len(state.slot)):
        if state.slot[s] == one or state.slot[s] == two:
            gain += _look(task, state, move, s)
    if not _taken(gain, heat):
        _swap(state, one, two)
        return 0.0
    for s in range(len(state.slot)):
        if state.slot[s] == one or state.slot[s] == two:
            _keep(task, state, move, s)
    return gain


@njit(cache=True)
def _swap(state: State, one: int, two: int) -> None:
    for s in range(len(state.slot)):
        if state.slot[s] == one:
            state.slot[s] = two
        elif state.slot[s] == two:
            state.slot[s] = one
    for resource in range(state.left.shape[1]):
        left = state.left[one, resource]
        state.left[one, resource] = state.left[two, resource]
        state.left[two, resource] = left


@njit(cache=True)
def _room(task: Task, state: State, s: int, other: int, at: int, to: int) -> bool:
    for resource in range(len(task.most)):
        mine = task.need[s, resource]
        back = task.need[other, resource] if other >= 0 else 0.0
        if mine > back and state.left[to, resource] + back < mine:
            return False
        if back > mine and state.left[at, resource] + mine < back:
            return False
    return True


@njit(cache=True)
def _put(task: Task, state: State, s: int, to: int) -> None:
    state.left[state.slot[s]] += task.need[s]
    state.left[to] -= task.need[s]
    state.slot[s] = to


@njit(cache=True)
def _look(task: Task, state: State, move: int, s: int) -> float:
    """Return the hops saved at the atoms of a slice that this move has not looked at yet."""
    gain = 0.0
    for i in range(task.touch_ends[s], task.touch_ends[s + 1]):
        atom = task.touching[i]
        if state.stamp[atom] != move:
            state.stamp[atom] = move
            state.after[atom] = _atom(task, state.slot, atom)
            gain += state.cost[atom] - state.after[atom]
    return gain


@njit(cache=True)
def _keep(task: Task, state: State, move: int, s: int) -> None:
    for i in range(task.touch_ends[s], task.touch_ends[s + 1]):
        atom = task.touching[i]
        state.cost[atom] = state.after[atom]


@njit(cache=True)
def _taken(gain: float, heat: float) -> bool:
    return gain >= 0 or (heat > 0 and np.random.random() < np.exp(gain / heat))


def task_of(atoms: Any, slots: Any, per_tile: int, need: Floats, most: Floats) -> Task:
    """Return the task of moving slices; see the fields of `Task`."""
    ends, touching = atoms.touching(len(need))
    return Task(
        spikes=atoms.spikes,
        home=atoms.home,
        ends=atoms.ends,
        listeners=atoms.listeners,
        touch_ends=ends,
        touching=touching,
        x=np.asarray(slots.x, np.int64),
        y=np.asarray(slots.y, np.int64),
        per_tile=per_tile,
        need=need,
        most=most,
    )
