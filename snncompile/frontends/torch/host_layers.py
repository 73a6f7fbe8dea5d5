"""Layers of a traced module that stay on the host: what comes out of them is an input."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from torch import Tensor

from snncompile.frontends.torch.libraries.base import Shape, Time
from snncompile.frontends.torch.time_layouts import Layout, split_steps
from snncompile.frontends.torch.values import FunctionValues, InputValues, Origins, Values

Held = Time | Literal["folded_first", "static"]
"""How the output of a layer holds its time steps; folded_first: step after step, where `folded` is
sample after sample; static: one for all of them."""


class HostMisfitError(Exception):
    """An output holds no time steps of the layout that is tried; it may be another one."""


@dataclass(frozen=True, eq=False)
class _Output:
    """A layer in front of the chip's."""

    held: Held
    shape: Shape
    """Of one time step."""
    values: InputValues


@dataclass
class HostWatch:
    """Numbers the outputs of the host's layers, and remembers what they are."""

    paths: tuple[str, ...] = ()
    steps: int = 0
    """Time steps of the run."""
    time: Layout = "step"
    """How the module takes its time axis."""
    expected: dict[str, int] = field(default_factory=dict)
    """How often each layer is called."""
    output: str = ""
    """The layer that the chip's layers read; empty: the sample."""
    after: dict[str, list[Tensor]] = field(default_factory=dict)
    """Layers behind the chip's, with the numbers that each call takes."""
    taken: dict[str, list[Tensor]] = field(default_factory=dict)
    """Layers in front of the chip's, with the numbers that each call takes."""
    _outputs: dict[str, _Output] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)
    _doubtful: dict[str, Shape] = field(default_factory=dict)
    """Layers whose output holds no time steps, with its shape."""

    @property
    def before(self) -> tuple[str, ...]:
        """Layers in front of the chip's, in the order of their calls."""
        return tuple(self._outputs)

    @property
    def shape(self) -> Shape | None:
        """Shape of one time step of the network's input; None: that of the sample."""
        return self._outputs[self.output].shape if self.output else None

    @property
    def held(self) -> Held:
        """How the network's input is held by the output of the last layer in front."""
        return self._outputs[self.output].held if self.output else "step"

    def find_path(self, values: Values) -> str:
        """Return the layer whose output these values are; empty for the sample."""
        return next((path for path, own in self._outputs.items() if own.values is values), "")

    def is_behind(self, values: Values) -> bool:
        """Return whether these values come out of a layer behind the chip's."""
        return isinstance(values, FunctionValues) and values.function in self.after

    def move_behind(self, path: str) -> InputValues:
        """Count a layer among those behind the chip's; return what its output was taken for."""
        self.after[path] = self.taken.pop(path)
        return self._outputs.pop(path).values

    def number(
        self, path: str, drive: Tensor, shape: Shape, samples: int, origins: Origins
    ) -> Tensor:
        """Return the numbers of an output of a layer.

        Args:
            path: the layer.
            drive: numbers of its input in this call.
            shape: of its output.
            samples: number of samples.
            origins: where new values are added.

        Raises:
            HostMisfitError: the output holds neither one time step nor all.
        """
        if path not in self._outputs:
            static = self._is_static(drive, shape, samples, origins)
            held = self._find_held(path, shape, samples, static)
            if held == "folded" and self._is_step_after_step(drive, samples, origins):
                held = "folded_first"
            own = shape[2:] if held in ("first", "second") else shape[1:]
            static = held == "static" and path not in self._doubtful
            size = (samples, 1 if static else self.steps, prod(own))
            values = origins.add(InputValues(origins.next, size, static=static))
            self._outputs[path] = _Output(held, own or (1,), values)
        output, call = self._outputs[path], self._calls.get(path, 0)
        self._calls[path] = call + 1
        numbers = output.values.numbers
        if path in self._doubtful:
            return numbers[:, -1].reshape(shape)
        if output.held == "step":
            if call >= self.steps or shape[:1] != (samples,):
                raise _refuse_calls(path)
            return numbers[:, call].reshape(shape)
        first = output.held in ("first", "folded_first")
        return (numbers.transpose(0, 1) if first else numbers).reshape(shape)

    def _find_held(self, path: str, shape: Shape, samples: int, static: bool) -> Held:
        """Return how an output holds its time steps, by how often the layer is called."""
        calls = self.expected.get(path, 1)
        if calls == self.steps and (calls > 1 or self.time == "step"):
            return "step"
        if calls != 1:
            raise _refuse_calls(path)
        if static:
            return "static"
        if len(shape) > 1 and self.steps > 1 and (order := self._find_order(shape, samples)):
            return order
        if self.steps > 1 and shape[:1] == (samples * self.steps,):
            return "folded"
        if shape[:1] == (samples,):  # behind neurons written out in code, which are not known yet
            self._doubtful[path] = shape
            return "static"
        raise self._refuse_shape(path, shape, samples)

    def _is_step_after_step(self, drive: Tensor, samples: int, origins: Origins) -> bool:
        """Return whether the rows of a layer's input go through all samples of a step in turn.

        Rows of the sample, or of another layer's output, tell; else the time layout.
        """
        rows = drive.reshape(len(drive), -1)[:, 0]
        sources = origins.find_values(rows)
        if len(sources) == 1 and isinstance(sources[0], InputValues):
            owners = (rows - sources[0].start) // prod(sources[0].shape[1:])
            return torch.equal(owners, torch.arange(samples).repeat(self.steps))
        return self.time in ("first", "inside")

    def _find_order(self, shape: Shape, samples: int) -> Held | None:
        """Return the order of the axes of samples and steps, the likelier first."""
        orders: list[Held] = ["second", "first"]
        for held in reversed(orders) if self.time == "first" else orders:
            axes = (self.steps, samples) if held == "first" else (samples, self.steps)
            if shape[:2] == axes:
                return held
        return None

    def check_front(self, samples: int) -> None:
        """Refuse a layer in front of the chip's, once all neurons are known, without time steps."""
        for path in self._outputs:
            if path in self._doubtful:
                raise self._refuse_shape(path, self._doubtful[path], samples)

    def _refuse_shape(self, path: str, shape: Shape, samples: int) -> HostMisfitError:
        return HostMisfitError(
            f"{path} of the host gives a tensor of shape {shape}, which holds neither one time step"
            f" nor all {self.steps} of {samples} samples"
        )

    def _is_static(self, drive: Tensor, shape: Shape, samples: int, origins: Origins) -> bool:
        """Return whether an output is one image per sample, which forward shows in each step.

        As many channels as time steps make it look like (samples, steps, ...). Then its input
        tells: the sample repeated, or steps that an encoder made.
        """
        if self.time != "inside" or shape[:1] != (samples,):
            return False
        if shape[1:2] != (self.steps,) or len(shape) == 2 or self.steps == 1:
            return True
        along = drive.ndim > 1 and drive.shape[1] == self.steps
        repeated = along and bool((drive == drive[:, :1]).all())
        sources = {values.start for values in origins.walk_sources(drive)}
        encoded = any(
            output.held != "static" and output.values.start in sources
            for output in self._outputs.values()
        )
        return drive.ndim == len(shape) and not repeated and not encoded


def _refuse_calls(path: str) -> HostMisfitError:
    return HostMisfitError(
        f"{path} of the host is called neither once nor once in each time step; name layers that"
        " are"
    )


def join_outputs(outputs: list[Tensor], held: str, samples: int, steps: int) -> Tensor:
    """Return the outputs of all calls of a layer, shape (samples, steps, *shape)."""
    if held == "step":
        joined = torch.stack(outputs, 1)
    elif held == "static":
        joined = outputs[0].unsqueeze(1).expand(-1, steps, *outputs[0].shape[1:])
    elif held == "folded_first":
        joined = outputs[0].reshape(steps, samples, *outputs[0].shape[1:]).transpose(0, 1)
    else:
        joined = torch.stack(split_steps(outputs[0], held, samples), 1)  # type: ignore[arg-type]
    return joined.unsqueeze(-1) if joined.ndim == 2 else joined


def advise_host(name: str) -> str:
    """Return the end of a message that advises to leave a layer on the host."""
    return f"; or leave it on the host: host=[{name!r}]"
