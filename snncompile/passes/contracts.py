"""Conditions that passes require of a design; each function returns the missing one in words."""

from __future__ import annotations

import numpy as np

from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork


def require_integers(design: Design) -> str:
    """Ask for an integer network."""
    if isinstance(design.network, IntegerNetwork):
        return ""
    return "an integer network: run quantize before it"


def require_delays(design: Design) -> str:
    """Ask for delays that the chip has: one time step or more for every projection."""
    wrong = find_wrong_delay(design.network, design.chip)
    return f"the chip's delays ({wrong}): run retime before it" if wrong else ""


def require_slices(design: Design) -> str:
    """Ask for slices that hold every neuron."""
    wrong = find_wrong_slices(design)
    return f"every neuron in one slice ({wrong}): run partition before it" if wrong else ""


def require_no_slices(design: Design) -> str:
    """Ask for a network that is not cut yet: slices name its neurons."""
    return "a network without slices: run it before partition" if design.mapping.slices else ""


def find_wrong_delay(network: Graph, chip: Chip) -> str:
    """Return the first projection with a delay that no synapse of the chip has."""
    extra = chip.formats.delay.whole
    longest = None if extra is None else extra + 1
    for p in network.projections:
        if p.delay < 1 or (longest is not None and p.delay > longest):
            return f"{p.source} -> {p.target} has a delay of {p.delay}"
    return ""


def find_wrong_slices(design: Design) -> str:
    """Return the first population whose neurons are not in one slice each."""
    for p in design.network.populations:
        neurons = [s.neurons() for s in design.mapping.of(p.name)]
        if not neurons:
            return f"{p.name} has none"
        if not np.array_equal(np.sort(np.concatenate(neurons)), np.arange(p.size)):
            return f"those of {p.name} do not hold each of its {p.size:,} neurons once"
    return ""


def find_lost_population(before: Graph, after: Graph) -> str:
    """Return the first population that is gone or has another size."""
    sizes = {p.name: p.size for p in after.populations}
    for p in before.populations:
        if sizes.get(p.name) != p.size:
            return f"{p.name} had {p.size:,} neurons and has {sizes.get(p.name, 0):,}"
    return ""
