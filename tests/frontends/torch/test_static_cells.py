"""Neurons that a module computes in its own code, in time steps that forward makes itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import Fire, LoopCell, Net
from torch import nn
from torch.nn import functional as F  # noqa: N812

from snncompile.errors import SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch

STEPS = 8


def update(x, mem, spk):
    mem = mem * 0.6 * (1.0 - spk) + x
    return mem, Fire.apply(mem - 0.5)


class Images(nn.Module):
    """Two convolutions with pools, two dense layers; the states are in lists."""

    def __init__(self, pool=F.avg_pool2d):
        super().__init__()
        torch.manual_seed(0)
        self.pool = pool
        self.conv = nn.ModuleList([nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.fc = nn.ModuleList([nn.Linear(16, 12), nn.Linear(12, 5)])
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.add_(0.1 * parameter.abs().mean()).mul_(3)

    def forward(self, x):
        sizes = [(4, 8, 8), (4, 4, 4), (12,), (5,)]
        mem = [torch.zeros(len(x), *size) for size in sizes]
        spk = [torch.zeros(len(x), *size) for size in sizes]
        total = torch.zeros(len(x), 5)
        for _ in range(STEPS):
            out = x.float()
            for i, conv in enumerate(self.conv):
                mem[i], spk[i] = update(conv(out), mem[i], spk[i])
                out = self.pool(spk[i], 2)
            out = out.view(len(x), -1)
            for i, fc in enumerate(self.fc, 2):
                mem[i], spk[i] = update(fc(out), mem[i], spk[i])
                out = spk[i]
            total += out
        return total / STEPS


class OnceBefore(Net):
    """The first current is made before the loop; two neurons of one size; the result is a mean."""

    def __init__(self):
        super().__init__(inputs=20, hidden=6, classes=6)
        self.w = nn.Parameter(torch.tensor([0.5, 1.5]))

    def forward(self, x):
        current = self.fc1(x / 1.5)
        mem1, mem2, out = 0, 0, []
        for _ in range(STEPS):
            mem1 = mem1 * self.w[0].sigmoid() + current
            spk1 = Fire.apply(mem1 - 1.0)
            mem1 = mem1 - spk1
            mem2 = mem2 * torch.sigmoid(self.w[1]) + self.fc2(spk1)
            spk2 = Fire.apply(mem2 - 1.0)
            mem2 = mem2 - spk2
            out.append(spk2)
        return torch.stack(out).mean(0)


class LayerByLayer(Net):
    """Every layer takes all time steps, (samples, steps, features)."""

    def __init__(self):
        super().__init__(LoopCell(), LoopCell())

    def forward(self, x):
        x = x.unsqueeze(1).repeat(1, STEPS, 1)
        return self.cells[1](self.fc2(self.cells[0](self.fc1(x)))).sum(1)


class StartsWithInput(Net):
    """The first potential is the first current; returns the spikes of all time steps."""

    def forward(self, x):
        mem1 = mem2 = None
        out = []
        for _ in range(STEPS):
            current = self.fc1(x * 0.5)
            mem1 = current if mem1 is None else 0.8 * mem1 + current
            spk = (mem1 > 1).float()
            mem1 = mem1 * (1 - spk)
            current = self.fc2(spk)
            mem2 = current if mem2 is None else 0.8 * mem2 + current
            spk = (mem2 > 1).float()
            mem2 = mem2 * (1 - spk)
            out.append(spk)
        return torch.stack(out, 1)


class Skipped(Net):
    """The image also goes to the second layer, and its spikes back to it; a readout at the end."""

    def __init__(self):
        super().__init__()
        self.skip, self.back = nn.Linear(20, 6), nn.Linear(6, 6, bias=False)
        self.end = nn.Linear(6, 3)

    def forward(self, x):
        zeros = [torch.zeros(len(x), size) for size in (12, 6, 6, 3)]
        mem1, mem2, spk2, mem3 = zeros
        skip, total = self.skip(x), 0
        for _ in range(STEPS):
            mem1 = 0.9 * mem1 + self.fc1(x)
            spk1 = Fire.apply(mem1 - 1.0)
            mem1 = mem1 - spk1
            mem2 = mem2 + (self.fc2(spk1) + skip + self.back(spk2) - mem2) / 2.0
            spk2 = Fire.apply(mem2 - 0.5)
            mem2 = mem2 * (1 - spk2)
            mem3 = 0.9 * mem3 + self.end(spk2)
            total = total + mem3
        return total


CASES = {
    "image, average pools": (Images, (1, 8, 8)),
    "image, maximum pools": (lambda: Images(F.max_pool2d), (1, 8, 8)),
    "current before the loop": (OnceBefore, (20,)),
    "layer by layer": (LayerByLayer, (20,)),
    "first potential is the current": (StartsWithInput, (20,)),
    "skip and feedback": (Skipped, (20,)),
}


@pytest.mark.parametrize("name", CASES)
def test_recognizes(name):
    make, shape = CASES[name]
    module = make()
    x = np.random.default_rng(0).random((6, *shape)).astype(np.float32)
    network = from_torch(module, x, time="inside")
    assert network.answer.steps == STEPS
    x = network.input.present(x)[:, 0]  # rounded as the chip gets it
    with torch.no_grad():
        native = module(torch.tensor(x).float()).numpy()
    result = network.run(network.input.present(x))
    got = result.spikes if native.ndim == 3 else result.answer
    np.testing.assert_allclose(got, native, rtol=1e-5)  # the module's are float32
    assert not any("fire" in note for note in network.notes), network.notes


class ReadsPotentials(Net):
    """A linear layer mixes the potentials of the first layer."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(12, 12)

    def forward(self, x):
        mem1, mem2, total = torch.zeros(len(x), 12), torch.zeros(len(x), 6), 0
        for _ in range(STEPS):
            mem1 = 0.5 * mem1 + self.fc1(x)
            spk = Fire.apply(mem1 - 1.0)
            mem1 = mem1 - spk
            mem2 = 0.5 * mem2 + self.fc2(spk + self.mix(mem1))
            spk = Fire.apply(mem2 - 1.0)
            mem2 = mem2 - spk
            total = total + spk
        return total


def test_says_which_layer_reads_a_potential():
    x = np.random.default_rng(0).random((6, 20)).astype(np.float32)
    with pytest.raises(SnnCompileError) as error:
        from_torch(ReadsPotentials(), x, time="inside")
    assert str(error.value) == (
        "mix reads the potential of fc1_neurons; only spikes can be sent from layer to layer, so"
        " give mix the spikes"
    )
