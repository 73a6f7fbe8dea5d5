"""Layers that send sums as they are, between linear layers that have fewer synapses apart.

A bottleneck without an activation, such as that of MobileNetV2, has 960 -> 160 -> 960 channels.
Multiplied out it would have 960 * 960 synapses per pixel instead of 2 * 160 * 960, and a shortcut
around it a projection from each block before. A global average pool before a dense layer would
repeat the dense layer's synapses for each pixel. Methods that send rates multiply out
nevertheless, where they can: see `fold_sums.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import inf, prod

from snncompile.conversion.ann import SPARING_SUMS
from snncompile.conversion.capture_trace import Multiply
from snncompile.conversion.insert_sums import AddedSums
from snncompile.errors import ProductSizeError
from snncompile.frontends.torch.drive import (
    Drive,
    Gather,
    Plus,
    Scaled,
    Source,
    Through,
    change_inner,
)
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.multiply_out import multiply_out
from snncompile.frontends.torch.neuron_layer import NeuronLayer
from snncompile.synapses.base import Shape

FEWER = 2**18
"""Synapses that a layer of sums has to save: about two cores' memory, for a step and neurons."""
SHARE = 0.5
"""Largest share of the synapses that are left, where it saves that many."""
LONGEST = 1000
"""Most maps of a drive, each counted as often as it is read."""
PROBE = "?"
"""Stands for a layer of sums that may come to be."""


def insert_cheaper_sums(layers: LayerGraph) -> LayerGraph:
    """Return the network with layers of sums where linear layers have far fewer synapses apart."""
    cut = _Cut(layers)
    neurons: list[NeuronLayer] = []
    for layer in layers.neurons:
        drive = cut.read_sums(layer.drive)
        if not isinstance(layer.module, Multiply):
            drive = cut.ease(drive, prod(layer.shape))
        neurons += [*cut.take_added(), replace(layer, drive=drive)]
    return replace(layers, neurons=tuple(neurons))


class _Cut(AddedSums):
    """Layers of sums where linear layers in a row have far fewer synapses apart."""

    def read_sums(self, drive: Drive) -> Drive:
        """Return a drive that reads the layers of sums there are."""
        if not self.paths or _is_long(drive):
            return drive
        return _replace(drive, {drive: Source(path) for drive, path in self.paths.items()})

    def ease(self, drive: Drive, size: int) -> Drive:
        """Return a drive with sums in it as long as one of them saves enough synapses."""
        while True:
            if _is_long(drive):
                return drive
            now = self._count(drive, size)
            if now < FEWER or now == inf:  # what does not multiply out is for `insert_sums`
                return drive
            sums = {inner: shape for inner, shape in _list_inner(drive)}
            costs = {inner: self._count_apart(drive, size, inner, sums[inner]) for inner in sums}
            best = min(costs, key=costs.__getitem__, default=None)
            if best is None or costs[best] > now * SHARE or costs[best] > now - FEWER:
                return drive
            drive = _replace(drive, {best: self._add(best, sums[best])})

    def _count_apart(self, drive: Drive, size: int, inner: Drive, shape: Shape) -> float:
        rest = _replace(drive, {inner: Source(PROBE)})
        return self._count(rest, size) + self._count(inner, prod(shape))

    def _count(self, drive: Drive, size: int) -> float:
        """Return the synapses of a drive; infinite if it does not multiply out."""
        try:
            terms = multiply_out(self.layers, drive, size).terms
        except ProductSizeError:
            return inf
        return sum(term.synapses.wiring.synapses for term in terms)

    def _add(self, drive: Drive, shape: Shape) -> Source:
        first = next(inner.path for inner in _walk(drive) if isinstance(inner, Through))
        return self.add(drive, shape, first, SPARING_SUMS)


def _is_long(drive: Drive) -> bool:
    """Return whether a drive is of so many maps that trying cuts would take long.

    Where linear layers in a row have shortcuts, each doubles the ways through all of them.
    """
    return any(True for _ in islice(_walk(drive), LONGEST, None))


def _replace(drive: Drive, new: dict[Drive, Source]) -> Drive:
    """Return a drive with parts of it replaced."""
    if not new or isinstance(drive, Source):
        return drive
    if drive in new:
        return new[drive]
    return change_inner(drive, lambda inner: _replace(inner, new))


def _walk(drive: Drive) -> Iterator[Drive]:
    yield drive
    inner: tuple[Drive, ...] = ()
    if isinstance(drive, Plus):
        inner = drive.terms
    elif isinstance(drive, Gather):
        inner = tuple(selection.of for selection in drive.selections)
    elif isinstance(drive, Through | Scaled):
        inner = (drive.of,)
    for child in inner:
        yield from _walk(child)


def _list_inner(drive: Drive) -> Iterator[tuple[Drive, Shape]]:
    """Yield what linear layers read that is computed by linear layers, and its shape."""
    for inner in _walk(drive):
        if isinstance(inner, Through) and any(isinstance(i, Through) for i in _walk(inner.of)):
            yield inner.of, inner.shape
