"""The meaning of a network a second time: plain Python numbers, one neuron and one step at a time.

Written from the docstrings and `reference/LAVA.md` alone, in the network's own time: every
population starts at its phase, every projection has its delay on the chip. Slow on purpose.
"""

from __future__ import annotations

import copy

import networkx as nx
import numpy as np

HALF = 2**23


def decayed(x: int, decay: int) -> int:
    """Lava's D(x, d): toward zero."""
    size = abs(x) * (4096 - decay) // 4096
    return -size if x < 0 else size


def wrapped(u: int) -> int:
    if u > HALF:
        return u - 2 * HALF
    if u <= -HALF:
        return u + 2 * HALF
    return u


def saturated(v: int) -> int:
    return max(1 - HALF, min(HALF - 1, v))


def integer_step(kind: str, p: dict[str, int], state: tuple[int, ...], x: int):
    """Return (state, output) of one integer neuron; `kind` as in chip files."""
    name, _, reset = kind.partition("/")
    bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
    if name == "integrate_fire":
        v = saturated(state[0] + wrapped(64 * x) + bias)
        v, spike = fired(v, 64 * p["threshold"], reset)
        return (v,), spike
    u, v = state
    u = wrapped(decayed(u, p["current_decay"] + 1) + 64 * x)
    new = decayed(v, p["potential_decay"]) + u + bias
    if name == "readout":
        return (u, saturated(new)), saturated(new)
    threshold = 64 * p["threshold"]
    if v > threshold and reset == "delayed_soft":
        new -= threshold
    if v > threshold and reset == "delayed_hard":
        new = 0
    new = saturated(new)
    if reset == "strict_soft":
        spike = new > (2 * threshold if v > threshold else threshold)
        return (u, new - threshold if spike else new), int(spike)
    new, spike = fired(new, threshold, reset)
    return (u, new), spike


def float_step(kind: str, p: dict[str, float], state: tuple[float, ...], x: float):
    """Return (state, output) of one float neuron, in the order of operations of the docstrings."""
    name, _, reset = kind.partition("/")
    if name == "integrate_fire":
        new, spike = fired(state[0] + x + p["bias"], p["threshold"], reset)
        return (new,), spike
    u, v = state
    u = (1 - p["current_decay"]) * u + x
    new = (1 - p["potential_decay"]) * v + u + p["bias"]
    if name == "readout":
        return (u, new), new
    if v > p["threshold"] and reset in ("delayed_soft", "strict_soft"):
        new -= p["threshold"]
    if v > p["threshold"] and reset == "delayed_hard":
        new = 0.0
    before = v > p["threshold"]
    new, spike = fired(new, p["threshold"], reset)
    if reset == "strict_soft" and before != spike:
        new += p["threshold"] if before else -p["threshold"]
    return (u, new), spike


def fired(v, threshold, reset: str):
    spike = v > threshold
    if spike and reset == "hard":
        v = 0
    if spike and reset == "soft":
        v -= threshold
    return v, int(spike)


def simulate(network, x):
    """Return {population: outputs (samples, steps, size)} in own steps, for input x."""
    return [_sample(network, sample.reshape(len(sample), -1)) for sample in np.asarray(x)]


def _sample(network, x):
    steps, last = len(x), max(p.phase for p in network.populations)
    sent = {network.input.name: x.tolist()}
    sent |= {p.name: [] for p in network.populations}
    states = {p.name: [_beginning(p.neuron, i) for i in range(p.size)] for p in network.populations}
    order = _order(network)
    for now in range(steps + last):
        for population in order:
            if population.phase <= now < population.phase + steps:
                drive = _drive(network, population, sent, now)
                stepped = [
                    _step(population.neuron, i, states[population.name][i], drive[i])
                    for i in range(population.size)
                ]
                states[population.name] = [state for state, _ in stepped]
                sent[population.name].append([output for _, output in stepped])
    return {p.name: np.array(sent[p.name]) for p in network.populations}


def _beginning(neuron, index: int):
    initial = neuron.initial
    v = (initial if initial.ndim == 0 else initial[index]).item()
    return tuple(v if name == neuron.potential else 0 for name in neuron.states)


def _order(network):
    """Populations so that spikes without delay on the chip are there when they are needed."""
    graph = nx.DiGraph()
    graph.add_nodes_from(p.name for p in network.populations)
    graph.add_edges_from(
        (p.source, p.target)
        for p in network.projections
        if p.delay == 0 and p.source != network.input.name
    )
    return [network.population(name) for name in nx.topological_sort(graph)]


def _drive(network, population, sent, now: int):
    """Return what arrives at each neuron; at one with several inputs a tuple."""
    ports = population.neuron.ports
    drive = [[0] * population.size for _ in ports or [None]]
    for projection in network.projections:
        if projection.target != population.name:
            continue
        row = now - projection.delay - network.phase(projection.source)
        if not 0 <= row < len(sent[projection.source]):
            continue
        spikes = sent[projection.source][row]
        synapses = projection.synapses
        weight = synapses.wiring.matrix(synapses.weight).toarray().tolist()
        port = ports.index(projection.port) if ports else 0
        for i in range(population.size):
            total = sum(w * s for w, s in zip(weight[i], spikes, strict=True) if s)
            exponent = getattr(projection.synapses, "exponent", 0)
            drive[port][i] += total if not exponent else int((int(total) * 2.0**exponent) // 1)
    return list(zip(*drive, strict=True)) if ports else drive[0]


def _step(neuron, index: int, state, x):
    values = {}
    for name in neuron.parameters():
        value = getattr(neuron, name)
        shared = value.ndim == 0 or name in neuron.tables
        values[name] = value.tolist() if shared else value[index].item()
    if neuron.name not in ("cuba_lif", "integrate_fire", "readout"):
        return _own_step(neuron, values, state, x)  # compared with plain Python in its own test
    step = integer_step if "bias_mantissa" in values else float_step
    return step(neuron.kind, values, state, x)


def _own_step(neuron, values, state, x):
    one = copy.copy(neuron)
    for name, value in values.items():
        object.__setattr__(one, name, np.asarray(value))
    new, output = one.step(tuple(np.int64(s) for s in state), np.array(x))
    return tuple(s.item() for s in new), int(output)
