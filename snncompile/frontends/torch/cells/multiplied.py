"""Products between neurons that are written out in code: known once the neurons are."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor

from snncompile.frontends.torch import gates
from snncompile.frontends.torch.libraries.by_hand import FoundCell
from snncompile.frontends.torch.tape import Operation, Slot
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import NOTHING, LinearValues, NeuronValues


def find_products(trace: Trace, returned: list[Tensor]) -> None:
    """Put the products that layers read, and 1 - spikes in them, into the trace.

    While the module ran, nobody knew that its code gives spikes; so these were sums and functions.

    Args:
        trace: of one run, with the cells in it.
        returned: numbers of what forward returned.
    """
    if not any(isinstance(module, FoundCell) for module in trace.modules.values()):
        return
    read, seen = set[int](), set[int]()
    drives = (call.drive for calls in trace.calls.values() for call in calls)
    for numbers in chain((call.inputs for call in trace.linear_calls), drives, returned):
        read.update(map(id, trace.origins.walk_sources(numbers, seen)))
    for operation in trace.operations:
        if len(operation.results) == 1 and id(operation.results[0]) in read:
            _name(trace, operation)


def _name(trace: Trace, operation: Operation) -> None:
    """Put a product, or 1 - spikes, in the place of what a function gave, if it is one."""
    known: dict[int, Tensor] = {}

    def fill(slot: Slot) -> Tensor:
        return known.setdefault(id(slot.numbers), slot.numbers)

    def find_numbers(tensor: Tensor) -> Tensor:
        own = any(tensor is numbers for numbers in known.values())
        return tensor if own else torch.full(tensor.shape, NOTHING)

    args, kwargs = operation.map_slots(fill)
    if any(map(lambda numbers: _reads_potential(trace, numbers), known.values())):
        return
    (old,), short = operation.results, operation.name.rpartition(".")[2]
    products = gates.Products(trace.origins, find_numbers, trace.is_maximum)
    if inverse := products.note_complement(short, args, kwargs, old.numbers):
        trace.origins.replace(gates.Complement(old.start, old.shape, inverse.terms))
    elif product := products.note_product(short, args, kwargs, old.numbers):
        values = LinearValues(
            old.start,
            old.shape,
            product.path,
            product.inputs,
            product.source_shape,
            product.target_shape,
        )
        trace.origins.replace(values)
        trace.add_product(values)


def _reads_potential(trace: Trace, numbers: Tensor) -> bool:
    """Return whether values come from a layer found in code whose output is its potential."""
    for values in trace.origins.walk_sources(numbers):
        if isinstance(values, NeuronValues):
            module = trace.modules[values.path]
            if isinstance(module, FoundCell) and not module.dynamics.spikes:
                return True
    return False
