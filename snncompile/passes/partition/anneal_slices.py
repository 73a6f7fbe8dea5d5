"""Move slices from core to core as long as spikes travel less: simulated annealing, compiled.

A slice moves to a core with room, two slices change places, or two cores do with all they hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snncompile.arrays import Floats, Ints
from snncompile.machine_code import compile_function

COPY = 0.01
"""Hops charged for a copy to another core, so that fewer copies are better."""
TRIALS = 200
"""Moves measured to choose the first heat."""
COLDEST = 1e-3
"""Last heat, as a share of the first."""


class Task(NamedTuple):
    """Facts that stay while slices move."""

    spikes: Floats
    home: Ints
    ends: Ints
    receivers: Ints
    """See `Hyperedges`."""
    touch_ends: Ints
    touching: Ints
    """See `Hyperedges.list_touching`."""
    x: Ints
    y: Ints
    """Column and row of each slot, that is of each core of the mesh."""
    per_tile: int
    need: Floats
    """Use by each slice, shape (slices, resources)."""
    capacity: Floats
    """Limits of a core, shape (resources,)."""


class State(NamedTuple):
    """Where the slices are."""

    slot: Ints
    """Slot of each slice."""
    remaining: Floats
    """Unused resources of each slot, shape (slots, resources)."""
    cost: Floats
    """Of each hyperedge: spikes times hops."""
    stamp: Ints
    """Of each hyperedge: the number of the last move that counted it."""
    after: Floats
    """Of each hyperedge: its cost after the move in question."""


@compile_function
def anneal_slices(task: Task, slot: Ints, moves: int, seed: int) -> Ints:
    """Return slots of the slices under which spikes times hops are small.

    Args:
        task: slices, hyperedges and the mesh.
        slot: first slot of each slice; the result is never worse.
        moves: number of moves to try.
        seed: same seed, same result.
    """
    np.random.seed(seed)
    state = _start(task, slot)
    heat = 0.0
    for move in range(TRIALS):
        heat += abs(_try_move(task, state, move, np.inf)) / TRIALS / 2
    state = _start(task, slot)
    best, saved, most_saved = slot.copy(), 0.0, 0.0
    cooling = COLDEST ** (1.0 / max(1, moves))
    for move in range(moves):
        heat *= cooling
        saved += _try_move(task, state, move, heat)
        if saved > most_saved + 1e-9:
            most_saved = saved
            best[:] = state.slot
    return best


@compile_function
def count_hops(task: Task, slot: Ints) -> float:
    """Return the spikes times hops of slices on these slots, `COPY` per copy included."""
    return float(_start(task, slot).cost.sum())


@compile_function
def _start(task: Task, slot: Ints) -> State:
    slot = slot.copy()
    remaining = np.empty((len(task.x), len(task.capacity)))
    remaining[:] = task.capacity
    for s in range(len(slot)):
        remaining[slot[s]] -= task.need[s]
    cost = np.empty(len(task.spikes))
    for edge in range(len(cost)):
        cost[edge] = _count_edge_hops(task, slot, edge)
    return State(slot, remaining, cost, np.full(len(cost), -1), cost.copy())


@compile_function
def _count_edge_hops(task: Task, slot: Ints, edge: int) -> float:
    """Return the hops of one hyperedge's spikes, one copy per receiving core."""
    home, total = slot[task.home[edge]], 0.0
    begin, stop = task.ends[edge], task.ends[edge + 1]
    for i in range(begin, stop):
        to = slot[task.receivers[i]]
        if to == home:
            continue
        again = False
        for j in range(begin, i):
            again = again or slot[task.receivers[j]] == to
        if not again:
            total += abs(task.x[to] - task.x[home]) + abs(task.y[to] - task.y[home]) + COPY
    return float(total * task.spikes[edge])


@compile_function
def _try_move(task: Task, state: State, move: int, heat: float) -> float:
    """Make one move if it is accepted; return the hops that it saves, else 0."""
    s, kind = np.random.randint(len(state.slot)), np.random.random()
    if kind < 0.2:
        return _try_cores(task, state, move, heat, state.slot[s], _choose_slot(task, state))
    if kind < 0.6:
        return _try_slices(task, state, move, heat, s, -1, _choose_slot(task, state))
    other = np.random.randint(len(state.slot))
    return _try_slices(task, state, move, heat, s, other, state.slot[other])


