"""Find the neuron layers that are written out in a module's own code, by what they compute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from math import prod

import numpy as np
import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.cells.agree import Difference, compare, draw, gives_same_sum
from snncompile.frontends.torch.cells.candidates import Candidate, list_candidates
from snncompile.frontends.torch.cells.first import FirstStep
from snncompile.frontends.torch.cells.fold import fold
from snncompile.frontends.torch.cells.group import find_groups, wire
from snncompile.frontends.torch.cells.measure import (
    Probe,
    find_headroom,
    measure_lines,
    to_parameter,
)
from snncompile.frontends.torch.cells.multiplied import find_products
from snncompile.frontends.torch.cells.over_time import find_reductions
from snncompile.frontends.torch.cells.step import Cell, check_simple, first_differs
from snncompile.frontends.torch.dynamics import Dynamics, describe_neuron
from snncompile.frontends.torch.libraries.by_hand import FoundCell
from snncompile.frontends.torch.tape import Slot
from snncompile.frontends.torch.trace import Call, Trace
from snncompile.frontends.torch.values import (
    ZERO,
    LinearValues,
    NeuronValues,
    ReducedValues,
    Summand,
    SumValues,
    Values,
)

LATEST = 4
"""Most time steps by which a module's code may show its spikes late."""


STATE = "potential"
"""Name of what a cell gives besides its spikes, in messages."""


class UnknownCellError(UnsupportedError):
    """What the code computes is no neuron that is known."""


def find_cells(trace: Trace, returned: list[Tensor], title: str, steps: int | None) -> None:
    """Put the neuron layers found in the user's code into the trace.

    Args:
        trace: of one run.
        returned: numbers of what forward returned.
        title: of the module.
        steps: time steps of the run; None where forward makes them itself.

    Raises:
        UnknownCellError: a layer does what no known neuron does.
    """
    if not trace.operations:
        return
    folded = fold(trace)
    wires = wire(folded, trace)
    for group in find_groups(wires):
        cell = Cell("neurons", group, wires, folded, trace)
        cell = replace(cell, name=_name(cell, title))
        if cell.shape[:1] != (trace.samples,) or not _can_be_layer(cell, trace):
            continue
        try:
            _add(cell, trace, returned, steps)
        except UnsupportedError as error:
            raise UnknownCellError(str(error)) from None
    find_products(trace, returned)
    find_reductions(trace)


def _name(cell: Cell, title: str) -> str:
    """Return the path of the module whose code this is, or a name after the layer before."""
    paths = {cell.wires.nodes[member].operation.path for member in cell.group.members}
    name = paths.pop() if len(paths) == 1 else title
    if name == title:
        sources = [v for a in cell.arrivals for v in cell.trace.origins.find_values(a.numbers)]
        before = [values.path for values in sources if isinstance(values, LinearValues)]
        name = f"{before[0]}_neurons" if before and "(" not in before[0] else "neurons"
    number, result = 1, name
    while result in cell.trace.modules:
        number += 1
        result = f"{name}_{number}"
    return result


def _can_be_layer(cell: Cell, trace: Trace) -> bool:
    """Return whether a leaky sum is one of a layer's results, and no layer reads it."""
    if not cell.group.linear:
        return True
    own = set(cell.group.members)
    for numbers in _list_sent(trace):
        owners = map(cell.folded.find_owner, trace.origins.find_values(numbers))
        if any(owner and owner[0] in own for owner in owners):
            return False
    sources = [v for a in cell.arrivals for v in trace.origins.find_values(a.numbers)]
    return any(isinstance(values, LinearValues) for values in sources)


def _list_sent(trace: Trace) -> list[Tensor]:
    """Return the numbers of the inputs of all layers."""
    inputs = [call.inputs for call in trace.linear_calls]
    return inputs + [call.drive for calls in trace.calls.values() for call in calls]


def _add(cell: Cell, trace: Trace, returned: list[Tensor], steps: int | None) -> None:
    check_simple(cell)
    weights = _weigh(cell)
    _check_equal_steps(cell)
    outside = _find_outside(cell, trace, returned)
    output = _choose_output(cell, outside, weights)
    _check_sent(cell, output, trace)
    times = cell.list_times(output)
    steps = len(times) if steps is None else steps
    late = steps - len(times)
    if not 0 <= late <= LATEST:
        raise UnsupportedError(f"{cell.name} is called {len(times)} times in {steps} time steps")
    first = FirstStep(cell, output)
    drives = [
        _find_drive(cell, trace, time) if time != first.time else _find_first(cell, first, trace)
        for time in times
    ]
    first.find_start(drives[0], weights)
    first.check(drives[0], weights)
    dynamics = _recognize(cell, output, weights)
    operations = [cell.folded.nodes[output].calls[time] for time in times]
    module = FoundCell(dynamics, tuple(operation.call for operation in operations), steps)
    trace.modules[cell.name] = module
    silent = torch.full_like(drives[0], ZERO)
    trace.calls[cell.name] = [Call(drive) for drive in [silent] * late + drives]
    for time, call in zip(times, range(late, steps), strict=True):
        for node in dict.fromkeys((*outside, output)):
            if operation := cell.folded.nodes[node].calls.get(time):
                (values,) = operation.results
                state = None if node == output else STATE
                trace.origins.replace(
                    NeuronValues(values.start, values.shape, cell.name, call, state)
                )


