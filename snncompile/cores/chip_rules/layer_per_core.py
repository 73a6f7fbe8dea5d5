"""Chips with one convolution layer per core, whose cores differ (Speck / DYNAP-CNN).

Memory of a layer with c input and f output channels, kernel kx x ky and output fx x fy:

    kernel words = c * 2^(ceil(log2(kx * ky)) + ceil(log2 f))
    neuron words = f * 2^(ceil(log2 fy) + ceil(log2 fx))

A dense layer is a convolution whose kernel is as large as its input. A matching assigns layers to
cores: each core takes one layer that fits its memories.

Source: sinabs-dynapcnn (github.com/synsense/sinabs-dynapcnn), dynapcnn_layer.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from snncompile.cores.chip_rules.base import Fitted, FittedCore, cut_whole, get_synapses, require
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import FitError, UnsupportedError, list_briefly
from snncompile.hwmodels.limits import KernelCores
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense

KERNEL, NEURON = "words of kernel memory", "words of neuron memory"


@dataclass(frozen=True)
class ChipLayer:
    """A layer as the chip sees it."""

    population: Population
    channels_in: int
    channels: int
    kernel: tuple[int, ...]
    """(height, width)."""
    stride: tuple[int, ...]
    space: tuple[int, ...]
    """(height, width) of the output."""

    @property
    def kernel_words(self) -> int:
        """Words of kernel memory."""
        return self.channels_in << (_ceil_log2(prod(self.kernel)) + _ceil_log2(self.channels))

    @property
    def neuron_words(self) -> int:
        """Words of neuron memory."""
        return self.channels << sum(map(_ceil_log2, self.space))


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return every layer on a core of its own.

    Raises:
        UnsupportedError: the chip lacks a neuron, a kind of synapses or a stride.
        FitError: a layer fits no core, or the layers need the same cores.
    """
    kernels = chip.kernels
    assert kernels is not None
    layers = []
    for population in network.populations:
        count_compartments_per_neuron(chip, population)
        layer = _read_layer(network, population)
        _check(network, kernels, layer)
        layers.append(layer)
    core_of = _match_cores(network, kernels, layers)
    cores = []
    for number, layer in enumerate(layers):
        chip_core = core_of[number]
        used = {KERNEL: layer.kernel_words, NEURON: layer.neuron_words}
        available = {
            KERNEL: kernels.kernel_words.values[chip_core],
            NEURON: kernels.neuron_words.values[chip_core],
        }
        standard = {"synapse_words": layer.kernel_words, "compartments": layer.neuron_words}
        slices = (cut_whole(layer.population, number),)
        cores.append(FittedCore(slices, used, available, standard, chip_core))
    return Fitted(tuple(cores), {}, {})


def _ceil_log2(value: int) -> int:
    """Return the logarithm, rounded up."""
    return (value - 1).bit_length()


def _read_layer(network: IntegerNetwork, population: Population) -> ChipLayer:
    into = network.into(population.name)
    where = f"population {population.name}"
    if not into:
        raise UnsupportedError(
            f"{where}: no spike ever reaches it, and a layer of the chip needs a source; check"
            " weights and thresholds of the layers before it, or take more weight bits"
        )
    if len(into) != 1:
        raise UnsupportedError(f"{where}: a layer of the chip has one source, not {len(into)}")
    wiring = get_synapses(into[0]).wiring
    if isinstance(wiring, Dense):
        source = (*network.end(into[0].source).shape, 1, 1)[:3]
        size = (source[0], population.size, source[1:], (1, 1), (1, 1))
        return ChipLayer(population, *size)
    if not isinstance(wiring, Convolution):
        raise UnsupportedError(f"{where}: the chip has convolutions, no {wiring.kind} synapses")
    if wiring.groups != 1 or set(wiring.dilation) != {1}:
        raise UnsupportedError(f"{where}: the chip has no convolutions in groups or with dilation")
    stride = (*wiring.stride, 1)[:2]
    source, target = (*wiring.source_shape, 1)[:3], (*wiring.target_shape, 1)[:3]
    kernel = (*wiring.kernel, 1)[:2]
    return ChipLayer(population, source[0], target[0], kernel, stride, target[1:])


def _check(network: IntegerNetwork, kernels: KernelCores, layer: ChipLayer) -> None:
    """Refuse a layer that no core can take, whatever the others are."""
    where = f"population {layer.population.name}"
    hint = "use smaller kernels, or pool before a dense layer"
    require(where, "neurons as side of a kernel", max(layer.kernel), kernels.kernel.whole, hint)
    if not set(layer.stride) <= set(kernels.strides.values):
        known = ", ".join(map(str, kernels.strides.values))
        raise UnsupportedError(f"{where}: the chip has no stride {layer.stride}; it has {known}")
    targets = len({p.target for p in network.out_of(layer.population.name)})
    hint = "send to fewer layers"
    require(where, "layers to send to", targets, kernels.destinations.whole, hint)
    largest = max(kernels.kernel_words.values)
    require(where, KERNEL, layer.kernel_words, largest, "use fewer channels or a smaller kernel")
    largest = max(kernels.neuron_words.values)
    require(where, NEURON, layer.neuron_words, largest, "use fewer channels, a stride or pooling")
    if not _list_cores(kernels, layer):
        kernel = max(
            words
            for words, neurons in zip(
                kernels.kernel_words.values, kernels.neuron_words.values, strict=True
            )
            if neurons >= layer.neuron_words
        )
        raise FitError(
            where=where,
            resource=f"{KERNEL} beside {layer.neuron_words:,} {NEURON}",
            need=layer.kernel_words,
            limit=kernel,
            hint="use fewer channels",
        )


def _list_cores(kernels: KernelCores, layer: ChipLayer) -> list[int]:
    """Return the cores that can take a layer."""
    memories = zip(kernels.kernel_words.values, kernels.neuron_words.values, strict=True)
    return [
        core
        for core, (kernel, neurons) in enumerate(memories)
        if layer.kernel_words <= kernel and layer.neuron_words <= neurons
    ]


def _match_cores(
    network: IntegerNetwork, kernels: KernelCores, layers: list[ChipLayer]
) -> list[int]:
    """Return the core of each layer."""
    cores = len(kernels.kernel_words.values)
    names = list_briefly([layer.population.name for layer in layers])
    where = f"network {network.title}"
    require(where, f"cores, one per layer ({names})", len(layers), cores, "use fewer layers")
    fits = np.zeros((len(layers), cores), np.int8)
    for number, layer in enumerate(layers):
        fits[number, _list_cores(kernels, layer)] = 1
    core_of: list[int] = maximum_bipartite_matching(csr_array(fits), perm_type="column").tolist()
    without = [
        layer.population.name for layer, core in zip(layers, core_of, strict=True) if core < 0
    ]
    if without:
        raise FitError(
            where=f"{where}, population {without[0]}",
            resource="cores with memory for their layers",
            need=len(layers),
            limit=len(layers) - len(without),
            hint="each layer alone fits a core, but layers need the same cores; use fewer channels",
        )
    return core_of
