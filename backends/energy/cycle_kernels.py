"""The compiled event loop of timing `cycle`: cores and links that serve one message at a time.

A station is a link or the receiving half of a core. It holds at most `buffer` messages, the one it
serves included, and serves them in the order of their arrival. A message that is done moves on to
its next station; if that is full it stays where it is and its station stands still: back-pressure.
The sending half of a core works through its neurons and puts one message after the other into the
first station of its way; while that is full it waits. XY routing cannot deadlock: the receiving
halves always drain.

Where messages meet, a slower link or a smaller buffer can make a step *faster*: a message that
comes later lets another one go first, whose core then goes on sooner. So a step is no monotone
function of the times, as in any system of queues served in the order of arrival; only where all
messages take one way it is. The closed form of timing `fast`, a lower bound, always is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from snncompile.machine_code import F, compile_function

NONE = -1


def compile_loop(function: F) -> F:
    """Compile without reference counts, which would take most of the time; it makes no array."""
    return compile_function(function, _nrt=False)


def compile_inline(function: F) -> F:
    """Compile into the callers: passing a `State` on would take longer than most of the work."""
    return compile_function(function, _nrt=False, forceinline=True)


@compile_loop
def _before(t: float, key: int, other_t: float, other_key: int) -> bool:
    return (t < other_t) | ((t == other_t) & (key < other_key))


class State(NamedTuple):
    """Everything the event loop works on; stations are the links in use, then the cores."""

    axon_pair: Any
    """Row in `way_start` of each axon."""
    way_start: Any
    """Where each pair's way begins in `way`; and the end."""
    way: Any
    """Stations: links, at the end the core."""
    receive_ns: Any
    """Time of each axon's message at its destination."""
    link_ns: Any
    """Time of each link."""
    buffer: int
    """Messages a station holds at most."""
    gap: Any
    """Per message: time between the end of the previous one of its core and its own."""
    axon_of: Any
    """Per message: its axon."""
    first: Any
    """Per core: its first message; and the end."""
    tail: Any
    """Per core: time after its last message."""
    held: Any
    """Per station: messages it holds; zeros before and after a step."""
    queue: Any
    """Per station: message in service, first and last queued, first and last that wait outside;
    -1 for none, which all are before and after a step."""
    following: Any
    """Per message: the next one of the list it stands in."""
    holder: Any
    """Per message: the station that holds it; -1 - core in its core."""
    stage: Any
    """Per message: its next station, as a place in `way`."""
    position: Any
    """Per core: its next message."""
    times: Any
    """Heap of events, at most one per station and per core: their times."""
    keys: Any
    """Whose they are: a station's number, or behind those a core's."""
    size: Any
    """Number of events in the heap, and 1 where the first is done with: shape (2,)."""
    sent: Any
    """Per message: when it enters the mesh; `begun` and `done`: its core's service."""
    begun: Any
    done: Any
    last: Any
    """Time of the last event, shape (1,)."""


@compile_loop
def push(times: Any, keys: Any, size: int, t: float, key: int) -> int:
    """Add an event to a binary heap ordered by time, then key; return its new size."""
    i = size
    while i > 0:
        up = (i - 1) // 2
        if not _before(t, key, times[up], keys[up]):
            break
        times[i], keys[i] = times[up], keys[up]
        i = up
    times[i], keys[i] = t, key
    return size + 1


@compile_loop
def pop(times: Any, keys: Any, size: int) -> int:
    """Remove the first event, which the caller has read from index 0; return the new size."""
    size -= 1
    sink(times, keys, size, times[size], keys[size])
    return size


@compile_inline
def sink(times: Any, keys: Any, size: int, t: float, key: int) -> None:
    """Put an event in the place of the first one of so many."""
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size:
            break
        if down + 1 < size:
            down += _before(times[down + 1], keys[down + 1], times[down], keys[down])
        if not _before(times[down], keys[down], t, key):
            break
        times[i], keys[i] = times[down], keys[down]
        i = down
    times[i], keys[i] = t, key


class Neurons(NamedTuple):
    """What the cores work through to make messages."""

    order: Any
    """Neurons of each core; `core_start` where they begin: see `Layout`."""
    core_start: Any
    part_of: Any
    """Part of each neuron."""
    neuron_ns: Any
    """Time of a neuron by part, status and whether it spikes, shape (parts, 4, 2)."""
    axon_start: Any
    """See `Routes`."""
    send_ns: Any
    """Time it takes to send along each axon."""
    fired: Any
    """Zeros, shape (neurons,), used inside."""


@compile_loop
def generate(
    n: Neurons, spikes: Any, status: Any, gap: Any, axon_of: Any, first: Any, tail: Any
) -> None:
    """Work through the neurons of every core; list the messages of one step.

    Args:
        n: the neurons.
        spikes: neurons that spike.
        status: per neuron 0, 1 (reached), 2 (potential written) or 3, shape (neurons,).
        gap: filled per message: time between the end of the previous message of its core and its
            own.
        axon_of: filled per message: its axon.
        first: filled per core: its first message; and the end.
        tail: filled per core: time after its last message.
    """
    for i in range(len(spikes)):
        n.fired[spikes[i]] = 1
    count = 0
    for core in range(len(n.core_start) - 1):
        first[core] = count
        waited = 0.0
        for i in range(n.core_start[core], n.core_start[core + 1]):
            own = n.order[i]
            waited += n.neuron_ns[n.part_of[own], status[own], n.fired[own]]
            if n.fired[own]:
                for a in range(n.axon_start[own], n.axon_start[own + 1]):
                    gap[count] = waited + n.send_ns[a]
                    axon_of[count] = a
                    waited = 0.0
                    count += 1
        tail[core] = waited
    first[len(n.core_start) - 1] = count
    for i in range(len(spikes)):
        n.fired[spikes[i]] = 0


