"""Models of sinabs for the table of `frontends.md`."""

from __future__ import annotations

from typing import Any

import sinabs.activation as activation
import sinabs.layers as sinabs
import torch
from cases import Cases
from torch import nn


class Sinabs(Cases):
    """sinabs 3.1.3: neurons take (samples, steps, ...), or both in one axis."""

    def neuron(self, size: int = 8) -> nn.Module:
        """LIFSqueeze with one spike per time step."""
        return self._lif()

    def _lif(self, kind: str = "LIFSqueeze", **options: Any) -> nn.Module:
        own = {"batch_size": 1} if "Squeeze" in kind else {}
        usual = {"tau_mem": 3.0, "spike_threshold": torch.tensor(0.3)}
        once = {"spike_fn": activation.SingleSpike}
        made: nn.Module = getattr(sinabs, kind)(**{**own, **usual, **once, **options})
        return made

    step = None  # type: ignore[assignment]

    def folded(self) -> nn.Module:
        """As every model of this class, but those that say otherwise."""
        return self.dense()

    def recurrent(self) -> nn.Module:
        """LIFRecurrent."""
        return self._unfolded(self._lif("LIFRecurrent", rec_connect=nn.Linear(8, 8)))

    def second_order(self) -> nn.Module:
        """With a time constant of the current."""
        return self._hidden(self._lif(tau_syn=2.0))

    def per_neuron(self) -> nn.Module:
        """Time constants and thresholds."""
        return self._hidden(
            self._lif(tau_mem=torch.linspace(2, 9, 8), spike_threshold=torch.linspace(0.2, 0.4, 8))
        )

    def reset_subtract(self) -> nn.Module:
        """As is usual there."""
        return self._hidden(self._lif(reset_fn=activation.MembraneSubtract()))

    def other_neurons(self) -> nn.Module:
        """NeuromorphicReLU."""
        return self._hidden(sinabs.NeuromorphicReLU())

    def adaptive(self) -> nn.Module:
        """ALIF."""
        return self._unfolded(sinabs.ALIF(tau_mem=3.0, tau_adapt=9.0))

    def reset_zero(self) -> nn.Module:
        """MembraneReset."""
        return self._hidden(self._lif(reset_fn=activation.MembraneReset()))

    def reset_none(self) -> nn.Module:
        """ExpLeakSqueeze."""
        last = sinabs.ExpLeakSqueeze(tau_mem=3.0, batch_size=1)
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 5), last)

    def several_spikes(self) -> nn.Module:
        """MultiSpike, as is usual there."""
        return self._hidden(self._lif(spike_fn=activation.MultiSpike))

    def second(self) -> nn.Module:
        """IAF and LIF as they are."""
        return self._unfolded(self._lif("LIF"))

    def _unfolded(self, hidden: nn.Module) -> nn.Module:
        """Return a model whose layers take (samples, steps, ...)."""
        layers = [nn.Flatten(2), nn.Linear(72, 8), hidden, nn.Linear(8, 5)]
        return nn.Sequential(*layers, self._lif("LIF"))
