"""Synapses spike by spike, and the windows of convolutions, compiled; see `fixed_point.py`.

Images are kept channels last here: (rows, columns, channels).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function

WORD = 8
"""Sources tested together: most words hold no spike."""


@compile_function
def find_active(row: Array, words: Array, indices: Array) -> int:
    """Write the indices of the ones in a row of 0 and 1; return their number.

    Args:
        row: uint8.
        words: the whole words of the same memory, as uint64.
        indices: int32, one longer than the row.
    """
    count = 0
    for k in range(len(words)):
        if words[k] == 0:
            continue
        for i in range(k * WORD, k * WORD + WORD):  # no branch that could be mispredicted
            indices[count] = i
            count += row[i]
    for i in range(len(words) * WORD, len(row)):
        indices[count] = i
        count += row[i]
    return count


@compile_function
def add_dense(train: Array, words: Array, total: Array, weight: Array) -> None:
    """Add to `total` the weights of every source that spikes.

    Args:
        train: 0 and 1, shape (rows, source), uint8.
        words: the same memory as uint64, shape (rows, whole words of a row).
        total: accumulated input, shape (rows, target), int32.
        weight: shape (source, target), int16; four of them must not leave 16 bits.
    """
    active = np.empty(train.shape[1] + 1, np.int32)
    for r in range(len(train)):
        count = find_active(train[r], words[r], active)
        row = total[r]
        k = 0
        while k + 4 <= count:
            a, b = weight[active[k]], weight[active[k + 1]]
            c, d = weight[active[k + 2]], weight[active[k + 3]]
            for j in range(len(row)):
                four = np.int16(np.int16(a[j] + b[j]) + np.int16(c[j] + d[j]))
                row[j] = np.int32(row[j] + four)
            k += 4
        while k < count:
            a = weight[active[k]]
            for j in range(len(row)):
                row[j] = np.int32(row[j] + a[j])
            k += 1


@compile_function
def add_convolution(  # noqa: C901  (a call per level would cost more than the work)
    train: Array,
    words: Array,
    total: Array,
    weight: Array,
    source: tuple[int, int, int],
    target: tuple[int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Add to `total` the kernel of every source that spikes, around its place.

    Args:
        train: 0 and 1, shape (images, rows, columns times channels), uint8.
        words: the same memory as uint64, shape (images, rows, whole words of a row).
        total: accumulated input, shape (images, targets), int32.
        weight: shape (source channel times kernel row, kernel column from last to first times
            output channel), int16.
        source, target: rows, columns, channels.
        stride, padding, dilation: per axis.
    """
    rows, _, channels = source
    kernel_rows = len(weight) // channels
    active = np.empty(train.shape[2] + 1, np.int32)
    columns, offsets = np.empty(len(active), np.int32), np.empty(len(active), np.int32)
    for i in range(len(active)):
        columns[i], offsets[i] = i // channels + padding[1], i % channels * kernel_rows
    for image in range(len(train)):
        for y in range(rows):
            count = find_active(train[image, y], words[image, y], active)
            if count == 0:
                continue
            for ky in range(kernel_rows):
                to = y + padding[0] - ky * dilation[0]
                if to < 0 or to % stride[0] or to // stride[0] >= target[0]:
                    continue
                start = to // stride[0] * target[1] * target[2]
                line = total[image, start : start + target[1] * target[2]]
                for k in range(count):
                    x, taps = columns[active[k]], weight[offsets[active[k]] + ky]
                    if stride[1] == 1 and dilation[1] == 1:
                        _add_run_of_taps(line, taps, x, target[1], target[2])
                    else:
                        _add_single_taps(line, taps, x, target[1:], stride[1], dilation[1])


@compile_function
def _add_run_of_taps(line: Array, taps: Array, x: int, columns: int, channels: int) -> None:
    """Add a row of the kernel around column x: with stride 1 one piece of memory to another."""
    first = (x + 1) * channels - len(taps)  # where the kernel begins; it may stick out
    low, high = max(0, -first), min(len(taps), columns * channels - first)
    to, tap = np.uint64(first + low), np.uint64(low)
    for j in range(np.uint64(max(0, high - low))):
        line[to + j] = np.int32(line[to + j] + taps[tap + j])


