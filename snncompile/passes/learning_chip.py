"""Refuse chips whose synapses cannot learn, and learning that a chip cannot hold."""

from __future__ import annotations

from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph


def check_learning_chip(network: Graph, chip: Chip) -> None:
    """Refuse a network that learns on a chip without learning synapses.

    Args:
        network: float or integer.
        chip: one whose rows have a `learning_bits` can learn.

    Raises:
        UnsupportedError: the chip cannot, or its file does not say what a learning synapse takes.
    """
    if not network.plastic or learns(chip):
        return
    first = network.plastic[0]
    raise UnsupportedError(
        f"projection {first.source} -> {first.target} learns: {chip.full_name} has no synapses that"
        " learn, or its file does not say what they take; compile for loihi2, or take the rule off"
        " with plastic(network, source, target, None)"
    )


def learns(chip: Chip) -> bool:
    """Return whether the memory of a chip's learning synapses is known."""
    return chip.headed_rows is not None and bool(chip.headed_rows.learning_bits.whole)
