"""What the synapses of a projection have learned, and where their traces stand."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError


@dataclass(frozen=True, eq=False)
class LearningState:
    """State of a learning projection after some samples; learning goes on from here, bit for bit.

    The generators are known by `steps`: they draw the same numbers in every run of a seed.
    """

    weight: NDArray[Any]
    """Shape of the weights: integers of -256..255, or floats in a `Network`."""
    tag: NDArray[Any]
    """The same shape; integers of -257..255, or floats."""
    pre: NDArray[Any]
    """Traces x1, x2 of the sources, shape (2, sources)."""
    post: NDArray[Any]
    """Traces y1, y2, y3 of the targets, shape (3, targets)."""
    pre_time: NDArray[np.int64]
    """Step of the current epoch in which each source fired last, 0: it did not; (sources,)."""
    post_time: NDArray[np.int64]
    """The same for the targets, (targets,)."""
    waiting: NDArray[np.int64]
    """Spikes of the targets that the synapses see one step later, (targets,)."""
    third: NDArray[Any]
    """Third factors that the synapses see later, shape (steps, 3, targets); the latest first."""
    steps: int
    """Time steps that the synapses have seen, the empty ones before the first spikes included."""

    def __post_init__(self) -> None:
        """Copy and freeze the arrays."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = value.copy()
                value.flags.writeable = False
                object.__setattr__(self, field.name, value)

    def check(self, where: str, weight: NDArray[Any], sources: int, targets: int) -> None:
        """Refuse arrays that do not belong to a projection.

        Raises:
            InputError: a shape or a value is another one; `where` begins the message.
        """
        shapes = {
            "weight": weight.shape,
            "tag": weight.shape,
            "pre": (2, sources),
            "post": (3, targets),
            "pre_time": (sources,),
            "post_time": (targets,),
            "waiting": (targets,),
            "third": (len(self.third), 3, targets),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{where}: {name} of its learning state has shape"
                    f" {getattr(self, name).shape}, expected {shape}"
                )
        if not np.array_equal(self.weight, weight):
            raise InputError(
                f"{where}: its learning state has other weights; take both from one result, with"
                " Program.learned"
            )


def name_weights(number: int) -> str:
    """Return the name of learned weights among the outputs of a run; no population is called so.

    Args:
        number: of the projection in its network.
    """
    return f"learned.{number}"
