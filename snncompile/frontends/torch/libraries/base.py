"""What the capture asks a library: one file per library, with a table from class name to handler.

A library's file (`snntorch.py`, `spikingjelly.py`, ...) never imports the library. It ends with

    LIBRARY = Jelly(
        package="spikingjelly",
        neurons={"IFNode": _integrate_fire, "LIFNode": _leaky},   # class name -> Translate
        linear={"Conv2d": LINEAR[nn.Conv2d], "SumPool": Row(3, _sum_pool)},  # -> torch_linear.Row
        same=frozenset({"Flatten", "Dropout"}),                   # values stay, the shape may not
        containers=frozenset({"SeqToANNContainer"}),              # the capture looks inside
    )

and has one row in the table `torch_libraries` of `registry.py`. `Jelly` is `Library`, or a subclass
that overrides the methods whose defaults do not suit. What a neuron layer does is said as
`Dynamics` (dynamics.py). Adding a neuron is a function and a row:

    def _leaky(module, where, shape):
        return Dynamics(potential_decay=1 / module.tau, threshold=module.v_threshold, reset="hard")

`where` is the path of the layer, for messages; `shape` is that of one sample of its neurons. What
has no counterpart raises `UnsupportedError`, naming layer and feature.

Every call of a neuron layer takes time in one of four ways, which `Library.time` tells:

    "step"    (samples, *shape)          one time step
    "first"   (steps, samples, *shape)   several time steps
    "second"  (samples, steps, *shape)
    "folded"  (samples * steps, *shape)  sample after sample
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from snncompile.frontends.torch.dynamics import Dynamics
from snncompile.frontends.torch.linear_layers import Row

Shape = tuple[int, ...]
Time = Literal["step", "first", "second", "folded"]
Translate = Callable[[Any, str, Shape], Dynamics]
"""From a neuron layer, its path and the shape of one sample of it; may raise `UnsupportedError`."""


class Given(NamedTuple):
    """What a neuron layer gets in one call."""

    drive: Any
    """The input; anything but one tensor is refused."""
    states: dict[str, Tensor]
    """States handed in, by name; not those that the layer keeps itself."""


class Left(NamedTuple):
    """What a call of a neuron layer leaves behind."""

    output: Tensor
    """Spikes, or the potential of neurons that do not spike; laid out as the input."""
    states: dict[str, Tensor]
    """States after the last time step of the call, by name, in the module or returned by it."""


@dataclass(frozen=True, eq=False)
class Library:
    """The neuron layers of one library; defaults suit layers that keep their state themselves."""

    package: str
    """First part of the names of its Python modules."""
    neurons: Mapping[str, Translate]
    """Name of a class -> what a layer of it does."""
    linear: Mapping[str, Row] = field(default_factory=dict)
    """Name of a class -> what a linear layer of it does."""
    same: frozenset[str] = frozenset()
    """Names of classes whose layers change no value, at most the shape."""
    containers: frozenset[str] = frozenset()
    """Names of classes that hold other modules; the capture looks inside."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Name of a class that is refused -> what to use instead."""
    potential: str = "v"
    """Name of the state that is the potential."""

    def owns(self, module: nn.Module) -> bool:
        """Return whether a module's class itself, not an ancestor of it, is the library's."""
        return type(module).__module__.split(".")[0] == self.package

    def descends(self, module: nn.Module) -> bool:
        """Return whether a module's class is the library's or descends from one of it."""
        packages = (cls.__module__.split(".")[0] for cls in type(module).__mro__)
        return self.package in packages

    def knows(self, module: nn.Module) -> bool:
        """Return whether the module is a neuron layer that can be translated."""
        return self.owns(module) and type(module).__name__ in self.neurons

    def translate(self, module: nn.Module, where: str, shape: Shape) -> Dynamics:
        """Return what a neuron layer does.

        Raises:
            UnsupportedError: a feature has no counterpart; the message names layer and feature.
        """
        return self.neurons[type(module).__name__](module, where, shape)

    def time(self, module: Any) -> Time:
        """Return how a neuron layer takes its time axis."""
        return "step"

    def linear_axes(self, module: Any, axes: int) -> int | None:
        """Return how many of the last axes of an input belong to one sample; None: as torch's."""
        return None

    def copy(self, module: Any, memo: dict[int, Any]) -> None:
        """Put a copy of a module into the memo of `copy.deepcopy`, where it makes none itself.

        Called with every module whose class descends from one of the library.
        """

    def reset(self, module: Any) -> None:
        """Put the state that a module keeps back to what a new sample starts with.

        Called with every module whose class descends from one of the library.
        """

    def prepare(self, module: Any, samples: int, steps: int) -> None:
        """Adapt a module of a copy to the number of samples and time steps of the next run.

        Called with every module whose class descends from one of the library.
        """

    def keep_precision(self, module: Any) -> None:
        """Make a layer of a float64 copy compute in float64 throughout."""

    def given(self, module: Any, args: Any, kwargs: Any) -> Given:
        """Return what a layer is called with. Default: the first argument, then states."""
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        (_, drive), *others = bound.items()
        return Given(drive, {name: value for name, value in others if isinstance(value, Tensor)})

    def states(self, module: Any) -> dict[str, Tensor]:
        """Return the states that the layer keeps itself, by name."""
        return {}

    def left(self, module: Any, out: Any) -> Left:
        """Return what a call leaves. Default: the output, or the first of several."""
        return Left(out if isinstance(out, Tensor) else out[0], self.states(module))

    def starts_at(self, module: Any, state: str) -> float:
        """Return the value of a state at the start of a sample."""
        return 0.0

    @contextmanager
    def isolated(self, runner: nn.Module) -> Iterator[None]:
        """Keep a run of a copy from reaching the user's own layers."""
        yield
