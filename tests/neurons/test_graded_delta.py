"""The graded neuron that sends changes; networks of it are in tests/conversion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2

from snncompile.neurons.base import Interval
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.graded_delta import GradedDelta, IntegerGradedDelta


def send(neuron, inputs):
    """Return what a neuron sends in each step, and its states at the end; torch gives the same."""
    zero = np.zeros(1, neuron.lowest.dtype)
    state, sent = neuron.begin(zero), []
    bound = neuron.bind(torch.tensor)
    other = bound.begin(torch.tensor(zero))
    for x in inputs:
        array = np.asarray([x], neuron.lowest.dtype)
        state, output = neuron.step(state, array)
        other, tensor = bound.step(other, torch.tensor(array))
        assert tensor.tolist() == output.tolist()
        assert [s.tolist() for s in other] == [s.tolist() for s in state]
        sent.append(output.item())
    return sent, [s.item() for s in state]


# Neuron, inputs, what it sends, sigma and sent at the end.
SENT = {
    "every change": (IntegerGradedDelta(), [3, 0, -5], [3, 0, -5], [-2, -2]),
    "a rectifier": (IntegerGradedDelta(lowest=0), [3, 0, -5, 1], [3, 0, -3, 0], [-1, 0]),
    "changes of 2 or more": (IntegerGradedDelta(least=2), [1, 1, 1, -1], [0, 2, 0, 0], [2, 2]),
    "frames": (IntegerGradedDelta(memory=0), [3, 3, 1], [3, 0, -2], [1, 1]),
    "half rounds up": (IntegerGradedDelta(1, 1), [1, 0, -2], [1, 0, -1], [-1, 0]),
    "a bias": (IntegerGradedDelta(lowest=0, bias=4), [0, -6, 1], [4, -4, 0], [-5, 0]),
    "a table": (
        IntegerGradedDelta(1, 0, -1, 1, [5, 0, 5]),
        [1, -2, 1],
        [5, 0, -5],
        [0, 0],
    ),
    "one bit": (IntegerGradedDelta(lowest=0, highest=1), [9, 0, -9], [1, 0, -1], [0, 0]),
    "floats": (GradedDelta(0.5, 0, 3), [1.0, 2.0, -3.0], [1.0, 1.0, -2.0], [0.0, 0.0]),
}


@pytest.mark.parametrize("case", SENT)
def test_by_hand(case):
    neuron, inputs, wanted, states = SENT[case]
    assert send(neuron, inputs) == (wanted, states)


REFUSED = [
    (lambda: GradedDelta(whole=0), "whole must be 1: changes of whole numbers are sent"),
    (lambda: GradedDelta(least=0), "least must be a whole number from 1, got 0"),
    (lambda: IntegerGradedDelta(memory=2), "memory must be 0 or 1"),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_messages_go_from_the_largest_fall_to_the_largest_rise():
    neuron = IntegerGradedDelta(lowest=-2, highest=5)
    assert neuron.payload == (-7, 7)
    assert neuron.message_sum == (-2, 5)
    assert neuron.equals() == ()


@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(0, 6))
def test_the_sum_of_messages_is_a_value_less_than_least_away(least, seed, steps, shift):
    rng = np.random.default_rng(seed)
    parameters = (int(rng.integers(1, 9)), shift, 0, 40)
    x = rng.integers(-50, 50, (steps, 7))
    changes = IntegerGradedDelta(*parameters, bias=-3 * shift, least=least)
    plain = IntegerGraded(*parameters, bias=-3 * shift)
    state, total, sigma = changes.begin(np.zeros(7, np.int64)), 0, 0
    for row in x:
        state, output = changes.step(state, row)
        total, sigma = total + output, sigma + row
        _, value = plain.step((sigma,), sigma)
        assert (np.abs(total - value) < least).all()
        assert (total == state[1]).all()


def test_the_sum_is_as_near_after_10000_frames_as_after_100():
    rng = np.random.default_rng(3)
    neuron = IntegerGradedDelta(5, 3, 0, 255, least=4)
    state, total, sigma, errors = neuron.begin(np.zeros(50, np.int64)), 0, 0, []
    target = np.zeros(50, np.int64)
    for _ in range(10_000):
        new = np.clip(target + rng.integers(-9, 10, 50), 0, 400)
        state, output = neuron.step(state, new - target)
        target, total = new, total + output
        sigma = np.clip((target * 5 + 4) >> 3, 0, 255)
        errors.append(int(np.abs(total - sigma).max()))
    assert max(errors[9_900:]) == max(errors[:100]) == 3


def test_bounds_are_those_of_any_number_of_steps():
    neuron = IntegerGradedDelta(1, 0, 0, 9, bias=-4, initial=2)
    x = Interval(np.array([-3]), np.array([5]))
    bounds = neuron.bounds(x, 10)
    assert (bounds["sigma"].low.item(), bounds["sigma"].high.item()) == (-34, 52)
    assert bounds["sent"] == (0, 9)
    lifted = IntegerGradedDelta(1, 0, 0, 9, bias=4, initial=2).bounds(x, 10)["sigma"]
    assert (lifted.low.item(), lifted.high.item()) == (-30, 56)
    assert neuron.bounds(x, None)["sigma"].high.item() == np.inf


def test_quantize_keeps_changes_and_takes_the_scale_out_of_the_factor():
    neuron = GradedDelta(1.0, 0, 15, bias=0.5, least=2, memory=0)
    integer = neuron.quantize(np.array([64.0, 128.0]), LOIHI2.formats)
    assert (integer.factor / 2.0**integer.shift).tolist() == [1 / 64, 1 / 128]
    assert integer.bias.tolist() == [32, 64]
    assert (integer.least.item(), integer.memory.item(), integer.highest.item()) == (2, 0, 15)
