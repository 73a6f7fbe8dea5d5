"""One time step of learning synapses in Lava's integers, compiled.

The order is that of lava-nc 0.10.0 (`magma/core/model/py/connection.py`, class
`LearningConnectionModelBitApproximate`, and `learning_rule_applier.py`): weights of spikes are
added up, spikes of the sources and then of the targets move the traces, and at the end of an epoch
weights and tags change.
"""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Array, Floats, Ints
from snncompile.machine_code import compile_function

ACCUMULATOR_LOW, ACCUMULATOR_HIGH = -(2**15) - 1, 2**15 - 1
FRACTION = 128
"""Weights and tags have 7 bits of fraction while they change."""
TAG_LOW, WEIGHT_LOW, HIGHEST = -257, -256, 255


@compile_function
def clip(value: int, low: int, high: int) -> int:
    """Return a value within low..high."""
    return min(max(value, low), high)


@compile_function
def add_impulse(trace: int, impulse: int, fraction: int, number: float) -> int:
    """Return a trace after a spike; `number` decides whether the fraction rounds up."""
    return clip(trace + impulse + (1 if number < fraction else 0), 0, 127)


@compile_function
def round_down_or_up(value: float, number: float) -> int:
    """Return a number rounded up with its fraction as probability."""
    whole = np.floor(value)
    return int(whole) + (1 if number < value % 1.0 else 0)


@compile_function
def sum_spikes(weight: Ints, row: Ints, column: Ints, spikes: Array, targets: int) -> Ints:
    """Return the sums of the weights of the sources that fired, shape (targets,)."""
    total = np.zeros(targets, np.int64)
    for s in range(len(weight)):
        if spikes[column[s]]:
            total[row[s]] += weight[s]
    return total


@compile_function
def see_spikes(
    traces: Ints, times: Ints, spikes: Array, step: int, impulse: Ints, fraction: Ints, number: int
) -> None:
    """Note the spikes of a step; of two in one epoch the second adds its impulse at once.

    Args:
        traces: shape (traces, neurons), updated in place.
        times: last spike of the epoch, updated in place.
        spikes: of the neurons.
        step: within the epoch, from 1.
        impulse: whole part of the impulse of each trace.
        fraction: its rest in 1/256.
        number: decides whether it rounds up.
    """
    for n in range(len(times)):
        if spikes[n]:
            if times[n] > 0:
                for k in range(len(traces)):
                    traces[k, n] = add_impulse(traces[k, n], impulse[k], fraction[k], number)
            times[n] = step


@compile_function
def receive(
    weight: Ints,
    row: Ints,
    column: Ints,
    pre: Array,
    post: Array,
    pre_traces: Ints,
    pre_time: Ints,
    post_traces: Ints,
    post_time: Ints,
    step: int,
    impulse: Ints,
    fraction: Ints,
    number: int,
) -> Ints:
    """Return the sums of the weights of the sources that fired; note the spikes of both ends.

    Args:
        weight: shape (synapses,).
        row: target of each synapse.
        column: source of each synapse.
        pre: spikes of the sources.
        post: spikes of the targets.
        pre_traces, pre_time, post_traces, post_time: see `see_spikes`, updated in place.
        step: within the epoch, from 1.
        impulse: whole part of the impulse of each of the five traces.
        fraction: its rest in 1/256.
        number: decides whether impulses of the targets round up; those of the sources always do.
    """
    total = sum_spikes(weight, row, column, pre, len(post_time))
    see_spikes(pre_traces, pre_time, pre, step, impulse[:2], fraction[:2], 0)
    see_spikes(post_traces, post_time, post, step, impulse[2:], fraction[2:], number)
    return total


@compile_function
def follow_traces(
    traces: Ints,
    times: Ints,
    epoch: int,
    decay: Floats,
    impulse: Ints,
    fraction: Ints,
    number: Floats,
) -> Ints:
    """Return the traces after each step of an epoch, shape (epoch + 1, traces, neurons).

    Args:
        traces: at its start, and with the impulses of all spikes but the last.
        times: of the last spikes, 0 without one.
        epoch: time steps.
        decay: factor per step of each trace.
        impulse: whole part of the impulse of each trace.
        fraction: its rest in 1/256.
        number: random numbers of the decay and of the impulse, the same for all steps.
    """
    history = np.zeros((epoch + 1, *traces.shape), np.int64)
    history[0] = traces
    for t in range(1, epoch + 1):
        for k in range(len(traces)):
            for n in range(len(times)):
                value = 0
                if decay[k] != 0:
                    value = round_down_or_up(decay[k] * history[t - 1, k, n], number[0])
                if times[n] == t:
                    value = add_impulse(value, impulse[k], fraction[k], number[1])
                history[t, k, n] = value
    return history