@compile_function
def _choose_slot(task: Task, state: State) -> int:
    """Return a slot, mostly of a tile in use."""
    if np.random.random() < 0.2:
        return np.random.randint(len(task.x))
    near = int(state.slot[np.random.randint(len(state.slot))])
    tile = near // task.per_tile * task.per_tile
    return min(tile + np.random.randint(task.per_tile), len(task.x) - 1)


@compile_function
def _try_slices(
    task: Task, state: State, move: int, heat: float, s: int, other: int, to: int
) -> float:
    """Move a slice to a slot, and the other slice, unless it is -1, to the first one's slot."""
    at = state.slot[s]
    if at == to or not _has_room(task, state, s, other, at, to):
        return 0.0
    _put(task, state, s, to)
    if other >= 0:
        _put(task, state, other, at)
    gain = _measure_gain(task, state, move, s)
    if other >= 0:
        gain += _measure_gain(task, state, move, other)
    if _is_accepted(gain, heat):
        _accept(task, state, move, s)
        if other >= 0:
            _accept(task, state, move, other)
        return gain
    _put(task, state, s, at)
    if other >= 0:
        _put(task, state, other, to)
    return 0.0


@compile_function
def _try_cores(task: Task, state: State, move: int, heat: float, first: int, second: int) -> float:
    """Swap all slices of two slots."""
    if first == second or (task.x[first] == task.x[second] and task.y[first] == task.y[second]):
        return 0.0
    _swap(state, first, second)
    gain = 0.0
    for s in range(len(state.slot)):
        if state.slot[s] == first or state.slot[s] == second:
            gain += _measure_gain(task, state, move, s)
    if not _is_accepted(gain, heat):
        _swap(state, first, second)
        return 0.0
    for s in range(len(state.slot)):
        if state.slot[s] == first or state.slot[s] == second:
            _accept(task, state, move, s)
    return gain


@compile_function
def _swap(state: State, first: int, second: int) -> None:
    for s in range(len(state.slot)):
        if state.slot[s] == first:
            state.slot[s] = second
        elif state.slot[s] == second:
            state.slot[s] = first
    for resource in range(state.remaining.shape[1]):
        kept = state.remaining[first, resource]
        state.remaining[first, resource] = state.remaining[second, resource]
        state.remaining[second, resource] = kept


@compile_function
def _has_room(task: Task, state: State, s: int, other: int, at: int, to: int) -> bool:
    for resource in range(len(task.capacity)):
        own = task.need[s, resource]
        back = task.need[other, resource] if other >= 0 else 0.0
        if own > back and state.remaining[to, resource] + back < own:
            return False
        if back > own and state.remaining[at, resource] + own < back:
            return False
    return True


@compile_function
def _put(task: Task, state: State, s: int, to: int) -> None:
    state.remaining[state.slot[s]] += task.need[s]
    state.remaining[to] -= task.need[s]
    state.slot[s] = to


@compile_function
def _measure_gain(task: Task, state: State, move: int, s: int) -> float:
    """Return the hops saved at the hyperedges of a slice that this move has not counted yet."""
    gain = 0.0
    for i in range(task.touch_ends[s], task.touch_ends[s + 1]):
        edge = task.touching[i]
        if state.stamp[edge] != move:
            state.stamp[edge] = move
            state.after[edge] = _count_edge_hops(task, state.slot, edge)
            gain += state.cost[edge] - state.after[edge]
    return gain


@compile_function
def _accept(task: Task, state: State, move: int, s: int) -> None:
    for i in range(task.touch_ends[s], task.touch_ends[s + 1]):
        edge = task.touching[i]
        state.cost[edge] = state.after[edge]


@compile_function
def _is_accepted(gain: float, heat: float) -> bool:
    return gain >= 0 or (heat > 0 and np.random.random() < np.exp(gain / heat))


def make_task(hyperedges: Any, slots: Any, per_tile: int, need: Floats, capacity: Floats) -> Task:
    """Return the task of moving slices; see the fields of `Task`."""
    ends, touching = hyperedges.list_touching(len(need))
    return Task(
        spikes=hyperedges.spikes,
        home=hyperedges.home,
        ends=hyperedges.ends,
        receivers=hyperedges.receivers,
        touch_ends=ends,
        touching=touching,
        x=np.asarray(slots.x, np.int64),
        y=np.asarray(slots.y, np.int64),
        per_tile=per_tile,
        need=need,
        capacity=capacity,
    )
