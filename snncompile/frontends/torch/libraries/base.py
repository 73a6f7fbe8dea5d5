"""Interface to a torch library: one file per library, with a table from class name to handler.

A library's file (`snntorch.py`, `spikingjelly.py`, ...) never imports the library. It ends with

    LIBRARY = Jelly(
        package="spikingjelly",
        neurons={"LIFNode": _translate_leaky},                    # class name -> Translate
        linear={"Conv2d": LINEAR[nn.Conv2d]},                     # -> linear_layers.Row
        same=frozenset({"Flatten", "Dropout"}),                   # values stay, the shape may not
        containers=frozenset({"SeqToANNContainer"}),              # the capture looks inside
    )

and has one row in the table `torch_libraries` of `registry.py`. `Jelly` is `Library`, or a subclass
that overrides methods whose defaults do not suit. A neuron layer is described by its
`Dynamics` (dynamics.py). Adding a neuron is a function and a row:

    def _translate_leaky(module, where, shape):
        return Dynamics(potential_decay=1 / module.tau, threshold=module.v_threshold, reset="hard")

`where` is the path of the layer, for messages; `shape` is that of one sample of its neurons. A
feature without counterpart raises `UnsupportedError`, naming layer and feature.

A call of a neuron layer takes time in one of four ways, returned by `Library.find_time`:

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


UNCHANGED = frozenset(
    ["__init__", "__doc__", "__module__", "__annotations__", "__qualname__", "extra_repr"]
)
"""Names that a subclass of a neuron layer may give anew without computing otherwise."""


class CallInput(NamedTuple):
    """Input and states of one call of a neuron layer."""

    drive: Any
    """The input; only a single tensor is accepted."""
    states: dict[str, Tensor]
    """States handed in, by name; states that the layer keeps itself are not in it."""


class CallResult(NamedTuple):
    """Output and states after one call of a neuron layer."""

    output: Tensor
    """Spikes, or the potential of neurons that do not spike; laid out as the input."""
    states: dict[str, Tensor]
    """States after the last time step of the call, by name, in the module or returned by it."""


def find_class(module: nn.Module, package: str) -> type | None:
    """Return a module's class, or the nearest one it descends from, that is of a package."""
    own = (cls for cls in type(module).__mro__ if cls.__module__.split(".")[0] == package)
    return next(own, None)


@dataclass(frozen=True, eq=False)
class Library:
    """The neuron layers of one library; defaults suit layers that keep their state themselves."""

    package: str
    """First part of the names of its Python modules."""
    neurons: Mapping[str, Translate]
    """Name of a class -> function that returns the dynamics of a layer."""
    linear: Mapping[str, Row] = field(default_factory=dict)
    """Name of a class -> its row, if its layers are linear."""
    same: frozenset[str] = frozenset()
    """Names of classes whose layers change no value, at most the shape."""
    containers: frozenset[str] = frozenset()
    """Names of classes that hold other modules; the capture looks inside."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Name of a refused class -> the alternative that its message proposes."""
    potential: str = "v"
    """Name of the state that is the potential."""
    sequence: str = ""
    """Name of the state with the potentials of all time steps of a call, laid out as the output."""

    def owns(self, module: nn.Module) -> bool:
        """Return whether a module's class itself, not an ancestor of it, is the library's."""
        return type(module).__module__.split(".")[0] == self.package

    def descends(self, module: nn.Module) -> bool:
        """Return whether a module's class is the library's or descends from such a class."""
        packages = (cls.__module__.split(".")[0] for cls in type(module).__mro__)
        return self.package in packages

    def knows(self, module: nn.Module) -> bool:
        """Return whether the module is a neuron layer that can be translated."""
        return self.find_neuron(module) is not None

    def find_neuron(self, module: nn.Module) -> str | None:
        """Return the known class that a neuron layer is of, or descends from unchanged.

        A class of the user's that adds nothing but a constructor computes the same.
        """
        cls, mro = find_class(module, self.package), type(module).__mro__
        if cls is None or cls.__name__ not in self.neurons:
            return None
        more = {name for own in mro[: mro.index(cls)] for name in vars(own)}
        changed = {name for name in more if hasattr(cls, name)} - UNCHANGED
        return None if changed else cls.__name__

    def translate(self, module: nn.Module, where: str, shape: Shape) -> Dynamics:
        """Return the dynamics of a neuron layer.

        Raises:
            UnsupportedError: a feature has no counterpart; the message names layer and feature.
        """
        name = self.find_neuron(module)
        assert name is not None
        return self.neurons[name](module, where, shape)

    def find_time(self, module: Any) -> Time:
        """Return how a neuron layer takes its time axis."""
        return "step"

    def count_axes(self, module: Any, axes: int) -> int | None:
        """Return the number of last axes that make one sample of an input; None: as in torch."""
        return None

    def copy(self, module: Any, memo: dict[int, Any]) -> None:
        """Put a copy of a module into the memo of `copy.deepcopy`, if deepcopy cannot make one.

        Called with every module whose class descends from one of the library's.
        """

    def reset(self, module: Any) -> None:
        """Set the state that a module keeps to its value at the start of a sample.

        Called with every module whose class descends from one of the library's.
        """

    def prepare(self, module: Any, samples: int, steps: int) -> None:
        """Adapt a module of a copy to the number of samples and time steps of the next run.

        Called with every module whose class descends from one of the library's.
        """

    def keep_precision(self, module: Any) -> None:
        """Make a layer of a float64 copy compute in float64 throughout."""

    def read_input(self, module: Any, args: Any, kwargs: Any) -> CallInput:
        """Return the input and states of a call. Default: the first argument, then states."""
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        (_, drive), *others = bound.items()
        return CallInput(
            drive, {name: value for name, value in others if isinstance(value, Tensor)}
        )

    def read_states(self, module: Any) -> dict[str, Tensor]:
        """Return the states that the layer keeps itself, by name."""
        return {}

    def read_result(self, module: Any, out: Any) -> CallResult:
        """Return output and states of a call. Default output: the result, or its first entry."""
        return CallResult(out if isinstance(out, Tensor) else out[0], self.read_states(module))

    def find_start(self, module: Any, state: str) -> float:
        """Return the value of a state at the start of a sample."""
        return 0.0

    @contextmanager
    def isolate(self, runner: nn.Module) -> Iterator[None]:
        """Keep a run of a copy from reaching the user's own layers."""
        yield
