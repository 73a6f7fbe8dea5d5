"""The first time step of a cell, whose code is often another: no state, or one made of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.cells.step import Cell, States
from snncompile.frontends.torch.precise import float64_by_default
from snncompile.frontends.torch.tape import Operation, Slot
from snncompile.frontends.torch.values import Values

SMALL = 2.0**-10
"""Change of a state that shows how much of it is left in the next time step."""
DRAWS = 8
"""Drawn drives that the first time step is tested with."""


class FirstStep:
    """The functions that give a cell's output and states in the first time step."""

    def __init__(self, cell: Cell, output: int) -> None:
        self.cell = cell
        self.time = cell.list_times(output)[0]
        self.output = cell.folded.nodes[output].calls[self.time].results[0]
        self._makers = {
            values.start: operation
            for operation in cell.trace.operations
            for values in operation.results
        }
        self._own = set(cell.group.members)
        self.states = dict(self._find_states())

    def find_drive(self) -> Tensor:
        """Return the numbers of the drive, if one tensor is all that comes from outside."""
        drives: list[Tensor] = []
        roots = [self.output, *self.states.values()]
        for slot in self._walk(roots):
            if not any(torch.equal(slot, known) for known in drives):
                drives.append(slot)
        if len(drives) != 1 or prod(drives[0].shape) != prod(self.cell.shape):
            raise UnsupportedError(
                f"{self.cell.name} gets its input otherwise in its first time step"
            )
        return drives[0].reshape(self.cell.shape)

    def check(self, drive: Tensor, weights: list[float]) -> None:
        """Refuse a cell whose first time step is not the usual one from its start.

        Args:
            drive: numbers of the drive in the first time step.
            weights: see `Probe`.
        """
        generator = torch.Generator().manual_seed(1)
        start = self.cell.begin()
        for draw in range(DRAWS):
            x = torch.randn(self.cell.shape, generator=generator, dtype=torch.float64)
            x = x * 4.0 ** (draw - 3)
            after, _ = self.cell.step(start, [x * weight for weight in weights])
            for node, native in self._repeat(drive, x).items():
                if node in after and not torch.allclose(
                    native.reshape(-1), after[node].double().reshape(-1), 1e-12
                ):
                    raise UnsupportedError(
                        f"{self.cell.name} does not start from a state of its own: its first time"
                        " step differs from one with a state of 0"
                    )

    def find_start(self, drive: Tensor, weights: list[float]) -> None:
        """Find the states before it, where the code adds a number instead of a state."""
        zero = torch.zeros(self.cell.shape, dtype=torch.float64)
        start, drives = self.cell.begin(), [zero] * len(weights)
        usual = self.cell.step(start, drives)[0]
        for node, native in self._repeat(drive, zero).items():
            if node not in usual:
                continue
            gap = native.reshape(usual[node].shape) - usual[node].double()
            if not bool(gap.any()) or not usual[node].is_floating_point():
                continue
            disturbed = self.cell.step({**start, node: start[node] + SMALL}, drives)[0][node]
            factor = (disturbed - usual[node]) / SMALL
            if bool((factor != 0).all()):
                self.cell.start[node] = start[node] + gap / factor

    def _find_states(self) -> Iterator[tuple[int, Values | Tensor]]:
        """Yield what the second time step reads, by the function that makes it later."""
        for edge in self.cell.edges:
            operation = self.cell.folded.nodes[edge.target].calls.get(self.time + 1)
            if not edge.lag or edge.source is None or operation is None:
                continue
            slot = operation.get_argument(edge.position)
            if isinstance(slot, Slot):
                values = self.cell.trace.origins.find_values(slot.numbers)
                computed = len(values) == 1 and values[0].start in self._makers
                yield edge.source, values[0] if computed else slot.numbers

    def _walk(self, roots: list[Values | Tensor]) -> Iterator[Tensor]:
        """Yield the numbers of what comes from outside."""
        waiting, seen = list(roots), set[int]()
        while waiting:
            root = waiting.pop()
            if isinstance(root, Tensor):
                yield root
                continue
            if root.start in seen:
                continue
            seen.add(root.start)
            for slot in self._makers[root.start].places.values():
                waiting.append(self._find_maker(slot) or slot.numbers)

    def _find_maker(self, slot: Slot) -> Values | None:
        """Return the values of a slot if a function of this cell made them."""
        values = self.cell.trace.origins.find_values(slot.numbers)
        if len(values) != 1 or values[0].start not in self._makers:
            return None
        owner = self.cell.folded.find_owner(values[0])
        return values[0] if owner is None or owner[0] in self._own else None

    def _repeat(self, drive: Tensor, x: Tensor) -> States:
        """Return the states after the first time step; x is the first part of its drive."""
        results: dict[int, Tensor] = {}
        parts: list[Tensor] = []

        def fill(slot: Slot) -> Tensor:
            values = self._find_maker(slot)
            if values is None:
                parts.append(slot.numbers)
                arriving = x if torch.equal(slot.numbers, parts[0]) else torch.zeros_like(x)
                return arriving.reshape(slot.numbers.shape).to(slot.dtype)
            return evaluate(values).reshape(-1)[slot.numbers - values.start].to(slot.dtype)

        def evaluate(values: Values) -> Tensor:
            if values.start not in results:
                operation: Operation = self._makers[values.start]
                for result, tensor in zip(operation.results, operation.repeat(fill), strict=True):
                    results[result.start] = tensor
            return results[values.start]

        with float64_by_default():
            return {
                node: x if isinstance(state, Tensor) else evaluate(state).double()
                for node, state in self.states.items()
            }
