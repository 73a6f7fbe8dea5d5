"""Result of a run of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.ir.answer import SUM, Answer
from snncompile.ir.learning_state import LearningState
from snncompile.ir.reports import Proof
from snncompile.notebook import format_line, format_rows


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Output of a network for a number of samples."""

    spikes: NDArray[Any]
    """Output, shape (samples, steps, *output shape): 0 or 1, other integers
    where the neurons' spikes carry a payload, or the potential of a readout."""
    proof: Proof | None = None
    """Bounds for the steps of this run; None for a network, which has none."""
    readout: Answer = SUM
    """How the output over time becomes the answer; the network's."""
    learned: Mapping[int, LearningState] = field(default_factory=dict)
    """Weights, tags, traces and generators after the run, by the number of each projection that
    learns; `Program.learned` goes on from there."""
    began: str | None = None
    """SHA-256 of the network of the Program that ran, if it learns; `Program.learned` takes results
    of its own network alone, which they began with."""

    @property
    def answer(self) -> NDArray[Any]:
        """One number per output neuron, by the readout: shape (samples, *output shape)."""
        return self.readout.reduce(self.spikes)

    @property
    def prediction(self) -> NDArray[np.int64]:
        """Index of the largest number of the answer, per sample; the lowest of equals."""
        answer = self.answer
        return np.asarray(answer.reshape(len(answer), -1).argmax(axis=1), dtype=np.int64)

    def accuracy(self, label: ArrayLike) -> float:
        """Return the share of samples whose prediction is the label.

        Raises:
            InputError: there is not one label per sample.
        """
        expected = np.asarray(label)
        if expected.shape != (len(self.spikes),):
            raise InputError(f"label has shape {expected.shape}, expected ({len(self.spikes)},)")
        return float((self.prediction == expected).mean())

    def _list_facts(self) -> list[tuple[str, object]]:
        """Return what a short text shows of the result."""
        return [
            ("samples", len(self.spikes)),
            ("steps", self.spikes.shape[1]),
            ("output", self.spikes.shape[2:]),
        ]

    def __repr__(self) -> str:
        """One line."""
        return format_line("Result", self._list_facts())

    def _repr_html_(self) -> str:
        first = ", ".join(map(str, self.prediction[:10].tolist()))
        return format_rows("Result", [*self._list_facts(), ("first predictions", first)])
