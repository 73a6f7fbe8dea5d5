"""Differences between the outputs of a module and those of the network made of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import prod

import torch
from torch import Tensor

from snncompile.errors import ImportMismatchError
from snncompile.frontends.torch.build_network import ImportedNetwork
from snncompile.frontends.torch.output_record import OutputRecord
from snncompile.ir.graph import Population

POTENTIAL_TOLERANCE = 1e-9
"""Largest difference of a readout's potentials, relative to the largest potential.

Float64 has 16 digits; sums of thousands of terms in another order and leaks over thousands of
time steps leave more than 9 of them.
"""


@dataclass
class Difference:
    """Outputs of one population that differ, collected block after block."""

    quantity: str
    tolerance: float
    """Largest distance that is none."""
    neurons: Tensor | None
    """The neurons that are compared; None: all."""
    total: int
    """Outputs in all."""
    count: int = 0
    """Outputs that differ."""
    first: tuple[int, int, int] = (-1, -1, -1)
    """Sample, time step and neuron of the first one."""
    expected: float = 0.0
    actual: float = 0.0

    @classmethod
    def start(cls, population: Population, record: OutputRecord) -> Difference:
        """Return a difference without outputs of the network yet."""
        total = prod(record.shape)
        if population.neuron.spikes:
            return cls("output", 0.0, record.neurons, total)
        tolerance = POTENTIAL_TOLERANCE * record.find_largest()
        return cls("potential", tolerance, record.neurons, total)

    def add(self, record: OutputRecord, ours: Tensor, sample: int, step: int) -> None:
        """Compare a block of the network's outputs.

        Args:
            record: the module's outputs.
            ours: shape (samples of the block, its time steps, neurons).
            sample: first one of the block.
            step: likewise.
        """
        native = record.read(step, step + ours.shape[1])[sample : sample + len(ours)]
        wrong = ~((native - ours.double()).abs() <= self.tolerance)
        if not wrong.any():
            return
        self.count += int(wrong.sum())
        where = tuple(int(i) for i in wrong.nonzero()[0])
        position = (sample + where[0], step + where[1], where[2])
        if self.first[0] < 0 or position < self.first:
            self.first = position
            self.expected, self.actual = float(native[where]), float(ours[where])

    def describe(self, start: int) -> str:
        """Return where the first difference is; `start` is the number of the first sample."""
        sample, step, column = self.first
        neuron = column if self.neurons is None else int(self.neurons[column])
        return (
            f"sample {start + sample}, time step {step}, neuron {neuron}: the module's"
            f" {self.quantity} is {self.expected:.10g}, the imported network's is"
            f" {self.actual:.10g}; {self.count:,} of {self.total:,} differ"
        )


def compare_answer(imported: ImportedNetwork, native: Tensor, ours: Tensor, start: int) -> None:
    """Refuse an answer that differs from what forward returns.

    Args:
        imported: the network.
        native: the returned tensor that is the answer, shape (samples, size).
        ours: the output of the network, shape (samples, steps, size).
        start: number of the first sample.
    """
    network, checked = imported.network, imported.checked
    assert checked is not None
    output = network.population(network.output)
    answer = torch.tensor(network.answer.reduce(ours.numpy())).double()
    answer = checked.factor * answer
    if checked.columns:
        columns = [*checked.columns, *chain.from_iterable(more for _, more in checked.others)]
        answer = answer[:, columns]
    for function in checked.functions:
        apply = getattr(torch, function)
        shaped = answer.reshape(len(answer), *output.shape)
        answer = (apply(shaped) if function == "sigmoid" else apply(shaped, -1)).flatten(1)
    tolerance = POTENTIAL_TOLERANCE * float(native.abs().max())
    wrong = ~((native - answer).abs() <= tolerance)
    if wrong.any():
        sample, neuron = (int(i) for i in wrong.nonzero()[0])
        expected, actual = native[sample, neuron], answer[sample, neuron]
        raise ImportMismatchError(
            f"{output.name}: sample {start + sample}, neuron {neuron}: forward returns"
            f" {expected:.10g}, the imported network's answer, {network.answer.kind} over time, is"
            f" {actual:.10g}; {int(wrong.sum()):,} of {wrong.numel():,} differ"
        )
