"""Networks whose reports are tested."""

from __future__ import annotations

import numpy as np

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

EVIL = "</script><script>document.title='evil'</script><img src=x onerror=alert(1)>"
"""A layer's name that wants to be code."""


def make_network(hidden: str = "hidden", sources: int = 12, neurons: int = 6) -> Network:
    rng = np.random.default_rng(7)
    neuron = CubaLif(1.0, 0.1, 1.0, reset="delayed_soft")
    return Network(
        Input("input", (sources,)),
        (Population(hidden, (neurons,), neuron), Population("output", (3,), neuron)),
        (
            Projection("input", hidden, dense(rng.normal(0.1, 0.5, (neurons, sources)))),
            Projection(hidden, "output", dense(rng.normal(0.2, 0.6, (3, neurons)))),
        ),
        "output",
        title="small",
    )
