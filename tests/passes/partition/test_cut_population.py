"""How a population is cut: boxes for convolutions, and nothing is computed twice."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, integer_chain, limited

from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.cut_population import Cutter
from snncompile.passes.partition.partition import cut_network
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

HARD = IntegerCubaLif(4095, 0, 1)


def zero_padded_shortcut(channels: int, side: int) -> IntegerNetwork:
    """Return a convolution of stride 2 to twice the channels, and every other pixel beside it."""
    shape, target = (channels, side, side), (2 * channels, side // 2, side // 2)
    wiring = Convolution(shape, 2 * channels, (3, 3), (2, 2), (1, 1), (1, 1))
    kept = np.arange(channels * side**2).reshape(shape)[:, ::2, ::2].reshape(-1)
    first = (channels // 2) * (side // 2) ** 2
    shortcut = Sparse(np.arange(first, first + kept.size), kept, wiring.targets, channels * side**2)
    synapses = [
        IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8),
        IntegerSynapses(shortcut, np.full(kept.size, 2), 0, 8),
    ]
    projections = tuple(Projection("input", "block", s, 1) for s in synapses)
    block = Population("block", target, HARD, phase=1)
    return IntegerNetwork(Input("input", shape), (block,), projections, "block")


@pytest.mark.parametrize("chip, cores", [(LOIHI2, 3), (LOIHI1, 8)], ids=["loihi2", "loihi1"])
def test_a_shortcut_leaves_a_convolution_its_boxes(chip, cores):
    """Sources that only a list can name do not turn boxes into ranges."""
    slices = cut_network(zero_padded_shortcut(16, 32), chip)
    assert {s.shape for s in slices} == {(32, 16, 16)}
    assert Mapping(slices).cores == cores


def gated_image(channels: int, *space: int) -> IntegerNetwork:
    """Return an image passed on one to one, and one gate per channel beside it."""
    shape, each = (channels, *space), prod(space)
    size = channels * each
    places = np.arange(size, dtype=np.int32)
    gate = Sparse(places, (places // each).astype(np.int32), size, channels)
    weight = np.repeat(2 * np.arange(1, channels + 1, dtype=np.int16), each)
    populations = (
        Population("image", shape, HARD, phase=1),
        Population("gate", (channels,), HARD, phase=1),
        Population("gated", shape, HARD, phase=2),
    )
    ones, zeros = (1,) * len(space), (0,) * len(space)
    to_image = Convolution((1, *space), channels, ones, ones, zeros, ones)
    to_gate = np.full((channels, each), 2, np.int16)
    wirings = (
        ("input", "image", to_image, np.full(to_image.weight_shape, 2)),
        ("input", "gate", Dense(*to_gate.shape), to_gate),
        ("image", "gated", Scale(size, per_neuron=True), weight),
        ("gate", "gated", gate, np.full(size, 2, np.int16)),
    )
    projections = tuple(
        Projection(source, target, IntegerSynapses(wiring, values, 0, 8), 1)
        for source, target, wiring, values in wirings
    )
    return IntegerNetwork(Input("input", (1, *space)), populations, projections, "gated")


@pytest.mark.parametrize("space", [(40, 40), (1600,)])
def test_one_to_one_beside_a_list_keeps_its_boxes(space):
    """As a list it would take an input axon for each of the 25,600 neurons of the image."""
    slices = [s for s in cut_network(gated_image(16, *space), LOIHI2) if s.population == "gated"]
    assert all(s.shape == (16, *space) for s in slices)
    assert sum(s.size for s in slices) == 25_600


@pytest.mark.parametrize("sparse, times", [(True, 1), (False, 2)], ids=["sparse", "dense"])
def test_what_no_objective_changes_is_cut_once(monkeypatch, sparse, times):
    """Fewest cores is the better of two ways; sparse populations are cut alike in both."""
    cuts = []
    whole = Cutter.cut
    monkeypatch.setattr(Cutter, "cut", lambda self: cuts.append(1) or whole(self))
    network = integer_chain(4, 6, 3)
    if sparse:
        every = [np.nonzero(np.ones(shape)) for shape in ((6, 4), (3, 6))]
        wirings = [Sparse(*every[0], 6, 4), Sparse(*every[1], 3, 6)]
        projections = tuple(
            Projection(p.source, p.target, IntegerSynapses(w, np.full(w.weight_shape, 2), 0, 8), 1)
            for p, w in zip(network.projections, wirings, strict=True)
        )
        network = IntegerNetwork(network.input, network.populations, projections, network.output)
    cut_network(network, limited(TOY, axons_in=8))
    assert len(cuts) == times * len(network.populations)
