"""Compiled loops of the estimator: counting synapses and counting events."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def convolution_targets(
    part: Any, count: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    """Add to count (group, row, column, part) the targets each source position has in each part.

    Args:
        part: of each target neuron, shape (group, channel, row, column).
        count: filled.
        kernel: rows and columns; likewise stride, padding, dilation.
    """
    groups, channels, rows, columns = part.shape
    for g in range(groups):
        for c in range(channels):
            for y in range(rows):
                for x in range(columns):
                    top, left = y * stride[0] - padding[0], x * stride[1] - padding[1]
                    _window(count[g], part[g, c, y, x], top, left, kernel, dilation)


@njit(cache=True)
def _window(count: Any, p: int, top: int, left: int, kernel: Any, dilation: Any) -> None:
    """Count one target at every source position its kernel covers."""
    for ky in range(kernel[0]):
        y = top + ky * dilation[0]
        if y < 0 or y >= count.shape[0]:
            continue
        for kx in range(kernel[1]):
            x = left + kx * dilation[1]
            if 0 <= x < count.shape[1]:
                count[y, x, p] += 1


@njit(cache=True)
def pattern_targets(indptr: Any, indices: Any, part: Any, count: Any) -> None:
    """Add to count (source, part) the synapses of a sparse matrix (target, source)."""
    for target in range(len(indptr) - 1):
        for i in range(indptr[target], indptr[target + 1]):
            count[indices[i], part[target]] += 1


@njit(cache=True)
def count_messages(
    step_start: Any,
    neuron: Any,
    axon_start: Any,
    axon_pair: Any,
    entry_start: Any,
    entry_part: Any,
    entry_kind: Any,
    entry_synapses: Any,
    part_of: Any,
    events: Any,
    sent: Any,
    message_in: int,
    spike: int,
) -> None:
    """Follow every spike along its axons.

    Args:
        step_start: where each step's spikes begin in `neuron`, and the end.
        neuron: that spikes.
        axon_start, axon_pair, entry_start, entry_part, entry_kind, entry_synapses: see `Routes`.
        part_of: part of each neuron.
        events: filled, shape (steps, parts, events); the first columns are the kinds of synapses.
            A message counts at the first part of the core it reaches.
        sent: filled, shape (steps, pairs): messages.
        message_in, spike: columns of `events`.
    """
    for step in range(len(step_start) - 1):
        for i in range(step_start[step], step_start[step + 1]):
            n = neuron[i]
            events[step, part_of[n], spike] += 1
            for a in range(axon_start[n], axon_start[n + 1]):
                sent[step, axon_pair[a]] += 1
                events[step, entry_part[entry_start[a]], message_in] += 1
                for e in range(entry_start[a], entry_start[a + 1]):
                    events[step, entry_part[e], entry_kind[e]] += entry_synapses[e]


@njit(cache=True)
def count_marked(marked: Any, run_start: Any, run_part: Any, count: Any) -> None:
    """Add to count (steps, parts) how many neurons are marked.

    Args:
        marked: 0 and 1, shape (steps, neurons), uint8.
        run_start: where runs of neurons of one part begin, and the end.
        run_part: part of each run.
        count: filled.
    """
    for step in range(marked.shape[0]):
        row = marked[step]
        for r in range(len(run_part)):
            total = np.uint32(0)
            for mark in row[run_start[r] : run_start[r + 1]]:
                total += np.uint32(mark)
            count[step, run_part[r]] += total
