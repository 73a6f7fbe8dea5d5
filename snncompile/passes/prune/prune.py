"""Remove neurons, channels and synapses of weight zero that cannot change any output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Bools
from snncompile.cores.memory_words import CUTS_KERNELS
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.passes.analysis.bounds import find_silent_neurons
from snncompile.passes.base import Pass
from snncompile.passes.contracts import require_integers, require_no_slices
from snncompile.passes.prune.remove_neurons import (
    Kept,
    count_weights,
    find_unit_size,
    remove_neurons,
)
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange


@dataclass(frozen=True)
class Prune(Pass):
    """Drop neurons that never fire and neurons whose spikes reach no output.

        input -> a, b;  a -> c;  c -> output           ->      input -> a -> c -> output
        (b reaches no output)

    A neuron never fires if its bounds, for any number of time steps, keep v at or below the
    threshold. Populations before or behind a convolution lose whole channels or none. On chips that
    read a one-to-one projection of images as a kernel its two ends lose the same channels: between
    others it is a list, which takes more than dead neurons do. The output and the input stay as
    they are. Repeated until no neuron goes: neurons that only dead neurons
    reach are dead as well. Projections whose weights are all zero go, and zeros of sparse ones.

    Requires: an integer network that is not cut yet.
    Ensures: every output, and every spike of a neuron that stays, is the same for any input.
    """

    on: bool = True
    """Whether to prune."""

    name: ClassVar[str] = "prune"

    def requires(self, design: Design) -> str:
        """Ask for an integer network that is not cut yet."""
        return require_integers(design) or require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise that the output stays whole, and that `kept` numbers the remaining neurons."""
        network = after.network
        if network.output_shape != before.network.output_shape:
            return "that the output stays as it is"
        for p in network.populations:
            if p.name in after.kept and len(after.kept[p.name]) != p.size:
                return f"that `kept` numbers the {p.size:,} neurons left of {p.name}"
        return ""

    def __call__(self, design: Design) -> Design:
        """Drop dead neurons and weights; record the neurons that stay."""
        network = design.network
        assert isinstance(network, IntegerNetwork)
        if not self.on:
            return self.done(design, "skipped")
        if network.plastic:
            return self.done(design, "skipped: the network learns, and its neurons may still fire")
        pruned, kept = _prune(network, ties=design.chip.encoding in CUTS_KERNELS)
        gone = [
            f"{p.size - len(kept[p.name]):,} of {p.size:,} neurons of {p.name}"
            for p in network.populations
            if len(kept[p.name]) < p.size
        ]
        weights = _count_weights(network) - _count_weights(pruned)
        if weights == 0 and not gone:
            return self.done(design, "nothing is dead")
        message = f"dropped {', '.join([*gone, f'{weights:,} weights'])}"
        smaller = {n: k for n, k in kept.items() if len(k) < network.end(n).size}
        return self.done(
            design, message, network=pruned, kept=_number_in_source(smaller, design.kept)
        )


