"""Bounds of whole networks: every input there is, the worst one that a search finds, ResNet-20."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from differential import Frame
from differential import network as drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, design, random_integer_network
from resnet import resnet20

from snncompile.ir.reports import Bound
from snncompile.neurons.base import BINARY, Interval
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import run_batches
from snncompile.reference.synapses import (
    EXACT_FLOAT32,
    bind,
    bound_largest_sum,
    bound_sums,
    sum_at_ones,
)
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

SEEDS = st.integers(0, 10**9)


def reached(network, x) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the lowest and highest value of each state after any step, for all samples of x."""
    found: dict[tuple[str, str], tuple[int, int]] = {}

    def watch(name: str, step: int, states) -> None:
        for state, value in zip(network.population(name).neuron.states, states, strict=True):
            low, high = found.get((name, state), (0, 0))
            found[name, state] = min(low, int(value.min())), max(high, int(value.max()))

    list(run_batches(network, x, watch=watch))
    return found


def check(found: tuple[Bound, ...], extremes_) -> None:
    for bound in found:
        if (bound.population, bound.quantity) not in extremes_:
            continue  # a sum, as those that a product multiplies: no state
        low, high = extremes_[bound.population, bound.quantity]
        assert bound.low is None or bound.low <= low, str(bound)
        assert bound.high is None or high <= bound.high, str(bound)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, frame=st.sampled_from([Frame((1, 3), 3), Frame((2, 1, 2), 2), Frame((1,), 8)]))
def test_every_input_of_a_small_network(seed, frame):
    """All spike patterns; convolutions, sparse and residual synapses, loops, wild numbers."""
    network = drawn(seed, 0, frame)
    spikes = int(np.prod(frame.shape)) * frame.steps
    patterns = np.array(list(product([0, 1], repeat=spikes)), np.uint8)
    found = prove_bounds(network, TOY, frame.steps)
    check(found, reached(network, patterns.reshape(-1, frame.steps, *frame.shape)))


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, state=st.integers(0, 5), upwards=st.booleans())
def test_a_search_for_the_worst_input(seed, state, upwards):
    """Climb: flip spikes as long as the potential of one neuron goes farther."""
    network = random_integer_network(seed, wild=False)
    rng = np.random.default_rng(seed)
    x = (rng.random((1, 6, *network.input.shape)) < 0.5).astype(np.uint8)
    found = prove_bounds(network, TOY, 6)
    for _ in range(8):
        flipped = x.repeat(12, axis=0)
        flipped[1:] ^= (rng.random(flipped[1:].shape) < 0.15).astype(np.uint8)
        check(found, reached(network, flipped))
        best = [_score(network, one[None], state, upwards) for one in flipped]
        x = flipped[int(np.argmax(best))][None]


def _score(network, x, state: int, upwards: bool) -> int:
    ends = sorted(reached(network, x).items())
    low, high = ends[state % len(ends)][1]
    return high if upwards else -low


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, low=st.integers(-3, 0), high=st.integers(0, 3))
def test_sums_are_reached_exactly(seed, low, high):
    """Both ends of an accumulator, by sending each source's worst payload; with any wiring."""
    network = drawn(seed, 0, Frame((2, 4, 6), 2))
    for p in network.projections:
        wiring, weight = p.synapses.wiring, p.synapses.weight.astype(np.int64)
        matrix = wiring.matrix(weight).toarray()
        highest = np.maximum(matrix * low, matrix * high).sum(axis=1)
        lowest = np.minimum(matrix * low, matrix * high).sum(axis=1)
        up, down = np.maximum(weight, 0), np.minimum(weight, 0)
        assert (sum_at_ones(wiring, up) * high + sum_at_ones(wiring, down) * low == highest).all()
        assert (sum_at_ones(wiring, down) * high + sum_at_ones(wiring, up) * low == lowest).all()
        ends = bound_sums(p.synapses, Interval(low, high))
        assert (lowest.min(initial=0), highest.max(initial=0)) >= (ends.low.min(initial=0), 0)
        assert highest.max(initial=0) <= ends.high.max(initial=0)


def float32_sum(synapses: IntegerSynapses, x: np.ndarray, payload) -> tuple[int, bool]:
    """Return the sum, and whether float32 was taken for it."""
    total = int(bind(synapses, payload)(np_tensor(x)).max())
    return total, bound_largest_sum(synapses, payload) <= EXACT_FLOAT32


def np_tensor(x):
    import torch

    return torch.tensor(x)


# Positive weights, negative ones, whether float32 is exact: none of a sum's parts exceeds 2^24.
AROUND = [
    (2**9, 0, True),
    (2**9, 1, True),
    (2**9 + 1, 0, False),
    (2**9, 2**9, True),  # the sum of magnitudes is 2^25
    (0, 2**9, True),
    (0, 2**9 + 1, False),
]


@pytest.mark.parametrize("positive, negative, exact", AROUND)
def test_both_sides_of_2_to_the_24(positive, negative, exact):
    """Weights of 2^15 - 1 and one of the rest: the last unit of the sum is still there."""
    parts = [2**15 - 1] * positive + [positive] * (positive > 0)
    parts += [1 - 2**15] * negative + [-negative] * (negative > 0)
    synapses = integer_dense([parts], 0, 9)
    total, fast = float32_sum(synapses, np.ones((1, len(parts)), np.int64), BINARY)
    assert total == (positive - negative) * 2**15
    assert fast == exact
    odd = integer_dense([[*parts, 1 if positive >= negative else -1]], 0, 9)
    total, _ = float32_sum(odd, np.ones((1, len(parts) + 1), np.int64), BINARY)
    assert abs(total) == abs(positive - negative) * 2**15 + 1


def test_beyond_float64_sums_go_in_parts():
    """Payloads of 2^40 and weights of 2^14: the last unit is there."""
    synapses = integer_dense([[2**14, 2**14, 1]], 0, 9)
    x = np.array([[2**40, 2**40 - 1, 3]])
    payload = Interval(-(2**40), 2**40)
    assert int(bind(synapses, payload)(np_tensor(x))) == 2**54 + 2**54 - 2**14 + 3
    x = -x
    assert int(bind(synapses, payload)(np_tensor(x))) == -(2**55) + 2**14 - 3


def test_a_convolution_knows_its_border():
    """A corner of a 3x3 convolution sees 4 places, the middle 9."""
    wiring = Convolution((1, 3, 3), 1, (3, 3), (1, 1), (1, 1), (1, 1))
    found = sum_at_ones(wiring, np.ones(wiring.weight_shape, int))
    assert found.tolist() == [4, 6, 4, 6, 9, 6, 4, 6, 4]


def test_resnet_20_is_proved_or_named_without_unrolling(monkeypatch):
    """The sums of a time step are proved; potentials that can saturate are told with a neuron.

    It takes seconds because no convolution becomes a matrix of its 37 million synapses.
    """

    def unrolled(*arguments: object) -> None:
        raise AssertionError("a convolution was unrolled")

    monkeypatch.setattr(Convolution, "matrix", unrolled)
    network = resnet20(neuron=SignedIntegrateFire(1.0))
    assert sum(p.size for p in network.populations) == 188_426
    made = Quantize(steps=32)(Retime()(design(network, LOIHI2))).network
    found = prove_bounds(made, LOIHI2, 32)
    assert len({b.population for b in found}) == len(network.populations)
    assert all(b.holds for b in found if b.quantity == "u")
    assert all("neuron" in str(b) for b in found if not b.holds)
    short = prove_bounds(made, LOIHI2, 2)
    assert {b.population for b in short if not b.holds} <= {"output"}
