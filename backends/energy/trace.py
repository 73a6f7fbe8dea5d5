"""A run in the trace-event format of Chrome and Perfetto: cores as tracks, messages as flows.

Format: "Trace Event Format", Google 2016 (JSON object form; times in microseconds). Process 0 is
the chip, with one slice per time step and one per barrier sync; core c is process c + 1 with a
thread for its sending half and one for its receiving half. A slice on the sending thread is the
time a message takes to be made and to enter the mesh, one on the receiving thread that to work it
through; a flow joins the two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from snncompile.backends.energy.activity import record_sample
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.counts import Machine, make_chip_machine
from snncompile.backends.energy.cycle import Message, follow
from snncompile.backends.energy.timing import find_barrier_ns
from snncompile.errors import InputError
from snncompile.files.replace import MARK, begins_with, replace_file
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes

MOST_MESSAGES = 200_000
"""Messages in a trace; viewers cannot show many more."""
BEGINNING = f'{{"otherData": {{"source": "{MARK}"'
"""Of every trace of ours."""
SENDING, RECEIVING = 1, 2
"""Threads of a core."""

Event = dict[str, Any]


def write_trace(
    path: Path,
    program: Program,
    x: ArrayLike,
    *,
    costs: str | None = None,
    limit: int = MOST_MESSAGES,
) -> int:
    """Write the trace of the first sample; return how many of its steps it holds.

    Args:
        path: file to write; nothing half-written is left behind.
        program: gives the network and its mapping.
        x: spikes of shape (samples, steps, *input.shape).
        costs: name of a cost set of the chip; None for its default.
        limit: messages after which the trace ends with the current step.
    """
    events, steps = make_trace(program, x, costs=costs, limit=limit)
    with replace_file(path, begins_with(BEGINNING)) as aside:
        document = {"otherData": {"source": MARK}, "traceEvents": events, "displayTimeUnit": "ns"}
        aside.write_text(json.dumps(document))
    return steps


def make_trace(
    program: Program, x: ArrayLike, *, costs: str | None = None, limit: int = MOST_MESSAGES
) -> tuple[list[Event], int]:
    """Return the events of the trace of the first sample, and the steps it holds; see `write`."""
    spikes = check_spikes(program.network, x)[:1]
    if limit < 1:
        raise InputError(f"a trace holds at least 1 message, got {limit}")
    chosen, machine = find_costs(program.chip, costs), make_chip_machine(program)
    updates = "neuron_updated" in chosen.set.prices
    activity = record_sample(program.network, spikes, updates=updates)
    messages_by_step: list[list[Message]] = []
    longest = follow(
        machine, chosen, activity, watch=lambda _, messages: messages_by_step.append(messages)
    )
    barrier, floor = find_barrier_ns(machine, chosen, "chip") or 0.0, chosen.set.step_floor_ns.value
    events, start, flow = _make_names(machine), 0.0, 0
    for step, messages in enumerate(messages_by_step):
        if flow > limit:
            return events, step
        whole = max(longest[step] + barrier, floor or 0.0)
        events.append(_make_slice(f"time step {step}", 0, 1, start, start + whole))
        events.append(_make_slice("barrier sync", 0, 2, start + longest[step], start + whole))
        events += _make_step(machine, messages, start, flow)
        flow, start = flow + len(messages), start + whole
    return events, len(messages_by_step)


def _make_names(machine: Machine) -> list[Event]:
    events = [_make_name("process_name", 0, 0, f"{machine.program.chip.name}")]
    events += [
        _make_name("thread_name", 0, 1, "time steps"),
        _make_name("thread_name", 0, 2, "barrier sync"),
    ]
    for site in machine.layout.sites:
        host = site.core == machine.layout.host
        where = f"core {site.core} at tile {site.tile_x},{site.tile_y} of chip {site.chip}"
        events.append(_make_name("process_name", site.core + 1, 0, "the host" if host else where))
        for thread, name in ((SENDING, "sending"), (RECEIVING, "receiving")):
            events.append(_make_name("thread_name", site.core + 1, thread, name))
    return events


def _make_step(machine: Machine, messages: list[Message], start: float, flow: int) -> list[Event]:
    events, before = [], dict.fromkeys(range(machine.layout.cores), start)
    names = [slice_.layer for slice_ in machine.layout.parts]
    for i, m in enumerate(messages):
        layer = names[machine.layout.part_of[m.neuron]]
        name = f"{layer}[{m.neuron - machine.layout.first[layer]}]"
        sent, begun = before[m.source], start + m.begun
        before[m.source] = start + m.sent
        events += [
            _make_slice(name, m.source + 1, SENDING, sent, start + m.sent),
            _make_flow("s", flow + i, m.source + 1, SENDING, sent),
            _make_slice(name, m.target + 1, RECEIVING, begun, start + m.done),
            _make_flow("f", flow + i, m.target + 1, RECEIVING, begun),
        ]
    return events


def _make_name(kind: str, process: int, thread: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _make_slice(name: str, process: int, thread: int, start: float, end: float) -> Event:
    """Return a slice; times in nanoseconds."""
    times = {"ts": start * 1e-3, "dur": (end - start) * 1e-3}
    return {"ph": "X", "name": name, "pid": process, "tid": thread, **times}


def _make_flow(phase: str, flow: int, process: int, thread: int, time: float) -> Event:
    """Return the start or the end of a flow, bound to the slice that is open at that time."""
    event = {"ph": phase, "name": "message", "cat": "message", "id": flow, "ts": time * 1e-3}
    return {**event, "pid": process, "tid": thread} | ({"bp": "e"} if phase == "f" else {})
