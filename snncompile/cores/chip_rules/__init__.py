"""Rules for chips whose synapses are no words in a memory, one file per kind of chip.

In: an integer network, a chip. Out: the network on cores, or the limit that it exceeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompile.ir.mapping import Site
from snncompile.registry import load

if TYPE_CHECKING:
    from snncompile.cores.chip_rules.base import Fitted
    from snncompile.hwmodels.schema import Chip
    from snncompile.ir.graph import IntegerNetwork


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return a network on the cores of a chip, by the rules of its encoding.

    Raises:
        UnsupportedError: the chip lacks a neuron or cannot wire the network.
        FitError: a limit is exceeded.
    """
    fitted: Fitted = load("chip_rules", chip.encoding)(network, chip)
    return fitted


def list_sites(network: IntegerNetwork, chip: Chip) -> tuple[Site, ...]:
    """Return the sites of the cores on a chip whose cores differ; none where they are alike."""
    if chip.kernels is None:
        return ()
    numbers = [core.number for core in fill_cores(network, chip).cores]
    return tuple(Site(core, number, 0) for core, number in enumerate(numbers))
