"""Rules for chips whose synapses are no words in a memory, one file per kind of chip.

In: an integer network, a chip. Out: the network on cores, or the limit that it exceeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompile.cores.chip_rules.base import require_profiles
from snncompile.hwmodels.schema import ENCODINGS
from snncompile.ir.mapping import Site
from snncompile.registry import load

if TYPE_CHECKING:
    from snncompile.cores.chip_rules.base import Fitted
    from snncompile.hwmodels.schema import Chip
    from snncompile.ir.graph import IntegerNetwork, Projection
    from snncompile.ir.mapping import Slice


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return a network on the cores of a chip, by the rules of its encoding.

    Raises:
        UnsupportedError: the chip lacks a neuron or cannot wire the network.
        FitError: a limit is exceeded.
    """
    fitted: Fitted = load("chip_rules", chip.encoding)(network, chip)
    for core in fitted.cores:
        require_profiles(network, chip, core.slices)
    return fitted


def count_words(chip: Chip, projection: Projection, s: Slice) -> int:
    """Return the words that a projection takes on the core of a slice of its target.

    None, unless the rule of another package has an attribute `count_words`, called as
    `count_words(projection, slice, chip)`.
    """
    if chip.encoding in ENCODINGS:
        return 0  # without looking for packages, which takes milliseconds
    rule = load("chip_rules", chip.encoding)
    return int(rule.count_words(projection, s, chip)) if hasattr(rule, "count_words") else 0


def list_sites(network: IntegerNetwork, chip: Chip) -> tuple[Site, ...]:
    """Return the sites of the cores on a chip whose cores differ; none where they are equal."""
    if chip.kernels is None:
        return ()
    numbers = [core.number for core in fill_cores(network, chip).cores]
    return tuple(Site(core, number, 0) for core, number in enumerate(numbers))
