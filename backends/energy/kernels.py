"""Compiled loops of the estimator: counting synapses and counting events."""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.machine_code import compile_function


@compile_function
def count_convolution_targets(
    parts: Any, count: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    """Add to count (group, row, column, part) the targets each source position has in each part.

    Args:
        parts: of each target neuron, shape (group, channel, row, column).
        count: filled.
        kernel: rows and columns; likewise stride, padding, dilation.
    """
    groups, channels, rows, columns = parts.shape
    for g in range(groups):
        for c in range(channels):
            for y in range(rows):
                for x in range(columns):
                    top, left = y * stride[0] - padding[0], x * stride[1] - padding[1]
                    _window(count[g], parts[g, c, y, x], top, left, kernel, dilation)


@compile_function
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


@compile_function
def count_nonzero_targets(
    which: Any,
    sums: Any,
    held: Any,
    count: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> None:
    """Add to count (source channel, row, column, part) the targets behind weights not zero.

    Args:
        which: layout of each target position, shape (row, column).
        sums: targets of a tap: (layout, part of the layout, source channel, tap).
        held: number of each part of a layout, -1 for none.
        count: filled.
        kernel: rows and columns; likewise stride, padding, dilation.
    """
    for y in range(which.shape[0]):
        for x in range(which.shape[1]):
            layout = which[y, x]
            for tap in range(kernel[0] * kernel[1]):
                row = y * stride[0] - padding[0] + tap // kernel[1] * dilation[0]
                column = x * stride[1] - padding[1] + tap % kernel[1] * dilation[1]
                if not (0 <= row < count.shape[1] and 0 <= column < count.shape[2]):
                    continue
                for i in range(held.shape[1]):
                    number = held[layout, i]
                    if number < 0:
                        break
                    for channel in range(count.shape[0]):
                        count[channel, row, column, number] += sums[layout, i, channel, tap]


@compile_function
def count_pattern_targets(indptr: Any, indices: Any, parts: Any, count: Any) -> None:
    """Add to count (source, part) the synapses of a sparse matrix (target, source)."""
    for target in range(len(indptr) - 1):
        for i in range(indptr[target], indptr[target + 1]):
            count[indices[i], parts[target]] += 1


@compile_function
def count_messages(
    step_start: Any,
    neuron: Any,
    neuron_entry: Any,
    entries: Any,
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
        neuron_entry, entries: see `Routes`.
        part_of: part of each neuron.
        events: filled, shape (steps, parts, events); the first columns are the kinds of synapses.
            A message counts at the first part of the core it reaches.
        sent: filled, shape (steps, pairs): messages.
        message_in, spike: columns of `events`.
    """
    for step in range(len(step_start) - 1):
        here, out = events[step], sent[step]
        for i in range(step_start[step], step_start[step + 1]):
            n = neuron[i]
            here[part_of[n], spike] += 1
            for e in range(neuron_entry[n], neuron_entry[n + 1]):
                pair, part_index = entries[e, 0], np.uint32(entries[e, 1])
                if pair >= 0:
                    out[np.uint32(pair)] += 1
                    here[part_index, message_in] += 1
                here[part_index, np.uint32(entries[e, 2])] += entries[e, 3]


@compile_function
def count_marked(status: Any, run_start: Any, run_part: Any, reached: Any, updated: Any) -> None:
    """Add to reached and updated (steps, parts) how many neurons are.

    Args:
        status: see `Activity`, shape (steps, neurons), uint8.
        run_start: where runs of neurons of one part begin, and the end.
        run_part: part of each run.
        reached: filled: how many have the first bit.
        updated: filled: how many have any.
    """
    for step in range(status.shape[0]):
        row = status[step]
        for r in range(len(run_part)):
            first, some = np.uint32(0), np.uint32(0)
            for mark in row[run_start[r] : run_start[r + 1]]:
                first += np.uint32(mark & 1)
                some += np.uint32(mark != 0)
            reached[step, run_part[r]] += first
            updated[step, run_part[r]] += some


@compile_function
def mark_written(status: Any, spikes: Any, charged: Any, before: Any, bias: Any) -> None:
    """Set the second bit where a neuron spikes, has a bias, or had a potential that is not zero.

    Args:
        status: filled, shape (samples, steps, neurons); likewise the spikes.
        charged: 1 where the potential is not zero after a step; before: before the first one.
        bias: 1 where there is a bias, shape (neurons,).
    """
    for sample in range(charged.shape[0]):
        last = before[sample]
        for step in range(charged.shape[1]):
            row, fired = status[sample, step], spikes[sample, step]
            for i in range(len(bias)):
                row[i] |= np.uint8((fired[i] | last[i] | bias[i]) << 1)
            last = charged[sample, step]


@compile_function
def list_marked(marks: Any, words: Any, size: int, start: Any, marked: Any) -> None:
    """List the places that are marked in each row.

    Args:
        marks: 0 and 1, all rows one after the other, uint8.
        words: the same memory as uint64, its last bytes left out.
        size: of a row.
        start: filled: where each row begins in `marked`, and the end.
        marked: filled, places counted from the beginning of their row.
    """
    count, row = 0, 0
    for w in range(len(words) + 1):
        if w < len(words) and words[w] == 0:
            continue
        for i in range(8 * w, min(8 * w + 8, len(marks))):
            if marks[i]:
                while i >= (row + 1) * size:
                    row += 1
                    start[row] = count
                marked[count] = i - row * size
                count += 1
    start[row + 1 :] = count