def _number_in_source(
    kept: dict[str, NDArray[np.int64]], earlier: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """Return the remaining neurons by their numbers before any earlier prune."""
    return earlier | {n: earlier[n][k] if n in earlier else k for n, k in kept.items()}


def _count(network: IntegerNetwork) -> tuple[int, int, int]:
    """Return the numbers of neurons, projections and weights."""
    neurons = sum(p.size for p in network.populations)
    return neurons, len(network.projections), _count_weights(network)


def _count_weights(network: IntegerNetwork) -> int:
    """Return the number of weights; many synapses share a weight of a convolution."""
    return sum(count_weights(p.synapses) for p in network.projections)


def _prune(
    network: IntegerNetwork, *, ties: bool
) -> tuple[IntegerNetwork, dict[str, NDArray[np.int64]]]:
    """Return the pruned network, and the neurons of each population that stay.

    Args:
        network: with all neurons.
        ties: whether the ends of one-to-one projections of images lose the same neurons.
    """
    smaller, kept = _drop_dead(network)
    tied = _keep_both_ends(network, kept) if ties else kept
    if tied is kept:
        return smaller, kept
    return remove_neurons(network, tied), tied


def _drop_dead(network: IntegerNetwork) -> tuple[IntegerNetwork, dict[str, NDArray[np.int64]]]:
    """Return the network without any dead neuron, and those that stay."""
    kept = {network.input.name: np.arange(network.input.size)}
    kept |= {p.name: np.arange(p.size) for p in network.populations}
    while True:
        now = _find_alive(network)
        smaller = remove_neurons(network, now)
        for p in network.populations:
            kept[p.name] = kept[p.name][now[p.name]]
        if _count(smaller) == _count(network):
            return network, kept
        network = smaller


def _find_alive(network: IntegerNetwork) -> Kept:
    """Return the neurons that can fire and whose spikes can reach the output."""
    useful = _find_useful(network)
    kept = {network.input.name: np.arange(network.input.size)}
    for p in network.populations:
        stay = useful[p.name] & ~(find_silent_neurons(network, p) & _can_go(network, p))
        kept[p.name] = np.flatnonzero(_extend_to_units(network, p, stay))
    return kept


def _keep_both_ends(
    network: IntegerNetwork, kept: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """Return the neurons that stay if one-to-one projections of images keep both ends.

    Ends of which nothing is left take their projection with them. `kept` itself comes back where
    there is no such projection.
    """
    alive = {name: np.isin(np.arange(network.end(name).size), stay) for name, stay in kept.items()}
    tied = [
        p
        for p in network.projections
        if _is_image_shortcut(network, p) and len(kept[p.source]) and len(kept[p.target])
    ]
    if not tied:
        return kept
    changed = True
    while changed:
        changed = False
        for p in tied:
            both = alive[p.source] | alive[p.target]
            for name in {p.source, p.target} - {network.input.name}:
                stay = _extend_to_channels(network, network.population(name), both)
                changed = changed or not np.array_equal(alive[name], stay)
                alive[name] = stay
    for population in network.populations:
        alive[population.name] = _extend_to_units(network, population, alive[population.name])
    return {name: np.flatnonzero(stay) for name, stay in alive.items()}


def _is_image_shortcut(network: IntegerNetwork, projection: Projection) -> bool:
    ends = network.population(projection.target), network.end(projection.source)
    wiring = projection.synapses.wiring
    return isinstance(wiring, Scale) and all(len(end.shape) > 1 for end in ends)


def _extend_to_channels(network: IntegerNetwork, population: Population, stay: Bools) -> Bools:
    whole = np.repeat(stay.reshape(population.shape[0], -1).any(axis=1), prod(population.shape[1:]))
    return _extend_to_units(network, population, whole)


def _can_go(network: IntegerNetwork, population: Population) -> bool:
    """Whether neurons of a population can be dropped at all."""
    return (
        population.name != network.output
        and network.input.find_host(population.name) is None
        and find_unit_size(network, population.name) is not None
    )


def _extend_to_units(network: IntegerNetwork, population: Population, stay: Bools) -> Bools:
    """Return the neurons that stay when a unit stays whole as soon as one of its neurons does."""
    size = find_unit_size(network, population.name) or population.size
    return np.repeat(stay.reshape(-1, size).any(axis=1), size)


def _find_useful(network: IntegerNetwork) -> dict[str, Bools]:
    """Return True for each neuron with a path of nonzero synapses to a neuron that has to stay."""
    useful = {p.name: np.full(p.size, not _can_go(network, p)) for p in network.populations}
    useful[network.input.name] = np.zeros(network.input.size, np.bool_)
    changed = True
    while changed:
        changed = False
        for p in reversed(network.projections):
            if p.source == network.input.name:
                continue
            before = int(useful[p.source].sum())
            reaching = useful[p.source] | _find_reaching(p, useful[p.target])
            useful[p.source] = _extend_to_units(network, network.population(p.source), reaching)
            changed = changed or before < int(useful[p.source].sum())
    return useful


def _find_reaching(projection: Projection, targets: Bools) -> Bools:
    """Return True for each source with a nonzero synapse to at least one of the targets.

    Before a convolution by whole channels: all neurons of a channel reach the target, or none.
    """
    wiring, weight = projection.synapses.wiring, projection.synapses.weight
    if isinstance(wiring, SourceRange):
        reaching = np.zeros(wiring.sources, np.bool_)
        reaching[wiring.first : wiring.stop] = _find_sources(wiring.part, weight, targets)
        return reaching
    return _find_sources(wiring, weight, targets)


def _find_sources(wiring: Wiring, weight: NDArray[Any], targets: Bools) -> Bools:
    if isinstance(wiring, Dense):
        rows = weight if targets.all() else weight[targets]
        return np.asarray(rows.any(axis=0))
    if not isinstance(wiring, Convolution):
        connected = wiring.matrix((weight != 0).astype(np.int32))
        return np.asarray(connected.T @ targets.astype(np.int32) > 0)
    channels = targets.reshape(wiring.channels, -1).any(axis=1)
    taps = (weight != 0).reshape(*weight.shape[:2], -1).any(axis=2)
    joined = np.logical_and(taps, np.reshape(channels, (-1, 1)))
    by_group = joined.reshape(wiring.groups, wiring.channels // wiring.groups, -1).any(axis=1)
    return np.repeat(by_group.reshape(-1), wiring.sources // wiring.source_shape[0])
