"""Layers drawn by seed: a convolution, and a maximum pool of its currents."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.frontends.pool_currents import Windows, make_synapses, make_term, pool_currents
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import FloatNeuron
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution


@dataclass(frozen=True)
class Layer:
    """One drawn layer."""

    wiring: Convolution
    weight: NDArray[np.float64]
    windows: Windows
    x: NDArray[np.uint8]
    """Spikes, shape (samples, steps, *source_shape)."""

    def convolve(self, weight) -> NDArray[np.float64]:
        """Return the currents of other weights of the same shape, (samples * steps, ...)."""
        w, images = self.wiring, self.x.reshape(-1, *self.wiring.source_shape)
        run = torch.nn.functional.conv1d if len(w.kernel) == 1 else torch.nn.functional.conv2d
        drive, kernel = torch.tensor(images).double(), torch.tensor(weight).double()
        return run(drive, kernel, None, w.stride, w.padding, w.dilation, w.groups).numpy()

    def pool(self, currents) -> NDArray[np.float64]:
        """Return torch's maximum pool."""
        w = self.windows
        run = (
            torch.nn.functional.max_pool1d if len(w.kernel) == 1 else torch.nn.functional.max_pool2d
        )
        return run(torch.tensor(currents), w.kernel, w.stride, w.padding, w.dilation).numpy()


def draw_layer(seed: int) -> Layer:
    """Return a layer with windows that all hold a current."""
    rng = np.random.default_rng(seed)
    while True:
        axes = int(rng.integers(1, 3))

        def draw(low: int, high: int, axes: int = axes) -> tuple[int, ...]:
            return tuple(int(v) for v in rng.integers(low, high, axes))

        groups = int(rng.integers(1, 3))
        source = (groups * int(rng.integers(1, 3)), *draw(3, 10))
        channels = groups * int(rng.integers(1, 3))
        geometry = draw(1, 4), draw(1, 3), draw(0, 3), draw(1, 3)
        kernel = draw(1, 5)
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        pool = kernel, draw(1, 4), padding, draw(1, 3)
        try:
            wiring = Convolution(source, channels, *geometry, groups)
            pooled = Convolution(wiring.target_shape, channels, *pool, channels)
        except ValueError:
            continue
        if pooled.fan_in.min() == 0 or max(kernel) == 1:
            continue
        windows = Windows(*pool, pooled.target_shape[1:])
        x = (rng.random((2, 6, *source)) < 0.4).astype(np.uint8)
        return Layer(wiring, rng.normal(size=wiring.weight_shape), windows, x)


def make_network(layer: Layer, neuron: FloatNeuron) -> Network:
    """Return the layer as a network; `neuron` gets the maxima."""
    numbers = count(1)
    term = make_term("input", 0, Synapses(layer.wiring, layer.weight), layer.wiring.target_shape)
    pooled = pool_currents([term], layer.windows, lambda: f"larger_{next(numbers)}")
    target = Population("target", (layer.wiring.channels, *layer.windows.counts), neuron)
    arriving = (Projection(t.source, "target", make_synapses(t), t.delay) for t in pooled.terms)
    return Network(
        Input("input", layer.wiring.source_shape),
        (*pooled.populations, target),
        (*pooled.projections, *arriving),
        "target",
    )
