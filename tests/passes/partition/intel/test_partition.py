"""Cuts of Intel's compiler for Loihi 2: its recorded tables, and ours beside them."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, design, integer_chain, limited
from published import mlp, pilotnet, put_input_on_cores

import snncompile
from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, UnsupportedError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.intel.partition import (
    PartitionIntel,
    count_input_cores,
    cut_layers,
)
from snncompile.passes.partition.partition import Partition
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.sparse import Sparse

NEURON = IntegerCubaLif(4095, 0, 1)


def layered(inputs: int, *layers: IntegerSynapses) -> IntegerNetwork:
    """Return a chain of layers."""
    populations, projections, name = [], [], "input"
    for i, synapses in enumerate(layers, 1):
        populations.append(Population(f"l{i}", (synapses.wiring.targets,), NEURON, i))
        projections.append(Projection(name, f"l{i}", synapses, 1))
        name = f"l{i}"
    return IntegerNetwork(Input("input", (inputs,)), tuple(populations), tuple(projections), name)


def matrix(sources: int, targets: int, bits: int) -> IntegerSynapses:
    weight = np.full((targets, sources), 2 * (1 << bits - 1) - 2)
    weight[0, 0] = -2 * (1 << bits - 1)
    return integer_dense(weight if bits > 1 else np.full((targets, sources), 2), 0, 8)


def oxford() -> IntegerNetwork:
    return layered(200, matrix(200, 256, 8), matrix(256, 200, 6 + 1))


def spread(sources: int, each: int) -> IntegerSynapses:
    """Return a layer in which each source has targets of its own."""
    source = np.repeat(np.arange(sources), each).astype(np.int32)
    target = np.arange(sources * each, dtype=np.int32)
    wiring = Sparse(target, source, sources * each, sources)
    return IntegerSynapses(wiring, np.full(len(target), 2), 0, 8)


def gather(targets: int, each: int) -> IntegerSynapses:
    """Return a layer in which each target has sources of its own."""
    target = np.repeat(np.arange(targets), each).astype(np.int32)
    wiring = Sparse(target, np.arange(targets * each, dtype=np.int32), targets, targets * each)
    return IntegerSynapses(wiring, np.full(len(target), 2), 0, 8)


# Network, chip, cores of the layers as recorded, what the rules here give, ours without sharing.
TABLES = {
    "PilotNet LIF": (pilotnet, "loihi2:2022-09", "25/13/3/3/2/12/1/1/1", "", "20/7/2/2/1/7/1/1/1"),
    "PilotNet SDNN": (
        lambda: pilotnet("SDNN"), "loihi2:2022-09", "25/13/3/3/2/12/1/1/1", "",
        "20/7/2/2/1/7/1/1/1",
    ),
    "MNIST": (lambda: mlp(784, 128, 64, 10), "loihi2", "3/1/1", "", "3/1/1"),
    "Oxford": (oxford, "loihi2", "3/2", "", "2/2"),
    "relay of S4D, d 64": (lambda: layered(4096, gather(64, 64)), "loihi2", "1", "", "1"),
    "relay of S4D, d 128": (lambda: layered(8192, gather(128, 64)), "loihi2", "3", "1", "1"),
    "dense of S4D, d 256": (lambda: layered(256, matrix(256, 256, 4)), "loihi2", "3", "", "2"),
    "MIS-QUBO": (lambda: layered(1000, matrix(1000, 1000, 1)), "loihi2", "21", "16", "13"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_recorded_tables(name):
    make, chip, recorded, cut, ours = TABLES[name]
    network = make()
    layers = cut_layers(network, load_chip(chip))
    assert "/".join(str(len(slices)) for slices in layers.values()) == (cut or recorded)
    state = design(network, load_chip(chip))
    mapping = Partition(share=False)(state).mapping
    counts = [len({s.core for s in mapping.of(p.name)}) for p in network.populations]
    assert "/".join(map(str, counts)) == ours
    for count, slices in zip(counts, layers.values(), strict=True):
        assert count <= len(slices)
    assert all(a <= int(b) for a, b in zip(counts, recorded.split("/"), strict=True))
    assert compute_lower_bound(network, load_chip(chip), mapping).cores <= mapping.cores


def test_all_of_pilotnet_with_its_input():
    done = PartitionIntel()(design(pilotnet(), load_chip("loihi2:2022-09")))
    assert done.log[-1] == (
        "partition_intel: as Intel's compiler: 61 cores (25/13/3/3/2/12/1/1/1), 13 more where the"
        " input's neurons take cores"
    )
    assert count_input_cores(pilotnet(), LOIHI2) == 13  # 74 as recorded


def test_pilotnet_behind_neurons_that_stand_for_its_input():
    """Compiled, so that the checker counts the input's axons too."""
    options = {"chip": "loihi2:2022-09", "partitioner": "intel", "prune": False}
    program = snncompile.compile(put_input_on_cores(pilotnet()), **options)
    (cut,) = (line for line in program.log if line.startswith("partition_intel"))
    assert cut == (
        "partition_intel: as Intel's compiler: 74 cores (13/25/13/3/3/2/12/1/1/1), 0 more where"
        " the input's neurons take cores"
    )


