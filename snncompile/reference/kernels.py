"""Inner loops of the integer simulator, compiled by numba.

Imported on first use only (`compiled.py`): numba takes a moment to load. Every kernel lets
go of the interpreter, so that threads share a batch.
Operations are wrapped in `np.int32` because numba widens every sum to 64 bits otherwise, which
halves the speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

BLOCK = 512
"""Neurons whose states and parameters are kept in the first-level cache."""
PIXELS = 16
"""Pixels turned from channels-last to channels-first at a time: one vector register."""
DRIVE_LIMIT = 1 << 18
"""Up to this accumulated input u and v stay within 32 bits: |u| <= 2^23 before and after."""
HARD, SOFT, DELAYED_SOFT, DELAYED_HARD, NONE = range(5)


def _compile(function: F) -> F:
    compiled: Any
    try:
        compiled = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the code in: compile it once per process
        compiled = njit(nogil=True)(function)
    result: F = compiled
    return result


@_compile
def _decayed(x: Any, keep: Any) -> Any:
    """Return x * keep / 4096 toward zero, for |x| < 2^30 and 0 <= keep <= 4096, in 32 bits."""
    size = np.int32(abs(x))
    high = np.int32(np.int32(size >> 12) * keep)
    low = np.int32(np.int32(np.int32(size & np.int32(4095)) * keep) >> 12)
    kept = np.int32(high + low)
    return kept if x >= 0 else np.int32(-kept)


@_compile
def _current(u: Any, keep: Any, x: Any) -> Any:
    """Return wrap(decayed(u) + (x << 6))."""
    u = np.int32(_decayed(u, keep) + np.int32(x << 6))
    if u > 8388608:
        u = np.int32(u - 16777216)
    if u <= -8388608:
        u = np.int32(u + 16777216)
    return u


@_compile
def _saturate(v: Any) -> Any:
    return np.int32(min(max(v, np.int32(-8388607)), np.int32(8388607)))


@_compile
def cuba_lif(  # noqa: C901  (one loop per kind of reset, or it is not vectorised)
    drive: Array,
    out: Array,
    keep_u: Array,
    keep_v: Array,
    threshold: Array,
    bias: Array,
    initial: Array,
    reset: int,
) -> bool:
    """Run current-based neurons over all time steps; see `IntegerCubaLif`.

    Args:
        drive: accumulated input, shape (samples, steps, n), int32.
        out: spikes, same shape, uint8.
        keep_u, keep_v: what is kept of u and v, 0..4096; shape (n,), int32 like the rest.
        threshold: of v; magnitude below 2^29 like the bias.
        bias: added to v.
        initial: v at the start of every sample, within its 24 bits.
        reset: HARD and so on.

    Returns:
        Whether every input was small enough; otherwise `out` means nothing.
    """
    samples, steps, size = drive.shape
    u, v = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    left = np.int32(0)
    for sample in range(samples):
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            u[:] = 0
            v[: stop - start] = initial[start:stop]
            ku, kv = keep_u[start:stop], keep_v[start:stop]
            limit, extra = threshold[start:stop], bias[start:stop]
            for step in range(steps):
                row, spikes = drive[sample, step, start:stop], out[sample, step, start:stop]
                if reset <= SOFT:
                    for i in range(stop - start):
                        x = row[i]
                        left |= np.int32(x > DRIVE_LIMIT) | np.int32(x < -DRIVE_LIMIT)
                        u[i] = _current(u[i], ku[i], x)
                        total = np.int32(np.int32(_decayed(v[i], kv[i]) + u[i]) + extra[i])
                        total = _saturate(total)
                        spike = total > limit[i]
                        after = np.int32(0) if reset == HARD else np.int32(total - limit[i])
                        v[i] = after if spike else total
                        spikes[i] = spike
                else:
                    for i in range(stop - start):
                        x = row[i]
                        left |= np.int32(x > DRIVE_LIMIT) | np.int32(x < -DRIVE_LIMIT)
                        fired = v[i] > limit[i]
                        u[i] = _current(u[i], ku[i], x)
                        total = np.int32(np.int32(_decayed(v[i], kv[i]) + u[i]) + extra[i])
                        if reset == DELAYED_SOFT:
                            total = np.int32(total - limit[i]) if fired else total
                        if reset == DELAYED_HARD:
                            total = np.int32(0) if fired else total
                        total = _saturate(total)
                        v[i] = total
                        spikes[i] = total > limit[i]
    return bool(left == 0)


@_compile
def readout(
    drive: Array, out: Array, keep_u: Array, keep_v: Array, bias: Array, initial: Array
) -> bool:
    """Run readouts over all time steps; see `IntegerReadout` and `cuba_lif`. `out` is int64."""
    samples, steps, size = drive.shape
    u, v = np.empty(size, np.int32), np.empty(size, np.int32)
    left = np.int32(0)
    for sample in range(samples):
        u[:] = 0
        v[:] = initial
        for step in range(steps):
            row, potential = drive[sample, step], out[sample, step]
            for i in range(size):
                x = row[i]
                left |= np.int32(x > DRIVE_LIMIT) | np.int32(x < -DRIVE_LIMIT)
                u[i] = _current(u[i], keep_u[i], x)
                total = np.int32(np.int32(_decayed(v[i], keep_v[i]) + u[i]) + bias[i])
                v[i] = _saturate(total)
                potential[i] = v[i]
    return bool(left == 0)


@_compile
def _active(row: Array, found: Array) -> int:
    """Write the indices of the ones in a row of 0 and 1; return how many."""
    count = 0
    for i in range(len(row)):  # no branch that could be mispredicted
        found[count] = i
        count += row[i]
    return count


@_compile
def dense(
    train: Array,
    total: Array,
    weight: Array,
    delay: int,
    left: int,
    right: int,
) -> None:
    """Add to `total` the weights of every source that spikes, `delay` steps later.

    Args:
        train: 0 and 1, shape (samples, steps, source), uint8.
        total: accumulated input, shape (samples, steps, target), int32.
        weight: shape (source, target), int16; four of them must not leave 16 bits.
        delay: in time steps.
        left, right: bits by which the sum is shifted; one of them is 0.
    """
    found = np.empty(train.shape[2] + 1, np.int32)
    part = np.empty(total.shape[2], np.int32)
    for sample in range(len(train)):
        for step in range(train.shape[1] - delay):
            count = _active(train[sample, step], found)
            part[:] = 0
            k = 0
            while k + 4 <= count:
                a, b = weight[found[k]], weight[found[k + 1]]
                c, d = weight[found[k + 2]], weight[found[k + 3]]
                for j in range(len(part)):
                    four = np.int16(np.int16(a[j] + b[j]) + np.int16(c[j] + d[j]))
                    part[j] = np.int32(part[j] + four)
                k += 4
            while k < count:
                a = weight[found[k]]
                for j in range(len(part)):
                    part[j] = np.int32(part[j] + a[j])
                k += 1
            row = total[sample, step + delay]
            for j in range(len(part)):
                row[j] = np.int32(row[j] + np.int32(np.int32(part[j] << left) >> right))


@_compile
def convolution(  # noqa: C901  (a call per level would cost more than the work)
    train: Array,
    total: Array,
    weight: Array,
    part: Array,
    source: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    delay: int,
    left: int,
    right: int,
) -> None:
    """Add to `total` the kernel of every source that spikes, around its place; see `dense`.

    Args:
        train, total, delay, left, right: as in `dense`.
        weight: shape (source channel, kernel row, kernel column from last to first times output
            channel), int16.
        part: anything of shape (rows, columns times channels) of the target and of a type that
            holds every sum.
        source: channels, rows, columns.
        kernel, stride, padding, dilation: per axis.
    """
    channels, rows, columns = source
    part = np.empty_like(part)
    out_channels = weight.shape[2] // kernel[1]
    out_columns = part.shape[1] // out_channels
    pixels = part.shape[0] * out_columns
    found = np.empty(columns + 1, np.int32)
    for sample in range(len(train)):
        for step in range(train.shape[1] - delay):
            spikes = train[sample, step]
            part[:] = 0
            for channel in range(channels):
                for y in range(rows):
                    at = (channel * rows + y) * columns
                    count = _active(spikes[at : at + columns], found)
                    if count == 0:
                        continue
                    for ky in range(kernel[0]):
                        to = y + padding[0] - ky * dilation[0]
                        if to < 0 or to % stride[0] or to // stride[0] >= part.shape[0]:
                            continue
                        line, taps = part[to // stride[0]], weight[channel, ky]
                        for k in range(count):
                            x = found[k] + padding[1]
                            if stride[1] == 1 and dilation[1] == 1:
                                _run_of_taps(line, taps, x, out_channels)
                            else:
                                _single_taps(line, taps, x, out_channels, stride[1], dilation[1])
            _turn(part.reshape(pixels, out_channels), total[sample, step + delay], left, right)


@_compile
def _run_of_taps(line: Array, taps: Array, x: int, channels: int) -> None:
    """Add a row of the kernel around column x: with stride 1 one piece of memory to another."""
    kernel, columns = len(taps) // channels, len(line) // channels
    low = max(0, x - kernel + 1)
    high = min(columns - 1, x)
    if low > high:
        return
    tap = (kernel - 1 - x + low) * channels
    length = (high - low + 1) * channels
    target = line[low * channels : low * channels + length]
    some = taps[tap : tap + length]
    for j in range(length):
        target[j] += some[j]


@_compile
def _single_taps(
    line: Array, taps: Array, x: int, channels: int, stride: int, dilation: int
) -> None:
    """Add a row of the kernel around column x, tap by tap."""
    kernel, columns = len(taps) // channels, len(line) // channels
    for k in range(kernel):
        place = x - k * dilation
        if place < 0 or place % stride or place // stride >= columns:
            continue
        start, tap = place // stride * channels, (kernel - 1 - k) * channels
        for j in range(channels):
            line[start + j] += taps[tap + j]


@_compile
def _turn(part: Array, row: Array, left: int, right: int) -> None:
    """Add sums of shape (pixel, channel) to a row in the order (channel, pixel)."""
    pixels, channels = part.shape
    turned = row.reshape(channels, pixels)
    whole = pixels - pixels % PIXELS
    for start in range(0, whole, PIXELS):
        for channel in range(channels):
            to = turned[channel, start : start + PIXELS]
            for p in range(PIXELS):
                one = np.int32(np.int32(np.int32(part[start + p, channel]) << left) >> right)
                to[p] = np.int32(to[p] + one)
    for channel in range(channels):
        for p in range(whole, pixels):
            one = np.int32(np.int32(np.int32(part[p, channel]) << left) >> right)
            turned[channel, p] = np.int32(turned[channel, p] + one)
