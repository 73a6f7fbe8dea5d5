"""Synapses spike by spike, and the windows of convolutions, compiled; see `jit.py`.

Images are kept channels last here: (rows, columns, channels).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.reference.fast.fixed_point import compiled

WORD = 8
"""Sources looked at together: most words hold no spike."""


@compiled
def active(row: Array, words: Array, found: Array) -> int:
    """Write the indices of the ones in a row of 0 and 1; return how many.

    Args:
        row: uint8.
        words: the same memory as uint64, as far as whole words go.
        found: int32, one longer than the row.
    """
    count = 0
    for k in range(len(words)):
        if words[k] == 0:
            continue
        for i in range(k * WORD, k * WORD + WORD):  # no branch that could be mispredicted
            found[count] = i
            count += row[i]
    for i in range(len(words) * WORD, len(row)):
        found[count] = i
        count += row[i]
    return count


@compiled
def dense(train: Array, words: Array, total: Array, weight: Array) -> None:
    """Add to `total` the weights of every source that spikes.

    Args:
        train: 0 and 1, shape (rows, source), uint8.
        words: the same memory as uint64, shape (rows, whole words of a row).
        total: accumulated input, shape (rows, target), int32.
        weight: shape (source, target), int16; four of them must not leave 16 bits.
    """
    found = np.empty(train.shape[1] + 1, np.int32)
    for r in range(len(train)):
        count = active(train[r], words[r], found)
        row = total[r]
        k = 0
        while k + 4 <= count:
            a, b = weight[found[k]], weight[found[k + 1]]
            c, d = weight[found[k + 2]], weight[found[k + 3]]
            for j in range(len(row)):
                four = np.int16(np.int16(a[j] + b[j]) + np.int16(c[j] + d[j]))
                row[j] = np.int32(row[j] + four)
            k += 4
        while k < count:
            a = weight[found[k]]
            for j in range(len(row)):
                row[j] = np.int32(row[j] + a[j])
            k += 1


@compiled
def convolution(  # noqa: C901  (a call per level would cost more than the work)
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
    found = np.empty(train.shape[2] + 1, np.int32)
    columns, offsets = np.empty(len(found), np.int32), np.empty(len(found), np.int32)
    for i in range(len(found)):
        columns[i], offsets[i] = i // channels + padding[1], i % channels * kernel_rows
    for image in range(len(train)):
        for y in range(rows):
            count = active(train[image, y], words[image, y], found)
            if count == 0:
                continue
            for ky in range(kernel_rows):
                to = y + padding[0] - ky * dilation[0]
                if to < 0 or to % stride[0] or to // stride[0] >= target[0]:
                    continue
                start = to // stride[0] * target[1] * target[2]
                line = total[image, start : start + target[1] * target[2]]
                for k in range(count):
                    x, taps = columns[found[k]], weight[offsets[found[k]] + ky]
                    if stride[1] == 1 and dilation[1] == 1:
                        _run_of_taps(line, taps, x, target[1], target[2])
                    else:
                        _single_taps(line, taps, x, target[1:], stride[1], dilation[1])


@compiled
def _run_of_taps(line: Array, taps: Array, x: int, columns: int, channels: int) -> None:
    """Add a row of the kernel around column x: with stride 1 one piece of memory to another."""
    first = (x + 1) * channels - len(taps)  # where the kernel begins; it may stick out
    low, high = max(0, -first), min(len(taps), columns * channels - first)
    to, tap = np.uint64(first + low), np.uint64(low)
    for j in range(np.uint64(max(0, high - low))):
        line[to + j] = np.int32(line[to + j] + taps[tap + j])


@compiled
def _single_taps(
    line: Array, taps: Array, x: int, target: tuple[int, int], stride: int, dilation: int
) -> None:
    """Add a row of the kernel around column x, tap by tap."""
    columns, channels = target
    kernel = len(taps) // channels
    for k in range(kernel):
        place = x - k * dilation
        if place < 0 or place % stride or place // stride >= columns:
            continue
        start = np.uint64(place // stride * channels)
        tap = np.uint64((kernel - 1 - k) * channels)
        for j in range(np.uint64(channels)):
            line[start + j] = np.int32(line[start + j] + taps[tap + j])


@compiled
def windows(
    images: Array,
    out: Array,
    source: tuple[int, int, int],
    target: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Copy what each target of a convolution sees; what is in the padding is 0.

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
        data, seen = images[image], out[image]
        to = np.uint64(0)
        for place in range(target[0] * target[1]):
            y = place // target[1] * stride[0] - padding[0]
            x = place % target[1] * stride[1] - padding[1]
            whole = dilation[1] == 1 and x >= 0 and x + kernel[1] <= columns
            for ky in range(kernel[0]):
                row = y + ky * dilation[0]
                if whole and row >= 0 and row < rows:
                    at = np.uint64((row * columns + x) * channels)
                    for j in range(width):
                        seen[to + j] = data[at + j]
                else:
                    _window(data, seen, to, row, x, kernel[1], source, dilation[1])
                to += width


@compiled
def _window(
    data: Array,
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
            seen[to] = data[at + j] if inside else 0
            to += np.uint64(1)


@compiled
def sparse(train: Array, total: Array, starts: Array, source: Array, weight: Array) -> None:
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
            one = np.int32(0)
            for k in range(starts[j], starts[j + 1]):
                one = np.int32(one + np.int32(row[source[k]] * weight[k]))
            sums[j] = one


@compiled
def scale(train: Array, total: Array, weight: Array) -> None:
    """Write train * weight, shape (rows, n), with weights of shape (n,), int32."""
    for r in range(len(train)):
        row, out = train[r], total[r]
        for i in range(len(out)):
            out[i] = np.int32(np.int32(row[i]) * weight[i])


@compiled
def shift(total: Array, left: int, right: int) -> None:
    """Shift all sums of shape (rows, n); one of the two is 0."""
    for r in range(len(total)):
        row = total[r]
        for i in range(len(row)):
            row[i] = np.int32(np.int32(row[i] << left) >> right)


@compiled
def add(total: Array, more: Array, left: int, right: int) -> None:
    """Add sums of shape (rows, n) to others, shifted."""
    for r in range(len(total)):
        row, new = total[r], more[r]
        for i in range(len(row)):
            row[i] = np.int32(row[i] + np.int32(np.int32(new[i] << left) >> right))
