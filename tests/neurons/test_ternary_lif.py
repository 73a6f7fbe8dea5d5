"""Ternary LIF: by hand, against plain Python and Lava's own model, within its bounds."""

from __future__ import annotations

import subprocess

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, chain, design, spikes

from snncompile.backends.lava import environment
from snncompile.neurons.ternary_lif import IntegerTernaryLif, TernaryLif
from snncompile.passes.quantize.quantize import Quantize

# Neuron, accumulated weights per time step, (u, v, output) after each.
BY_HAND = {
    "both thresholds, strictly": (
        IntegerTernaryLif(4095, 0, 2, -1),
        [2, 1, -1, -1, 0],
        [(128, 128, 0), (64, 0, 1), (-64, -64, 0), (-64, 0, -1), (0, 0, 0)],
    ),
    "no memory: it may send -1 first": (
        IntegerTernaryLif(4095, 0, 2, 0),
        [-1, -1],
        [(-64, 0, -1), (-64, 0, -1)],
    ),
    "current, leak and bias": (
        IntegerTernaryLif(2047, 2048, 100, -100, 10),
        [4, 0],
        [(256, 266, 0), (128, 271, 0)],
    ),
    "the current wraps, v saturates": (
        IntegerTernaryLif(4095, 0, 131072, -131071),
        [2**17, 2**17 + 1, 2**17 + 1],
        [(laws.HALF, laws.TOP, 0), (64 - laws.HALF, 63, 0), (64 - laws.HALF, 127 - laws.HALF, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    neuron = TernaryLif(0.5, 0.25, 3.0, -1.0, 0.5)
    assert laws.run(neuron, [2.0, 0.0, -6.0, 0.0]) == [
        (2.0, 2.5, 0),
        (1.0, 0.0, 1),  # 3.375
        (-5.5, 0.0, -1),
        (-2.75, 0.0, -1),
    ]


def plain_step(p, state, x):
    u, v = state
    raw_u = plain.decayed(u, p["current_decay"] + 1) + 64 * x
    u = plain.wrapped(raw_u)
    bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
    raw_v = plain.decayed(v, p["potential_decay"]) + u + bias
    v, spike = plain.saturated(raw_v), 0
    if v > 64 * p["threshold"]:
        v, spike = 0, 1
    elif v < 64 * p["negative_threshold"]:
        v, spike = 0, -1
    return (u, v), spike, {"u": raw_u, "v": raw_v}


def plain_float_step(p, state, x):
    u, v = state
    u = (1 - p["current_decay"]) * u + x
    v = (1 - p["potential_decay"]) * v + u + p["bias"]
    if v > p["threshold"]:
        return (u, 0.0), 1, {}
    if v < p["negative_threshold"]:
        return (u, 0.0), -1, {}
    return (u, v), 0, {}


PARAMETERS = {
    "current_decay": laws.DECAY,
    "potential_decay": laws.DECAY,
    "threshold": laws.THRESHOLD,
    "negative_threshold": laws.THRESHOLD.map(lambda n: -n),
}


@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.BIAS),
    start=st.tuples(laws.STATE, laws.STATE),
    drive=st.lists(laws.DRIVE, min_size=1, max_size=5),
)
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerTernaryLif(**p), plain_step, p, start, drive)


@given(
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4),
            "negative_threshold": st.floats(-4, 0),
            "bias": laws.FINITE,
        }
    ),
    drive=st.lists(laws.FINITE, min_size=1, max_size=8),
)
def test_float_step_is_the_docstring(p, drive):
    laws.same_as_plain(TernaryLif(**p), plain_float_step, p, (0.0, 0.0), drive)


@settings(max_examples=200)
@given(
    p=st.fixed_dictionaries(PARAMETERS | laws.SMALL_BIAS),
    small=st.booleans(),
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, small, low, high, steps, known, noise):
    if small:
        p = p | {name: p[name] // 100 for name in ("threshold", "negative_threshold")}
    neuron = IntegerTernaryLif(**p)
    laws.never_leaves_its_bounds(neuron, plain_step, p, low, high, steps, known, noise)


@given(
    decays=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5])),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    negative=st.integers(-20, 0).map(lambda n: n / 4),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(decays, threshold, negative, bias, drive):
    exact = TernaryLif(*decays, threshold, negative, bias)
    laws.integers_are_floats_times_scale(exact, TOY.formats, drive)


REFUSED = [
    (lambda: TernaryLif(1, 0, 0, 0), "threshold must be positive, got 0"),
    (lambda: TernaryLif(1, 0, 1, 0.5), "negative_threshold must not be positive, got 0.5"),
    (lambda: TernaryLif(1, 1.5, 1, 0), "potential_decay must be between 0 and 1, got 1.5"),
    (
        lambda: IntegerTernaryLif(1, 0, 1, [0, 1]),
        "negative_threshold must not be positive, got 1",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = TernaryLif(1.0, 0.25, 1.0, [-2.0, 0.0]).quantize(640.0, TOY.formats)
    assert neuron.negative_threshold.tolist() == [-20, 0]
    assert neuron.real()["negative_threshold"].tolist() == [-1280, 0]
    assert len(np.unique(neuron.profile()["threshold"])) == 2


def test_a_network_of_them_is_quantized_and_fires_alike():
    network = chain(6, 5, 4, neuron=TernaryLif(0.7, 0.1, 1.0, -0.4), weight=-0.15)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, TOY)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert set(np.unique(wanted)) >= {0, 1}
    assert network.run(x).spikes.dtype == np.int64
    # All weights are the largest one, which is a whole number of steps: nothing is rounded.
    np.testing.assert_array_equal(found, wanted)


LAVAS_OWN = """
import sys
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import TernaryLIF

data = np.load("in.npz")
steps = data["x"].shape[1]
source = Source(data=data["x"])
dense = Dense(weights=data["weights"], weight_exp=int(data["exponent"]))
lif = TernaryLIF(
    shape=(len(data["weights"]),), du=1500, dv=200, vth_hi=150, vth_lo=-90, bias_mant=3, bias_exp=4
)
sink = Sink(shape=lif.s_out.shape, buffer=steps)
source.s_out.connect(dense.s_in)
dense.a_out.connect(lif.a_in)
lif.s_out.connect(sink.a_in)
lif.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
found, u, v = sink.data.get(), lif.u.get(), lif.v.get()
lif.stop()
np.savez("out.npz", spikes=found, u=u, v=v)
"""


@pytest.mark.lava
@pytest.mark.parametrize("exponent", [0, 7])
def test_it_is_lavas_ternary_lif(lava, tmp_path, exponent):
    random = np.random.default_rng(exponent)
    weights = random.integers(-100, 110, (8, 10)) * 2
    x = random.random((10, 40)) < 0.3
    np.savez(tmp_path / "in.npz", x=x.astype(int), weights=weights, exponent=exponent)
    (tmp_path / "own.py").write_text(LAVAS_OWN)
    command = [environment.locate_python(), "own.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    neuron = IntegerTernaryLif(1500, 200, 150, -90, 3, 4)
    state = (np.zeros(8, np.int64),) * 2
    wanted = []
    for step in range(40):  # Dense takes one step
        drive = (weights @ x[:, step - 1] if step else np.zeros(8, np.int64)) << exponent
        state, spike = neuron.step(state, drive)
        wanted.append(spike)
    with np.load(tmp_path / "out.npz") as found:
        assert (found["spikes"] == np.stack(wanted, axis=1)).all()
        assert (found["u"] == state[0]).all()
        assert (found["v"] == state[1]).all()
    assert {-1, 0, 1} == set(np.unique(wanted))
