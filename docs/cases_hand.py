"""Neurons written by hand, for the table of `frontends.md`."""

from __future__ import annotations

from typing import Any

import torch
from cases import Cases
from torch import Tensor, nn


class Lif(nn.Module):
    """Keeps its potential as an attribute; soft reset unless `reset` says otherwise."""

    def __init__(self, beta: Any = 0.7, *, reset: str = "subtract", value: float = 0.0) -> None:
        super().__init__()
        self.beta, self.reset, self.value = beta, reset, value
        self.mem: Any = value

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes."""
        self.mem = self.beta * self.mem + x
        spk = (self.mem > 0.5).to(x)
        if self.reset == "subtract":
            self.mem = self.mem - 0.5 * spk
        elif self.reset == "zero":
            self.mem = self.mem * (1 - spk)
        else:
            self.mem = torch.where(spk > 0, self.value, self.mem)
        return spk


class Current(nn.Module):
    """Current and potential."""

    syn: Any = 0.0
    mem: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes."""
        self.syn = 0.5 * self.syn + x
        self.mem = 0.7 * self.mem + self.syn
        spk = (self.mem > 0.5).to(x)
        self.mem = self.mem - 0.5 * spk
        return spk


class Several(nn.Module):
    """As many spikes as thresholds in the potential."""

    mem: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes."""
        self.mem = self.mem + x
        spk = torch.clamp(torch.floor(self.mem / 0.5), min=0.0)
        self.mem = self.mem - 0.5 * spk
        return spk


class Net(nn.Module):
    """Two layers whose loop over time is written out; `axis` is that of time."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.fc1, self.fc2 = nn.Linear(72, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the potentials of the last layer."""
        mem, out, record = torch.zeros(1), torch.zeros(1), []
        for step in x.flatten(2).unbind(self.axis):
            mem = 0.7 * mem + self.fc1(step)
            spk = (mem > 0.5).float()
            mem = mem - 0.5 * spk
            out = 0.8 * out + self.fc2(spk)
            record.append(out)
        return torch.stack(record, self.axis)


class HandedOn(nn.Module):
    """Takes its potentials and returns them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(72, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor, one: Any = None, two: Any = None) -> tuple[Tensor, Any, Any]:
        """Return spikes and potentials."""
        one = self.fc1(x.flatten(1)) + (0.7 * one if one is not None else 0)
        spk = (one > 0.5).float()
        one = one - 0.5 * spk
        two = self.fc2(spk) + (0.7 * two if two is not None else 0)
        out = (two > 0.5).float()
        return out, one, two - 0.5 * out


class Hand(Cases):
    """Written by hand."""

    def neuron(self, size: int = 8) -> nn.Module:
        """A leaky neuron."""
        return Lif()

    def second_order(self) -> nn.Module:
        """Current and potential."""
        return self._hidden(Current())

    def per_neuron(self) -> nn.Module:
        """A decay per neuron."""
        return self._hidden(Lif(torch.linspace(0.5, 0.9, 8)))

    def reset_subtract(self) -> nn.Module:
        """At once."""
        return self._hidden(Lif())

    def reset_zero(self) -> nn.Module:
        """By multiplication."""
        return self._hidden(Lif(reset="zero"))

    def reset_value(self) -> nn.Module:
        """Below its start."""
        return self._hidden(Lif(reset="value", value=-0.25))

    def reset_none(self) -> nn.Module:
        """A readout."""
        return Net(0)

    def several_spikes(self) -> nn.Module:
        """One per threshold."""
        return self._hidden(Several())

    def by_hand(self) -> nn.Module:
        """The potentials are handed on."""
        return HandedOn()

    def first(self) -> nn.Module:
        """A loop over the first axis."""
        return Net(0)

    def second(self) -> nn.Module:
        """A loop over the second axis."""
        return Net(1)
