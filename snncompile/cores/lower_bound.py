"""Analysis: how many cores a network needs at least, and what keeps a mapping above that."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from snncompile.cores import compartments, resources, usage
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping
from snncompile.synapses.base import IntegerSynapses


@dataclass(frozen=True)
class LowerBound:
    """The scarcest resource summed over the network."""

    cores: int
    resource: str
    """Resource that is scarcest, in words."""
    share: float
    """Cores of it that the network fills."""
    above: str
    """What keeps the mapping above the bound."""


def lower_bound(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> LowerBound:
    """Return the fewest cores there could be; no cut of the network takes less.

    Compartments do not depend on how populations are cut. Of input axons and words only what each
    population takes in one piece counts: more pieces take more axons and repeat kernels.
    """
    limits = resources.limits(chip)
    shares = {
        resource: need / limits[resource]
        for resource, need in _needed(network, chip).items()
        if resource in limits
    }
    scarcest = max(shares, key=shares.__getitem__)
    cores = max(1, ceil(shares[scarcest] - 1e-9))
    above = _above(network, chip, mapping, cores, shares[scarcest])
    return LowerBound(cores, resources.RESOURCES[scarcest], shares[scarcest], above)


def _needed(network: IntegerNetwork, chip: Chip) -> dict[str, int]:
    need = dict.fromkeys(("compartments", "synapse_words"), 0)
    for p in network.populations:
        need["compartments"] += p.size * compartments.compartments_per_neuron(chip, p)
    for projection in network.projections:
        need["synapse_words"] += _fewest_words(chip, projection)
    return need


def _fewest_words(chip: Chip, projection: Projection) -> int:
    """Return weights in whole words: no encoding stores less than their bits."""
    width = chip.core.synapse_word_bits.whole or 64
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if chip.encoding == "one_word":
        return synapses.weight.size
    return ceil(synapses.weight.size * synapses.bits / width)


def _above(network: IntegerNetwork, chip: Chip, mapping: Mapping, cores: int, share: float) -> str:
    if mapping.cores <= cores:
        return "nothing: it is met"
    fullest = _scarce(network, chip, mapping)
    names = ", ".join(resources.RESOURCES[name] for name in fullest)
    return f"{names} of single cores: slices of {len(mapping.slices)} fill them to the end"


def _scarce(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> list[str]:
    """Return the resources that are nearest to their end on most cores."""
    limits = resources.limits(chip)
    count = dict.fromkeys(resources.ADDED, 0)
    for found in usage.usage(network, chip, mapping):
        shares = {k: found.used[k] / limits[k] for k in resources.ADDED if k in limits}
        if shares:
            count[max(shares, key=shares.__getitem__)] += 1
    most = max(count.values())
    return [name for name, times in count.items() if times == most and times]
