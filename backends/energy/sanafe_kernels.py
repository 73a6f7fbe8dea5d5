"""SANA-FE's account of a time step, as `account="sanafe"`: own code for its published rules.

Each core's next message waits in one queue, ordered by the time it is sent. Messages in flight are
spread evenly over the links of their way; what is on the links of a new message's way is its
congestion. Above (hops + 1) x buffer it waits before it is sent; its network delay is the larger of
the hops' latencies and congestion x mean receive time in flight / (hops + 1). Cores receive one
message after the other. Source: J. Boyle et al., SANA-FE, IEEE TCAD 44(8), 2025, section on
timing, and runs of sanafe 2.2.9, with which `tests/backends/sanafe/test_sanafe.py` compares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from snncompile.backends.energy.cycle_kernels import Neurons, compile_loop, generate, pop, push

NONE = -1


class Flight(NamedTuple):
    """Everything the account of a step works on."""

    axon_core: Any
    """Destination core of each axon."""
    receive_ns: Any
    """Time of each axon's message at its destination."""
    hop_ns: Any
    """Latency of the hops of each axon."""
    hops: Any
    """Hops of each axon."""
    way_start: Any
    """Where the links of each pair's way begin in `way`; and the end."""
    way: Any
    """Links, those from a core into its tile's router included."""
    axon_pair: Any
    """Pair of each axon."""
    buffer: float
    gap: Any
    """Per message: time between the previous one of its core and its own."""
    axon_of: Any
    first: Any
    """Per core: its first message; and the end."""
    tail: Any
    """Per core: time after its last message."""
    density: Any
    """Per link: messages in flight; zeros before a step."""
    received: Any
    """Per message: when it leaves the network."""
    following: Any
    """Per message: the next one in flight to the same core."""
    queue: Any
    """Per core: first and last message in flight to it; -1 for none."""
    finished: Any
    """Per core: when it is done with what it received."""
    position: Any
    times: Any
    keys: Any


@compile_loop
def run_step(s: Flight) -> float:
    """Return the time of the last event of a step, without the barrier sync."""
    cores = len(s.first) - 1
    size, last, flying, mean = 0, 0.0, 0, 0.0
    for core in range(cores):
        s.finished[core] = 0.0
        s.queue[core, 0] = s.queue[core, 1] = NONE
        s.position[core] = s.first[core]
        if s.first[core] < s.first[core + 1]:
            size = push(s.times, s.keys, size, s.gap[s.first[core]], core)
        else:
            last = max(last, s.tail[core])
    while size > 0:
        sent, core = s.times[0], s.keys[0]
        size = pop(s.times, s.keys, size)
        flying, mean = _land(s, sent, flying, mean)
        m = s.position[core]
        sent, mean = _fly(s, m, sent, flying, mean)
        flying += 1
        last = max(last, s.finished[s.axon_core[s.axon_of[m]]])
        s.position[core] += 1
        if s.position[core] < s.first[core + 1]:
            size = push(s.times, s.keys, size, sent + s.gap[s.position[core]], core)
        else:
            last = max(last, sent + s.tail[core])
    _land(s, 1e30, flying, mean)
    return last


@compile_loop
def _land(s: Flight, now: float, flying: int, mean: float) -> tuple[int, float]:
    """Take out of the network what has arrived; return messages in flight, their mean time."""
    for core in range(len(s.queue)):
        m = s.queue[core, 0]
        while m != NONE and s.received[m] <= now:
            axon = s.axon_of[m]
            _spread(s, axon, -1.0)
            mean = mean + (mean - s.receive_ns[axon]) / (flying - 1.0) if flying > 1 else 0.0
            flying -= 1
            m = s.following[m]
        s.queue[core, 0] = m
    return flying, mean


@compile_loop
def _fly(s: Flight, m: int, sent: float, flying: int, mean: float) -> tuple[float, float]:
    """Let a message into the network; return when it is really sent, and the new mean time."""
    axon = s.axon_of[m]
    core, links = s.axon_core[axon], s.hops[axon] + 1.0
    congestion = 0.0
    pair = s.axon_pair[axon]
    for i in range(s.way_start[pair], s.way_start[pair + 1]):
        congestion += s.density[s.way[i]]
    if congestion > links * s.buffer:
        sent += (congestion - links * s.buffer) * mean
    arrives = sent + max(s.hop_ns[axon], congestion * mean / links)
    s.received[m] = max(s.finished[core], arrives)
    s.finished[core] = s.received[m] + s.receive_ns[axon]
    s.following[m] = NONE
    if s.queue[core, 0] == NONE:
        s.queue[core, 0] = m
    else:
        s.following[s.queue[core, 1]] = m
    s.queue[core, 1] = m
    _spread(s, axon, 1.0)
    return sent, mean + (s.receive_ns[axon] - mean) / (flying + 1.0)


@compile_loop
def _spread(s: Flight, axon: int, sign: float) -> None:
    """Add one message to the links of its way, evenly, or take it off."""
    pair = s.axon_pair[axon]
    for i in range(s.way_start[pair], s.way_start[pair + 1]):
        s.density[s.way[i]] += sign / (s.hops[axon] + 2.0)


@compile_loop
def run_steps(
    s: Flight, neurons: Neurons, start: Any, spikes: Any, status: Any, longest: Any
) -> None:
    """Do the account of several steps; see `cycle_kernels.run_steps`."""
    for step in range(len(longest)):
        now = spikes[start[step] : start[step + 1]]
        generate(neurons, now, status[step], s.gap, s.axon_of, s.first, s.tail)
        longest[step] = run_step(s)
