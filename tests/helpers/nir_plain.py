"""NIR's equations a second time, step by step and node by node, on the objects of the nir package.

Euler's method; a spike resets at once. Edges that come from a node called `back...` carry what it
had one time step before.
"""

from __future__ import annotations

import nir
import numpy as np
import torch
from hypothesis import strategies as st

DT = 2.0**-13
"""Seconds of a time step; decays are powers of two, so that all sums are exact."""


def simulate(graph: nir.NIRGraph, x: np.ndarray, reset: str = "hard") -> np.ndarray:
    """Return what the node `output` gets, shape (steps, n), for x of shape (steps, *shape)."""
    run = _Run(flat(graph), x, reset)
    return np.stack([np.ravel(run.arrives("output", step)) for step in range(len(x))])


class _Run:
    """One sample; what a node sends in a step is computed once, when it is asked for."""

    def __init__(self, graph, x, reset):
        self.nodes, self.x, self.reset = graph.nodes, x, reset
        self.before = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
        self.states, self.sent = {}, {name: [] for name in graph.nodes}

    def arrives(self, name, step):
        if step < 0:
            return 0.0
        return sum(self.sends(a, step - a.startswith("back")) for a in self.before[name])

    def sends(self, name, step):
        if step < 0:
            return 0.0
        for now in range(len(self.sent[name]), step + 1):  # states go from step to step
            self.sent[name].append(self.compute(name, self.nodes[name], now))
        return self.sent[name][step]

    def compute(self, name, node, step):
        if isinstance(node, nir.Input):
            return self.x[step].astype(float)
        if isinstance(node, nir.Delay):
            late = np.rint(node.delay / DT).astype(int)
            values = [self.arrives(name, step - n) * (late == n) for n in np.unique(late)]
            return np.sum(values, axis=0)
        drive = self.arrives(name, step)
        if isinstance(node, NEURONS):
            return neuron(name, node, drive, self.states, self.reset)
        return LINEAR[type(node)](node, drive)


def neuron(name, node, drive, states, reset):
    def state(key):
        return states.get((name, key), 0.0)

    if isinstance(node, nir.Threshold):
        return (drive > node.threshold).astype(float)
    current = drive
    if hasattr(node, "tau_syn"):
        i = state("i")
        current = states[name, "i"] = i + DT / node.tau_syn * (node.w_in * drive - i)
    v = state("v")
    if isinstance(node, nir.I | nir.IF):
        v = v + DT * node.r * current
    else:
        tau = getattr(node, "tau", None)
        tau = node.tau_mem if tau is None else tau
        v = v + DT / tau * (node.v_leak - v + node.r * current)
    states[name, "v"] = v
    if not hasattr(node, "v_threshold"):
        return v
    spike = v > node.v_threshold
    after = np.where(spike, node.v_reset, v) if reset == "hard" else v - spike * node.v_threshold
    states[name, "v"] = after
    return spike.astype(float)


NEURONS = (nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF, nir.Threshold)


def _conv(function):
    def apply(node, x):
        tensors = [torch.tensor(np.asarray(a, float)) for a in (x[None], node.weight, node.bias)]
        more = {k: _plain(getattr(node, k)) for k in ("stride", "padding", "dilation", "groups")}
        return function(*tensors, **more)[0].numpy()

    return apply


def _plain(value):
    value = np.asarray(value).tolist()
    return tuple(value) if isinstance(value, list) else value


def _pool(divide):
    def apply(node, x):
        kernel = _plain(node.kernel_size)
        mean = torch.nn.functional.avg_pool2d(
            torch.tensor(x[None]), kernel, _plain(node.stride), _plain(node.padding)
        )[0].numpy()
        return mean if divide else mean * np.prod(kernel)

    return apply


def _flatten(node, x):
    last = int(node.end_dim)
    return torch.flatten(torch.tensor(x), int(node.start_dim), last).numpy()


LINEAR = {
    nir.Output: lambda node, x: x,
    nir.Affine: lambda node, x: node.weight @ x + node.bias,
    nir.Linear: lambda node, x: node.weight @ x,
    nir.Scale: lambda node, x: node.scale * x,
    nir.Conv1d: _conv(torch.nn.functional.conv1d),
    nir.Conv2d: _conv(torch.nn.functional.conv2d),
    nir.SumPool2d: _pool(False),
    nir.AvgPool2d: _pool(True),
    nir.Flatten: _flatten,
}


class Identity:
    """The input of a nested graph."""


LINEAR[Identity] = lambda node, x: x


