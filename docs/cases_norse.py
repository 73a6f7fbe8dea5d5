"""Models of norse for the table of `frontends.md`."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import torch
from cases import Cases, Gated, Residual
from torch import Tensor, nn


class WithStates(Residual):
    """A residual block that takes and returns the states of its neurons."""

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the result of the last linear layer, and the states."""
        first, second = state or (None, None)
        x, first = self.one(self.fc1(self.flat(x)), first)
        y, second = self.two(self.fc2(x), second)
        return self.fc3(self.unite(x, y)), (first, second)


class GatedWithStates(Gated):
    """A gated current that takes and returns the states of its neurons."""

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:  # type: ignore[override]
        """Return the spikes of the last layer, and the states."""
        first, second = state or (None, None)
        current = self.fc(x.flatten(1))
        spikes, first = self.one(current, first)
        gated = current * self.gate(spikes) + spikes * current
        result, second = self.two(self.last(gated), second)
        return result, (first, second)


class Norse(Cases):
    """norse 1.1.0."""

    def neuron(self, size: int = 8) -> nn.Module:
        """LIFBoxCell, in `SequentialState`."""
        return self._box()

    def _box(self, **options: Any) -> nn.Module:
        given = {"tau_mem_inv": 300.0, "v_th": 0.3, **options}
        tensors = {name: torch.as_tensor(value) for name, value in given.items()}
        made: nn.Module = norse.LIFBoxCell(norse.LIFBoxParameters(**tensors))
        return made

    def dense(self) -> nn.Module:
        """Two layers, whose states the container takes and returns."""
        return self._stateful(super().dense())

    def _stateful(self, made: Any) -> nn.Module:
        """Return the layers in the container that hands their states through."""
        container: nn.Module = norse.SequentialState(*made)
        return container

    def convolution(self) -> nn.Module:
        """Stride, padding and two layers."""
        return self._stateful(super().convolution())

    constants = None  # type: ignore[assignment]

    def _chain(self, *layers: nn.Module) -> nn.Module:
        return self._stateful(layers)

    def _pooled(self, pool: nn.Module) -> nn.Module:
        return self._stateful(super()._pooled(pool))

    def batch_norm(self) -> nn.Module:
        """After a convolution and after a linear layer."""
        return self._stateful(super().batch_norm())

    def _hidden(self, hidden: nn.Module) -> nn.Module:
        return self._stateful(super()._hidden(hidden))

    step = None  # type: ignore[assignment]

    def residual(self) -> nn.Module:
        """Spikes added to spikes."""
        return WithStates(self._box(), self._box(), "add")

    def concatenated(self) -> nn.Module:
        """Spikes beside spikes."""
        return WithStates(self._box(), self._box(), "cat")

    def product(self) -> nn.Module:
        """Of the spikes of two layers."""
        return WithStates(self._box(), self._box(), "product")

    def values(self) -> nn.Module:
        """A gate of the spikes of a layer, on a current of the input."""
        return GatedWithStates(self._box(), self._box())

    def recurrent(self) -> nn.Module:
        """LIFRecurrentCell, which has its own weights."""
        cell = norse.LIFRecurrentCell(8, 8, norse.LIFParameters(v_th=torch.as_tensor(0.3)))
        return self._hidden(cell)

    def second_order(self) -> nn.Module:
        """LIFCell."""
        return self._hidden(norse.LIFCell(norse.LIFParameters(v_th=torch.as_tensor(0.3))))

    def per_neuron(self) -> nn.Module:
        """Thresholds."""
        return self._hidden(self._box(v_th=torch.linspace(0.2, 0.4, 8)))

    def maximum_of_currents(self) -> nn.Module:
        """Of what a convolution gives."""
        return self._stateful(super().maximum_of_currents())

    def other_neurons(self) -> nn.Module:
        """LSNNCell."""
        return self._hidden(norse.LSNNCell())

    def reset_zero(self) -> nn.Module:
        """As is usual there."""
        return self._hidden(self._box())

    def reset_value(self) -> nn.Module:
        """Below zero."""
        return self._hidden(self._box(v_reset=-0.25))

    def reset_none(self) -> nn.Module:
        """LICell."""
        return self._stateful([nn.Flatten(), nn.Linear(72, 5), norse.LICell()])

    def by_hand(self) -> nn.Module:
        """The container takes and returns the states."""
        return self.dense()

    def first(self) -> nn.Module:
        """LIF takes all time steps, `Lift` makes a layer do so."""
        made: nn.Module = norse.SequentialState(
            norse.Lift(nn.Flatten()),
            norse.Lift(nn.Linear(72, 8)),
            norse.LIF(norse.LIFParameters(v_th=torch.as_tensor(0.2))),
            norse.Lift(nn.Linear(8, 5)),
            norse.Lift(self._box()),
        )
        return made
