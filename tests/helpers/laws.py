"""What must hold for every neuron, as functions that the test of each neuron calls.

A `plain_step(p, state, x)` is the docstring of the neuron a second time, in plain Python numbers;
it returns (state, output, reached), where `reached` has the values of the states before wrap,
saturation and reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from hypothesis import strategies as st

from snncompile.neurons.base import Interval

HALF = 2**23
TOP = HALF - 1
EDGES = [0, 1, -1, TOP, -TOP, 63, 64, 65, 4095, 4096, 4097]
STATE = st.integers(-TOP, TOP) | st.sampled_from(EDGES)
DRIVE = st.integers(-(2**19), 2**19) | st.integers(-5, 5) | st.sampled_from([2**17, -(2**17)])
DECAY = st.integers(0, 4095) | st.sampled_from([0, 1, 2048, 4094, 4095])
THRESHOLD = st.integers(0, 131071) | st.integers(0, 3) | st.just(131071)
BIAS = {
    "bias_mantissa": st.integers(-4095, 4095) | st.just(0),
    "bias_exponent": st.integers(0, 7),
    "initial": STATE,
}
SIZE = st.integers(0, 5) | st.integers(0, 4000) | st.sampled_from([0, 64, 2**11, 2**15, 2**17])
"""How far the input of a step goes, for bounds."""
SMALL_BIAS = {
    "bias_mantissa": st.sampled_from([0, 4095, -4095]) | st.integers(-300, 300),
    "bias_exponent": st.integers(0, 7),
    "initial": st.just(0) | st.integers(-2000, 2000) | STATE,
}
FINITE = st.floats(-8, 8) | st.sampled_from([0.0, 1.0, 0.5])
NOISE = st.lists(st.integers(0, 10**6), min_size=24, max_size=24)

PlainStep = Callable[..., tuple[tuple[float, ...], float, dict[str, float]]]


def run(neuron, drive):
    """Return [(states..., output)] of one neuron, numpy; torch must give the same."""
    dtype = getattr(neuron, neuron.parameters()[0]).dtype
    state = tuple(np.zeros(1, dtype) for _ in neuron.states)
    bound = neuron.bind(torch.tensor)
    tensors = tuple(torch.tensor(s) for s in state)
    rows = []
    for x in drive:
        state, output = neuron.step(state, np.asarray([x], dtype))
        tensors, other = bound.step(tensors, torch.tensor(np.asarray([x], dtype)))
        assert [s.tolist() for s in tensors] == [s.tolist() for s in state]
        assert [s.dtype for s in state] == [dtype] * len(state)
        assert other.tolist() == output.tolist()
        assert output.dtype in (np.bool_, np.int64)
        assert str(other.dtype) == f"torch.{output.dtype}"
        rows.append((*(s.item() for s in state), int(output.item())))
    return rows


def same_as_plain(neuron, plain_step: PlainStep, p, start, drive) -> None:
    """Compare numpy and torch with plain Python, state by state, from given states on."""
    bound, wanted = neuron.bind(torch.tensor), start
    arrays = tuple(np.array([s]) for s in start)
    tensors = tuple(torch.tensor(array) for array in arrays)
    for x in drive:
        wanted, output, _ = plain_step(p, wanted, x)
        arrays, one = neuron.step(arrays, np.array([x]))
        given = torch.tensor([x], dtype=tensors[0].dtype)
        tensors, other = bound.step(tensors, given)
        assert (*(a.item() for a in arrays), one.item()) == (*wanted, output)
        assert (*(t.item() for t in tensors), other.item()) == (*wanted, output)


def never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise) -> None:
    """Push the neuron with inputs from -low to high; it must stay within `neuron.bounds`."""
    x = Interval(np.asarray(-low), np.asarray(high))
    found = neuron.bounds(x, steps if known else None)
    leaves = "u" in found and (found["u"].low <= -HALF or found["u"].high > HALF)
    for drive in _adversaries(neuron, plain_step, p, -low, high, steps, noise[:steps]):
        state = beginning(neuron)
        for x in drive:
            state, _, reached = plain_step(p, state, x)
            assert reached.keys() == found.keys()
            for name, value in reached.items():
                if name != "u" or not leaves:
                    assert found[name].low <= value <= found[name].high, (name, drive)
                elif value <= -HALF or value > HALF:
                    assert max(-found[name].low, found[name].high) > TOP


def beginning(neuron) -> tuple[int, ...]:
    """Return the states of one neuron before the first time step."""
    return tuple(int(state) for state in neuron.begin(np.int64(0)))


def _adversaries(neuron, plain_step, p, low, high, steps, noise) -> Iterator[list[int]]:
    yield [low] * steps
    yield [high] * steps
    for period in (1, 2, 3, 5):
        yield [high if i // period % 2 else low for i in range(steps)]
        yield [low if i // period % 2 else high for i in range(steps)]
    yield [low] * (steps // 2) + [high] * (steps - steps // 2)
    yield [high] * (steps // 2) + [low] * (steps - steps // 2)
    yield [high if n % 2 else low for n in noise]
    yield [low + n % (high - low + 1) for n in noise]
    threshold = 64 * p["threshold"]
    place = neuron.states.index("v")
    for choose in (
        lambda v: low if v > threshold else high,  # up to a spike, then down
        lambda v: high if v > threshold else low,
        lambda v: high if v <= threshold - 64 else max(low, min(high, 0)),
        lambda v: max(low, min(high, (threshold - v) // 64)) if v < threshold else high,
        lambda v: low if v < 0 else max(low, -v // 64),  # down to zero, then below
    ):
        state, drive = beginning(neuron), []
        for _ in range(steps):
            drive.append(choose(state[place]))
            state = plain_step(p, state, drive[-1])[0]
        yield drive


def integers_are_floats_times_scale(
    exact, formats, drive, unscaled: tuple[str, ...] = (), output: int = 1
) -> None:
    """Compare float and integer steps; with scale 2^12 ten halvings leave no remainder.

    Args:
        exact: float neuron whose parameters are multiples of 1/4, decays 0, 1/2 and 1.
        formats: of the chip.
        drive: whole numbers.
        unscaled: states that count, which no scale multiplies.
        output: what the output is multiplied by; 1 for spikes.
    """
    integer = exact.quantize(2.0**12, formats)
    floats, ints = exact.begin(np.zeros(1)), integer.begin(np.zeros(1, np.int64))
    scales = [1 if name in unscaled else 2**12 for name in exact.states]
    for x in drive:
        floats, one = exact.step(floats, np.array([float(x)]))
        ints, other = integer.step(ints, np.array([x * 64]))  # u of 64 * 64 per unit
        wanted = [f.item() * scale for f, scale in zip(floats, scales, strict=True)]
        assert [i.item() for i in ints] == wanted
        assert other.item() == one.item() * output
