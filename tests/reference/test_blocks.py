"""Blocks of some samples and steps: the same as everything at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_integer_network, spikes

from snncompile.reference.simulate import run_batches, run_blocks


def joined(parts, samples: int):
    """Return {name: array (samples, steps, size)} of the spike trains or marks of blocks."""
    rows = {}
    for first_sample, spike_trains in parts:
        for name, train in spike_trains.items():
            rows.setdefault(name, {}).setdefault(first_sample, []).append(train.numpy())
    whole = {
        name: np.concatenate([np.concatenate(found[first], axis=1) for first in sorted(found)])
        for name, found in rows.items()
    }
    assert all(len(train) == samples for train in whole.values())
    return whole


def watched(network, x):
    """Return where potentials are not zero, from the states that are told step by step."""
    seen = {}

    def watch(name: str, step: int, states: tuple[torch.Tensor, ...]) -> None:
        neuron = network.population(name).neuron
        seen.setdefault(name, []).append(states[neuron.states.index(neuron.potential)] != 0)

    (spike_trains,) = run_batches(network, x, watch=watch, fast=False)
    return spike_trains, {name: torch.stack(marks, 1).numpy() for name, marks in seen.items()}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    samples=st.integers(1, 4),
    steps=st.integers(1, 9),
    most=st.sampled_from([1, 30, 100, 10**6]),
)
def test_blocks_of_any_size(seed, samples, steps, most):
    network = random_integer_network(seed)
    x = spikes(network, samples, steps, seed)
    found = list(run_blocks(network, x, work_limit=most, charged=True))
    spike_trains, charged = watched(network, x)
    for name, train in joined([(b.first_sample, b.spike_trains) for b in found], samples).items():
        assert (train == spike_trains[name].numpy()).all(), name
    marks = joined([(b.first_sample, b.charged) for b in found], samples)
    assert set(marks) == set(charged)
    for name, mark in marks.items():
        assert (mark == charged[name]).all(), name


# Neurons times samples times steps of a block, over the network's; what each block holds.
SIZES = [
    (0.5, [(sample, step, step == 4) for sample in range(3) for step in range(5)]),
    (2, [(sample, step, step == 4) for sample in range(3) for step in (0, 2, 4)]),
    (10, [(0, 0, True), (2, 0, True)]),
    (99, [(0, 0, True)]),
]


@pytest.mark.parametrize(("most", "wanted"), SIZES)
def test_what_a_block_holds(most, wanted):
    network = random_integer_network(0)
    neurons = network.input.size + sum(p.size for p in network.populations)
    done, x = [], spikes(network, 3, 5)
    found = run_blocks(
        network, x, work_limit=int(most * neurons), progress=lambda *now: done.append(now)
    )
    assert [(b.first_sample, b.first_step, b.last) for b in found] == wanted
    assert done[-1] == (3, 3)
    assert all(not b.charged for b in run_blocks(network, x, work_limit=1))
