"""What a module of a network refuses by name: types, devices and tracers that lose its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snncompile.errors import InputError

KEPT = (torch.float32, torch.float64)
"""Types that hold what trains."""


class Guarded(nn.Module):
    """A module whose parameters stand for the numbers of a network, and that is computed eagerly.

    Autocast is off within it, and `torch.compile` calls it as it is.

    Raises:
        InputError: its parameters would get a type that is too narrow, or no numbers at all; it is
            traced; or a gradient of its input is asked for, which it does not pass.
    """

    def forward(self, x: Any) -> Tensor:
        """Return the output of every time step; see `compute`."""
        name = type(self).__name__
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            raise InputError(
                f"{name}: a trace would keep the output of this input; compile the network that"
                " was trained, or save it"
            )
        if isinstance(x, Tensor) and x.requires_grad and torch.is_grad_enabled():
            raise InputError(
                f"{name}: input has a gradient, which ends here; detach the input, or put what is"
                " before this module into the network"
            )
        for like in self.parameters():
            _check_kept(name, like)
        if torch.compiler.is_compiling():
            alone = torch.compiler.disable(self._compute_alone)  # type: ignore[no-untyped-call]
            return alone(x)  # type: ignore[no-any-return]
        return self._compute_alone(x)

    def compute(self, x: Any) -> Tensor:
        """Return the output of every time step."""
        raise NotImplementedError

    def _compute_alone(self, x: Any) -> Tensor:
        device = next(iter((*self.parameters(), *self.buffers()))).device
        with torch.autocast(device.type, enabled=False):
            return self.compute(x)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or convert everything; torch calls it for `to`, `half` and so on."""
        _check_kept(type(self).__name__, fn(torch.ones(1)))
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def _check_kept(name: str, like: Tensor) -> None:
    if like.dtype not in KEPT:
        raise InputError(
            f"{name}: {like.dtype} does not hold what trains; keep it in float32, and let torch."
            "autocast narrow the layers around it (Lightning: precision='bf16-mixed')"
        )
    if like.is_meta:
        raise InputError(
            f"{name}: the device meta holds no numbers; make the module on a CPU and move it"
        )
