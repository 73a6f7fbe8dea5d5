"""Bounds: nothing may leave them whatever the input (law), and simple ones are reached (table)."""

from __future__ import annotations

import numpy as np
import plain
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import (
    RESETS,
    TOY,
    random_integer_network,
    spikes,
)

from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.analysis.bounds import bound_accumulator, prove_bounds
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import integer_dense

HALF = 2**23


def peaks(kind: str, p, drive):
    """Return the lowest and highest u and v before wrap, saturation and reset, in plain Python."""
    name, _, reset = kind.partition("/")
    bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
    threshold = 64 * p.get("threshold", 0)
    if name == "integrate_fire":
        p = p | {"current_decay": 4095, "potential_decay": 0}
    state, us, vs = (0, p.get("initial", 0)), [0], [p.get("initial", 0)]
    for x in drive:
        u, v = state
        us.append(plain.decayed(u, p["current_decay"] + 1) + 64 * x)
        vs.append(plain.decayed(v, p["potential_decay"]) + plain.wrapped(us[-1]) + bias)
        if v > threshold and reset == "delayed_soft":
            vs[-1] -= threshold
        if v > threshold and reset == "delayed_hard":
            vs[-1] = 0
        full = "cuba_lif/" + reset if name == "integrate_fire" else kind
        state, _ = plain.integer_step(full, p, state, x)
    return {"u": (min(us), max(us)), "v": (min(vs), max(vs))}


KINDS = [f"cuba_lif/{reset}" for reset in RESETS]
KINDS += ["integrate_fire/hard", "integrate_fire/soft", "readout"]


def made(kind: str, p):
    name, _, reset = kind.partition("/")
    bias, initial = (p["bias_mantissa"], p["bias_exponent"]), p.get("initial", 0)
    if name == "integrate_fire":
        return IntegerIntegrateFire(p["threshold"], *bias, reset, initial=initial)
    decays = p["current_decay"], p["potential_decay"]
    if name == "readout":
        return IntegerReadout(*decays, *bias, initial=initial)
    return IntegerCubaLif(*decays, p["threshold"], *bias, reset, initial=initial)


