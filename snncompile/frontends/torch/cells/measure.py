"""Measure a cell: what it needs to fire, what a time step leaves, what a spike changes.

Everything is in the unit of the drive, so a factor of the drive is part of the threshold:

    headroom     the largest drive with which it does not fire, found by bisection to the last bit;
                 so `>` and `>=` give two thresholds that are neighbours
    decays       response of each state to a small change of itself, by a power of two, so exact
    after spike  headroom after one
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.cells.step import Cell, States

LARGEST = 2.0**60
"""Drive with which a neuron has to fire."""


@dataclass(frozen=True, eq=False)
class Line:
    """The states that carry the drive, below the threshold.

    The potential of our neurons is v = (state - shift) / gain.
    """

    state: int
    gain: Tensor
    shift: Tensor
    current_decay: Tensor
    potential_decay: Tensor
    bias: Tensor
    threshold: Tensor
    initial: Tensor


class Probe:
    """A cell as a black box: drives in, spikes out."""

    def __init__(self, cell: Cell, output: int, weights: list[float]) -> None:
        self.cell = cell
        self.output = output
        self.weights = weights
        """Factor of the drive for each of the cell's arrivals."""
        self.start = cell.begin()

    def step(self, states: States, drive: Tensor) -> tuple[States, Tensor, dict[int, Tensor]]:
        """Return the next states, the output and the values of all functions."""
        states, values = self.cell.step(states, [drive * weight for weight in self.weights])
        output = values[self.output].to(torch.float64).reshape(self.cell.shape)
        return states, output, values

    def fires(self, states: States, drive: Tensor) -> Tensor:
        """Return where the output is above 0."""
        return self.step(states, drive)[1] > 0

    def zeros(self) -> Tensor:
        """Return a drive of 0."""
        return torch.zeros(self.cell.shape, dtype=torch.float64)

    def rest(self, states: States, steps: int) -> States:
        """Return the states after some time steps without drive."""
        for _ in range(steps):
            states = self.step(states, self.zeros())[0]
        return states


def find_headroom(probe: Probe, states: States, *, negative: bool = False) -> Tensor:
    """Return the largest drive that does not fire; infinite where none does.

    Args:
        probe: the cell.
        states: before the time step.
        negative: for spikes of -1 by a negative drive; the headroom is then positive too.
    """
    sign = -1.0 if negative else 1.0

    def fires(drive: Tensor) -> Tensor:
        return sign * probe.step(states, sign * drive)[1] > 0

    high = torch.ones_like(probe.zeros())
    while bool((high < LARGEST).any()) and not bool(fires(high).all()):
        high = torch.where(fires(high), high, high * 2)
        if bool((high >= LARGEST).all()):
            break
    never = ~fires(high)
    low = torch.zeros_like(high)
    while bool(fires(low).any()) and bool((low > -LARGEST).all()):
        low = torch.where(fires(low), low * 2 - 1, low)
    for _ in range(200):
        middle = low + (high - low) / 2
        if bool(((middle == low) | (middle == high)).all()):
            break
        fired = fires(middle)
        low, high = torch.where(fired, low, middle), torch.where(fired, middle, high)
    return torch.where(never, torch.inf, low)


def _round_down(value: Tensor) -> Tensor:
    """Return the powers of two at or below."""
    return 2.0 ** torch.floor(torch.log2(value))


def measure_lines(probe: Probe, headroom: Tensor) -> list[Line]:
    """Return the ways in which states can carry the drive, the likeliest first."""
    small = _round_down(headroom.clamp(max=LARGEST) / 16)
    responses = _respond(probe, small)
    carriers = [node for node, response in responses.items() if bool((response != 0).any())]
    first, base = (probe.step(probe.start, drive)[0] for drive in (small, probe.zeros()))
    gains = {n: (first[n] - base[n]).to(torch.float64) / small for n in carriers}
    effects = {
        n: _disturb(probe, n, _round_down(responses[n].clamp(min=1e-300)), base) for n in carriers
    }
    lines = []
    for node in carriers:
        if not bool((gains[node] != 0).all()):
            continue
        own = effects[node][node]
        others = [
            other
            for other in carriers
            if other != node
            and bool((effects[other][node] != 0).any())
            and not bool((effects[node][other] != 0).any())
        ]
        start = probe.start[node]
        constant = base[node] - own * start
        for shift in _find_shifts(probe, node, headroom):
            initial = (start - shift) / gains[node]
            bias = (constant + (own - 1) * shift) / gains[node]
            currents = [effects[other][other] for other in others] or [torch.zeros_like(own)]
            lines += [
                Line(
                    state=node,
                    gain=gains[node],
                    shift=shift,
                    current_decay=1 - current,
                    potential_decay=1 - own,
                    bias=bias,
                    threshold=headroom + bias + own * initial,
                    initial=initial,
                )
                for current in currents
            ]
    return sorted(lines, key=lambda line: -float((line.current_decay != 1).any()))


