"""Neurons that a module computes in its own code are recognized by what they do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import (
    Adaptive,
    AtThreshold,
    BothLate,
    Clamped,
    Current,
    DelayedReset,
    HandedIn,
    Hard,
    KeptInside,
    LateLoop,
    Learned,
    Loop,
    LoopCell,
    NorseOrder,
    OldCurrent,
    OneTau,
    Recurrent,
    Refractory,
    Soft,
    Ternary,
    TwoStepsLate,
    WrittenOut,
    drawn_spikes,
)
from torch import nn
from torch.nn import functional as F  # noqa: N812

from snncompile.errors import SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.refractory_lif import RefractoryLif
from snncompile.neurons.ternary_lif import TernaryLif

snn = pytest.importorskip("snntorch")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")

BELOW_HALF = np.nextafter(1.0, 0.0)

LEARNED = 1 - torch.sigmoid(torch.linspace(-1.0, 3.0, 12).double()).numpy()

# name: module, neuron of its first layer without bias
CELLS = {
    "soft reset": (HandedIn(Soft()), CubaLif(1.0, 1 - 0.9, 1.0, reset="soft")),
    "hard reset": (KeptInside(Hard(), Hard()), CubaLif(1.0, 0.25, 1.0)),
    "delayed reset": (
        HandedIn(DelayedReset()),
        CubaLif(1.0, 1 - 0.85, 0.8, reset="delayed_soft"),
    ),
    "adaptive threshold": (
        HandedIn(Adaptive(), states=2),
        AdaptiveLif(1.0, 1 - 0.9, 1.0, 1 - 0.95, 0.3),
    ),
    "refractory counter": (
        KeptInside(Refractory(), Refractory()),
        RefractoryLif(1.0, 1 - 0.9, 1.0, 3.0),
    ),
    "surrogate, written out": (WrittenOut(), CubaLif(1.0, 1 - 0.9, 1.0)),
    "clamp": (
        KeptInside(Clamped(), Clamped()),
        MultiSpikeLif(1.0, 1 - 0.9, np.nextafter(1.0, 2.0), 0.0, 1.0, -0.5),
    ),
    "current and potential": (HandedIn(Current(), states=2), CubaLif(1 - 0.8, 1 - 0.9, 1.0)),
    "at the threshold": (HandedIn(AtThreshold()), CubaLif(1.0, 0.5, BELOW_HALF, reset="soft")),
    "learned decay": (KeptInside(Learned(), Learned(6)), CubaLif(1.0, LEARNED, 1.0, reset="soft")),
    "ternary": (HandedIn(Ternary()), TernaryLif(1.0, 1 - 0.9, 1.0, -1.2)),
    "reset by multiplication": (Loop(LoopCell(), LoopCell()), CubaLif(1.0, 1 - 0.8, 1.0)),
    "current of the step before": (HandedIn(OldCurrent(), states=2), CubaLif(0.1, 0.2, 1.25)),
    "norse's order": (HandedIn(NorseOrder(), states=2), CubaLif(0.1, 0.2, 1.25)),
    "a tau of one element": (HandedIn(OneTau()), CubaLif(1.0, 0.25, 1.0)),
    "recurrent": (KeptInside(Recurrent(), Recurrent(6)), CubaLif(1.0, 0.1, 1.0, reset="soft")),
    "two late loops": (
        Loop(LateLoop(), LateLoop()),
        CubaLif(1 - 0.8, 1 - 0.9, 1.0, reset="delayed_hard"),
    ),
    "two layers late": (
        HandedIn(BothLate(), states=2),
        CubaLif(1 - 0.8, 1 - 0.9, 1.0, reset="delayed_hard"),
    ),
    "spikes two steps late": (
        TwoStepsLate(),
        CubaLif(1 - 0.8, 1 - 0.9, 1.0, reset="delayed_hard"),
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_recognizes(name):
    module, expected = CELLS[name]
    network = from_torch(module, drawn_spikes())
    first = next(p for p in network.populations if p.shape == (12,))
    assert first.neuron.kind == expected.kind
    for parameter in expected.parameters():
        if parameter != "bias":
            ours, theirs = (getattr(n, parameter) for n in (first.neuron, expected))
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, err_msg=parameter)
    x = drawn_spikes(samples=4, p=0.5)[:, ::-1].copy()
    native = _run(module, torch.tensor(x))
    assert native.any()
    # The module computes in float32.
    np.testing.assert_allclose(network.run(x).spikes, native, rtol=1e-5)


def _run(module, x):
    """Return the module's output in float32, shape (samples, steps, n)."""
    with torch.no_grad():
        if isinstance(module, KeptInside):
            for cell in module.cells:
                cell.reset()
            steps = [module(step) for step in x.unbind(1)]
            for cell in module.cells:
                cell.reset()
            return torch.stack(steps, 1).numpy()
        if isinstance(module, WrittenOut):
            return module(x.transpose(0, 1)).transpose(0, 1).numpy()
        return module(x).numpy()


