"""Small `.net` files beside what lava-dl 0.6.0 and Lava 0.10.0 made of them: see tests/recorded.

Longer recordings, which others made, are in `test_ground_truth.py`. In Lava a synapse takes a time
step: a layer hears in each step what the layer before it sent in the step before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from snncompile.frontends.netx.from_netx import from_netx
from snncompile.ir.graph import Input, IntegerNetwork
from snncompile.neurons.base import Interval
from snncompile.reference.simulate import check_spikes, run_batches

FOLDER = Path(__file__).parents[2] / "recorded"
# File -> layers that send, as the file numbers them; non-zero outputs that Lava recorded.
RECORDED = {
    "dense": {0: 445, 1: 183},
    "resonators": {0: 52},
    "tiny": {0: 1827, 1: 732, 3: 103},
    "sigma_delta": {0: 2503, 1: 865, 3: 295},
    "hearing": {0: 229},
    "unbiased": {0: 1665, 1: 343, 3: 52},
    "trained": {0: 131, 1: 82},
}
LAYERS = [(name, layer) for name, layers in RECORDED.items() for layer in layers]
BEHIND_SYNAPSES = ("dense", "resonators", "trained")
"""Files whose first layer has weights; that of the others encodes values, in the same step."""


def read(name: str) -> dict[str, np.ndarray]:
    """Return what was put in and what each layer sent, flattened: (steps, n)."""
    with np.load(FOLDER / f"{name}.npz") as data:
        return {key: data[key].reshape(len(data[key]), -1) for key in data.files}


def run(network: IntegerNetwork, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the output sends and the first of its states, both (steps, n)."""
    states: dict[int, np.ndarray] = {}

    def watch(population: str, step: int, now: tuple[torch.Tensor, ...]) -> None:
        if population == network.output:
            states[step] = now[0][0].numpy().copy()

    shown = check_spikes(network, x.reshape(1, len(x), *network.input.shape))
    (sent,) = run_batches(network, shown, watch=watch)
    return sent[network.output][0].numpy(), np.stack([states[i] for i in range(len(x))])


def cut_out(network: IntegerNetwork, layer: int, data: dict[str, np.ndarray]) -> IntegerNetwork:
    """Return a layer alone, behind an input that sends what was recorded of the layer before it."""
    population = network.population(f"layer_{layer}")
    (projection,) = network.into(population.name)
    before = network.population(projection.source)
    sent = data[before.name.replace("layer", "out")]
    return replace(
        network,
        input=Input(before.name, before.shape, Interval(int(sent.min()), int(sent.max()))),
        populations=(population,),
        projections=(projection,),
        output=population.name,
    )


@pytest.mark.parametrize("name, layer", LAYERS)
def test_a_layer_sends_what_lava_recorded(name, layer):
    """Every output of every step, on what Lava recorded of the layer before it; currents too."""
    network, data = from_netx(FOLDER / f"{name}.net"), read(name)
    late = 0
    if layer == 0:
        late = int(name in BEHIND_SYNAPSES)
        populations, output = network.populations[:1], network.populations[0].name
        into = tuple(p for p in network.projections if p.target == output)
        alone = replace(network, populations=populations, projections=into, output=output)
        sent, state = run(alone, data["x"])
    else:
        alone = cut_out(network, layer, data)
        before = data[alone.input.name.replace("layer", "out")]
        sent, state = run(alone, np.concatenate([np.zeros_like(before[:1]), before[:-1]]))
    end = len(sent) - late
    np.testing.assert_array_equal(sent[:end], data[f"out_{layer}"][late:])
    if f"u_{layer}" in data:
        np.testing.assert_array_equal(state[:end], data[f"u_{layer}"][late:])
    assert np.count_nonzero(data[f"out_{layer}"]) == RECORDED[name][layer]


@pytest.mark.parametrize("name", [*BEHIND_SYNAPSES, "hearing", "unbiased"])
def test_a_whole_file_sends_what_lava_recorded(name):
    """These have no biases, which in Lava work before the first spike arrives: they are late."""
    network, data = from_netx(FOLDER / f"{name}.net"), read(name)
    last = max(RECORDED[name])
    late = len(network.populations) - (name not in BEHIND_SYNAPSES)
    sent, _ = run(network, data["x"])
    np.testing.assert_array_equal(sent[: len(sent) - late], data[f"out_{last}"][late:])


@pytest.mark.parametrize("name", RECORDED)
def test_reads_recorded_files(name, golden):
    golden(str(from_netx(FOLDER / f"{name}.net")))
