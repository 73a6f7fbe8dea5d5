"""Neurons over many time steps, compiled: one function per neuron, bit for bit its `step`.

All take the same arguments:

    drive        accumulated input, shape (samples, steps, n), int32
    out          spikes or potentials that the neurons send, for more samples and steps
    at           first sample and step of `out` to write; bits to shift `drive` left, then right
    state        states before the first step, afterwards those of the last, (samples, states, n)
    charged      filled with 1 where the potential is not zero after a step, shape of `drive`; or
                 without samples
    p            parameters in the order of `populations.py`, shape (parameters, n), int32
    reset        HARD and so on, of neurons with several resets
    table        of neurons with a table, shape (entries,), int32; empty: there is none

and return whether every input was small enough; otherwise `out` and `state` mean nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function
from snncompile.reference.fast.fixed_point import (
    cut_blocks,
    decay,
    is_too_large,
    mark_charged,
    saturate,
    shift_input,
    update_current,
    wrap,
)

OutputStart = tuple[int, int, int, int]
OVER = np.int32(-(2**30))
"""Step of a cycle after the last cycle."""
HARD, SOFT, DELAYED_SOFT, DELAYED_HARD, STRICT_SOFT, NONE = range(6)


@compile_function
def integrate_fire(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array, reset: int
) -> bool:
    """See `IntegerIntegrateFire`; p: threshold, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        v, limit, bias = state[sample, 0, a:b], p[0, a:b], p[1, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                total = saturate(np.int32(np.int32(v[i] + wrap(np.int32(x << 6))) + bias[i]))
                spike = total > limit[i]
                after = np.int32(0) if reset == HARD else np.int32(total - limit[i])
                v[i] = after if spike else total
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def cuba_lif(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array, reset: int
) -> bool:
    """See `IntegerCubaLif`; p: share kept of u and of v (0..4096), threshold, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        u, v = state[sample, 0, a:b], state[sample, 1, a:b]
        keep_u, keep_v, limit, bias = p[0, a:b], p[1, a:b], p[2, a:b], p[3, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            if reset > SOFT:
                beyond |= _step_after_spikes(
                    row, at, spikes, u, v, keep_u, keep_v, limit, bias, reset
                )
                mark_charged(charged, sample, step, a, v)
                continue
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                u[i] = update_current(u[i], keep_u[i], x)
                total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
                total = saturate(total)
                spike = total > limit[i]
                after = np.int32(0) if reset == HARD else np.int32(total - limit[i])
                v[i] = after if spike else total
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def _step_after_spikes(
    row: Array,
    at: OutputStart,
    spikes: Array,
    u: Array,
    v: Array,
    keep_u: Array,
    keep_v: Array,
    limit: Array,
    bias: Array,
    reset: int,
) -> Any:
    """Do one time step of neurons whose update depends on their spikes in the step before."""
    beyond = np.int32(0)
    for i in range(len(row)):
        x = shift_input(row[i], at)
        beyond |= is_too_large(x)
        fired = v[i] > limit[i]
        u[i] = update_current(u[i], keep_u[i], x)
        total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
        if reset == DELAYED_SOFT:
            total = np.int32(total - limit[i]) if fired else total
        if reset == DELAYED_HARD:
            total = np.int32(0) if fired else total
        total = saturate(total)
        needed = limit[i]
        if reset == STRICT_SOFT:
            needed = np.int32(needed + limit[i]) if fired else needed
        spike = total > needed
        if reset == STRICT_SOFT:
            total = np.int32(total - limit[i]) if spike else total
        v[i] = total
        spikes[i] = spike
    return beyond


@compile_function
def readout(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerReadout`; p: share kept of u and of v, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        u, v = state[sample, 0, a:b], state[sample, 1, a:b]
        keep_u, keep_v, bias = p[0, a:b], p[1, a:b], p[2, a:b]
        for step in range(drive.shape[1]):
            row, potential = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                u[i] = update_current(u[i], keep_u[i], x)
                total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
                v[i] = saturate(total)
                potential[i] = v[i]
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def graded(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array, table: Array
) -> bool:
    """See `IntegerGraded`; p: factor, shift, lowest, highest, bias. All inputs are small enough."""
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        v, factor, shift = state[sample, 0, a:b], p[0, a:b], p[1, a:b]
        lowest, highest, bias = p[2, a:b], p[3, a:b], p[4, a:b]
        for step in range(drive.shape[1]):
            row, sent = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = (np.int64(row[i]) << np.int64(at[2])) >> np.int64(at[3])
                digits = np.int64(shift[i])
                half = (np.int64(1) << digits) >> np.int64(1)
                total = ((x + np.int64(bias[i])) * np.int64(factor[i]) + half) >> digits
                total = min(max(total, np.int64(lowest[i])), np.int64(highest[i]))
                v[i] = np.int32(total)
                sent[i] = table[total - lowest[i]] if len(table) else total
            mark_charged(charged, sample, step, a, v)
    return True


@compile_function
def signed_integrate_fire(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerSignedIntegrateFire`; p: threshold, negative threshold, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        v, sent = state[sample, 0, a:b], state[sample, 1, a:b]
        limit, negative, bias = p[0, a:b], p[1, a:b], p[2, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                total = saturate(np.int32(np.int32(v[i] + wrap(np.int32(x << 6))) + bias[i]))
                up = np.int32(total > limit[i])
                down = np.int32(total < negative[i]) & np.int32(sent[i] > 0)
                spike = np.int32(up - down)
                v[i] = np.int32(total - np.int32(limit[i] * spike))
                sent[i] = np.int32(sent[i] + spike)
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def ternary_lif(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerTernaryLif`; p: share kept of u and v, threshold, negative one, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        u, v = state[sample, 0, a:b], state[sample, 1, a:b]
        keep_u, keep_v, limit = p[0, a:b], p[1, a:b], p[2, a:b]
        negative, bias = p[3, a:b], p[4, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                u[i] = update_current(u[i], keep_u[i], x)
                total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
                total = saturate(total)
                spike = np.int32(np.int32(total > limit[i]) - np.int32(total < negative[i]))
                v[i] = total if spike == 0 else np.int32(0)
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def refractory_lif(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerRefractoryLif`; p: share kept of u and v, threshold, refractory, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        u, v, wait = state[sample, 0, a:b], state[sample, 1, a:b], state[sample, 2, a:b]
        keep_u, keep_v, limit = p[0, a:b], p[1, a:b], p[2, a:b]
        refractory, bias = p[3, a:b], p[4, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                u[i] = update_current(u[i], keep_u[i], x)
                total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
                total = saturate(total) if wait[i] == 0 else np.int32(0)
                spike = (total > limit[i]) & (wait[i] == 0)
                v[i] = np.int32(0) if spike else total
                rest = np.int32(max(np.int32(wait[i] - 1), np.int32(0)))
                wait[i] = np.int32(rest + refractory[i]) if spike else rest
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def adaptive_lif(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array, reset: int
) -> bool:
    """See `IntegerAdaptiveLif`; p: share kept of u, v and rise, threshold, step, bias."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        u, v, raised = state[sample, 0, a:b], state[sample, 1, a:b], state[sample, 2, a:b]
        keep_u, keep_v, keep_raised = p[0, a:b], p[1, a:b], p[2, a:b]
        threshold, rise, bias = p[3, a:b], p[4, a:b], p[5, a:b]
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                high = decay(raised[i], keep_raised[i])
                u[i] = update_current(u[i], keep_u[i], x)
                total = np.int32(np.int32(decay(v[i], keep_v[i]) + u[i]) + bias[i])
                total = saturate(total)
                limit = np.int32(threshold[i] + high)
                spike = total > limit
                after = np.int32(0) if reset == HARD else np.int32(total - limit)
                v[i] = after if spike else total
                raised[i] = saturate(np.int32(high + rise[i])) if spike else saturate(high)
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def _locate_in_cycle(clock: Array, start: Array, window: Array, once: Array) -> Array:
    """Return the step of each neuron in its cycle; below 0 outside of all cycles."""
    positions = np.empty(len(clock), np.int32)
    for i in range(len(clock)):
        since = np.int32(clock[i] - start[i])
        cycle = np.int32(2 * window[i])
        positions[i] = since % cycle if since >= 0 else since
        if once[i] and since >= cycle:
            positions[i] = OVER
    return positions


@compile_function
def _advance(position: Any, window: Any, once: Any) -> Any:
    """Return the next step of a cycle; a division in every step would take ten times as long."""
    after = np.int32(position + 1)
    last = np.int32(after == np.int32(2 * window))
    return np.int32(after + np.int32(last * np.int32(np.int32(OVER * once) - after)))


@compile_function
def _sleep(positions: Array, clock: Array, spikes: Array) -> bool:
    """Send nothing in all time steps of `spikes` if no neuron wakes up; return whether it did."""
    steps = np.int32(len(spikes))
    if positions.max() + steps > 0:
        return False
    for i in range(len(clock)):
        clock[i] = np.int32(clock[i] + steps)
    spikes[:] = 0
    return True


@compile_function
def bistable_fire(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerBistableFire`; p: threshold, window, start, bias, once, initial potential."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        v, clock = state[sample, 0, a:b], state[sample, 1, a:b]
        limit, window, start = p[0, a:b], p[1, a:b], p[2, a:b]
        bias, once, initial = p[3, a:b], p[4, a:b], p[5, a:b]
        positions = _locate_in_cycle(clock, start, window, once)
        if _sleep(positions, clock, out[at[0] + sample, at[1] : at[1] + drive.shape[1], a:b]):
            for step in range(drive.shape[1]):
                mark_charged(charged, sample, step, a, v)
            continue
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                position = positions[i]
                receiving = (position >= 0) & (position < window[i])
                arrived = np.int32(wrap(np.int32(x << 6)) + bias[i])
                first = np.int32(position == 0)  # products, or it is not vectorised
                total = np.int32(v[i] + np.int32(first * np.int32(initial[i] - v[i])))
                total = saturate(np.int32(total + np.int32(arrived * np.int32(receiving))))
                spike = np.int32(position >= window[i]) & np.int32(total > limit[i])
                v[i] = np.int32(total - np.int32(limit[i] * spike))
                positions[i] = _advance(position, window[i], once[i])
                clock[i] = np.int32(clock[i] + 1)
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)


@compile_function
def phase_fire(
    drive: Array, out: Array, at: OutputStart, state: Array, charged: Array, p: Array
) -> bool:
    """See `IntegerPhaseFire`; p: threshold, window, start, bias, once, initial potential."""
    beyond = np.int32(0)
    for sample, a, b in cut_blocks(len(drive), drive.shape[2]):
        v, clock = state[sample, 0, a:b], state[sample, 1, a:b]
        limit, window, start = p[0, a:b], p[1, a:b], p[2, a:b]
        bias, once, initial = p[3, a:b], p[4, a:b], p[5, a:b]
        positions = _locate_in_cycle(clock, start, window, once)
        if _sleep(positions, clock, out[at[0] + sample, at[1] : at[1] + drive.shape[1], a:b]):
            for step in range(drive.shape[1]):
                mark_charged(charged, sample, step, a, v)
            continue
        for step in range(drive.shape[1]):
            row, spikes = drive[sample, step, a:b], out[at[0] + sample, at[1] + step, a:b]
            for i in range(b - a):
                x = shift_input(row[i], at)
                beyond |= is_too_large(x)
                position = positions[i]
                receiving = (position >= 0) & (position < window[i])
                arrived = np.int32(wrap(np.int32(x << 6)) + bias[i])
                total = np.int32(v[i] << 1) if receiving else v[i]
                total = initial[i] if receiving & (position == 0) else total
                total = saturate(np.int32(total + arrived) if receiving else total)
                emitting = position >= window[i]
                digits = np.int64(2 * window[i] - 1 - position) if emitting else np.int64(0)
                level = np.int64(limit[i]) << digits
                spike = emitting & (total > level)
                v[i] = np.int32(total - level) if spike else total
                positions[i] = _advance(position, window[i], once[i])
                clock[i] = np.int32(clock[i] + 1)
                spikes[i] = spike
            mark_charged(charged, sample, step, a, v)
    return bool(beyond == 0)
