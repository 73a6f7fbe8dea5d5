"""Cut a network as NxTF does, Intel's own compiler for Loihi 1, with one encoding for all rows.

It serves to compare: with these rules we reproduce Intel's core counts and words. Every layer has
cores of its own, of one tile size; layers are cut from the output back to the input, and the first
tiling within all limits is chosen, fewest cores first. The input's neurons take cores too.

Source: nxsdk_modules_ncl/dnn/src/optimization.py and dnn_layers.py
(github.com/intel-nrc-ecosystem/models); Rueckauer et al., NxTF, arXiv 2101.04261.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

import numpy as np

from snncompile.arrays import Ints
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.cores.equal_tiles import Box, Shape3, cut_boxes, list_tilings
from snncompile.cores.row_encoding import read_row_rules
from snncompile.errors import FitError, UnsupportedError, list_briefly
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Slice
from snncompile.passes.partition.base import CuttingPass
from snncompile.passes.partition.nxtf.cores import (
    LIMITS,
    Core,
    Layer,
    count_input_axons,
    count_output_axons,
    encode_core,
    find_reach,
    list_limits,
    number_source_groups,
)
from snncompile.passes.partition.nxtf.tiles import Columns
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense


@dataclass(frozen=True, eq=False)
class CutLayer:
    """A layer on its cores."""

    layer: Layer
    counts: Shape3
    """Cores along the height, the width and the channels."""
    cores: tuple[Core, ...]
    spread: Ints
    """Cores of the layer that each source neuron reaches, shape (sources,)."""

    @property
    def words(self) -> int:
        """Words of synaptic memory on all cores."""
        return sum(core.used["synapse_words"] for core in self.cores)


@dataclass(frozen=True)
class PartitionNxtf(CuttingPass):
    """Give every layer tiles of one size, as Intel's NxTF does.

    Requires: an integer network, retimed, that is a chain of dense and convolution layers.
    Ensures: every neuron is in exactly one slice; no slice exceeds a core's limits in NxTF.
    """

    encoding: Literal["sparse", "run_length", "dense1", "dense2"] = "sparse"
    """Encoding of the rows of convolutions; rows of dense layers are dense1."""

    name: ClassVar[str] = "partition_nxtf"

    def __call__(self, design: Design) -> Design:
        """Fill the slices of the mapping."""
        network = design.network
        assert isinstance(network, IntegerNetwork)
        layers = partition_nxtf(network, design.chip, self.encoding)
        slices: list[Slice] = []
        for cut in layers[1:]:
            population = network.population(cut.layer.name)
            slices += [
                _make_slice(population, core.box, len(slices) + i)
                for i, core in enumerate(cut.cores)
            ]
        counts = "/".join(str(len(cut.cores)) for cut in layers)
        words = " / ".join(f"{cut.words:,}" for cut in layers[1:])
        total = sum(len(cut.cores) for cut in layers)
        message = f"{total} cores with those of the input ({counts}), {words} words"
        return self.done(
            design, f"NxTF, {self.encoding}: {message}", mapping=Mapping(tuple(slices))
        )


def partition_nxtf(network: IntegerNetwork, chip: Chip, encoding: str) -> tuple[CutLayer, ...]:
    """Return the layers on their cores, the input first.

    Args:
        network: a chain of dense and convolution layers.
        chip: gives the limits; it must store rows as Loihi 1 does.
        encoding: of convolutions: sparse, run_length, dense1 or dense2; dense layers are dense1.

    Raises:
        UnsupportedError: another chip or another kind of network.
        FitError: no tiling of a layer holds all limits, or there are too few cores.
    """
    if chip.rows is None or chip.axon_entries is None:
        raise UnsupportedError(f"partitioner nxtf is for Loihi 1; {chip.name} stores no such rows")
    if network.plastic:
        target = network.plastic[0].target
        raise UnsupportedError(
            f"partitioner nxtf counts no synapses that learn, as those into {target}; use free"
        )
    after: list[CutLayer] = []
    for layer in reversed(_list_layers(network, chip)):
        after.insert(0, _Search(chip, encoding, layer, after).find_first())
    total, available = (
        sum(len(cut.cores) for cut in after),
        (chip.mesh.cores.whole or 0) * chip.chips,
    )
    if total > available:
        parts = list_briefly([f"{cut.layer.name} {len(cut.cores)}" for cut in after])
        raise FitError(
            where=f"network {network.title}",
            resource=f"cores ({parts})",
            need=total,
            limit=available,
            hint="partitioner nxtf gives every layer cores of its own; free shares them",
        )
    return tuple(after)


class _Search:
    """The tilings of one layer, tried one after the other."""

    def __init__(self, chip: Chip, encoding: str, layer: Layer, after: Sequence[CutLayer]) -> None:
        self.chip, self.layer, self.encoding = chip, layer, encoding
        self.next = after[0] if after else None
        self.cores_after = sum(len(cut.cores) for cut in after)
        self.limits, self.rules = list_limits(chip), read_row_rules(chip)

    def find_first(self) -> CutLayer:
        """Return the first tiling within all limits."""
        room = self.limits["compartments"]
        standard = self.layer.synapses is not None and not (
            self.layer.dense or self.layer.depthwise
        )
        order = (2, 0, 1) if standard else (0, 1, 2)
        least = -(-prod(self.layer.shape) // room)
        exceeded, need = "compartments", 0
        for counts in list_tilings(self.layer.shape, order, least):
            tried = self._cut(counts)
            if isinstance(tried, CutLayer):
                return tried
            exceeded, need = tried
        raise FitError(
            where=f"{'population' if self.layer.synapses else 'input'} {self.layer.name}",
            resource=LIMITS[exceeded],
            need=need,
            limit=self.limits[exceeded],
            hint=f"no tiling holds all limits under partitioner nxtf with {self.encoding} rows",
        )

    def _cut(self, counts: Shape3) -> CutLayer | tuple[str, int]:
        """Return the layer in `counts` tiles, or the exceeded limit and the need."""
        tiles = list(cut_boxes(self.layer.shape, counts))
        cores: list[Core] = []
        for number, box in enumerate(tiles):
            core = self._make_core(box, (self.cores_after + number) // self._cores_of_chip)
            exceeded = [n for n in LIMITS if core.used.get(n, 0) > self.limits[n]]
            if exceeded:
                return exceeded[0], core.used[exceeded[0]]
            cores.append(core)
        spread = np.sum([core.group >= 0 for core in cores], axis=0)
        for core in cores:
            core.used["axons_in"] += count_input_axons(self.layer, core, spread)
            if core.used["axons_in"] > self.limits["axons_in"]:
                return "axons_in", core.used["axons_in"]
        return CutLayer(self.layer, counts, tuple(cores), spread)

    @property
    def _cores_of_chip(self) -> int:
        return self.chip.mesh.cores.whole or 1

    def _make_core(self, box: Box, on: int) -> Core:
        """Return a core; counting stops at the first limit that it exceeds."""
        layer, soft = self.layer, self.layer.neuron_size > 1
        reach = find_reach(layer, box) if _convolves(layer) else None
        groups = number_source_groups(layer, box, reach, _count_sources(layer))
        used = {"destination_groups": 1, "compartments": prod(box.extent) * layer.neuron_size}
        if _convolves(layer):
            used |= self._count_interleaved(box, reach)
        core = Core(box, on, used, groups)
        if any(used[name] > self.limits[name] for name in used):
            return core
        sets: tuple[tuple[int, ...], ...] = tuple((i,) for i in range(prod(box.extent)))
        used |= {"axons_out": 0, "axons_in": 0}
        if self.next is not None:
            sent = count_output_axons(self.chip, layer, box, on, self.next.cores, self.next.spread)
            used["axons_out"] = sent.entries
            sets = sets if layer.dense else sent.sets
        if soft:
            recurrent = sum(map(len, sets))
            used["axons_out"] += recurrent * (self.chip.axon_entries.discrete.whole or 0)  # type: ignore[union-attr]
            used["axons_in"] += recurrent
        if used["axons_out"] <= self.limits["axons_out"] and (layer.synapses is not None or soft):
            stored = encode_core(layer, box, reach, sets, self.encoding, self.rules)
            used |= {
                "formats": len(stored.formats),
                "row_words": stored.longest,
                "synapse_words": stored.words,
            }
        else:
            used["synapse_words"] = 0
        return core

    def _count_interleaved(self, box: Box, reach: Columns | None) -> dict[str, int]:
        if reach is None:  # groups that leave neurons out: more than there can be
            return {"destination_groups": self.limits["destination_groups"] + 1}
        size = self.layer.neuron_size
        compartments = reach.groups * reach.size * box.extent[2] * size
        dummies = compartments % 4 if size > 1 else 0
        return {"destination_groups": reach.groups * size, "compartments": compartments + dummies}


def _convolves(layer: Layer) -> bool:
    return layer.synapses is not None and not layer.dense


def _count_sources(layer: Layer) -> int:
    return layer.synapses.wiring.sources if layer.synapses else 0


def _list_layers(network: IntegerNetwork, chip: Chip) -> list[Layer]:
    """Return the layers of a chain, the input first.

    Raises:
        UnsupportedError: the network is no chain, or has other synapses.
    """
    name = network.input.name
    layers: list[Layer] = []
    while len(layers) < len(network.populations):
        following = network.out_of(name)
        if len(following) != 1 or len(network.into(following[0].target)) != 1:
            raise UnsupportedError(
                f"partitioner nxtf takes a chain of layers; {name} branches or ends"
            )
        population = network.population(following[0].target)
        synapses = following[0].synapses
        assert isinstance(synapses, IntegerSynapses)
        size = count_compartments_per_neuron(chip, population)
        layers.append(Layer(population.name, _find_shape(population, synapses), synapses, size))
        name = population.name
    first = Layer(network.input.name, _find_shape(network.input, None), None, layers[0].neuron_size)
    return [first, *layers]


def _find_shape(end: Input | Population, synapses: IntegerSynapses | None) -> Shape3:
    """Return (height, width, channels) of a layer; a dense one is all height."""
    if synapses is None or isinstance(synapses.wiring, Dense):
        shape = end.shape if synapses is None and 2 <= len(end.shape) <= 3 else (1, end.size)
    else:
        _check_wiring(end.name, synapses)
        assert isinstance(synapses.wiring, Convolution)
        shape = synapses.wiring.target_shape
    channels, height, width = (*shape, 1)[:3]
    return height, width, channels


def _check_wiring(name: str, synapses: IntegerSynapses) -> None:
    wiring = synapses.wiring
    where = f"population {name}: partitioner nxtf knows dense layers and convolutions"
    if not isinstance(wiring, Convolution):
        raise UnsupportedError(f"{where}, not {wiring.kind} synapses")
    if set(wiring.dilation) != {1}:
        raise UnsupportedError(f"{where} without dilation, this one has {wiring.dilation}")
    if wiring.groups > 1 and not wiring.groups == wiring.channels == wiring.source_shape[0]:
        raise UnsupportedError(f"{where} of one group or one per channel, not {wiring.groups}")


def _make_slice(population: Population, box: Box, core: int) -> Slice:
    start, stop = ((c, h, w) for h, w, c in (box.start, box.stop))
    if len(population.shape) == 3:
        return Slice(population.name, population.shape, start, stop, core)
    if len(population.shape) == 2:
        return Slice(population.name, population.shape, start[:2], stop[:2], core)
    return Slice.from_range(population, start[1], stop[1], core)