@compile_function
def read_factor(
    code: int, x: Ints, y: Ints, x_at: int, y_at: int, j: int, i: int, weight: int, tag: int
) -> int:
    """Return the variable of a factor, see `VARIABLES`; x0 and y0 are counted by the caller."""
    if code == 2 or code == 3:
        return int(x[x_at, code - 2, j])
    if code == 7:
        return weight
    if code == 8:
        return tag
    return int(y[y_at, code - 4, i])


@compile_function
def change_synapse(
    value: int,
    target: int,
    products: Ints,
    x: Ints,
    y: Ints,
    x_time: int,
    y_time: int,
    u: bool,
    j: int,
    i: int,
    weight: int,
    tag: int,
) -> int:
    """Return a weight or tag with its fraction after the products of its rule."""
    end = len(x) - 1
    for p in range(len(products)):
        if products[p, 0] != target:
            continue
        dependency = products[p, 1]
        change = 0
        at = x_time if dependency == 0 else y_time if dependency == 1 else end
        if at > 0 and (dependency < 2 or u):
            change = products[p, 2]
            for f in range(products[p, 5]):
                code, constant, sign, bits = products[p, 6 + 4 * f : 10 + 4 * f]
                if code == 0:
                    factor = 1 if x_time > 0 else 0
                elif code == 1:
                    factor = 1 if y_time > 0 else 0
                else:
                    factor = read_factor(code, x, y, at, at, j, i, weight, tag)
                factor += constant
                if sign:
                    factor = np.sign(factor)
                change *= clip(factor, -(1 << bits), (1 << bits) - 1)
            change = (change >> products[p, 4]) << products[p, 3]
        change = clip(change, ACCUMULATOR_LOW, ACCUMULATOR_HIGH)
        value = clip(value + change, ACCUMULATOR_LOW, ACCUMULATOR_HIGH)
    return value


@compile_function
def learn(
    weight: Ints,
    tag: Ints,
    row: Ints,
    column: Ints,
    products: Ints,
    x: Ints,
    y: Ints,
    x_times: Ints,
    y_times: Ints,
    u: bool,
    tags: bool,
    weights: bool,
    positive: bool,
    number: float,
) -> int:
    """Change weights and tags at the end of an epoch; return the synapses that had an update.

    Args:
        weight: shape (synapses,), updated in place.
        tag: the same.
        row: target of each synapse.
        column: source of each synapse.
        products: rows of the rule.
        x: traces of the sources after each step of the epoch.
        y: traces of the targets.
        x_times: last spike of each source in the epoch.
        y_times: last spike of each target.
        u: whether products of uk count in this epoch.
        tags: whether tags change.
        weights: whether weights change.
        positive: whether weights stay at 0 or above.
        number: random number of the rounding, one for all synapses.
    """
    updates = 0
    for s in range(len(weight)):
        i, j = row[s], column[s]
        w, t = weight[s], tag[s]
        active = u or x_times[j] > 0 or y_times[i] > 0
        if active:
            updates += 1
        if weights and active:
            value = change_synapse(
                w * FRACTION, 0, products, x, y, x_times[j], y_times[i], u, j, i, w, t
            )
            if positive:
                value = max(value, 0)
            changed = round_down_or_up(value / FRACTION, number)
            weight[s] = clip(changed, 0 if positive else WEIGHT_LOW, HIGHEST)
        if tags and (active or t < WEIGHT_LOW):
            value = change_synapse(
                t * FRACTION, 1, products, x, y, x_times[j], y_times[i], u, j, i, w, t
            )
            tag[s] = clip(round_down_or_up(value / FRACTION, number), TAG_LOW, HIGHEST)
    return updates