class Subclass(snn.Leaky):
    """Adds nothing but a constructor."""

    def __init__(self):
        super().__init__(beta=0.9, init_hidden=True)


class Changed(snn.Leaky):
    """Computes otherwise than its ancestor."""

    def __init__(self):
        super().__init__(beta=0.9)
        self.own = None

    def forward(self, x):
        self.own = 0.5 * (torch.zeros_like(x) if self.own is None else self.own) + x
        spk = self.spike_grad(self.own - self.threshold)
        self.own = self.own * (1 - spk)
        return spk


class BorrowedSurrogate(Soft):
    def __init__(self):
        super().__init__()
        self.fire = surrogate.ATan()

    def forward(self, x, mem):
        mem = 0.9 * mem + x
        spk = self.fire(mem - 1.0)
        return spk, mem - spk


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (KeptInside(Subclass(), Subclass()), "cuba_lif/delayed_soft"),
        (KeptInside(Changed(), Changed()), "cuba_lif/hard"),
        (HandedIn(BorrowedSurrogate()), "cuba_lif/soft"),
    ],
    ids=["unchanged", "changed", "borrowed surrogate"],
)
def test_takes_subclasses_and_spike_functions_of_libraries(module, kind):
    network = from_torch(module, drawn_spikes())
    assert [p.neuron.kind for p in network.populations] == [kind, kind]


class Saturating(nn.Module):
    """Has an upper bound, which no known neuron has."""

    def forward(self, x, mem):
        mem = F.hardtanh(0.9 * mem + x, -100.0, 1.25)
        spk = (mem > 1).to(x)
        return spk, mem - spk


class Swapped(nn.Module):
    """Computes in numpy, which is not seen, and returns its potential first."""

    beta = 0.9

    def forward(self, x, mem):
        mem = torch.from_numpy(self.beta * mem.numpy() + x.numpy())
        spk = (mem > 1).to(x)
        return mem - spk, spk


class SwappedNet(HandedIn):
    def forward(self, x):
        mem, out = torch.zeros(x.shape[0], 12), []
        for t in range(x.shape[1]):
            mem, spk = self.cells[0](self.fc1(x[:, t]), mem)
            out.append(self.fc2(spk))
        return torch.stack(out, 1)


def _soft(decay):
    return CubaLif(1.0, decay, 1.0, reset="soft")


@pytest.mark.parametrize(
    "said", [_soft(1 - 0.9), lambda layer: _soft(1 - layer.beta)], ids=["neuron", "function"]
)
def test_takes_a_neuron_that_is_said(said):
    network = from_torch(SwappedNet(Swapped()), drawn_spikes(), neurons={Swapped: said})
    assert [p.neuron.kind for p in network.populations] == ["cuba_lif/soft", "readout"]


REFUSED = {
    "upper bound": (
        HandedIn(Saturating()),
        {},
        "cells.0 computes what no known neuron does; the nearest is cuba_lif/hard current_decay=1"
        " potential_decay=0.1 threshold=1 bias=0, from which it differs first in time step 2 of"
        " drawn input, neuron 10: the module's output is 1, the neuron's 0; say what it is with"
        " neurons={its class: a neuron}",
    ),
    "wrong neuron": (
        SwappedNet(Swapped()),
        {Swapped: _soft(0.5)},
        "cells_0: sample 0, time step 1, neuron 11: the module's output is 1, the imported"
        " network's is 0; 126 of 864 differ",
    ),
    "no neuron": (
        SwappedNet(Swapped()),
        {Swapped: lambda layer: layer.beta},
        "neurons: the function of Swapped returns 0.9, no neuron",
    ),
    "no neuron at all": (
        SwappedNet(Swapped()),
        {Swapped: 0.9},
        "neurons: Swapped is said to be 0.9; give a neuron such as"
        " snncompile.neurons.cuba_lif.CubaLif(...), or a function of the layer",
    ),
    "no class": (
        SwappedNet(Swapped()),
        {"Swapped": _soft(0.5)},
        "neurons: 'Swapped' is no class of torch modules",
    ),
    "unseen": (
        SwappedNet(Swapped()),
        {},
        "SwappedNet does not run on 2 samples of 24 time steps; tried time='first', 'second',"
        " 'inside': it holds no neuron layer of a known library (norse, snncompile, sinabs,"
        " snntorch, spikingjelly); layers in a plain list are not seen, use nn.ModuleList",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_says_what_is_no_neuron(name):
    module, said, message = REFUSED[name]
    with pytest.raises(SnnCompileError) as error:
        from_torch(module, drawn_spikes(), neurons=said)
    assert str(error.value) == message
