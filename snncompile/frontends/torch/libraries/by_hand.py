"""Neurons that are no library's: recognized in the user's own code, or said by the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.frontends.torch.arguments import find_tensors, get_first_argument
from snncompile.frontends.torch.dynamics import Dynamics, describe_neuron
from snncompile.frontends.torch.libraries.base import (
    CallInput,
    CallResult,
    Library,
    Shape,
    Time,
)
from snncompile.neurons.base import FloatNeuron

Said = Mapping[type[nn.Module], FloatNeuron | Callable[[Any], FloatNeuron]]
"""Class of the user's neuron layers -> their neuron, or a function of a layer that returns it."""

_NOTHING: Said = {}
_SAID: ContextVar[Said] = ContextVar("said", default=_NOTHING)


@contextmanager
def say(neurons: Said | None) -> Iterator[None]:
    """Take the classes as neuron layers for a while.

    Raises:
        InputError: a key is no class of modules, or a value no neuron.
    """
    for cls, neuron in (neurons or {}).items():
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
            raise InputError(f"neurons: {cls!r} is no class of torch modules")
        if not isinstance(neuron, FloatNeuron) and not callable(neuron):
            raise InputError(
                f"neurons: {cls.__name__} is said to be {neuron!r}; give a neuron such as"
                " snncompile.neurons.cuba_lif.CubaLif(...), or a function of the layer"
            )
    token = _SAID.set(neurons or {})
    try:
        yield
    finally:
        _SAID.reset(token)


class FoundCell(nn.Module):
    """Stands in the place of a neuron layer that was found among the functions of a module."""

    def __init__(self, dynamics: Dynamics, calls: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.dynamics = dynamics
        self.calls = calls
        """Numbers of the function calls that give its output, one per time step, the last ones."""
        self.late = steps - len(calls)
        """Time steps by which the module's code shows the spikes later than their input."""


@dataclass(frozen=True, eq=False)
class ByHand(Library):
    """Layers that the user says, and cells that were found, which are never called."""

    def owns(self, module: nn.Module) -> bool:
        """Return whether the module is found or said."""
        return isinstance(module, FoundCell) or type(module) in _SAID.get()

    def knows(self, module: nn.Module) -> bool:
        """Return whether the module is found or said."""
        return self.owns(module)

    def descends(self, module: nn.Module) -> bool:
        """Return whether the module is found or said."""
        return self.owns(module)

    def translate(self, module: Any, where: str, shape: Shape) -> Dynamics:
        """Return what was found or said.

        Raises:
            InputError: the user's function returns no neuron.
        """
        if isinstance(module, FoundCell):
            return module.dynamics
        said = _SAID.get()[type(module)]
        neuron: Any = said if isinstance(said, FloatNeuron) else said(module)
        if not isinstance(neuron, FloatNeuron):
            name = type(module).__name__
            raise InputError(f"neurons: the function of {name} returns {neuron!r}, no neuron")
        return describe_neuron(neuron)

    def prepare(self, module: Any, samples: int, steps: int) -> None:
        """Note how each call takes its time axis: by the first two sizes of its input."""

        def note(layer: Any, args: Any, kwargs: Any) -> None:
            shape = tuple(get_first_argument(layer, args, kwargs).shape)
            whole = {(samples, steps): "second", (steps, samples): "first"}
            layer.snncompile_time = whole.get(shape[:2], "step") if len(shape) > 2 else "step"

        module.register_forward_pre_hook(note, with_kwargs=True)

    def find_time(self, module: Any) -> Time:
        """Return how the last call took its time axis."""
        time: Time = module.snncompile_time
        return time

    def read_input(self, module: Any, args: Any, kwargs: Any) -> CallInput:
        """Return the input; states are the user's matter."""
        return CallInput(get_first_argument(module, args, kwargs), {})

    def read_result(self, module: Any, out: Any) -> CallResult:
        """Return the first tensor whose values can be spikes of the neuron; the first, if none."""
        tensors = list(find_tensors(out))
        low, high = self.translate(module, "", ()).neuron.payload  # type: ignore[attr-defined]
        spikes = (t for t in tensors if _are_spikes(t, float(low), float(high)))
        return CallResult(next(spikes, tensors[0]), {})


def _are_spikes(tensor: Tensor, low: float, high: float) -> bool:
    inside = bool(((tensor >= low) & (tensor <= high)).all())
    return inside and torch.equal(tensor, tensor.round())


LIBRARY = ByHand(package="snncompile.by_hand", neurons={})
