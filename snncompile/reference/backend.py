"""The integer simulator as a backend: `run(backend="reference")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.ir.graph import Graph, Progress
from snncompile.ir.learning_state import name_weights
from snncompile.ir.result import Result
from snncompile.reference.learning.run import run_learning
from snncompile.reference.simulate import check_spikes, run_batches, run_integer
from snncompile.renamed import make_getattr

if TYPE_CHECKING:
    from snncompile.program import Program


def run(
    program: Program,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> Result:
    """Run a Program; the time limit is for backends that can hang and is not used here."""
    return run_integer(program.network, x, progress=progress)


def spike_trains(
    network: Graph,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the output of every population, shape (samples, steps, size).

    Args:
        network: an integer network, or a float one on the same spikes.
        x: spikes of shape (samples, steps, *input.shape).
        progress: called with (samples done, samples in all).
        timeout_s: not used here.

    Returns:
        uint8 or int64 per population; potentials of a float network are float64. Of a network that
        learns also the weights at the end, called as `name_weights` says.
    """
    spikes = check_spikes(network, x)
    if network.plastic:
        names = [p.name for p in network.populations]
        learned = run_learning(network, spikes, names, progress)
        weights = {name_weights(n): state.weight for n, state in learned.states.items()}
        return learned.outputs | weights
    batches = list(run_batches(network, spikes, progress=progress))
    return {
        p.name: _as_bytes(np.concatenate([batch[p.name].numpy() for batch in batches]))
        for p in network.populations
    }


if not TYPE_CHECKING:
    __getattr__ = make_getattr(__name__, trains="spike_trains")


def _as_bytes(train: NDArray[Any]) -> NDArray[Any]:
    return train.view(np.uint8) if train.dtype == np.bool_ else train
