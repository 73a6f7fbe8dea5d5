"""Small torch modules that tests import, and what a user of them would do."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

snn = pytest.importorskip("snntorch")


def leaky(beta=0.75, **options):
    return snn.Leaky(beta=beta, init_hidden=True, **options)


def linear(sources, targets, seed=0, bias=True):
    """Return a linear layer with weights of a seed, large enough for spikes."""
    layer = nn.Linear(sources, targets, bias=bias)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def spikes(*shape, seed=0):
    """Return random spikes of shape (samples, steps, *shape)."""
    return (np.random.default_rng(seed).random(shape) < 0.5).astype(np.uint8)


class Two(nn.Module):
    """Two layers; the user keeps the states. Subclasses say how time goes."""

    def __init__(self, **options):
        super().__init__()
        self.fc1, self.lif1 = linear(3, 4), snn.Leaky(beta=0.5, **options)
        self.fc2, self.lif2 = linear(4, 2, seed=1), snn.Leaky(beta=0.25)

    def start(self):
        return self.lif1.init_leaky(), self.lif2.init_leaky()

    def step(self, x, mem1, mem2):
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class First(Two):
    def forward(self, x):
        mem1, mem2 = self.start()
        record = []
        for step in range(x.size(0)):
            out, mem1, mem2 = self.step(x[step], mem1, mem2)
            record.append(out)
        return torch.stack(record)


class Second(Two):
    def forward(self, x):
        mem1, mem2 = self.start()
        total = 0
        for one in x.unbind(1):
            out, mem1, mem2 = self.step(one.float(), mem1, mem2)
            total = total + out
        return total


class Filled(Two):
    """Fills a tensor made before the loop, from an iteration over x."""

    def forward(self, x):
        mem1, mem2 = self.start()
        record = torch.zeros(x.shape[0], x.shape[1], 2)
        for step, one in enumerate(x):
            record[step], mem1, mem2 = self.step(one, mem1.detach(), mem2)
        return record.mean(0), record


class AllAtOnce(Two):
    """The first linear layer takes all time steps in one call."""

    def forward(self, x):
        mem1, mem2 = self.start()
        current = self.fc1(x.transpose(0, 1).flatten(2))
        record = []
        for step in range(len(current)):
            spk1, mem1 = self.lif1(current[step], mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            record += [spk2]
        return torch.stack(record, dim=1)


class Step(Two):
    """Called once per time step; keeps its states in attributes."""

    mem1 = None
    mem2 = None

    def forward(self, x):
        if self.mem1 is None:
            self.mem1, self.mem2 = self.start()
        out, self.mem1, self.mem2 = self.step(x, self.mem1, self.mem2)
        return {"spikes": out, "states": [self.mem1, self.mem2]}


class Carried(Two):
    """Called once per time step; its user hands the states on."""

    def forward(self, x, mem1=None, mem2=None):
        if mem1 is None:
            mem1, mem2 = self.start()
        return self.step(x, mem1, mem2)


class Folded(Two):
    """Called with samples and time steps in one axis, as for layers that know no time."""

    steps = 5

    def forward(self, x):
        mem1, mem2 = self.start()
        current, record = self.fc1(x).view(-1, self.steps, 4), []
        for step in range(self.steps):
            spk1, mem1 = self.lif1(current[:, step], mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            record.append(spk2)
        return torch.stack(record, 1).flatten(0, 1)


LAYOUTS = {First: "first", Second: "second", Filled: "first", AllAtOnce: "second", Step: "step"}
"""Classes -> how they take time; `Carried` and `Folded` are special."""


def native(module, x, time):
    """Run the user's module as its user would; return the spikes of lif2."""
    module, record = copy.deepcopy(module).eval(), []
    module.lif2.register_forward_hook(lambda layer, args, out: record.append(out[0]))
    x = torch.tensor(x).float()
    with torch.no_grad():
        if time == "step":
            for step in range(x.shape[1]):
                module(x[:, step])
        else:
            module(x.transpose(0, 1) if time == "first" else x)
    return torch.stack(record, dim=1).numpy()


class Between(nn.Module):
    """Layers for a forward that takes x of shape (samples, 2, 3)."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = linear(6, 4), leaky()
        self.fc2, self.lif2 = linear(4, 4, seed=1), leaky()


def with_forward(forward, base=Between):
    return type("Net", (base,), {"forward": forward})()


def views(m, x):
    x = x.view(-1, 6).unsqueeze(1).contiguous().reshape(len(x), 1, 2, 3).squeeze(1).flatten(1)
    spk = m.lif1(m.fc1(x.to(torch.float32)).clone())
    return m.lif2(m.fc2(spk.view(x.size(0), -1).double().detach()))


def skip(m, x):
    current = m.fc1(x.flatten(1))
    spk = m.lif1(current)
    current = torch.add(m.fc2(spk), current)
    return m.lif2(current)
