"""Networks of convolutions and dense layers, for formats that hold chains of layers."""

from __future__ import annotations

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense


def image_network(rng):
    """Return convolution, convolution, dense: floats with a hard reset."""
    first = Convolution((2, 8, 7), 4, (3, 3), (1, 2), (1, 0), (1, 1))
    second = Convolution(first.target_shape, 6, (2, 3), (2, 1), (0, 0), (1, 1), 2)
    neuron = CubaLif(1.0, 0.2, 0.8, 0.05, "hard")
    last = CubaLif(0.5, 0.2, 0.8, rng.normal(0.05, 0.1, 5), "hard")

    def some(wiring):
        return Synapses(wiring, rng.normal(0.1, 0.4, wiring.weight_shape))

    return Network(
        Input("input", first.source_shape),
        (
            Population("one", first.target_shape, neuron),
            Population("two", second.target_shape, neuron),
            Population("three", (5,), last),
        ),
        (
            Projection("input", "one", some(first)),
            Projection("one", "two", some(second)),
            Projection("two", "three", dense(rng.normal(0.1, 0.3, (5, second.targets)))),
        ),
        "three",
    )
