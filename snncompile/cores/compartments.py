"""Compartments that neurons take, and the hint where a chip lacks a neuron."""

from __future__ import annotations

from snncompile.errors import UnsupportedError, list_briefly
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Population
from snncompile.ir.mapping import Slice
from snncompile.neurons.base import Neuron
from snncompile.neurons.window_readout import WindowReadout


def count_compartments(network: Graph, chip: Chip, s: Slice) -> int:
    """Return the compartments of a slice."""
    return s.size * count_compartments_per_neuron(chip, network.population(s.population))


def count_compartments_per_neuron(chip: Chip, population: Population) -> int:
    """Return the compartments of one neuron.

    Raises:
        UnsupportedError: the chip has no such neuron.
    """
    kind = population.neuron.kind
    if kind not in chip.neurons:
        known = list_briefly(sorted(chip.neurons))
        raise UnsupportedError(
            f"population {population.name}: {chip.name} has no neuron {kind}; it has {known}"
            + _suggest_instead(population.neuron, chip)
        )
    return chip.neurons[kind].whole or 1


LAYER = "integrate_fire/soft"
"""Layers of networks converted by method balance, which most chips have."""
ANSWER = WindowReadout.name
"""The last layer of every converted network."""


def _suggest_instead(neuron: Neuron, chip: Chip) -> str:
    """Return the alternative to a neuron: its own, or that of a converted network."""
    if neuron.instead:
        able = (name for name in chips.list_names() if neuron.kind in chips.load_chip(name).neurons)
        hint = neuron.instead
        if neuron.role and {LAYER, ANSWER} <= set(chip.neurons):
            hint = "its messages are numbers; if it was converted, take method='balance'"
        return f"; {hint}; or choose {', '.join(able)}"
    if neuron.role is None:
        return ""
    if LAYER not in chip.neurons:
        return (
            "; a hard reset throws away what exceeds the threshold, and with it the rates that a"
            " converted network computes with: choose a chip that keeps it"
            f" ({_list_able_chips(neuron.kind)})"
        )
    if ANSWER not in chip.neurons:
        return (
            "; if it was converted, its answer is a potential: choose a chip that can send one out"
            f" ({_list_able_chips(neuron.kind)})"
        )
    return "; if it was converted, use method='balance'"


def _list_able_chips(kind: str) -> str:
    """Return the chips with this neuron and with the readout of converted networks."""
    neurons = {name: chips.load_chip(name).neurons for name in chips.list_names()}
    return ", ".join(name for name, has in neurons.items() if kind in has and ANSWER in has)
