"""Models of snnTorch for the table of `frontends.md`."""

from __future__ import annotations

from typing import Any

import snntorch
import torch
from cases import Cases
from torch import Tensor, nn


class SnnTorch(Cases):
    """snnTorch 1.0.0."""

    def neuron(self, size: int = 8) -> nn.Module:
        """Leaky."""
        return self._leaky()

    def _leaky(self, kind: str = "Leaky", **options: Any) -> nn.Module:
        made: nn.Module = getattr(snntorch, kind)(**{"beta": 0.8, "init_hidden": True, **options})
        return made

    def recurrent(self) -> nn.Module:
        """RLeaky, every neuron to every neuron, and RSynaptic, to itself."""
        own = {"alpha": 0.5, "all_to_all": False, "V": 0.5}
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(72, 8), self._leaky("RLeaky", linear_features=8)),
            *(nn.Linear(8, 5), self._leaky("RSynaptic", **own)),
        )

    def second_order(self) -> nn.Module:
        """Synaptic."""
        return self._hidden(self._leaky("Synaptic", alpha=0.5))

    def per_neuron(self) -> nn.Module:
        """Learned decays and thresholds."""
        return self._hidden(
            self._leaky(
                beta=torch.linspace(0.5, 0.9, 8),
                threshold=torch.linspace(0.5, 1, 8),
                learn_beta=True,
                learn_threshold=True,
            )
        )

    def reset_subtract(self) -> nn.Module:
        """One time step later, as is usual there."""
        return self._hidden(self._leaky(reset_mechanism="subtract"))

    def reset_at_once(self) -> nn.Module:
        """In the time step of the spike."""
        return self._hidden(self._leaky(reset_mechanism="subtract", reset_delay=False))

    def filtered(self) -> nn.Module:
        """Alpha, which resets to zero, as is usual there."""
        return self._hidden(snntorch.Alpha(alpha=0.6, beta=0.5, threshold=0.1, init_hidden=True))

    def other_neurons(self) -> nn.Module:
        """SLSTM."""
        return self._hidden(snntorch.SLSTM(8, 8, init_hidden=True))

    def reset_zero(self) -> nn.Module:
        """At once."""
        return self._hidden(self._leaky(reset_mechanism="zero", reset_delay=False))

    def reset_none(self) -> nn.Module:
        """Its last layer returns spikes and potential, of which the potential is used."""
        last = snntorch.Leaky(beta=0.8, init_hidden=True, output=True, reset_mechanism="none")
        return Potential(nn.Sequential(nn.Flatten(), nn.Linear(72, 5)), last)

    def by_hand(self) -> nn.Module:
        """The model takes and returns its states."""
        return ByHand()

    def first(self) -> nn.Module:
        """A loop over the first axis in forward."""
        return Loop(self.dense(), 0)

    def second(self) -> nn.Module:
        """A loop over the second axis in forward."""
        return Loop(self.dense(), 1)


class Potential(nn.Module):
    """Returns the potential of its last layer."""

    def __init__(self, before: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.before, self.last = before, last

    def forward(self, x: Tensor) -> Tensor:
        """Return the potential only."""
        potential: Tensor = self.last(self.before(x))[1]
        return potential


class ByHand(nn.Module):
    """Two layers of snnTorch whose states the user keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(72, 8), snntorch.Leaky(beta=0.8)
        self.fc2, self.lif2 = nn.Linear(8, 5), snntorch.Leaky(beta=0.8)

    def forward(self, x: Tensor, mem1: Any = None, mem2: Any = None) -> tuple[Tensor, ...]:
        """Return (spikes, state, state)."""
        spk, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
        spk, mem2 = self.lif2(self.fc2(spk), mem2)
        return spk, mem1, mem2


class Loop(nn.Module):
    """A model in a loop over an axis of its input."""

    def __init__(self, inner: nn.Module, axis: int) -> None:
        super().__init__()
        self.inner, self.axis = inner, axis

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of all time steps."""
        return torch.stack([self.inner(one) for one in x.unbind(self.axis)], self.axis)
