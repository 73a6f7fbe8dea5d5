"""Rules for chips whose synapses are no words in a memory, one file per kind of chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompile.registry import load

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Chip
    from snncompile.ir.graph import IntegerNetwork
    from snncompile.passes.fit.base import Fitted


def fit(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return a network on the cores of a chip, by the rules of its encoding.

    Raises:
        UnsupportedError: the chip lacks a neuron or cannot wire the network.
        FitError: a limit is exceeded.
    """
    fitted: Fitted = load("fits", chip.encoding)(network, chip)
    return fitted
