"""Outputs and states of all neurons in every time step: of real Lava and of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.backends.lava.run import run_folder
from snncompile.ir.graph import IntegerNetwork
from snncompile.reference.simulate import check_spikes, run_batches

Arrays = dict[str, NDArray[Any]]


def run_with_states(network: IntegerNetwork, x: ArrayLike) -> tuple[Arrays, Arrays]:
    """Return outputs as `spike_trains` does, and all states, called "population.state".

    Each has the shape (samples, steps, size). Several times slower than `spike_trains`.
    """
    outputs = run_folder(network, x, ["--all", "--states"])
    return _select(outputs, "spikes."), _select(outputs, "state.")


def _select(outputs: Arrays, prefix: str) -> Arrays:
    """Return the arrays of one kind, by the rest of their names, shape (samples, steps, size)."""
    first = outputs["spikes"].shape[:2]
    return {
        name.removeprefix(prefix): array.reshape(*first, -1)
        for name, array in outputs.items()
        if name.startswith(prefix)
    }


def reference_with_states(network: IntegerNetwork, x: ArrayLike) -> tuple[Arrays, Arrays]:
    """Return the same of the reference."""
    states: dict[str, list[NDArray[Any]]] = {}

    def watch(population: str, step: int, now: Any) -> None:
        names = network.population(population).neuron.states
        for name, state in zip(names, now, strict=True):
            states.setdefault(f"{population}.{name}", []).append(state.numpy().copy())

    (batch,) = run_batches(network, check_spikes(network, x), watch=watch)
    outputs = {p.name: batch[p.name].numpy() for p in network.populations}
    return outputs, {name: np.stack(steps, axis=1) for name, steps in states.items()}