@compile_function
def _add_single_taps(
    line: Array, taps: Array, x: int, target: tuple[int, int], stride: int, dilation: int
) -> None:
    """Add a row of the kernel around column x, tap by tap."""
    columns, channels = target
    kernel = len(taps) // channels
    for k in range(kernel):
        position = x - k * dilation
        if position < 0 or position % stride or position // stride >= columns:
            continue
        start = np.uint64(position // stride * channels)
        tap = np.uint64((kernel - 1 - k) * channels)
        for j in range(np.uint64(channels)):
            line[start + j] = np.int32(line[start + j] + taps[tap + j])


@compile_function
def copy_windows(
    images: Array,
    out: Array,
    source: tuple[int, int, int],
    target: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Copy the window of sources of each target of a convolution; padding is 0.

    Args:
        images: shape (images, rows times columns times channels).
        out: shape (images, target rows times columns times kernel rows times columns times
            channels).
        source: rows, columns, channels.
        target: rows, columns.
        kernel, stride, padding, dilation: per axis.
    """
    rows, columns, channels = source
    width = np.uint64(kernel[1] * channels)
    for image in range(len(images)):
        pixels, seen = images[image], out[image]
        to = np.uint64(0)
        for position in range(target[0] * target[1]):
            y = position // target[1] * stride[0] - padding[0]
            x = position % target[1] * stride[1] - padding[1]
            is_inside = dilation[1] == 1 and x >= 0 and x + kernel[1] <= columns
            for ky in range(kernel[0]):
                row = y + ky * dilation[0]
                if is_inside and row >= 0 and row < rows:
                    at = np.uint64((row * columns + x) * channels)
                    for j in range(width):
                        seen[to + j] = pixels[at + j]
                else:
                    _copy_window(pixels, seen, to, row, x, kernel[1], source, dilation[1])
                to += width


@compile_function
def _copy_window(
    pixels: Array,
    seen: Array,
    to: Any,
    row: int,
    x: int,
    kernel: int,
    source: tuple[int, int, int],
    dilation: int,
) -> None:
    """Copy one row of a window column by column."""
    rows, columns, channels = source
    for k in range(kernel):
        column = x + k * dilation
        inside = row >= 0 and row < rows and column >= 0 and column < columns
        at = np.uint64((row * columns + column) * channels) if inside else np.uint64(0)
        for j in range(np.uint64(channels)):
            seen[to] = pixels[at + j] if inside else 0
            to += np.uint64(1)


@compile_function
def sum_sparse(train: Array, total: Array, starts: Array, source: Array, weight: Array) -> None:
    """Write the sums of synapses, in the order of their targets.

    Args:
        train: shape (rows, source), integers.
        total: shape (rows, target), int32.
        starts: first synapse of each target, and one past the last one; shape (target + 1,).
        source, weight: of each synapse.
    """
    for r in range(len(train)):
        row, sums = train[r], total[r]
        for j in range(len(sums)):
            sum_of_target = np.int32(0)
            for k in range(starts[j], starts[j + 1]):
                sum_of_target = np.int32(sum_of_target + np.int32(row[source[k]] * weight[k]))
            sums[j] = sum_of_target


@compile_function
def scale(train: Array, total: Array, weight: Array) -> None:
    """Write train * weight, shape (rows, n), with weights of shape (n,), int32."""
    for r in range(len(train)):
        row, out = train[r], total[r]
        for i in range(len(out)):
            out[i] = np.int32(np.int32(row[i]) * weight[i])


@compile_function
def shift(total: Array, left: int, right: int) -> None:
    """Shift all sums of shape (rows, n); one of the two is 0."""
    for r in range(len(total)):
        row = total[r]
        for i in range(len(row)):
            row[i] = np.int32(np.int32(row[i] << left) >> right)


@compile_function
def add(total: Array, addends: Array, left: int, right: int) -> None:
    """Add sums of shape (rows, n) to others, shifted."""
    for r in range(len(total)):
        row, new = total[r], addends[r]
        for i in range(len(row)):
            row[i] = np.int32(row[i] + np.int32(np.int32(new[i] << left) >> right))
