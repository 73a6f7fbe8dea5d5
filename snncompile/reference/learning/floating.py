"""Synapses that learn in floats: the meaning of a rule in a `Network`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.ir.learning_rule import POST_TRACES, TRACES, LearningRule
from snncompile.ir.learning_state import LearningState
from snncompile.ir.products import Product
from snncompile.reference.learning.tables import compute_decays


class FloatLearner:
    """Synapses of one projection, as Lava's float model computes them, with a limit.

    The order of a time step is that of `IntegerLearner`; nothing is rounded and no trace ends at
    127. Weights stop at `limit`, or at the largest magnitude that they start with.
    """

    def __init__(self, rule: LearningRule, row: Ints, column: Ints, state: LearningState) -> None:
        self.rule, self.row, self.column = rule, row, column
        self.shape = state.weight.shape
        self.weight = state.weight.reshape(-1).astype(np.float64)
        self.tag = state.tag.reshape(-1).astype(np.float64)
        self.pre, self.post = state.pre.astype(np.float64), state.post.astype(np.float64)
        self.pre_time, self.post_time = state.pre_time.copy(), state.post_time.copy()
        self.steps = state.steps
        self.updates = self.epochs = 0
        self.limit = rule.limit
        self._impulse = np.array([rule.impulse(trace) for trace in TRACES])
        self._decay = compute_decays(rule)

    def step(
        self, pre: NDArray[Any], post: NDArray[Any], third: NDArray[Any] | None = None
    ) -> Floats:
        """Return the sums of the weights of the sources that fired; then learn.

        Args:
            pre: spikes of the sources, shape (sources,).
            post: spikes of the targets that the synapses see in this step, (targets,).
            third: with a third factor the traces of the targets, (3, targets).
        """
        arriving = self.weight * (pre[self.column] != 0)
        total = np.zeros(self.post.shape[1])
        np.add.at(total, self.row, arriving)
        self.steps += 1
        within = (self.steps - 1) % self.rule.epoch + 1
        see_spikes(self.pre, self.pre_time, pre, within, self._impulse[:2])
        see_spikes(self.post, self.post_time, post, within, self._impulse[2:])
        if self.rule.third_factor:
            self.post = np.zeros_like(self.post) if third is None else third.astype(np.float64)
        if within == self.rule.epoch:
            self._end_epoch()
        return total

    def _end_epoch(self) -> None:
        epoch = self.rule.epoch
        x = follow_traces(self.pre, self.pre_time, epoch, self._decay[:2], self._impulse[:2])
        y = follow_traces(self.post, self.post_time, epoch, self._decay[2:], self._impulse[2:])
        weight = self.weight + self._add_up(self.rule.weight_products, x, y)
        self.tag = self.tag + self._add_up(self.rule.tag_products, x, y)
        lowest = 0.0 if self.rule.sign == "positive" else -np.inf
        if self.limit is not None:
            weight = weight.clip(-self.limit, self.limit)
        self.weight = np.maximum(weight, lowest)
        self.epochs += 1
        self.pre = x[-1]
        if not self.rule.third_factor:
            self.post = y[-1]
        self.pre_time[:], self.post_time[:] = 0, 0

    def _add_up(self, products: tuple[Product, ...], x: Floats, y: Floats) -> Any:
        return sum((self._multiply(product, x, y) for product in products), np.float64(0.0))

    def _multiply(self, product: Product, x: Floats, y: Floats) -> Any:
        """Return the change of each synapse by one product."""
        i, j = self.row, self.column
        x_time, y_time = self.pre_time[j], self.post_time[i]
        if product.dependency == "u":
            number = self.steps // self.rule.epoch
            on = np.full(len(i), number % 2**product.decimation == 0)
            at: Any = self.rule.epoch
        else:
            at = x_time if product.dependency == "x0" else y_time
            on = at > 0
        change = product.scale * on
        for factor in product.factors:
            name = factor.variable
            if name in ("w", "t"):
                value: Any = self.weight if name == "w" else self.tag
            elif name in ("x0", "y0"):
                value = (x_time if name == "x0" else y_time) > 0
            elif name in POST_TRACES:
                value = y[at, POST_TRACES.index(name), i]
            else:
                value = x[at, TRACES.index(name), j]
            value = value + factor.constant
            change = change * (np.sign(value) if factor.sign else value)
        return change

    def snapshot(self, waiting: NDArray[Any], third: Sequence[NDArray[Any]]) -> LearningState:
        """Return the state, with the outputs of the targets that the synapses have not seen."""
        return LearningState(
            self.weight.reshape(self.shape),
            self.tag.reshape(self.shape),
            self.pre,
            self.post,
            self.pre_time,
            self.post_time,
            np.asarray(waiting, np.int64),
            np.array(third, np.float64).reshape(len(third), 3, self.post.shape[1]),
            self.steps,
        )


def see_spikes(
    traces: Floats, times: Ints, spikes: NDArray[Any], step: int, impulse: Floats
) -> None:
    """Note the spikes of a step; of two in one epoch the second adds its impulse at once."""
    fired = spikes != 0
    traces += impulse[:, np.newaxis] * (fired & (times > 0))
    times[fired] = step


def follow_traces(
    traces: Floats, times: Ints, epoch: int, decay: Floats, impulse: Floats
) -> Floats:
    """Return the traces after each step of an epoch, shape (epoch + 1, traces, neurons)."""
    history = [traces]
    for t in range(1, epoch + 1):
        history.append(decay[:, np.newaxis] * history[-1] + impulse[:, np.newaxis] * (times == t))
    return np.stack(history)
