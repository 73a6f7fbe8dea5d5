"""Let projections of a network learn, and use what they have learned."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.ir.graph import Graph, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.learning_state import LearningState
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.weight_formats import weight_step

LOG = logging.getLogger(__name__)

G = TypeVar("G", bound=Graph)


def plastic(network: G, source: str, target: str, rule: LearningRule | None) -> G:
    """Return the network with a rule on the synapses between two populations.

    Args:
        network: float or integer.
        source: the input or a population.
        target: a population.
        rule: how they learn, in the unit of the network's weights; None: not at all.

    Raises:
        InputError: there is no such projection, or several, or they cannot learn so, or the rule
            is no LearningRule.
    """
    if rule is not None and not isinstance(rule, LearningRule):
        raise InputError(
            f"plastic: the rule must be a LearningRule or None, got a {type(rule).__name__};"
            " LearningRule(text) makes one of a text"
        )
    between = [p for p in network.projections if (p.source, p.target) == (source, target)]
    if len(between) != 1:
        pairs = ", ".join(f"{p.source} -> {p.target}" for p in network.projections)
        count = "no projection" if not between else f"{len(between)} projections"
        raise InputError(f"{count} {source} -> {target}; there are {pairs}")
    changed = replace(between[0], rule=rule, learned=None)
    return _exchange(network, {network.number(between[0]): changed})


def adopt_states(network: G, states: dict[int, LearningState]) -> G:
    """Return the network as it is after learning.

    Args:
        network: float or integer.
        states: by the numbers of the projections that learned.

    Raises:
        InputError: a projection does not learn, or the state is of another one.
    """
    if sorted(states) != [network.number(p) for p in network.plastic]:
        raise InputError("the result is of another network: its learning projections differ")
    changed = {}
    for number, state in states.items():
        projection = network.projections[number]
        if state.weight.shape != projection.synapses.weight.shape:
            raise InputError(
                f"projection {projection.source} -> {projection.target}: the result has weights of"
                f" shape {state.weight.shape}, expected {projection.synapses.weight.shape}"
            )
        synapses: Any = replace(projection.synapses, weight=state.weight)  # type: ignore[arg-type]
        rule = projection.rule
        if rule and rule.limit is None and isinstance(projection.synapses, Synapses):
            largest = float(np.abs(projection.synapses.weight).max(initial=0))
            rule = rule.change(limit=largest or None)
        changed[number] = replace(projection, synapses=synapses, rule=rule, learned=state)
    return _exchange(network, changed)


def freeze_learning(network: G, *, round_weights: bool = False) -> G:
    """Return the network with the weights that it has, none of which learns.

    Learned integer weights are all of -256..255; fixed ones of 8 bits, which may have both signs,
    are even: `snncompile/synapses/weight_formats.py`. A chip refuses the odd ones, unless they are
    rounded.

    Args:
        network: float or integer.
        round_weights: whether integer weights that learned go towards 0 to the next step of fixed
            ones, so by one where they have 8 bits; a warning of the log says how many. Spikes may
            differ after it.
    """
    if not network.plastic:
        return network
    changed = {}
    for p in network.plastic:
        synapses = _round_weights(p) if round_weights else p.synapses
        changed[network.number(p)] = replace(p, synapses=synapses, rule=None, learned=None)
    return _exchange(network, changed)


def _round_weights(projection: Projection) -> Any:
    """Return the synapses with weights that fixed integer ones can have."""
    synapses = projection.synapses
    if not isinstance(synapses, IntegerSynapses):
        return synapses
    weight, step = synapses.weight.astype(np.int64), weight_step(synapses.bits)
    rounded = np.sign(weight) * (np.abs(weight) // step * step)
    count = int(np.count_nonzero(rounded != weight))
    if count:
        LOG.warning(
            "projection %s -> %s: %d of %d weights are rounded towards 0 to multiples of %d",
            projection.source,
            projection.target,
            count,
            weight.size,
            step,
        )
    return replace(synapses, weight=rounded.astype(synapses.weight.dtype))


def refuse_rules(network: Graph, system: str) -> None:
    """Refuse a network that learns where nothing can hold its rules.

    Args:
        network: float or integer.
        system: that lacks them, for the message.

    Raises:
        UnsupportedError: it learns; the message names the first projection that does.
    """
    for p in network.plastic:
        raise UnsupportedError(
            f"projection {p.source} -> {p.target}: it learns, and {system} has no place for a"
            " learning rule; take freeze_learning for weights that stay, or emit lava"
        )


def restart_learning(network: G) -> G:
    """Return the network with the weights that it has learned, where learning begins anew.

    Tags and traces are 0, random numbers are those of a first run, as in a Lava program that starts
    with these weights.
    """
    changed = {network.number(p): replace(p, learned=None) for p in network.plastic}
    return _exchange(network, changed)


def copy_bank(weight: ArrayLike, kernel: tuple[int, ...], channels: int = 1) -> NDArray[np.float64]:
    """Return the weights of a dense bank that learned patches as kernels of a convolution.

    Args:
        weight: of the bank, shape (filters, channels * patch size), patches flattened in C order.
        kernel: shape of a patch, such as (7, 7).
        channels: of the patches.

    Returns:
        Shape (filters, channels, *kernel), as `snncompile.synapses.convolution` takes them.

    Raises:
        InputError: the patches have another size.
    """
    array = np.asarray(weight, np.float64)
    size = channels * int(np.prod(kernel))
    if array.ndim != 2 or array.shape[1] != size:
        raise InputError(
            f"the bank has weights of shape {array.shape}, a kernel {kernel} of {channels} channels"
            f" needs (filters, {size})"
        )
    return array.reshape(len(array), channels, *kernel)


def _exchange(network: G, changed: dict[int, Projection]) -> G:
    """Return the network with other projections at some numbers."""
    projections = tuple(changed.get(i, p) for i, p in enumerate(network.projections))
    return replace(network, projections=projections)
