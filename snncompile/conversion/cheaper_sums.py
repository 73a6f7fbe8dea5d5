"""Layers that send sums as they are, between linear layers that have fewer synapses apart.

A bottleneck without an activation, such as that of MobileNetV2, has 960 -> 160 -> 960 channels.
Multiplied out it would have 960 * 960 synapses per pixel instead of 2 * 160 * 960, and a shortcut
around it a projection from each block before. A global average pool before a dense layer would
repeat the dense layer's synapses for each pixel, and leave its weights few bits: the pool of a
squeeze-and-excitation block, 32 x 32 places of 32 channels, would fill the 24 bits of a sum with
messages of 8 bits and weights of 1. Methods that send rates multiply out nevertheless, where they
can: see `fold_sums.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, prod

import numpy as np

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
"""Largest share that is left: of the synapses, where it saves that many, or of the fan-in."""
MANY = 2500
"""Fan-in above which 24 bits of a sum hold less than messages and weights of 8 bits."""
LONGEST = 1000
"""Most maps of a drive, each counted as often as it is read."""
PROBE = "?"
"""Stands for a layer of sums that may come to be."""


@dataclass(frozen=True)
class _Cost:
    """What a layer takes, or several together."""

    synapses: float
    """Infinite if it does not multiply out."""
    fan_in: int = 0
    """Synapses of the neuron with most of them."""

    def pays(self, now: _Cost) -> bool:
        """Return whether this is worth a layer of sums, where `now` is the cost without."""
        fewer = min(now.synapses * SHARE, now.synapses - FEWER)
        narrower = now.fan_in > MANY and self.fan_in <= now.fan_in * SHARE
        return self.synapses <= fewer or (narrower and self.synapses < now.synapses)


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
            now = self._measure(drive, size)
            if now.synapses == inf or (now.synapses < FEWER and now.fan_in <= MANY):
                return drive  # what does not multiply out is for `insert_sums`
            sums = {inner: shape for inner, shape in _list_inner(drive)}
            costs = {inner: self._measure_apart(drive, size, inner, sums[inner]) for inner in sums}
            paying = [inner for inner, cost in costs.items() if cost.pays(now)]
            if not paying:
                return drive
            best = min(paying, key=lambda inner: costs[inner].synapses)
            drive = _replace(drive, {best: self._add(best, sums[best])})

    def _measure_apart(self, drive: Drive, size: int, inner: Drive, shape: Shape) -> _Cost:
        rest = self._measure(_replace(drive, {inner: Source(PROBE)}), size)
        own = self._measure(inner, prod(shape))
        return _Cost(rest.synapses + own.synapses, max(rest.fan_in, own.fan_in))

    def _measure(self, drive: Drive, size: int) -> _Cost:
        """Return what a drive takes."""
        try:
            terms = multiply_out(self.layers, drive, size).terms
        except ProductSizeError:
            return _Cost(inf)
        wirings = [term.synapses.wiring for term in terms]
        fan_in = sum((wiring.fan_in for wiring in wirings), np.zeros(1, np.int64))
        return _Cost(sum(wiring.synapses for wiring in wirings), int(fan_in.max(initial=0)))

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