@compile_loop
def run_step(s: State) -> float:
    """Follow the messages of one step until all are worked through; return the time."""
    links, cores = len(s.link_ns), len(s.first) - 1
    s.last[0] = 0.0
    s.size[0] = s.size[1] = 0
    for core in range(cores):
        s.position[core] = s.first[core] - 1
        for m in range(s.first[core], s.first[core + 1]):
            s.stage[m] = s.way_start[s.axon_pair[s.axon_of[m]]]
            s.holder[m] = NONE - core
        _go_on(s, core, 0.0)
    while s.size[0] > 0:
        now, key = s.times[0], s.keys[0]
        s.size[1] = 1
        if key >= links + cores:
            _send(s, key - links - cores, now)
        else:
            if key >= links:
                s.done[s.queue[key, 0]] = now
                s.last[0] = max(s.last[0], now)
                free = True
            else:
                free = _hop(s, key, now)
            if free:
                _leave(s, key, now)
        if s.size[1]:
            s.size[0] = pop(s.times, s.keys, s.size[0])
            s.size[1] = 0
    return float(s.last[0])


@compile_inline
def _push(s: State, t: float, key: int) -> None:
    """Add an event; the first of them takes the place of the one that is done with."""
    if s.size[1]:
        s.size[1] = 0
        sink(s.times, s.keys, s.size[0], t, key)
    else:
        s.size[0] = push(s.times, s.keys, s.size[0], t, key)


@compile_inline
def _go_on(s: State, core: int, now: float) -> None:
    """Let a core work towards its next message, or to the end of its neurons."""
    s.position[core] += 1
    m = s.position[core]
    if m < s.first[core + 1]:
        _push(s, now + s.gap[m], len(s.held) + core)
    else:
        s.last[0] = max(s.last[0], now + s.tail[core])


@compile_inline
def _send(s: State, core: int, now: float) -> None:
    """Put a core's next message into the mesh if its first station has room."""
    m = s.position[core]
    station = s.way[s.stage[m]]
    if s.held[station] >= s.buffer:
        _append(s, station, 3, m)
    else:
        _enter(s, m, station, now)
        s.sent[m] = now
        _go_on(s, core, now)


@compile_inline
def _hop(s: State, link: int, now: float) -> bool:
    """Move a link's message to its next station; return whether that has room."""
    m = s.queue[link, 0]
    station = s.way[s.stage[m]]
    if s.held[station] >= s.buffer:
        _append(s, station, 3, m)
        return False
    _enter(s, m, station, now)
    return True


@compile_inline
def _leave(s: State, station: int, now: float) -> None:
    """Free a station of the message it served; let in who waits, which may free others."""
    while station >= 0:
        s.held[station] -= 1
        s.queue[station, 0] = NONE
        if s.queue[station, 1] != NONE:
            _start(s, station, now)
        m = s.queue[station, 3]
        if m == NONE:
            return
        _drop(s, station, 3)
        before = s.holder[m]
        _enter(s, m, station, now)
        if before < 0:  # it waited in its core, which goes on now
            s.sent[m] = now
            _go_on(s, NONE - before, now)
        station = before


@compile_inline
def _enter(s: State, m: int, station: int, now: float) -> None:
    """Let a station hold a message, and serve it if the station is free."""
    s.held[station] += 1
    s.holder[m] = station
    s.stage[m] += 1
    _append(s, station, 1, m)
    if s.queue[station, 0] == NONE:
        _start(s, station, now)


@compile_inline
def _start(s: State, station: int, now: float) -> None:
    """Serve the first queued message of a free station."""
    m = s.queue[station, 1]
    _drop(s, station, 1)
    s.queue[station, 0] = m
    if station < len(s.link_ns):
        end = now + s.link_ns[station]
    else:
        s.begun[m] = now
        end = now + s.receive_ns[s.axon_of[m]]
    _push(s, end, station)


@compile_inline
def _append(s: State, station: int, column: int, m: int) -> None:
    """Add a message to the list that begins at queue[station, column]."""
    s.following[m] = NONE
    if s.queue[station, column] == NONE:
        s.queue[station, column] = m
    else:
        s.following[s.queue[station, column + 1]] = m
    s.queue[station, column + 1] = m


@compile_inline
def _drop(s: State, station: int, column: int) -> None:
    """Remove the first message of a list."""
    s.queue[station, column] = s.following[s.queue[station, column]]


@compile_loop
def run_steps(
    s: State, neurons: Neurons, start: Any, spikes: Any, status: Any, longest: Any
) -> None:
    """Follow the messages of several steps.

    Args:
        s: the state, with room for the messages of any of the steps.
        neurons: what makes the messages.
        start: where the spikes of each step begin in `spikes`, and the end.
        spikes: neurons that spike.
        status: see `generate`, shape (steps, neurons).
        longest: filled: the time of each step.
    """
    for step in range(len(longest)):
        now = spikes[start[step] : start[step + 1]]
        generate(neurons, now, status[step], s.gap, s.axon_of, s.first, s.tail)
        longest[step] = run_step(s)
