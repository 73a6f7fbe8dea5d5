"""Neurons as people write them by hand, in three styles, and networks of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Fire(torch.autograd.Function):
    """A step with the derivative of an arctangent."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + (torch.pi * x) ** 2)


class FireMasked(torch.autograd.Function):
    """The same, with spikes set by a mask."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        out = torch.zeros_like(x)
        out[x > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx, grad):
        return grad


# Cells with the state handed in and out -------------------------------------------------------


class Soft(nn.Module):
    def forward(self, x, mem):
        mem = 0.9 * mem + x
        spk = (mem > 1).float()
        return spk, mem - spk


class DelayedReset(nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = 0.8

    def forward(self, x, mem):
        reset = (mem > self.threshold).float().detach()
        mem = 0.85 * mem + x - reset * self.threshold
        return Fire.apply(mem - self.threshold), mem


class Adaptive(nn.Module):
    """Two states in one tuple."""

    def forward(self, x, state):
        mem, rise = state
        rise = 0.95 * rise
        mem = 0.9 * mem + x
        spk = (mem > 1 + rise).float()
        mem = torch.where(spk > 0, torch.zeros_like(mem), mem)
        return spk, (mem, rise + 0.3 * spk)


class Current(nn.Module):
    def forward(self, x, state):
        syn, mem = state
        syn = 0.8 * syn + x
        mem = 0.9 * mem + syn
        spk = FireMasked.apply(mem - 1.0)
        return spk, (syn, mem * (1 - spk))


class OldCurrent(nn.Module):
    """The potential takes the old current, which then decays and adds the input."""

    def forward(self, x, state):
        syn, mem = state
        new = mem + 0.2 * ((0.0 - mem) + syn)
        syn = syn - 0.1 * syn + x
        spk = (new > 0.25).to(x)
        return spk, (syn, (1 - spk) * new)


class NorseOrder(nn.Module):
    """The input comes first, then the potential, and the current decays at last."""

    def forward(self, x, state):
        syn, mem = state
        syn = syn + x
        mem = mem + 0.2 * ((0.0 - mem) + syn)
        spk = (mem > 0.25).to(x)
        return spk, (0.9 * syn, (1 - spk) * mem)


class BothLate(nn.Module):
    """Spikes of the old potential, which adds the old current."""

    def forward(self, x, state):
        syn, mem = state
        spk = Fire.apply(mem - 1.0)
        return spk, (0.8 * syn + x, (0.9 * mem + syn) * (1.0 - spk.detach()))


class OneTau(nn.Module):
    """A time constant that is a parameter of one element, for all neurons."""

    def __init__(self):
        super().__init__()
        self.tau = nn.Parameter(torch.tensor([4.0]))

    def forward(self, x, mem):
        mem = mem + (x - mem) / self.tau
        spk = Fire.apply(mem - 0.25)
        return spk, mem * (1 - spk)


class AtThreshold(nn.Module):
    def forward(self, x, mem):
        mem = mem + (x - mem) / 2.0
        spk = (mem >= 0.5).to(x)
        return spk, mem - 0.5 * spk


class Ternary(nn.Module):
    def forward(self, x, mem):
        mem = 0.9 * mem + x
        spk = (mem > 1).float() - (mem < -1.2).float()
        return spk, mem * (spk == 0)


# Cells that keep their state --------------------------------------------------------------------


class Kept(nn.Module):
    def __init__(self):
        super().__init__()
        self.mem = None

    def reset(self):
        self.mem = None

    def forward(self, x):
        if self.mem is None:
            self.mem = torch.zeros_like(x)
        return self.update(x)


class Hard(Kept):
    def update(self, x):
        self.mem = self.mem * 0.75 + x
        spk = torch.heaviside(self.mem - 1.0, torch.zeros(1).to(x))
        self.mem[spk > 0] = 0.0
        return spk


class Refractory(Kept):
    def reset(self):
        self.mem, self.count = None, 0

    count = 0

    def update(self, x):
        rest = torch.as_tensor(self.count) > 0
        self.mem = torch.where(rest, torch.zeros_like(x), 0.9 * self.mem + x)
        spk = (self.mem > 1.0).float()
        self.mem = self.mem * (1 - spk)
        self.count = torch.clamp(torch.as_tensor(self.count) - 1, min=0) + 3 * spk
        return spk


class Clamped(Kept):
    def update(self, x):
        self.mem = torch.clamp(0.9 * self.mem + x, min=-0.5)
        spk = self.mem.gt(1.0).to(x.dtype)
        self.mem = self.mem - spk
        return spk


class Recurrent(Kept):
    """Its own spikes of the step before are a second input."""

    def __init__(self, size=12):
        super().__init__()
        torch.manual_seed(size)
        self.own, self.spikes = nn.Linear(size, size, bias=False), None

    def reset(self):
        self.mem = self.spikes = None

    def update(self, x):
        before = torch.zeros_like(x) if self.spikes is None else self.spikes
        self.mem = 0.9 * self.mem + x + self.own(before)
        self.spikes = Fire.apply(self.mem - 1.0)
        self.mem = self.mem - self.spikes
        return self.spikes


class Learned(Kept):
    """A decay per neuron, behind a sigmoid."""

    def __init__(self, size=12):
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1.0, 3.0, size))

    def update(self, x):
        self.mem = torch.sigmoid(self.w) * self.mem + x
        spk = Fire.apply(self.mem - 1.0)
        self.mem = self.mem - spk.detach()
        return spk


# Networks ---------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two layers, samples first; what subclasses say goes between them."""

    def __init__(self, *cells, inputs=20, hidden=12, classes=6):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.fc1, self.fc2 = nn.Linear(inputs, hidden), nn.Linear(hidden, classes)
        for layer in (self.fc1, self.fc2):
            weight = torch.rand(layer.weight.shape, generator=generator) - 0.35
            layer.weight.data = weight * 3 / layer.in_features**0.5
            layer.bias.data = torch.rand(layer.bias.shape, generator=generator) / 10
        self.cells = nn.ModuleList(cells)


