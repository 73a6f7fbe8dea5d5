"""Sums, means and maxima over the time steps that a module makes itself."""

from __future__ import annotations

from torch import Tensor

from snncompile.frontends.torch import reductions
from snncompile.frontends.torch.tape import Operation
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import ReducedValues


def find_reductions(trace: Trace) -> None:
    """Name the functions that reduce time steps; these are known once the neurons are."""
    for operation in trace.operations:
        reduction = _read(operation)
        if reduction is None or not reduction.numbers.numel():
            continue
        values = operation.results[0]
        if reductions.is_over_time(reduction, trace.origins):
            inputs = reduction.numbers.reshape(-1, *values.shape)
            trace.origins.replace(ReducedValues(values.start, values.shape, reduction.kind, inputs))


def _read(operation: Operation) -> reductions.Reduction | None:
    args, kwargs = operation.map_slots(lambda slot: slot.numbers)
    name = operation.name.rpartition(".")[2]
    return reductions.read_reduction(name, args, kwargs, _keep)


def _keep(numbers: Tensor) -> Tensor:
    return numbers
