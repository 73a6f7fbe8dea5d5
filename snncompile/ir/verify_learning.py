"""The rules of projections that learn: one message each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from snncompile.errors import InputError
from snncompile.neurons.base import BINARY
from snncompile.synapses.base import IntegerSynapses

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph, Projection
    from snncompile.ir.learning_rule import LearningRule

WIRINGS = ("dense", "sparse")
"""Wirings whose synapses can learn: Lava has learning processes of these alone."""


def check_learning(graph: Graph) -> Iterator[str]:
    """Yield what stands against the learning of each projection."""
    for projection in graph.projections:
        where = f"projection {projection.source} -> {projection.target}"
        if projection.rule is None:
            if projection.learned is not None:
                yield f"{where}: it has a learning state and no rule"
            continue
        yield from (f"{where}: {text}" for text in _check_ends(graph, projection, projection.rule))
        yield from (
            f"{where}: third factor {text}"
            for text in _check_third_factor(graph, projection, projection.rule)
        )
        yield from (f"{where}: {text}" for text in _check_numbers(projection, projection.rule))
        if projection.learned is not None:
            lag = max(
                (graph.third_lag(projection, source) for _, source in projection.rule.third_factor),
                default=0,
            )
            yield from _check_state(where, projection, lag)


def _check_ends(graph: Graph, projection: Projection, rule: LearningRule) -> Iterator[str]:
    kind = projection.synapses.wiring.kind
    if kind not in WIRINGS:
        remedy = (
            "; learn one patch with a dense bank and copy it with copy_bank"
            if "convolution" in kind
            else ""
        )
        yield f"a {kind} wiring cannot learn, only {' and '.join(WIRINGS)} can{remedy}"
    if tuple(graph.payload(projection.source)) != BINARY:
        yield f"{projection.source} sends numbers; learning synapses take spikes of 0 and 1"
    target = graph.population(projection.target)
    if not target.neuron.spikes or tuple(target.neuron.payload) != BINARY:
        yield f"{target.name} sends no spikes of 0 and 1, from which its synapses could learn"
    if graph.input.find_host(target.name):
        yield f"{target.name} is fed by the host; put a spiking layer between"
    if idle := rule.explain_idle():
        yield idle


def _check_third_factor(graph: Graph, projection: Projection, rule: LearningRule) -> Iterator[str]:
    names = {p.name for p in graph.populations}
    size = graph.end(projection.target).size
    for trace, source in rule.third_factor:
        if source not in names:
            yield f"{trace}: there is no population {source!r}"
            continue
        population = graph.population(source)
        if population.size != size:
            yield (
                f"{trace}: {source} has {population.size} neurons, {projection.target} has {size};"
                " join them by a projection to a population of its size"
            )
        if not population.neuron.spikes:
            yield f"{trace}: {source} is a readout and sends nothing"
        if graph.third_lag(projection, source) < 0:
            yield (
                f"{trace}: {source} starts in step {population.phase}, {projection.target} in step"
                f" {graph.phase(projection.target)}; it must not start earlier than one step before"
            )


def _check_numbers(projection: Projection, rule: LearningRule) -> Iterator[str]:
    weight = projection.synapses.weight
    if rule.sign == "positive" and weight.min(initial=0) < 0:
        yield f"the rule keeps weights positive, but the smallest is {weight.min():g}"
    if not isinstance(projection.synapses, IntegerSynapses):
        largest = float(np.abs(weight).max(initial=0))
        if rule.limit is not None and rule.limit < largest:
            yield (
                f"the rule stops weights at limit {rule.limit:g}, but the largest is {largest:g};"
                f" make the limit at least {largest!r}"
            )
        return
    if misfit := rule.explain_misfit():
        yield f"learning rule: {misfit}"
    if weight.min(initial=0) < -256 or weight.max(initial=0) > 255:
        yield "weights that learn must be within -256..255"


def _check_state(where: str, projection: Projection, lag: int) -> Iterator[str]:
    synapses, state = projection.synapses, projection.learned
    assert state is not None
    try:
        state.check(where, synapses.weight, synapses.wiring.sources, synapses.wiring.targets)
    except InputError as error:
        yield str(error)
    if len(state.third) != lag:
        yield f"{where}: its learning state keeps {len(state.third)} third factors, expected {lag}"
    if isinstance(synapses, IntegerSynapses):
        for name, low, high in (("tag", -257, 255), ("pre_time", 0, 63), ("post_time", 0, 63)):
            values = getattr(state, name)
            if values.dtype.kind not in "iu" or np.any((values < low) | (values > high)):
                yield f"{where}: {name} of its learning state must be within {low}..{high}"