class HandedIn(Net):
    """The user carries the states; one module without a state may serve two layers."""

    def __init__(self, cell, states=1):
        super().__init__(cell)
        self.states = states

    def forward(self, x):
        lif, out = self.cells[0], []
        one = [torch.zeros(x.shape[0], layer.out_features) for layer in (self.fc1, self.fc2)]
        a, b = one if self.states == 1 else [(z,) * self.states for z in one]
        for t in range(x.shape[1]):
            spk, a = lif(self.fc1(x[:, t]), a)
            spk, b = lif(self.fc2(spk), b)
            out.append(spk)
        return torch.stack(out, 1)


class KeptInside(Net):
    """Called once per time step."""

    def forward(self, x):
        return self.cells[1](self.fc2(self.cells[0](self.fc1(x))))


class Loop(Net):
    """The layers take all time steps at once, as (samples, steps, features); the cells loop."""

    def forward(self, x):
        return self.cells[1](self.fc2(self.cells[0](self.fc1(x))))


class LoopCell(nn.Module):
    """Reset by multiplication before the leak, in a loop over time."""

    def forward(self, x):
        mem, spk, out = 0, 0, []
        for t in range(x.shape[1]):
            mem = mem * 0.8 * (1 - spk) + x[:, t]
            spk = Fire.apply(mem - 1.0)
            out.append(spk)
        return torch.stack(out, dim=1)


class LateLoop(nn.Module):
    """Spikes of the old potential, which then adds the old current, in a loop over time."""

    def forward(self, x):
        syn = mem = torch.zeros_like(x[:, 0])
        out = []
        for t in range(x.shape[1]):
            spk = Fire.apply(mem - 1.0)
            mem, syn = (0.9 * mem + syn) * (1.0 - spk), 0.8 * syn + x[:, t]
            out.append(spk)
        return torch.stack(out, dim=1)


class WrittenOut(Net):
    """No class at all: steps first, the surrogate as an autograd.Function, a readout at the end."""

    def forward(self, x):
        h = self.fc1(x)
        mem, out_mem, record = torch.zeros(x.shape[1], 12), torch.zeros(x.shape[1], 6), []
        for t in range(x.shape[0]):
            mem = 0.9 * mem + h[t]
            spk = Fire.apply(mem - 1.0)
            mem = mem * (1.0 - spk)
            out_mem = 0.95 * out_mem + self.fc2(spk)
            record.append(out_mem)
        return torch.stack(record)


class TwoStepsLate(Net):
    """A common order: spikes of the old potential, which then adds the old current."""

    def forward(self, x):
        h = self.fc1(x)
        syn = torch.zeros(x.shape[0], 12)
        mem = torch.zeros(x.shape[0], 12)
        out = []
        for t in range(x.shape[1]):
            spk = Fire.apply(mem - 1.0)
            new_syn = 0.8 * syn + h[:, t]
            new_mem = (0.9 * mem + syn) * (1.0 - spk.detach())
            mem, syn = new_mem, new_syn
            out.append(spk)
        return torch.stack(out, 1)


def drawn_spikes(samples=3, steps=24, size=20, p=0.4):
    return (np.random.default_rng(1).random((samples, steps, size)) < p).astype(np.float32)


def clamp_above(x, mem):
    """Not a neuron of ours: an upper bound of the potential that is below what a spike takes."""
    mem = F.hardtanh(0.9 * mem + x, -10.0, 1.2)
    spk = (mem > 1).to(x)
    return spk, mem - spk