@pytest.mark.parametrize("name", [name for name in TABLES if not TABLES[name][3]])
def test_lengths_of_cuts(name):
    """Of 256 neurons 127 + 127 + 2, of 200 then 127 + 73; PilotNet's 100 are 11 x 9 + 1."""
    sizes = {
        "PilotNet LIF": {"layer6": [9] * 11 + [1]},
        "Oxford": {"l1": [127, 127, 2], "l2": [127, 73]},
        "dense of S4D, d 256": {"l1": [127, 127, 2]},
    }
    make, chip, *_ = TABLES[name]
    layers = cut_layers(make(), load_chip(chip))
    for layer, wanted in sizes.get(name, {}).items():
        assert [s.size for s in layers[layer]] == wanted


def test_neurons_of_two_slots():
    """8192 neurons of two slots: 2047 to a core, so 5 cores; 448 words and 2047 output axons."""
    neurons = LOIHI2.neurons | {"cuba_lif/hard": LOIHI2.neurons["resonate_fire"]}
    chip = LOIHI2.model_copy(update={"neurons": neurons})
    state = PartitionIntel()(design(layered(128, spread(128, 64)), chip))
    used = [core.used for core in measure_usage(state.network, chip, state.mapping)]
    assert [s.size for s in state.mapping.slices] == [2047] * 4 + [4]
    assert [row["compartments"] for row in used] == [4094] * 4 + [8]
    assert [row["synapse_words"] for row in used] == [447, 448, 448, 448, 1]
    assert [row["axons_out"] for row in used] == [2047] * 4 + [4]


def test_total_of_the_relay_of_s4d():
    """4096 sources to 64 neurons: 41.605 % of 20,000 words, printed as 41.61."""
    state = PartitionIntel()(design(layered(4096, gather(64, 64)), LOIHI2))
    (core,) = measure_usage(state.network, LOIHI2, state.mapping)
    assert core.used["total_words"] == 4096 + 4096 + 64 + 64 + 1


def test_compile_by_its_rules():
    network = mlp(784, 128, 64, 10)
    program = snncompile.compile(network, chip="loihi2", partitioner="intel", prune=False)
    assert program.mapping.cores == 5
    assert "partition_intel" in program.passes


def test_what_it_refuses():
    with pytest.raises(UnsupportedError) as unsupported:
        cut_layers(integer_chain(3, 4), LOIHI1)
    assert str(unsupported.value) == ("partitioner intel is for Loihi 2; loihi1 has other tables")
    with pytest.raises(FitError) as error:
        cut_layers(integer_chain(20_000, 4), LOIHI2)
    assert str(error.value) == (
        "population a: needs 20,000 input axons for one neuron, the chip allows 16,000;"
        " partitioner intel cuts no further"
    )
    with pytest.raises(FitError) as error:
        cut_layers(integer_chain(3, 4, 5), limited(LOIHI2, cores=1))
    assert str(error.value) == (
        "network network: needs 2 cores (a 1, b 1), the chip allows 1; partitioner intel gives"
        " every layer cores of its own; free shares them"
    )


# Channels, side of the image, kernel, stride of large layers.
LARGE = [(64, 96, 3, 1), (16, 160, 1, 1), (128, 64, 3, 2), (24, 128, 3, 1), (256, 40, 1, 1)]


@pytest.mark.parametrize("channels, side, kernel, stride", LARGE)
def test_large_layers_are_near_their_bound_of_neurons(channels, side, kernel, stride):
    pair = ((kernel,) * 2, (stride,) * 2, (kernel // 2,) * 2, (1, 1))
    wiring = Convolution((32, side * stride, side * stride), channels, *pair)
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, wiring.weight_shape) * 2
    population = Population("a", wiring.target_shape, NEURON, 1)
    projection = Projection("input", "a", IntegerSynapses(wiring, weight, 0, 8), 1)
    inputs = Input("input", wiring.source_shape)
    network = IntegerNetwork(inputs, (population,), (projection,), "a")
    mapping = Partition(share=False)(design(network, load_chip("loihi2:kapoho-point"))).mapping
    assert mapping.cores <= 1.15 * ceil(wiring.targets / 4095)
