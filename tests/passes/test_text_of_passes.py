"""The text of a small design after each pass. A pass of the registry without an example fails."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, chain, changed, joined, limited
from stages import before_pass, run_alone

from snncompile import registry
from snncompile.ir.region import Region
from snncompile.ir.tables import AxonBlock, MemoryBlock, Tables
from snncompile.synapses.dense import dense


def skipping():
    """A way from the input to b that is shorter than the other one, and a delay of its own."""
    return joined(("input", "a", 0), ("a", "b", 0), ("input", "b", 2))


def with_dead_neurons():
    """Nothing reaches the last neuron of a; the first one reaches nothing."""
    network = chain(3, 4, 2)
    network = changed(network, projection=0, synapses=dense([[1.0] * 3] * 3 + [[0.0] * 3]))
    return changed(network, projection=1, synapses=dense([[0.0, 1.0, 1.0, 1.0]] * 2))


def with_few_synapses():
    """Five of the twelve synapses from the input are not zero, all of the others are there."""
    weight = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.5], [0.0, 1.0, 1.0]]
    return changed(chain(3, 4, 2), projection=0, synapses=dense(weight))


EXAMPLES = {
    "retime": (skipping, TOY),
    "quantize": (lambda: chain(3, 4, 2, weight=0.3), LOIHI2),
    "measure": (lambda: chain(3, 4, 2, weight=0.3), LOIHI2),
    "prune": (with_dead_neurons, TOY),
    "accumulate": (lambda: chain(20, 3, 2), limited(LOIHI2, axons_in=8)),
    "sparsify": (with_few_synapses, TOY),
    "partition": (lambda: chain(3, 5, 4, 2), TOY),
    "partition_intel": (lambda: chain(3, 5, 2), LOIHI2),
    "partition_nxtf": (lambda: chain(3, 5, 2), LOIHI1),
    "place": (lambda: chain(3, 5, 4, 2), TOY),
    "route": (lambda: chain(3, 5, 4, 2), TOY),
}
"""A network on which a pass has something to do, and a chip, by the name of the pass."""


@pytest.mark.parametrize("name", registry.TABLES["passes"])
def test_after(name, golden):
    assert name in EXAMPLES, f"pass {name}: add a network that shows what it does to EXAMPLES"
    network, chip = EXAMPLES[name]
    done = run_alone(name, before_pass(name, network(), chip))
    golden(f"{done}\n{done.log[-1]}\n")


def test_tables_say_everything_they_hold():
    whole = Region.from_size(4)
    memory = (
        MemoryBlock(0, 0, 0, 0, 1, "sparse", False, 1),
        MemoryBlock(0, 1, 0, 1, 3, "dense1", True, 2, 7, True, True),
        MemoryBlock(1, 1, 1, 0, 0, "dense1", False, 1),
    )
    axons = (
        AxonBlock(0, "a", Region((2, 6), (range(1), range(1, 6, 2))), 0, (0,)),
        AxonBlock(0, "b", Region.from_neurons(np.array([0, 3, 7])), 3, (0, 1), (1,), 2),
        AxonBlock(1, "a", whole, 0, ()),
    )
    tables = Tables(memory, axons, np.array([[1, 2, 1234, 5]], np.int32))
    assert str(tables) == (
        "core 0: synapses 0 of projection 0 into slice 0: sparse, delay 1\n"
        "core 0: synapses 1..3 of projection 1 into slice 0: dense1, delay 2, 7-bit weights,"
        " shared rows, shared signs, by columns\n"
        "core 1: synapses none of projection 1 into slice 1: dense1, delay 1\n"
        "core 0: input axons 0..2 of a[0:1, 1:6:2] to synapses 0\n"
        "core 0: input axons 3..4 of b[0 3 7] to synapses 0, 1..3, population axons for slice 1\n"
        "core 1: input axons 0..3 of a[0:4] to synapses none\n"
        "output axons from 5 for 1,234 neurons of slice 1 to core 1, input axons 0..3\n"
    )


def test_tables_of_nothing_are_no_text():
    assert str(Tables()) == ""
