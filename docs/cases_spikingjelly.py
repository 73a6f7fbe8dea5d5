"""Models of SpikingJelly for the table of `frontends.md`."""

from __future__ import annotations

from typing import Any

from cases import Cases
from spikingjelly.activation_based import layer, neuron
from torch import nn


class SpikingJelly(Cases):
    """SpikingJelly 2.0.0."""

    def neuron(self, size: int = 8) -> nn.Module:
        """LIFNode."""
        return self._lif()

    def _lif(self, **options: Any) -> nn.Module:
        made: nn.Module = neuron.LIFNode(**{"tau": 1.75, "v_threshold": 0.5, **options})
        return made

    def recurrent(self) -> nn.Module:
        """A recurrent container."""
        return self._hidden(layer.LinearRecurrentContainer(self._lif(), 8, 8))

    def second_order(self) -> nn.Module:
        """CUBALIFNode."""
        return self._hidden(neuron.CUBALIFNode())

    def reset_subtract(self) -> nn.Module:
        """Without a reset value."""
        return self._hidden(self._lif(v_reset=None))

    def filtered(self) -> nn.Module:
        """SynapseFilter, behind a layer of neurons."""
        return self._hidden(nn.Sequential(self._lif(), layer.SynapseFilter(tau=4.0)))

    def other_neurons(self) -> nn.Module:
        """PSN."""
        return self._hidden(neuron.PSN(T=6))

    def reset_zero(self) -> nn.Module:
        """As is usual there."""
        return self._hidden(self._lif(v_reset=0.0))

    def reset_value(self) -> nn.Module:
        """Below zero, where it starts too."""
        return self._hidden(self._lif(v_reset=-0.25))

    def first(self) -> nn.Module:
        """Step mode 'm'."""
        block = layer.SeqToANNContainer(nn.Flatten(), nn.Linear(72, 8))
        last = layer.Linear(8, 5, step_mode="m")
        return nn.Sequential(block, self._lif(step_mode="m"), last, self._lif(step_mode="m"))
