"""The host's part of a model: layers before or behind those of the chip, which stay in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.registry import load


@dataclass(frozen=True)
class HostPart:
    """Names and shapes of the layers that the host computes, never their code or weights."""

    before: tuple[str, ...]
    """Paths of the layers in front of the chip's, in the order of their calls."""
    after: tuple[str, ...]
    """Paths of the layers behind the chip's."""
    output: str
    """The layer whose output is the network's input; empty if that is the sample itself."""
    held: str
    """How that output holds its time steps: `step` (one per call), `first`, `second`, `folded`
    (sample after sample), `folded_first` (step after step), or `static` (one for all steps)."""
    shape: tuple[int, ...]
    """Shape of one time step of the sample that the model takes."""
    time: str
    """How the model takes its time axis, a name or the number of an axis; see `from_torch`."""
    steps: int | None
    """Time steps, where the model makes them itself."""
    sha256: str
    """Hash of the model's state dict."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the sample's axes in front of `shape`."""
        return ("samples",) if self.time == "inside" else ("samples", "steps")

    def describe_left_out(self) -> str:
        """Return what a file that holds only the chip's layers leaves out."""
        texts = []
        if self.before:
            texts.append(f"{', '.join(self.before)} in front of its input")
        if self.after:
            texts.append(f"{', '.join(self.after)} behind its output")
        return f"not in the file, as the host runs it: {' and '.join(texts)}"

    def run(self, x: ArrayLike, module: Any) -> NDArray[Any]:
        """Return the network's input for x: the output of the host's layers, float64.

        Args:
            x: what the model takes, shape (samples, steps, *self.shape), or (samples, *self.shape)
                if it makes the steps itself.
            module: the torch module that the network was imported from.

        Raises:
            InputError: no module or another one, or x has another shape.
        """
        if module is None:
            names = ", ".join((*self.before, *self.after))
            raise InputError(
                f"{names} of the model run on the host; give the torch module: host=module"
            )
        result: NDArray[Any] = load("hosts", "torch")(self, module, x)
        return result

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse a sample of another shape than the model takes."""
        if len(shape) != len(self.axes) + len(self.shape) or shape[len(self.axes) :] != self.shape:
            expected = ", ".join([*self.axes, *map(str, self.shape)])
            raise InputError(f"input has shape {shape}, the host takes ({expected})")


def take(host: HostPart | None, x: ArrayLike, module: Any) -> ArrayLike:
    """Return the input of a network for x, computed by the host where it has a part.

    Raises:
        InputError: a module is missing, is another one, or was given to a network without such a
            part.
    """
    if host is not None:
        return host.run(x, module)
    if module is not None:
        raise InputError("this network has no part on the host; leave host= away")
    return x