def _check_sent(cell: Cell, output: int, trace: Trace) -> None:
    """Refuse a linear layer that reads what is not the output."""
    others = {*cell.group.members} - {output}
    for call in trace.linear_calls:
        for values in trace.origins.find_values(call.inputs):
            owner = cell.folded.find_owner(values)
            if owner and owner[0] in others:
                raise UnsupportedError(
                    f"{call.path} reads the {STATE} of {cell.name}; only spikes can be sent from"
                    f" layer to layer, so give {call.path} the spikes"
                )


def _check_equal_steps(cell: Cell) -> None:
    """Refuse cells that compute otherwise in one time step than in another."""
    step = cell.folded.step
    for member in cell.group.members:
        node = cell.folded.nodes[member]
        for time, operation in node.calls.items():
            if first_differs(cell, node.operation, operation):
                raise UnsupportedError(
                    f"{cell.name} computes {operation.name} with other numbers in time step {time}"
                    f" than in {step}; a neuron is the same in every time step"
                )


def _find_outside(cell: Cell, trace: Trace, returned: list[Tensor]) -> list[int]:
    """Return the functions whose results are used outside the cell, those sent on first."""
    own = set(cell.group.members)
    used: dict[int, None] = {}
    hosted = chain(trace.host.taken.values(), trace.host.after.values())
    sent = [*_list_sent(trace), *chain.from_iterable(hosted)]
    for operation in trace.operations:
        owner = cell.folded.find_owner(operation.results[0]) if operation.results else None
        if owner is None or owner[0] not in own:
            sent += [slot.numbers for slot in operation.places.values()]
    for numbers in [*sent, *returned]:
        for values in _list_values(trace, numbers):
            owner = cell.folded.find_owner(values)
            if owner and owner[0] in own:
                used[owner[0]] = None
    if not used:
        raise UnsupportedError(f"nothing reads {cell.name}; leave it out")
    return list(used)


def _list_values(trace: Trace, numbers: Tensor) -> Iterator[Values]:
    """Yield the values that have these numbers; of a mean over time, those it is taken of."""
    for values in trace.origins.find_values(numbers):
        if isinstance(values, ReducedValues):
            yield from trace.origins.find_values(values.inputs)
        else:
            yield values


def _choose_output(cell: Cell, outside: list[int], weights: list[float]) -> int:
    """Return the function that gives the spikes, or the potential of a leaky sum.

    Where only a potential is returned, nothing outside reads the spikes.
    """
    if cell.group.linear:
        return next((n for n in outside if _gives_spikes(cell, n, weights)), outside[0])
    inside = [node for node in cell.group.members if not cell.wires.is_sum(node)]
    for node in (*outside, *inside):
        if _gives_spikes(cell, node, weights):
            return node
    raise UnsupportedError(
        f"{cell.name} sends values that are no spikes; neurons send 0, 1 or whole numbers"
    )


def _recognize(cell: Cell, output: int, weights: list[float]) -> Dynamics:
    """Return the dynamics of the neuron that the cell is."""
    if cell.group.linear:
        return _read_leaky_sum(cell, output, weights)
    probe = Probe(cell, output, weights)
    headroom = find_headroom(probe, probe.start)
    if bool((headroom < 0).any()):
        raise UnsupportedError(f"{cell.name} fires without input; use a threshold above its start")
    if not bool((headroom > 0).all()):
        raise UnsupportedError(
            f"{cell.name} fires at any input above 0, so its threshold is its start; chips need one"
            " above it, such as 0.01"
        )
    if not bool(torch.isfinite(headroom).all()):
        raise UnsupportedError(
            f"{cell.name} does not fire in the first time step, whatever its input"
        )
    lines = measure_lines(probe, headroom)
    drawn = draw(probe, headroom, {line.state for line in lines})
    nearest: tuple[Difference, Candidate] | None = None
    for candidate in list_candidates(probe, lines, headroom):
        difference = compare(drawn, candidate)
        if difference is None:
            return describe_neuron(candidate.neuron)
        plain = candidate.line is None or not bool((candidate.line.shift != 0).any())
        if nearest is None or (plain and difference.count < nearest[0].count):
            nearest = difference, candidate
    raise _explain(cell, nearest)