def adversaries(kind: str, p, low: int, high: int, steps: int, noise):
    """Return drives that push: one way, to and fro, at random, and by what the neuron does."""
    yield [low] * steps
    yield [high] * steps
    for period in (1, 2, 3, 5):
        yield [high if i // period % 2 else low for i in range(steps)]
        yield [low if i // period % 2 else high for i in range(steps)]
    yield [low] * (steps // 2) + [high] * (steps - steps // 2)
    yield [high] * (steps // 2) + [low] * (steps - steps // 2)
    yield [high if n % 2 else low for n in noise]
    yield [low + n % (high - low + 1) for n in noise]
    threshold = 64 * p.get("threshold", 0)
    for choose in (
        lambda v: low if v > threshold else high,  # up to a spike, then down
        lambda v: high if v > threshold else low,
        lambda v: high if v <= threshold - 64 else max(low, min(high, 0)),
        lambda v: max(low, min(high, (threshold - v) // 64)) if v < threshold else high,
    ):
        yield adaptive(kind, p, choose, steps)


def adaptive(kind: str, p, choose, steps: int):
    """Return a drive that creeps up to the threshold, or goes down after a spike."""
    v = p.get("initial", 0)
    state, drive = ((v,) if kind.startswith("integrate") else (0, v)), []
    for _ in range(steps):
        drive.append(choose(state[-1]))
        state, _ = plain.integer_step(kind, p, state, drive[-1])
    return drive


SIZE = st.integers(0, 5) | st.integers(0, 4000) | st.sampled_from([0, 64, 2**11, 2**15, 2**17])
DECAY = st.sampled_from([0, 1, 40, 2047, 2048, 4094, 4095]) | st.integers(0, 4095)
PARAMETERS = st.fixed_dictionaries(
    {
        "current_decay": DECAY | st.just(-1),  # -1: Lava's way to say that nothing is lost
        "potential_decay": DECAY,
        "threshold": st.sampled_from([0, 1, 2, 131071]) | st.integers(0, 5000),
        "bias_mantissa": st.sampled_from([0, 4095, -4095]) | st.integers(-300, 300),
        "bias_exponent": st.integers(0, 7),
        "initial": st.just(0) | st.integers(-9000, 9000) | st.integers(1 - HALF, HALF - 1),
    }
)


@settings(max_examples=300)
@given(
    kind=st.sampled_from(KINDS),
    p=PARAMETERS,
    low=SIZE,
    high=SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=st.lists(st.integers(0, 10**6), min_size=24, max_size=24),
)
@example(  # a fast leak does not hold back what a delayed reset subtracts
    kind="cuba_lif/delayed_soft",
    p={
        "current_decay": 4095,
        "potential_decay": 4095,
        "threshold": 100,
        "bias_mantissa": 0,
        "bias_exponent": 0,
    },
    low=50,
    high=101,
    steps=24,
    known=True,
    noise=[0] * 24,
)
def test_nothing_leaves_the_bounds(kind, p, low, high, steps, known, noise):
    neuron = made(kind, p)
    found = neuron.bounds(Interval(np.asarray(-low), np.asarray(high)), steps if known else None)
    leaves = found["u"].low <= -HALF or found["u"].high > HALF
    for drive in adversaries(kind, p, -low, high, steps, noise[:steps]):
        for state, (lowest, highest) in peaks(kind, p, drive).items():
            if state == "v" or not leaves:
                assert found[state].low <= lowest, (state, drive)
                assert highest <= found[state].high, (state, drive)


@given(kind=st.sampled_from(KINDS), p=PARAMETERS, low=SIZE, high=SIZE, steps=st.integers(1, 9))
def test_a_bound_that_holds_means_no_wrap_and_no_saturation(kind, p, low, high, steps):
    """The other way round: whenever u wraps or v saturates, the bound says that it can."""
    found = made(kind, p).bounds(Interval(np.asarray(-low), np.asarray(high)), steps)
    for drive in adversaries(kind, p, -low, high, steps, range(steps)):
        for state, (lowest, highest) in peaks(kind, p, drive).items():
            if lowest <= -HALF or highest > HALF - 1:
                assert max(-found[state].low, found[state].high) > HALF - 1


@given(seed=st.integers(0, 10**6), wild=st.booleans(), known=st.booleans())
def test_states_of_a_network_stay_within_its_bounds(seed, wild, known):
    network = random_integer_network(seed, wild=wild)
    steps = 8
    found = prove_bounds(network, TOY, steps if known else None)
    limits = {(b.population, b.quantity): b for b in found if b.holds}
    names = {p.name: p.neuron.states for p in network.populations}

    def watch(population: str, step: int, states) -> None:
        for name, value in zip(names[population], states, strict=True):
            bound = limits.get((population, name))
            if bound:
                assert bound.low <= value.min()
                assert value.max() <= bound.high

    for x in (spikes(network, 6, steps, seed), spikes(network, 1, steps, rate=1.0)):
        for _ in run_batches(network, x, watch=watch):
            pass


@given(seed=st.integers(0, 10**6))
def test_the_accumulator_reaches_its_bound_exactly(seed):
    """The sources with positive weights together give the highest, the others the lowest."""
    rng = np.random.default_rng(seed)
    size, sources = (int(n) for n in rng.integers(1, 5, 2))
    weight = rng.integers(-128, 128, (size, sources)) * 2
    for exponent in range(-7, 8):
        arriving = [(integer_dense(weight, exponent, 8), Interval(0, 1))]
        x = bound_accumulator(size, arriving)
        for i in range(size):
            for end, sign in ((x.low, -1), (x.high, 1)):
                total = sum(int(w) for w in weight[i] if w * sign > 0)
                assert end[i] == (total * 2.0**exponent) // 1
    assert bound_accumulator(size, arriving * 2).high.tolist() == (2 * x.high).tolist()


def test_the_accumulator_of_messages_of_both_signs():
    """Messages of -3 to 5, weights 2 and -4: from -2 * 3 - 4 * 5 to 2 * 5 + 4 * 3."""
    arriving = [(integer_dense(np.array([[2, -4]]), 0, 8), Interval(-3, 5))]
    x = bound_accumulator(1, arriving)
    assert (x.low.tolist(), x.high.tolist()) == ([-26], [22])


def interval(low: int, high: int):
    return Interval(np.asarray(low), np.asarray(high))


# Neuron, weights per step from .. to, steps, then the bounds of u and v; and drives that reach
# u low, u high, v low, v high exactly (None: not reached, the bound is an upper limit only).
EXACT = {
    "integrate_fire, hard: at most the threshold stays": (
        "integrate_fire/hard",
        {"threshold": 2},
        (-1, 3, 4),
        ((-64, 192), (-256, 320)),
        ([-1], [3], [-1] * 4, [2, 3]),
    ),
    "integrate_fire, soft, drive below the threshold": (
        "integrate_fire/soft",
        {"threshold": 4},
        (0, 3, None),
        ((0, 192), (0, 448)),
        ([], [3], [], [1, 3, 3]),
    ),
    "integrate_fire, soft, the excess piles up": (
        "integrate_fire/soft",
        {"threshold": 2},
        (0, 3, 4),
        ((0, 192), (0, 576)),
        ([], [3], [], None),  # 384 in 4 steps: 192, 64 + 192 ...
    ),
    "few steps bind before the threshold": (
        "integrate_fire/hard",
        {"threshold": 100},
        (-2, 1, 3),
        ((-128, 64), (-384, 192)),
        ([-2], [1], [-2] * 3, [1] * 3),
    ),
    "no leak, any number of steps": (
        "integrate_fire/hard",
        {"threshold": 100},
        (-1, 1, None),
        ((-64, 64), (-np.inf, 6464)),
        ([-1], [1], None, [1] * 101),
    ),
    "no leak, nothing negative": (
        "integrate_fire/hard",
        {"threshold": 1},
        (0, 1, None),
        ((0, 64), (0, 128)),
        ([], [1], [], [1, 1]),
    ),
    "a bias pushes alone": (
        "integrate_fire/hard",
        {"threshold": 10, "bias_mantissa": -3, "bias_exponent": 1},
        (0, 0, 5),
        ((0, 0), (-30, 0)),
        ([], [], [0] * 5, []),
    ),
    "a bias against the drive": (
        "integrate_fire/hard",
        {"threshold": 1, "bias_mantissa": -32},
        (0, 1, 2),
        ((0, 64), (-64, 64)),  # high: 2 * 32
        ([], [1], [0, 0], [1, 1]),
    ),
    "the current halves": (
        "cuba_lif/hard",
        {"current_decay": 2047, "potential_decay": 4095, "threshold": 1000},
        (-1, 1, None),
        ((-128, 128), None),
        (None, None, None, None),
    ),
    "the current keeps nothing": (
        "cuba_lif/hard",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (-1, 3, 4),
        ((-64, 192), (-256, 320)),
        ([-1], [3], [-1] * 4, [2, 3]),
    ),
    "delayed_hard": (
        "cuba_lif/delayed_hard",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (-1, 3, 4),
        ((-64, 192), (-256, 320)),
        ([-1], [3], [-1] * 4, [2, 3]),
    ),
    "none": (
        "cuba_lif/none",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (-1, 3, 4),
        ((-64, 192), (-256, 768)),
        ([-1], [3], [-1] * 4, [3] * 4),
    ),
    "delayed_soft": (
        "cuba_lif/delayed_soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (0, 3, 2),
        ((0, 192), (-128, 384)),
        ([], [3], None, None),
    ),
    "cuba_lif, soft: only the excess piles up": (
        "cuba_lif/soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (0, 3, 4),
        ((0, 192), (0, 128 + 192 + 4 * 64)),
        ([], [3], [], None),
    ),
    "cuba_lif, soft, a drive of the threshold does not pile up": (
        "cuba_lif/soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 3},
        (0, 3, None),
        ((0, 192), (0, 384)),
        ([], [3], [], [3, 3]),
    ),
    "cuba_lif, delayed_soft: only the excess piles up": (
        "cuba_lif/delayed_soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (-1, 3, 9),
        ((-64, 192), (-9 * 64 - 128, 128 + 192 + 9 * 64)),
        ([-1], [3], None, None),
    ),
    "cuba_lif, strict_soft: up to twice the threshold stays, and the excess piles up": (
        "cuba_lif/strict_soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 2},
        (0, 3, 4),
        ((0, 192), (0, 256 + 192 + 4 * 64)),
        ([], [3], [], None),
    ),
    "cuba_lif, strict_soft, a drive below the threshold": (
        "cuba_lif/strict_soft",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 4},
        (0, 3, None),
        ((0, 192), (0, 2 * 256 + 192)),
        ([], [3], [], None),
    ),
    "a readout adds up": (
        "readout",
        {"current_decay": 4095, "potential_decay": 0, "bias_mantissa": 5},
        (-1, 1, 3),
        ((-64, 64), (-177, 207)),
        ([-1], [1], [-1] * 3, [1] * 3),
    ),
    "a readout that leaks all but a 4096th": (
        "readout",
        {"current_decay": 4095, "potential_decay": 2048},
        (0, 1, None),
        ((0, 64), (0, 128)),
        ([], [1], [], None),
    ),
    "u that wraps can be anything": (
        "cuba_lif/hard",
        {"current_decay": 4095, "potential_decay": 4095, "threshold": 1},
        (0, 2**17 + 1, 1),
        ((-HALF - 1, HALF + 64), (-HALF - 1, HALF + 64)),
        (None, [2**17 + 1], None, None),
    ),
    "u of 2^23 does not wrap": (
        "cuba_lif/hard",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 131071},
        (0, 2**17, 1),
        ((0, HALF), (0, HALF)),
        ([], [2**17], [], [2**17]),
    ),
    "u of -2^23 wraps": (
        "cuba_lif/hard",
        {"current_decay": 4095, "potential_decay": 0, "threshold": 131071},
        (-(2**17), 0, 1),
        ((-HALF - 1, HALF + 1), (-HALF - 1, HALF + 1)),
        (None, None, None, None),
    ),
}


@pytest.mark.parametrize("case", EXACT)
def test_exact_bounds(case):
    kind, p, (low, high, steps), wanted, reached = EXACT[case]
    p = {"bias_mantissa": 0, "bias_exponent": 0} | p
    found = made(kind, p).bounds(interval(low, high), steps)
    for state, ends, drives in zip("uv", wanted, (reached[:2], reached[2:]), strict=True):
        if ends is not None:
            assert (float(found[state].low), float(found[state].high)) == ends
            for side, drive in enumerate(drives):
                if drive is not None:
                    assert peaks(kind, p, drive)[state][side] == ends[side]


def test_each_neuron_has_its_own_bound():
    neuron = IntegerCubaLif([4095, 2047], [0, 2048], [1, 3], [0, -8], [0, 1])
    found = neuron.bounds(Interval(np.array([-1, 0]), np.array([2, 1])), 4)
    assert found["u"].low.tolist() == [-64, 0]
    assert found["u"].high.tolist() == [128, 128]
    assert found["v"].low.tolist() == [-256, -32]
    assert found["v"].high.tolist() == [192, 224]
