"""Refuse chips whose synapses cannot learn, and learning that a chip cannot hold."""

from __future__ import annotations

from snncompile.cores.learning import find_epochs, find_row_learning
from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph


def check_learning_chip(network: Graph, chip: Chip) -> None:
    """Refuse a network that learns on a chip without learning synapses.

    Args:
        network: float or integer.
        chip: one whose rows have `learning_bits` or `learning` can learn.

    Raises:
        UnsupportedError: the chip cannot, or its file does not say what a learning synapse takes;
            all synapses of its cores learn or none, and those into a population differ; it has no
            third factors.
    """
    if not network.plastic:
        return
    first = network.plastic[0]
    if learns(chip):
        _check_third_factors(network, chip)
        _check_cores(network, chip)
        return
    raise UnsupportedError(
        f"projection {first.source} -> {first.target} learns: {chip.full_name} has no synapses that"
        " learn, or its file does not say what they take; compile for loihi2 or loihi1, or take the"
        " rule off with plastic(network, source, target, None)"
    )


def learns(chip: Chip) -> bool:
    """Return whether the memory of a chip's learning synapses is known."""
    if chip.rows is not None:
        return chip.rows.learning is not None
    return chip.headed_rows is not None and bool(chip.headed_rows.learning_bits.whole)


def _check_third_factors(network: Graph, chip: Chip) -> None:
    """Refuse third factors where no population can send them."""
    for p in network.plastic:
        learning = find_row_learning(chip, p)
        if p.rule and p.rule.third_factor and learning and not learning.third_factor:
            names = ", ".join(f"{trace} of {name}" for trace, name in p.rule.third_factor)
            raise UnsupportedError(
                f"projection {p.source} -> {p.target} learns with a third factor ({names}): on"
                f" {chip.full_name} no population can send one to single synapses; compile for"
                " loihi2, or take traces of source and target alone"
            )


def _check_cores(network: Graph, chip: Chip) -> None:
    """Refuse populations that no core can hold, where a core learns by one epoch or not at all."""
    for target in find_epochs(network, chip):
        first = next(p for p in network.plastic if p.target == target)
        assert first.rule is not None
        epoch = first.rule.epoch
        for p in network.into(target):
            if p.rule is None or p.rule.epoch != epoch:
                differs = "does not" if p.rule is None else f"has epoch {p.rule.epoch}"
                hint = "the rule 0*x0, which changes nothing," if p.rule is None else "one epoch"
                raise UnsupportedError(
                    f"projection {first.source} -> {target} learns with epoch {epoch},"
                    f" {p.source} -> {target} {differs}: on a core of {chip.full_name} all synapses"
                    f" learn, by one epoch, or none; give it {hint} or compile for loihi2"
                )
