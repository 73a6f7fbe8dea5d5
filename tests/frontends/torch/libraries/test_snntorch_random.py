"""Random networks of snnTorch layers, in every time layout: they spike as the library."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch_layers import ROWS, drive, neuron
from torch import nn

from snncompile.frontends.torch.from_torch import from_torch


class Spiking(nn.Module):
    """Random layers; states kept by the layers, or by hand in a list."""

    def __init__(self, layers, time, by_hand):
        super().__init__()
        self.layers, self.time, self.by_hand = nn.ModuleList(layers), time, by_hand
        for layer in self.layers:
            if hasattr(layer, "init_hidden"):
                layer.init_hidden = not by_hand

    def forward(self, x):
        states = [
            layer.reset_mem() if self.by_hand and hasattr(layer, "mem") else ()
            for layer in self.layers
        ]
        if self.time == "step":
            return self.step(x, states)
        axis = 0 if self.time == "first" else 1
        return torch.stack([self.step(one, states) for one in x.unbind(axis)], dim=axis)

    def step(self, x, states):
        for index, layer in enumerate(self.layers):
            if not self.by_hand or not hasattr(layer, "mem"):
                x = layer(x)
                continue
            state = states[index]
            out = layer(x, *(state if isinstance(state, tuple | list) else [state]))
            x, states[index] = out[0], out if hasattr(layer, "spk") else out[1:]
        return x


@st.composite
def parameter(draw, low, high, size):
    """Draw one number or one per neuron."""
    shape = draw(st.sampled_from([(), (1,), (size,), (1, size)]))
    count = int(np.prod(shape))
    values = draw(st.lists(st.floats(low, high, width=32), min_size=count, max_size=count))
    return torch.tensor(values).reshape(shape)


@st.composite
def recurrences(draw, size):
    """Draw how the spikes of a layer come back to it."""
    if draw(st.booleans()):
        return {"all_to_all": True, "V": 1.0, "linear_features": size}
    return {"all_to_all": False, "V": draw(parameter(-1.0, 1.0, size))}


@st.composite
def neurons(draw, size):
    """Draw a neuron layer."""
    kind, mechanism, delayed = draw(st.sampled_from(ROWS))
    parameters = {
        "beta": draw(parameter(-0.5, 1.5, size)),
        "threshold": draw(parameter(0.25, 2.0, size)),
        "learn_beta": draw(st.booleans()),
        "learn_threshold": draw(st.booleans()),
    }
    if kind == "Lapicque":
        parameters = {"threshold": parameters["threshold"], "R": 1.0, "C": draw(st.floats(1, 9))}
    if kind.startswith("R"):
        parameters |= draw(recurrences(size))
    if "Synaptic" in kind:
        parameters |= {"alpha": draw(parameter(0.0, 1.0, size)), "learn_alpha": draw(st.booleans())}
    return neuron(kind, mechanism, delayed, **parameters)


@st.composite
def modules(draw):
    """Draw (module, size of its input)."""
    sizes = draw(st.lists(st.integers(1, 8), min_size=2, max_size=5))
    layers = [draw(neurons(sizes[0]))] if draw(st.booleans()) else []
    for sources, targets in itertools.pairwise(sizes):
        layer = nn.Linear(sources, targets, bias=draw(st.booleans()))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        layers += [layer, draw(neurons(targets))]
    time = draw(st.sampled_from(["step", "first", "second"]))
    return Spiking(layers, time, by_hand=time != "step" and draw(st.booleans())), sizes[0]


def run_as_the_user_would(module, x):
    """Return the spikes, shape (samples, steps, n)."""
    for layer in module.layers:
        if hasattr(layer, "mem"):
            layer.reset_mem()
    with torch.no_grad():
        if module.time == "step":
            return torch.stack([module(one) for one in x.unbind(1)], dim=1)
        if module.time == "first":
            return module(x.transpose(0, 1)).transpose(0, 1)
        return module(x)


@settings(max_examples=150)
@given(
    made=modules(),
    samples=st.integers(1, 5),
    steps=st.integers(1, 12),
    seed=st.integers(0, 99),
    floats=st.booleans(),
)
def test_random_networks_spike_as_the_library(made, samples, steps, seed, floats):
    module, size = made
    x = drive(samples, steps, size, seed=seed).astype(np.float32)
    x = x if floats else (x > 0.4).astype(np.float32)
    network = from_torch(module, x)
    assert str(from_torch(module, x, time=module.time)) == str(network)
    last, record = module.layers[-1], []
    last.register_forward_hook(
        lambda m, a, out: record.append(out if torch.is_tensor(out) else out[0])
    )
    given_x = torch.tensor(x)
    with torch.no_grad():
        if module.time == "step":
            for layer in module.layers:
                if hasattr(layer, "mem"):
                    layer.reset_mem()
            for step in range(steps):
                module(given_x[:, step])
        else:
            module(given_x.transpose(0, 1) if module.time == "first" else given_x)
    native = torch.stack(record, dim=1).numpy()
    assert (native != network.run(x).spikes).mean() < 0.02  # float32 against float64
