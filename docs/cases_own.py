"""Models of `snncompile.training` for the table of `frontends.md`."""

from __future__ import annotations

import torch
from cases import Cases
from torch import nn

from snncompile import training


class Own(Cases):
    """`snncompile.training`."""

    def neuron(self, size: int = 8) -> nn.Module:
        """Lif."""
        return training.Lif(0.3, threshold=0.5)

    def second_order(self) -> nn.Module:
        """With a decay of the current."""
        return self._hidden(training.Lif(0.3, 0.5))

    def per_neuron(self) -> nn.Module:
        """Learned decays."""
        return self._hidden(training.Lif(torch.linspace(0.1, 0.5, 8), learn=True))

    def reset_subtract(self) -> nn.Module:
        """As is usual here."""
        return self._hidden(training.Lif(0.3, reset="soft"))

    def reset_zero(self) -> nn.Module:
        """Hard."""
        return self._hidden(training.Lif(0.3, reset="hard"))

    def reset_none(self) -> nn.Module:
        """Readout."""
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 5), training.Readout(0.3))
