"""Slices of one core that make up a box become one, where the core has room for the box."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI2, limited

import snncompile
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution


def grouped_convolution() -> IntegerNetwork:
    """Twelve channels in four groups: a piece has kernels of one group, a box of several."""
    wiring = Convolution((4, 1, 3), 12, (4, 3), (3, 1), (2, 1), (1, 2), 4)
    weight = np.random.default_rng(0).integers(-1, 4, wiring.weight_shape) * 64
    neuron = IntegerIntegrateFire(300, 0, 0, "hard")
    return IntegerNetwork(
        Input("input", (4, 1, 3)),
        (Population("a", wiring.target_shape, neuron, 1),),
        (Projection("input", "a", IntegerSynapses(wiring, weight, 0, 3), 1),),
        "a",
    )


# Words of a core, slices and cores, from enough for the box to enough for its parts only.
@pytest.mark.parametrize("words", [16000, 96, 95, 60, 30])
def test_a_box_is_made_where_a_core_has_its_words(words):
    chip = limited(LOIHI2, synapse_words=words, cores=5000)
    program = snncompile.compile(grouped_convolution(), chip=chip, prune=False)
    tables = program.mapping.tables
    per_core = [
        sum(block.words for block in tables.memory if block.core == core)
        for core in range(program.mapping.cores)
    ]
    assert max(per_core) <= words
    x = (np.random.default_rng(1).random((3, 10, 4, 1, 3)) < 0.5).astype(np.uint8)
    assert np.array_equal(program.run(x).spikes, grouped_convolution().run(x).spikes)