def _explain(cell: Cell, nearest: tuple[Difference, Candidate] | None) -> UnsupportedError:
    advice = "say what it is with neurons={its class: a neuron}"
    if nearest is None:
        return UnsupportedError(f"{cell.name} computes what no known neuron does; {advice}")
    difference, candidate = nearest
    return UnsupportedError(
        f"{cell.name} computes what no known neuron does; the nearest is {candidate.neuron}, from"
        f" which {difference}; {advice}"
    )


def _weigh(cell: Cell) -> list[float]:
    """Return the factor with which each arrival counts; all have to be parts of one sum."""
    count = len(cell.arrivals)
    if count < 2:
        return [1.0] * count
    generator = torch.Generator().manual_seed(0)
    states = cell.begin()
    for _ in range(8):
        drive = torch.randn(cell.shape, generator=generator, dtype=torch.float64)
        none = torch.zeros_like(drive)
        runs = [
            cell.step(states, [drive if i == chosen else none for i in range(count)])[0]
            for chosen in range(count)
        ]
        for run in runs[1:]:
            if not all(torch.allclose(v, runs[0][n], rtol=1e-12) for n, v in run.items()):
                raise UnsupportedError(
                    f"{cell.name} gets several inputs and does not add them up, as where a decay or"
                    " a threshold depends on the input; give it their sum, and constants there"
                )
        states = runs[0]
    return [1.0, *[0.0] * (count - 1)]


def _gives_spikes(cell: Cell, node: int, weights: list[float]) -> bool:
    """Return whether all values are whole numbers, whatever the drive."""
    probe = Probe(cell, node, weights)
    generator = torch.Generator().manual_seed(0)
    states, seen = probe.start, False
    for step in range(48):
        size = 10.0 ** (step % 8 - 3)
        drive = torch.randn(cell.shape, generator=generator, dtype=torch.float64) * size
        states, output, _ = probe.step(states, drive)
        if not torch.equal(output, output.round()):
            return False
        seen = seen or bool((output != 0).any())
    return seen


def _read_leaky_sum(cell: Cell, output: int, weights: list[float]) -> Dynamics:
    """Return the dynamics of a layer whose potential is the answer."""
    probe = Probe(cell, output, weights)
    unit = torch.ones(cell.shape, dtype=torch.float64)
    lines = measure_lines(probe, 16 * unit)
    silent, driven = (probe.step(probe.start, drive)[1] for drive in (probe.zeros(), unit))
    gain = driven - silent
    for line in lines:
        given = {
            name: to_parameter(getattr(line, name).reshape(cell.shape), cell.name, name)
            for name in ("current_decay", "potential_decay", "bias", "initial")
        }
        factor = to_parameter(gain, cell.name, "gain")
        dynamics = Dynamics(
            current_decay=given["current_decay"],
            potential_decay=given["potential_decay"],
            threshold=np.asarray(1.0),
            reset="none",
            gain=factor,
            constant=given["bias"] * factor,
            initial=given["initial"] * factor,
            spikes=False,
        )
        if gives_same_sum(probe, dynamics):
            return dynamics
    raise UnsupportedError(f"{cell.name} is no leaky sum of its input")


def _find_first(cell: Cell, first: FirstStep, trace: Trace) -> Tensor:
    """Return the drive in the first time step, where the code may be another."""
    try:
        return _find_drive(cell, trace, first.time)
    except UnsupportedError:
        return first.find_drive()


def _find_drive(cell: Cell, trace: Trace, time: int) -> Tensor:
    """Return the numbers of the drive in a time step, shape (samples, *shape)."""
    parts = []
    for arrival in cell.arrivals:
        operation = cell.folded.nodes[arrival.target].calls.get(time)
        if operation is None:
            raise UnsupportedError(f"{cell.name} gets its input otherwise in time step {time}")
        slot = operation.get_argument(arrival.position)
        if not isinstance(slot, Slot) or prod(slot.numbers.shape) != prod(cell.shape):
            raise UnsupportedError(f"{cell.name} gets its input otherwise in time step {time}")
        parts.append(slot.numbers.reshape(cell.shape))
    if len(parts) == 1:
        return parts[0]
    terms = tuple(Summand(numbers, torch.tensor(1.0, dtype=torch.float64)) for numbers in parts)
    values = SumValues(trace.origins.next, cell.shape, terms)
    return trace.origins.add(values).numbers
