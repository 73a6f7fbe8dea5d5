"""Layers that send sums as they are, between linear layers that are too large as one projection.

A transposed convolution beside a shortcut and a convolution behind both (U-Net) would be one
projection of all synapses, unrolled. With neurons in between each stays what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import prod

from torch import nn

from snncompile.conversion.ann import SUMS
from snncompile.errors import ProductSizeError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import Drive, Source, Through, change_inner
from snncompile.frontends.torch.layer_graph import LayerGraph
from snncompile.frontends.torch.multiply_out import multiply_out
from snncompile.frontends.torch.neuron_layer import NeuronLayer
from snncompile.synapses.base import Shape, Synapses
from snncompile.synapses.sparse import Sparse

UNROLLED = 2**18
"""Most synapses that the projections of a layer may have as lists, where sums can avoid them."""


class Sums(nn.Module):
    """Sums, as a layer: its activation is z itself."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


def insert_sums(layers: LayerGraph) -> LayerGraph:
    """Return the network with layers of sums where linear layers in a row do not multiply out.

    Where nothing helps, a drive stays as it is; multiplying it out says why.
    """
    cut = _Cut(layers)
    neurons: list[NeuronLayer] = []
    for layer in layers.neurons:
        size = prod(layer.shape)
        drive = cut.read_sums(layer.drive)
        drive = cut.ease(drive, lambda drive, size=size: cut.fits(drive, size))  # type: ignore[misc]
        neurons += [*cut.take_added(), replace(layer, drive=drive)]
    return replace(layers, neurons=tuple(neurons))


def is_unrolled(terms: Iterable[Synapses]) -> bool:
    """Return whether the projections of a layer hold many synapses as lists."""
    lists = [t.wiring for t in terms if isinstance(t.wiring, Sparse)]
    return sum(len(wiring.target) for wiring in lists) > UNROLLED


@dataclass
class AddedSums:
    """The layers of sums that are added to a network, as they are found."""

    layers: LayerGraph
    paths: dict[Drive, str] = field(default_factory=dict)
    added: list[NeuronLayer] = field(default_factory=list)

    def take_added(self) -> list[NeuronLayer]:
        """Return the layers that were added since the last call."""
        added, self.added = self.added, []
        return added

    def add(self, drive: Drive, shape: Shape, name: str, kind: str) -> Source:
        """Add a layer that sends a drive, unless there is one, and return it as a source.

        Args:
            drive: what it sends.
            shape: of one sample of it.
            name: path of the linear layer that it is named after.
            kind: of the sums.
        """
        if drive not in self.paths:
            taken = {str(layer.path) for layer in self.layers.neurons} | set(self.paths.values())
            path, number = f"{name}.sums", 1
            while path in taken:
                number += 1
                path = f"{name}.sums_{number}"
            self.added.append(NeuronLayer(path, Sums(kind), shape, drive))
            self.paths[drive] = path
        return Source(self.paths[drive])


class _Cut(AddedSums):
    """Layers of sums where linear layers in a row do not multiply out."""

    def fits(self, drive: Drive, size: int = 0) -> bool:
        """Return whether a drive multiplies out to wirings with a structure, or to short lists."""
        try:
            terms = multiply_out(self.layers, drive, size).terms
        except ProductSizeError:
            return False
        return not is_unrolled(term.synapses for term in terms)

    def read_sums(self, drive: Drive) -> Drive:
        """Return a drive that reads the layers of sums there are."""
        if isinstance(drive, Through) and drive in self.paths:
            return Source(self.paths[drive])
        return change_inner(drive, self.read_sums)

    def ease(self, drive: Drive, fits: Callable[[Drive], bool]) -> Drive:
        """Return a drive that fits, if layers of sums can make it so."""
        if fits(drive):
            return drive
        eased = self._change_linear(drive, lambda inner: self.ease(inner, self.fits))
        if eased != drive and fits(eased):
            return eased
        return self._change_linear(eased, self._add)

    def _change_linear(self, drive: Drive, change: Callable[[Through], Drive]) -> Drive:
        """Return a drive with its inner linear layers changed, the outermost of each branch."""

        def walk(inner: Drive) -> Drive:
            return change(inner) if isinstance(inner, Through) else change_inner(inner, walk)

        return change_inner(drive, walk)

    def _add(self, drive: Through) -> Source:
        module = self.layers.linear[drive.path]
        row = known_layers.find_linear(module)
        assert row is not None
        wiring = row.translate(module, drive.path, drive.shape).synapses.wiring
        shape: Shape = getattr(wiring, "target_shape", (wiring.targets,))
        return self.add(drive, shape, drive.path, SUMS)
