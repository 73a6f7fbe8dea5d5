"""Write projections that learn: LearningDense, LearningSparse, and what they listen to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.backends.lava.network_processes import LEARNING_DENSE, LEARNING_SPARSE
from snncompile.backends.lava.python_text import quote, write_shape
from snncompile.errors import BackendError
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.learning_rule import POST_TRACES, TRACES, LearningRule

TWO_FACTORS, THREE_FACTORS = "Loihi2FLearningRule", "Loihi3FLearningRule"
MIXED_BITS, POSITIVE_BITS = 9, 8
"""Lava cuts weights to `num_weight_bits` once, at the start; with these it cuts nothing."""


@dataclass(frozen=True)
class Listener:
    """A port of learning synapses that hears a population."""

    port: str
    source: str
    first: int
    """Lava time step from which it counts."""


def choose_learning_process(network: IntegerNetwork, projection: Projection) -> LavaProcess:
    """Return the process of a projection that learns.

    Raises:
        BackendError: Lava's process cannot compute its rule, it has learned already, or its target
            starts with time itself.
    """
    rule, where = projection.rule, f"projection {projection.source} -> {projection.target}"
    assert rule is not None
    if projection.learned is not None:
        raise BackendError(
            f"{where}: it has learned for {projection.learned.steps:,} steps, and Lava's generators"
            " and traces always begin anew; emit program.restart_learning(), which does so too, or"
            " the Program from before"
        )
    if network.phase(projection.target) < 1:
        raise BackendError(
            f"{where}: synapses that learn work a step before their neurons, which start in step 0;"
            " compile the network, or give them phase 1 and every projection to them one step more"
        )
    if projection.synapses.wiring.kind == "dense":
        return LEARNING_DENSE
    unable = sorted(rule.variables & {"w", "t"})
    if unable or rule.sign != "mixed":
        reason = f"a rule that reads {' and '.join(unable)}" if unable else "positive weights"
        raise BackendError(f"{where}: Lava's LearningSparse fails on {reason}; use a dense wiring")
    if not projection.synapses.weight.all():
        raise BackendError(
            f"{where}: Lava's LearningSparse drops synapses whose weight is 0 at the start; give"
            " them another weight, or leave them out of the wiring"
        )
    return LEARNING_SPARSE


def write_rule(rule: LearningRule) -> tuple[str, list[tuple[str, str]]]:
    """Return the class of Lava's rule and its arguments as text."""
    third = bool(rule.third_factor)
    arguments = [(name, quote(text)) for name, text in (("dw", rule.dw), ("dt", rule.dt)) if text]
    for trace in TRACES:
        if not (third and trace in POST_TRACES) and rule.impulse(trace):
            arguments.append((f"{trace}_impulse", repr(rule.impulse(trace))))
            arguments.append((f"{trace}_tau", repr(rule.tau(trace))))
    arguments += [("t_epoch", str(rule.epoch)), ("rng_seed", str(rule.seed))]
    return THREE_FACTORS if third else TWO_FACTORS, arguments


def list_listeners(network: IntegerNetwork, projection: Projection) -> list[Listener]:
    """Return what the synapses hear beside their source: the target, and third factors."""
    rule = projection.rule
    assert rule is not None
    ends = [("s_in_bap", projection.target)]
    ends += [(f"s_in_{trace}", source) for trace, source in rule.third_factor]
    return [Listener(port, source, network.phase(source) + 1) for port, source in ends]


def fires_early(network: IntegerNetwork) -> bool:
    """Return whether a neuron sends something before its first sample, without any input."""
    for population in network.populations:
        neuron = population.neuron
        state = neuron.begin(np.zeros(population.size, np.int64))
        ports = (len(neuron.ports),) if neuron.ports else ()
        silence = np.zeros((*ports, population.size), np.int64)
        for _ in range(population.phase):
            state, output = neuron.step(state, silence)
            if neuron.spikes and np.any(output):
                return True
    return False


def list_sign_and_bits(rule: LearningRule) -> list[tuple[str, Any]]:
    """Return the arguments with which Lava leaves the weights as they are at the start."""
    positive = rule.sign == "positive"
    return [
        ("num_weight_bits", POSITIVE_BITS if positive else MIXED_BITS),
        ("sign_mode", f"SignMode.{'EXCITATORY' if positive else 'MIXED'}"),
    ]


def write_learning(
    network: IntegerNetwork,
    projection: Projection,
    written: dict[str, Any],
    variables: dict[str, str],
    gated: bool,
    name_variable: Callable[[str], str],
) -> dict[str, Any]:
    """Return a written projection with its rule, and with the ports that hear the target.

    Args:
        network: the whole network.
        projection: one that learns.
        written: what the template takes of a projection without a rule.
        variables: Python name of each population and the input.
        gated: whether neurons fire before their first sample, which synapses must not see.
        name_variable: returns a Python name that is not taken yet.
    """
    rule, name = projection.rule, written["variable"]
    assert rule is not None
    kind, arguments = write_rule(rule)
    before = written["delay"]["variable"] + ".s_out" if written["delay"] else None
    phase = network.phase(projection.target)
    ports = [
        (heard.port, f"{variables[heard.source]}.s_out", heard.source, heard.first)
        for heard in list_listeners(network, projection)
    ]
    if gated and projection.source != network.input.name:
        ports.insert(0, ("s_in", before or written["source_port"], projection.source, phase))
    hears = [
        {
            "port": port,
            "source": source,
            "shape": write_shape((network.end(end).size,)),
            "first": first,
            "gate": name_variable(f"{name}_{port}") if gated else None,
        }
        for port, source, end, first in ports
    ]
    variable = name_variable(f"{name}_rule")
    own = [("learning_rule", variable)]
    if written["process"] == LEARNING_SPARSE.name and rule.uses_tags:
        own.append(("tag_1", f"0 * {dict(written['arguments'])['weights']}"))
    return written | {
        "number": network.number(projection),
        "rule": (kind, variable, arguments),
        "hears": hears,
        "heard": ports[0][0] == "s_in",
        "cut": phase - 1,
        "arguments": written["arguments"] + own,
    }