def flat(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return the graph without nested ones; a second way to do it."""
    nodes, edges = {}, list(graph.edges)
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner = flat(node)
        for key, value in inner.nodes.items():
            nodes[f"{name}/{key}"] = Identity() if isinstance(value, nir.Input) else value
        edges = [(f"{name}/output" if a == name else a, f"{name}/input" if b == name else b)
                 for a, b in edges]  # fmt: skip
        edges += [(f"{name}/{a}", f"{name}/{b}") for a, b in inner.edges]
    return nir.NIRGraph(nodes, edges, type_check=False)


# Random graphs.


@st.composite
def graphs(draw):
    """Return a random graph: layers, skips, loops, delays, a nested graph."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = SHAPES[rng.integers(len(SHAPES))]
    nodes = {"input": nir.Input(np.array(shape))}
    edges: list[tuple[str, str]] = []
    sources = {"input": shape}
    name, count = "input", int(rng.integers(1, 4))
    for layer in range(count):
        name, shape = _linear(rng, nodes, edges, name, shape, layer)
        name = _neuron(rng, nodes, edges, name, shape, layer, layer == count - 1)
        if rng.random() < 0.5:
            other = str(rng.choice(list(sources)))
            _join(rng, nodes, edges, (other, sources[other]), (name, shape), f"skip{layer}")
        if rng.random() < 0.4 and hasattr(nodes[name], "v_threshold"):
            _join(rng, nodes, edges, (name, shape), (name, shape), f"back{layer}")
        if layer + 1 < count and not isinstance(nodes[name], nir.LI | nir.I | nir.CubaLI):
            sources[name] = shape
    nodes["output"] = nir.Output(np.array(shape))
    edges.append((name, "output"))
    return nir.NIRGraph(nodes, edges)


SHAPES = [(3,), (5,), (2, 6), (2, 5, 4), (1, 4, 4)]


def some(rng, *shape):
    return np.rint(rng.normal(0.25, 0.6, shape) * 32) / 32


def _add(nodes, edges, source, name, node):
    nodes[name] = node
    edges.append((source, name))
    return name


def _linear(rng, nodes, edges, source, shape, layer):
    if rng.random() < 0.2:
        late = np.rint(rng.random(shape) * 3) * DT
        source = _add(nodes, edges, source, f"delay{layer}", nir.Delay(late))
    if rng.random() < 0.2:
        source = _add(nodes, edges, source, f"scale{layer}", nir.Scale(some(rng, *shape)))
    if len(shape) == 1:
        size = int(rng.integers(1, 5))
        weight = some(rng, size, shape[0])
        node = nir.Affine(weight, some(rng, size)) if rng.random() < 0.5 else nir.Linear(weight)
        return _add(nodes, edges, source, f"dense{layer}", node), (size,)
    if rng.random() < 0.3 or min(shape[1:]) < 2:
        flatten = nir.Flatten({"input": np.array(shape)}, 0, -1)
        source = _add(nodes, edges, source, f"flatten{layer}", flatten)
        return _linear(rng, nodes, edges, source, (int(np.prod(shape)),), f"{layer}f")
    if len(shape) == 3 and rng.random() < 0.4:
        pool = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
        node = pool(np.array([2, 2]), np.array([1, 2]), np.array([0, 1]))
        name = _add(nodes, edges, source, f"pool{layer}", node)
        space = [shape[1] - 1, shape[2] // 2 + 1]
        return name, (shape[0], *space)
    out = int(rng.integers(1, 4))
    kernel = (2,) * (len(shape) - 1)
    weight, bias = some(rng, out, shape[0], *kernel), some(rng, out)
    if len(shape) == 2:
        node = nir.Conv1d(shape[1], weight, 1, int(rng.integers(0, 2)), 1, 1, bias)
    else:
        padding = tuple(int(n) for n in rng.integers(0, 2, 2))
        node = nir.Conv2d(shape[1:], weight, (1, 1), padding, (1, 1), 1, bias)
    name = _add(nodes, edges, source, f"conv{layer}", node)
    return name, tuple(int(n) for n in node.output_type["output"])


def _neuron(rng, nodes, edges, source, shape, layer, last):
    def full(value):
        return np.full(shape, value)

    decay = 2.0 ** -rng.integers(0, 4, shape)
    threshold, r = some(rng, *shape) ** 2 + 0.5, 2.0 ** rng.integers(0, 4)
    tau = {"tau": DT / decay, "r": full(r), "v_leak": some(rng, *shape)}
    mem = {"tau_syn": full(2 * DT), "tau_mem": DT / decay, "r": full(r)}
    mem |= {"v_leak": full(0.25), "w_in": full(2.0)}
    reset = {"v_threshold": threshold, "v_reset": full(0.0)}
    kinds = {
        "if": nir.IF(full(1 / DT), threshold, full(0.0)),
        "lif": nir.LIF(**tau, **reset),
        "cubalif": nir.CubaLIF(**mem, **reset),
        "threshold": nir.Threshold(threshold),
    }
    silent = {"i": nir.I(full(1 / DT)), "li": nir.LI(**tau), "cubali": nir.CubaLI(**mem)}
    if last and rng.random() < 0.3:
        kind = str(rng.choice(list(silent)))
        return _add(nodes, edges, source, f"{kind}{layer}", silent[kind])
    kind = str(rng.choice(list(kinds)))
    return _add(nodes, edges, source, f"{kind}{layer}", kinds[kind])


def _join(rng, nodes, edges, source, target, name):
    """Join two nodes of any shapes, through what they need in between."""
    path, shape = source
    if len(target[1]) > 1:
        return  # nothing in NIR gives a vector another shape
    if len(shape) > 1:
        flatten = nir.Flatten({"input": np.array(shape)}, 0, -1)
        path = _add(nodes, edges, path, f"flat_{name}", flatten)
    weight = some(rng, target[1][0], int(np.prod(shape)))
    edges.append((_add(nodes, edges, path, name, nir.Linear(weight)), target[0]))
