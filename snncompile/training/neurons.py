"""Neurons as torch modules: called once per time step, with a surrogate gradient.

They compute the same as `snncompile.neurons`, in the same order, so the compiled network is the
trained one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.training.numbers import read_threshold
from snncompile.training.surrogate import fast_sigmoid


class _Neuron(nn.Module):
    """Current and potential of a layer of neurons; both start at 0.

    Args:
        potential_decay: share of the potential lost in one time step, 0..1; one number, or a tensor
            that broadcasts to the shape of one sample.
        current_decay: share of the current lost in one time step; 1: the current has no memory.
        learn: whether the decays are parameters; they are kept within 0..1.
    """

    potential_decay: Tensor
    current_decay: Tensor

    def __init__(
        self,
        potential_decay: float | Tensor = 0.0,
        current_decay: float | Tensor = 1.0,
        *,
        learn: bool = False,
    ) -> None:
        super().__init__()
        given = {"potential_decay": potential_decay, "current_decay": current_decay}
        for name, value in given.items():
            tensor = torch.as_tensor(value, dtype=torch.get_default_dtype()).clone()
            if not bool(((tensor >= 0) & (tensor <= 1)).all()):
                raise InputError(f"{name} must be between 0 and 1, got {value}")
            if learn:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.reset()

    def reset(self) -> None:
        """Clear current and potential: a new sample begins."""
        self.u: Tensor | None = None
        self.v: Tensor | None = None

    def integrate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return current and potential after the input x of one time step.

        Half floats, as autocast sends them, add up in float32: small inputs would be lost.
        """
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        u = torch.zeros_like(x) if self.u is None else self.u
        v = torch.zeros_like(x) if self.v is None else self.v
        u = (1 - self.current_decay.clamp(0, 1)) * u + x
        return u, (1 - self.potential_decay.clamp(0, 1)) * v + u

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or convert everything, current and potential too."""
        self.u, self.v = (None if s is None else fn(s) for s in (self.u, self.v))
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """Copy current and potential without their gradients, which torch copies of leaves only."""
        states = {name: getattr(self, name) for name in ("u", "v")}
        return self.__dict__ | {n: None if s is None else s.detach() for n, s in states.items()}


class Lif(_Neuron):
    """Current-based leaky integrate-and-fire neurons; takes and returns (samples, *shape).

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u
        spike = v > threshold
        v = v - threshold where spike        # reset "soft"
        v = 0             where spike        # reset "hard"

    Args:
        potential_decay, current_decay, learn: see the base class.
        threshold: potential above which a neuron fires, positive.
        reset: "soft" or "hard".
    """

    def __init__(
        self,
        potential_decay: float | Tensor = 0.0,
        current_decay: float | Tensor = 1.0,
        *,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        learn: bool = False,
    ) -> None:
        super().__init__(potential_decay, current_decay, learn=learn)
        if reset not in ("soft", "hard"):
            raise InputError(f"reset must be soft or hard, got {reset!r}")
        self.threshold, self.kind = read_threshold(threshold), reset

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of one time step."""
        self.u, v = self.integrate(x)
        spike: Tensor = fast_sigmoid((v - self.threshold) / self.threshold)
        self.v = v - self.threshold * spike if self.kind == "soft" else v * (1 - spike)
        return spike.to(x.dtype)


class IntegrateFire(Lif):
    """Integrate-and-fire neurons: `Lif` without decays."""

    def __init__(self, *, threshold: float = 1.0, reset: Literal["soft", "hard"] = "soft") -> None:
        super().__init__(threshold=threshold, reset=reset)


class Readout(_Neuron):
    """Leaky integrators that never fire; takes (samples, *shape) and returns the potentials."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the potentials after one time step."""
        self.u, self.v = self.integrate(x)
        return self.v.to(x.dtype)


def unroll(module: nn.Module, x: Tensor) -> Tensor:
    """Return the output of a module in each time step, from fresh states on.

    Args:
        module: called once per time step with (samples, *shape).
        x: shape (samples, steps, *shape).
    """
    for inner in module.modules():
        if isinstance(inner, _Neuron):
            inner.reset()
    return torch.stack([module(step) for step in x.unbind(1)], dim=1)
