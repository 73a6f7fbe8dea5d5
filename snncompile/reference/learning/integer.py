"""Synapses that learn in Lava's integers, step by step."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.learning_state import LearningState
from snncompile.reference.learning.generators import draw_numbers
from snncompile.reference.learning.tables import make_table

CHUNK = 4096
"""Time steps whose random numbers are drawn at once."""


class IntegerLearner:
    """Synapses of one projection; `step` is what Lava's learning process does in one time step."""

    def __init__(self, rule: LearningRule, row: Ints, column: Ints, state: LearningState) -> None:
        self.rule, self.row, self.column = rule, row, column
        self.kernels: Any = importlib.import_module("snncompile.reference.learning.kernels")
        """Loaded with the first synapses that learn, as numba takes a second."""
        self.table = make_table(rule)
        self.shape = state.weight.shape
        self.weight = state.weight.reshape(-1).astype(np.int64)
        self.tag = state.tag.reshape(-1).astype(np.int64)
        self.pre, self.post = state.pre.astype(np.int64), state.post.astype(np.int64)
        self.pre_time, self.post_time = state.pre_time.copy(), state.post_time.copy()
        self.steps = state.steps
        self.updates = 0
        """Synapses times epochs in which an update was computed."""
        self.epochs = 0
        """Epochs that ended."""
        self._weights = bool(rule.weight_products)
        self._tags = bool(rule.tag_products)
        self._drawn_from, self._numbers = 0, np.zeros((0, 6))

    def step(
        self, pre: NDArray[Any], post: NDArray[Any], third: NDArray[Any] | None = None
    ) -> Ints:
        """Return the sums of the weights of the sources that fired; then learn.

        Args:
            pre: spikes of the sources, shape (sources,).
            post: spikes of the targets that the synapses see in this step, (targets,).
            third: with a third factor the traces of the targets, (3, targets).
        """
        table = self.table
        pre, post = (np.not_equal(spikes, 0).view(np.uint8) for spikes in (pre, post))
        self.steps += 1
        within = (self.steps - 1) % table.epoch + 1
        numbers = self._get_numbers()
        total: Ints = self.kernels.receive(
            self.weight,
            self.row,
            self.column,
            pre,
            post,
            self.pre,
            self.pre_time,
            self.post,
            self.post_time,
            within,
            table.impulse,
            table.fraction,
            int(numbers[4]),
        )
        if table.third:
            self.post[:] = 0 if third is None else third
        if within == table.epoch:
            self._end_epoch(numbers)
        return total

    def _end_epoch(self, numbers: NDArray[np.float64]) -> None:
        table = self.table
        x = self.kernels.follow_traces(
            self.pre,
            self.pre_time,
            table.epoch,
            table.decay[:2],
            table.impulse[:2],
            table.fraction[:2],
            numbers[:2],
        )
        y = self.kernels.follow_traces(
            self.post,
            self.post_time,
            table.epoch,
            table.decay[2:],
            table.impulse[2:],
            table.fraction[2:],
            numbers[2:4],
        )
        u = table.interval > 0 and (self.steps // table.epoch) % table.interval == 0
        self.updates += self.kernels.learn(
            self.weight,
            self.tag,
            self.row,
            self.column,
            table.products,
            x,
            y,
            self.pre_time,
            self.post_time,
            u,
            self._tags,
            self._weights,
            table.positive,
            numbers[5],
        )
        self.epochs += 1
        self.pre[:] = x[-1]
        if not table.third:
            self.post[:] = y[-1]
        self.pre_time[:], self.post_time[:] = 0, 0

    def _get_numbers(self) -> NDArray[np.float64]:
        """Return the random numbers of the current time step."""
        at = self.steps - 1 - self._drawn_from
        if not 0 <= at < len(self._numbers):
            self._drawn_from = self.steps - 1
            self._numbers = draw_numbers(self.rule.seed, self.steps, CHUNK, self.rule.epoch)
            at = 0
        row: NDArray[np.float64] = self._numbers[at]
        return row

    def snapshot(self, waiting: NDArray[Any], third: Sequence[NDArray[Any]]) -> LearningState:
        """Return the state, with the outputs of the targets that the synapses have not seen."""
        targets = self.post.shape[1]
        return LearningState(
            self.weight.reshape(self.shape).astype(np.int16),
            self.tag.reshape(self.shape).astype(np.int16),
            self.pre,
            self.post,
            self.pre_time,
            self.post_time,
            np.asarray(waiting, np.int64),
            np.array(third, np.int64).reshape(len(third), 3, targets),
            self.steps,
        )


def begin_state(weight: NDArray[Any], sources: int, targets: int, lag: int = 0) -> LearningState:
    """Return the state of synapses that have seen nothing.

    Args:
        weight: their weights, integers or floats.
        sources: number of source neurons.
        targets: number of target neurons.
        lag: time steps that third factors wait.
    """
    kind = np.float64 if weight.dtype.kind == "f" else np.int64
    return LearningState(
        weight,
        np.zeros_like(weight),
        np.zeros((2, sources), kind),
        np.zeros((3, targets), kind),
        np.zeros(sources, np.int64),
        np.zeros(targets, np.int64),
        np.zeros(targets, np.int64),
        np.zeros((lag, 3, targets), kind),
        0,
    )