def _respond(probe: Probe, small: Tensor) -> dict[int, Tensor]:
    """Return the largest change of each state by one small drive, over four time steps."""
    with_drive, without = probe.start, probe.start
    largest = {node: torch.zeros_like(probe.zeros()) for node in probe.start}
    for step in range(4):
        with_drive = probe.step(with_drive, small if step == 0 else probe.zeros())[0]
        without = probe.step(without, probe.zeros())[0]
        for node, value in largest.items():
            change = (with_drive[node].to(torch.float64) - without[node].to(torch.float64)).abs()
            largest[node] = torch.maximum(value, change.reshape(value.shape))
    return {node: value.reshape(probe.start[node].shape) for node, value in largest.items()}


def _disturb(probe: Probe, node: int, size: Tensor, base: States) -> dict[int, Tensor]:
    """Return the change of each state by a change of one, as a factor."""
    states = {**probe.start, node: probe.start[node] + size}
    after = probe.step(states, probe.zeros())[0]
    return {n: (after[n].to(torch.float64) - base[n].to(torch.float64)) / size for n in base}


def _find_shifts(probe: Probe, node: int, headroom: Tensor) -> list[Tensor]:
    """Return 0, and the state that a spike leaves whatever the drive."""
    zero = torch.zeros_like(probe.start[node])
    high = headroom.clamp(max=LARGEST).abs() + 1
    after = [probe.step(probe.start, high * factor)[0][node] for factor in (2, 8)]
    if torch.equal(after[0], after[1]) and bool((after[0] != 0).any()):
        return [zero, after[0].to(torch.float64)]
    return [zero]


def find_lowest(probe: Probe, line: Line) -> Tensor:
    """Return the potential below which no time step ends; -infinity without such a bound."""
    deep = -(2.0**40) * (line.threshold.abs() + 1)
    state = probe.step(probe.start, deep.reshape(probe.cell.shape))[0][line.state]
    value = (state - line.shift) / line.gain
    return torch.where(value < deep / 2, -torch.inf, value)


def find_silence(probe: Probe, headroom: Tensor, steps: int = 64) -> Tensor:
    """Return the silent time steps between the first two spikes of a very strong drive."""
    drive, states = 1024 * (headroom.clamp(max=LARGEST).abs() + 1), probe.start
    first = torch.full_like(drive, -1.0)
    second = torch.full_like(drive, -1.0)
    for step in range(steps):
        states, output, _ = probe.step(states, drive)
        fired = output > 0
        second = torch.where(fired & (first >= 0) & (second < 0), float(step), second)
        first = torch.where(fired & (first < 0), float(step), first)
    return torch.where(second >= 0, second - first - 1, 0.0)


@dataclass(frozen=True, eq=False)
class Rise:
    """The rise of the threshold after a spike, per reset of the potential."""

    step: dict[str, Tensor]
    decay: Tensor


def find_rise(probe: Probe, line: Line, headroom: Tensor) -> Rise | None:
    """Return the rise of the threshold, or None if a spike raises nothing."""
    drive = headroom * 1.5
    fired = probe.step(probe.start, drive)[0]
    excess = (drive - headroom).reshape(line.threshold.shape)
    keep, zero = 1 - line.potential_decay, line.threshold - line.bias
    after = [
        find_headroom(probe, probe.rest(fired, waited)).reshape(zero.shape) - zero
        for waited in (0, 1)
    ]
    rises = {
        "hard": after,
        "soft": [value + keep ** (n + 1) * excess for n, value in enumerate(after)],
    }
    steps, decays = {}, []
    for reset, (early, late) in rises.items():
        if not bool((early > 1e-9 * zero).all()) or not bool(torch.isfinite(late).all()):
            continue
        decay = _find_exact(probe, fired, line, late / early)
        steps[reset] = early / decay
        decays.append(decay)
    return Rise(steps, decays[0]) if decays else None


def _find_exact(probe: Probe, fired: States, line: Line, about: Tensor) -> Tensor:
    """Return the factor by which a state decays that is close to a measured one."""
    base = probe.step(probe.start, probe.zeros())[0]
    for node in probe.start:
        jump = (fired[node].to(torch.float64) - base[node].to(torch.float64)).abs()
        if node == line.state or not bool((jump > 0).all()):
            continue
        factor = _disturb(probe, node, _round_down(jump), base)[node]
        if bool(((factor - about.reshape(factor.shape)).abs() < 1e-6).all()):
            return factor.reshape(about.shape)
    return about


def to_parameter(value: Tensor, where: str, name: str) -> Floats:
    """Return one number, or one per neuron, from one per sample and neuron.

    Raises:
        UnsupportedError: samples differ.
    """
    rows = value.reshape(len(value), -1)
    if not bool(torch.isclose(rows, rows[:1], rtol=1e-12, atol=0).all()):
        raise UnsupportedError(f"{where}: {name} differs between samples")
    row: Floats = rows[0].numpy()
    return np.asarray(row[0]) if (row == row[0]).all() else row
