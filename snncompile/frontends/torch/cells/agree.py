"""Compare neurons with a cell on drawn inputs: spike for spike, and the potentials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.cells.candidates import Candidate
from snncompile.frontends.torch.cells.measure import LARGEST, Probe
from snncompile.frontends.torch.dynamics import Dynamics

STEPS = 500
"""Time steps that are drawn, for each of at least two samples."""
FEW = 50
"""Time steps that tell most neurons from each other; the others are not run any further."""
VALUES = 4_000_000
"""Values of a large layer that are drawn; it then has fewer time steps."""
TOLERANCE = 1e-12
"""Largest difference of potentials, relative to the largest."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A run of the cell on drawn inputs; shapes (steps, samples, n)."""

    drives: Tensor
    outputs: Tensor
    states: dict[int, Tensor]

    def cut(self, steps: int) -> Drawn:
        """Return the first time steps."""
        states = {node: values[:steps] for node, values in self.states.items()}
        return Drawn(self.drives[:steps], self.outputs[:steps], states)


@dataclass(frozen=True)
class Difference:
    """The first difference between a neuron and a cell, and their number."""

    step: int
    neuron: int
    expected: float
    actual: float
    count: int
    quantity: str

    def __str__(self) -> str:
        return (
            f"it differs first in time step {self.step} of drawn input, neuron {self.neuron}: the"
            f" module's {self.quantity} is {self.expected:.10g}, the neuron's {self.actual:.10g}"
        )


def draw(probe: Probe, headroom: Tensor, states: set[int]) -> Drawn:
    """Run the cell on inputs that are drawn around what makes it fire.

    Raises:
        UnsupportedError: a neuron does not fire, or is never silent.
    """
    generator = torch.Generator().manual_seed(0)
    shape, size = probe.cell.shape, probe.zeros().numel()
    steps = max(50, min(STEPS, VALUES // size))
    scale = headroom.clamp(min=1e-300, max=LARGEST)
    scale = torch.where(headroom > 0, scale, 1.0)
    current, drives, outputs = probe.start, [], []
    kept: dict[int, list[Tensor]] = {node: [] for node in states}
    for _ in range(steps):
        kind, value = (
            torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2)
        )
        factor = torch.where(kind < 0.5, value * 0.9 - 0.3, value * 1.5)
        factor = torch.where(kind > 0.95, value * 6 - 3, factor)
        factor = torch.where((kind > 0.8) & (kind <= 0.95), 0.0, factor)
        current, output, _ = probe.step(current, factor * scale)
        drives.append((factor * scale).reshape(shape[0], -1))
        outputs.append(output.reshape(shape[0], -1))
        for node, values in kept.items():
            values.append(current[node].to(torch.float64).reshape(shape[0], -1))
    drawn = Drawn(
        torch.stack(drives), torch.stack(outputs), {n: torch.stack(v) for n, v in kept.items()}
    )
    active = (drawn.outputs != 0).flatten(0, 1)
    for reached, verb in ((active.any(0), "fires"), ((~active).any(0), "is silent")):
        if not bool(reached.all()):
            raise UnsupportedError(
                f"{probe.cell.name}: neuron {int((~reached).nonzero()[0])} never {verb} on drawn"
                " inputs, so it cannot be recognized; say its neuron with neurons={...}"
            )
    return drawn


def compare(drawn: Drawn, candidate: Candidate) -> Difference | None:
    """Return the first difference, or None if the neuron does what the cell does."""
    return _compare(drawn.cut(FEW), candidate) or _compare(drawn, candidate)


def _compare(drawn: Drawn, candidate: Candidate) -> Difference | None:
    neuron = candidate.neuron.bind(torch.tensor)
    state = neuron.begin(torch.zeros_like(drawn.drives[0]))
    outputs, potentials, waits = [], [], []
    where = neuron.states.index(neuron.potential)
    for drive in drawn.drives:
        state, output = neuron.step(state, drive)
        outputs.append(output.to(torch.float64))
        potentials.append(state[where])
        waits.append(state[-1] > 0 if "wait" in neuron.states else torch.zeros_like(drive) > 0)
    ours = torch.stack(outputs)
    if difference := _find_first(drawn.outputs, ours, 0.0, "output"):
        return difference
    if candidate.line is None:
        return None
    line, shape = candidate.line, drawn.drives[0].shape
    native = (drawn.states[line.state] - line.shift.reshape(shape)) / line.gain.reshape(shape)
    quiet = (drawn.outputs == 0) & ~torch.stack(waits)
    potential = torch.where(quiet, torch.stack(potentials), native)
    return _find_first(native, potential, TOLERANCE * float(native.abs().max()), "potential")


def gives_same_sum(probe: Probe, dynamics: Dynamics) -> bool:
    """Return whether a layer that never spikes has the potentials of a cell, on drawn inputs."""
    generator = torch.Generator().manual_seed(0)
    size = probe.zeros()[0].numel()
    neuron = dynamics.make_readout(np.zeros(size)).bind(torch.tensor)
    drives = torch.randn((64, *probe.cell.shape), generator=generator, dtype=torch.float64)
    states, state = probe.start, neuron.begin(torch.zeros((len(probe.zeros()), size)).double())
    native, ours = [], []
    for drive in drives:
        states, output, _ = probe.step(states, drive)
        flat = drive.reshape(len(drive), -1) * torch.tensor(dynamics.gain)
        state, potential = neuron.step(state, flat)
        native.append(output.reshape(flat.shape))
        ours.append(potential)
    expected, actual = torch.stack(native), torch.stack(ours)
    return _find_first(expected, actual, TOLERANCE * float(expected.abs().max()), "") is None


def _find_first(native: Tensor, ours: Tensor, tolerance: float, quantity: str) -> Difference | None:
    wrong = ~((native - ours).abs() <= tolerance)
    if not bool(wrong.any()):
        return None
    step, sample, neuron = (int(i) for i in wrong.nonzero()[0])
    expected, actual = (float(v[step, sample, neuron]) for v in (native, ours))
    return Difference(step, neuron, expected, actual, int(wrong.sum()), quantity)
