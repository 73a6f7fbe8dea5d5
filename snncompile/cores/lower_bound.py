"""Analysis: the fewest cores of a network, and the resource that keeps a mapping above them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from snncompile.cores import compartments, resources, usage
from snncompile.cores.least_use import list_least_uses
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
    """Cores that the network fills with it."""
    above: str
    """Reason why the mapping is above the bound."""


def compute_lower_bound(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> LowerBound:
    """Return a lower bound of the cores; no cut of the network takes fewer.

    Compartments do not depend on the cuts of populations. Words count as those of each population
    in one piece: more pieces repeat kernels. On chips with headed rows see `least_use.py`; there
    populations that share no core in the mapping are counted one by one.
    """
    if chip.headed_rows is not None:
        return _bound_headed(network, chip, mapping)
    limits = resources.read_core_limits(chip)
    shares = {
        resource: need / limits[resource]
        for resource, need in _count_needs(network, chip).items()
        if resource in limits
    }
    scarcest = max(shares, key=shares.__getitem__)
    cores = max(1, ceil(shares[scarcest] - 1e-9))
    above = _explain_excess(network, chip, mapping, cores, shares[scarcest])
    return LowerBound(cores, resources.RESOURCES[scarcest], shares[scarcest], above)


def _bound_headed(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> LowerBound:
    limits = resources.read_core_limits(chip)
    uses = list_least_uses(network, chip)
    shares = {
        name: sum(use[name] for use in uses.values()) / limits[name]
        for name in resources.ADDED
        if name in limits
    }
    scarcest = max(shares, key=shares.__getitem__)
    cores = max(1, ceil(shares[scarcest] - 1e-9))
    if all(len({s.population for s in on}) == 1 for on in mapping.by_core.values()):
        cores = sum(
            max(1, ceil(max(use[name] / limits[name] for name in shares) - 1e-9))
            for use in uses.values()
        )
    above = _explain_excess(network, chip, mapping, cores, shares[scarcest])
    return LowerBound(cores, resources.RESOURCES[scarcest], shares[scarcest], above)


def _count_needs(network: IntegerNetwork, chip: Chip) -> dict[str, int]:
    need = dict.fromkeys(("compartments", "synapse_words"), 0)
    for p in network.populations:
        need["compartments"] += p.size * compartments.count_compartments_per_neuron(chip, p)
    for projection in network.projections:
        need["synapse_words"] += _count_fewest_words(chip, projection)
    return need


def _count_fewest_words(chip: Chip, projection: Projection) -> int:
    """Return weights in whole words: no encoding stores less than their bits."""
    width = chip.core.synapse_word_bits.whole or 64
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if chip.encoding == "one_word":
        return synapses.weight.size
    return ceil(synapses.weight.size * synapses.bits / width)


def _explain_excess(
    network: IntegerNetwork, chip: Chip, mapping: Mapping, cores: int, share: float
) -> str:
    if mapping.cores <= cores:
        return "nothing: it is met"
    fullest = _list_scarcest(network, chip, mapping)
    names = ", ".join(resources.RESOURCES[name] for name in fullest)
    return f"{names} of single cores: slices of {len(mapping.slices)} fill them to the end"


def _list_scarcest(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> list[str]:
    """Return the resources that are nearest to their limit on the largest number of cores."""
    limits = resources.read_core_limits(chip)
    count = dict.fromkeys(resources.ADDED, 0)
    for core_usage in usage.measure_usage(network, chip, mapping):
        shares = {k: core_usage.used[k] / limits[k] for k in resources.ADDED if k in limits}
        if shares:
            count[max(shares, key=shares.__getitem__)] += 1
    highest = max(count.values())
    return [name for name, times in count.items() if times == highest and times]
