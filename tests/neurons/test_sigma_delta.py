"""Sigma-delta neurons: by hand, against plain Python and Lava's own models, within bounds."""

from __future__ import annotations

import subprocess

import laws
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, design

import snncompile
from snncompile.backends.lava import environment
from snncompile.errors import QuantizeError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.delta import Delta, IntegerDelta
from snncompile.neurons.sigma import IntegerSigma, Sigma
from snncompile.neurons.sigma_delta import IntegerSigmaDelta, SigmaDelta
from snncompile.passes.quantize.quantize import Quantize
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import dense, integer_dense

# Neuron, accumulated input per time step, (states, output) after each.
BY_HAND = {
    "a change at the threshold is sent, one below waits": (
        IntegerSigmaDelta(4, 0),
        [3, 1, -2, -2],
        [(3, 3, 3, 0), (4, 4, 0, 4), (2, 2, -2, 0), (0, 0, 0, -4)],
    ),
    "rectified, and the bias is not summed up": (
        IntegerSigmaDelta(1, 0, 2),
        [-5, 4, 0],
        [(-5, 0, 0, 0), (-1, 1, 0, 1), (-1, 1, 0, 0)],
    ),
    "what the shift cuts off is lost, downward": (
        IntegerSigmaDelta(1, 2),
        [7, -3],
        [(7, 7, 0, 1), (4, 4, 0, -1)],
    ),
    "32 bits wrap": (
        IntegerSigmaDelta(1, 0, initial=2**23 - 1),
        [2**31 - 2**23, 2],
        [(2**31 - 1, 2**31 - 1, 0, 2**31 - 1), (1 - 2**31, 0, 0, 1 - 2**31)],
    ),
    "delta takes whole values": (
        IntegerDelta(6, 1, 1),
        [2, 3, 3, 0],
        [(4, 4, 0), (6, 0, 3), (6, 0, 0), (0, 0, -3)],
    ),
    "delta: its first value may be there already": (
        IntegerDelta(1, 0, initial=5),
        [5, 6],
        [(5, 0, 0), (6, 0, 1)],
    ),
    "sigma": (IntegerSigma(initial=3), [1, -5, 2**31 - 1], [(4, 4), (-1, -1), (2**31 - 2,) * 2]),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert run(neuron, drive) == wanted


def run(neuron, drive):
    """Return [(states..., output)] of one neuron, numpy; torch must give the same."""
    state = neuron.begin(np.zeros(1, np.int64))
    bound, rows = neuron.bind(torch.tensor), []
    tensors = bound.begin(torch.zeros(1, dtype=torch.int64))
    for x in drive:
        state, output = neuron.step(state, np.array([x]))
        tensors, other = bound.step(tensors, torch.tensor([x]))
        assert [t.tolist() for t in tensors] == [s.tolist() for s in state]
        assert (output.dtype, str(other.dtype)) == (np.int64, "torch.int64")
        assert other.item() == output.item()
        rows.append((*(s.item() for s in state), output.item()))
    return rows


def word(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


def plain_step(kind, p, state, x):
    if kind == "sigma":
        return (word(state[0] + x),), word(state[0] + x)
    if kind == "sigma_delta":
        sigma, act, residue = word(state[0] + x), *state[1:]
        new = max(word(sigma + p["bias_level"]), 0)
    else:
        act, residue = state
        new = word(x * 2 ** p["input_exponent"])
    delta = word(new - act + residue)
    spike = delta if abs(delta) >= p["threshold_level"] else 0
    kept = (new, delta - spike)
    states = (sigma, *kept) if kind == "sigma_delta" else kept
    return states, spike // 2 ** p["state_exponent"]


THRESHOLD = {
    "threshold_level": st.integers(0, 60) | st.integers(0, 2**23 - 1),
    "state_exponent": st.integers(0, 7) | st.just(31),
}
INITIAL = {"initial": st.just(0) | laws.STATE}
PARAMETERS = {
    "sigma_delta": THRESHOLD | INITIAL | {"bias_level": st.integers(-50, 50) | laws.STATE},
    "delta": THRESHOLD | INITIAL | {"input_exponent": st.integers(0, 12)},
    "sigma": INITIAL,
}
INTEGERS = {"sigma_delta": IntegerSigmaDelta, "delta": IntegerDelta, "sigma": IntegerSigma}
CASES = st.sampled_from(sorted(PARAMETERS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.fixed_dictionaries(PARAMETERS[kind]))
)
DRIVE = st.integers(-90, 90) | st.integers(-(2**31), 2**31 - 1) | st.just(2**30)


@given(case=CASES, drive=st.lists(DRIVE, min_size=1, max_size=12))
def test_integer_step_is_the_docstring(case, drive):
    kind, p = case
    neuron, wanted = INTEGERS[kind](**p), []
    state = tuple(int(s) for s in neuron.begin(np.int64(0)))
    for x in drive:
        state, output = plain_step(kind, p, state, x)
        wanted.append((*state, output))
    assert run(neuron, drive) == wanted


@settings(max_examples=200)
@given(
    case=CASES,
    low=laws.SIZE,
    high=laws.SIZE,
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(case, low, high, steps, known, noise):
    kind, p = case
    neuron = INTEGERS[kind](**p)
    x = Interval(np.asarray(-low), np.asarray(high))
    found, payload = neuron.bounds(x, steps if known else None), neuron.payload
    for drive in (
        [high] * steps,
        [-low] * steps,
        [high if i % 2 else -low for i in range(steps)],
        [high if n % 2 else -low for n in noise[:steps]],
        [n % (high + low + 1) - low for n in noise[:steps]],
    ):
        for *states, output in run(neuron, drive):
            for name, value in zip(neuron.states, states, strict=True):
                assert found[name].low <= value <= found[name].high, (name, drive)
            assert kind == "sigma" or payload.low <= output <= payload.high


REFUSED = [
    (lambda: SigmaDelta([1, -1]), "threshold must not be negative, got -1"),
    (lambda: IntegerSigmaDelta(-1, 0), "threshold_level must not be negative, got -1"),
    (lambda: IntegerSigmaDelta(1, 32), "state_exponent must be between 0 and 31, got 32"),
    (lambda: IntegerDelta(1, 1, -1), "input_exponent must be between 0 and 31, got -1"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    made = SigmaDelta(0.5, [1.0, -0.25], initial=2).quantize(2.0**9, LOIHI2.formats)
    assert made.state_exponent == 3
    assert made.threshold_level == 256
    assert made.bias_level.tolist() == [512, -128]
    assert made.initial == 1024
    assert made.real() == {"threshold": 256, "bias": pytest.approx([512, -128])}
    assert SigmaDelta(0.5).nearest_scale(1000.0) == 512
    with pytest.raises(QuantizeError) as error:
        SigmaDelta(0.5).quantize(32.0, LOIHI2.formats)
    assert str(error.value) == "scale 32 is below 2^6, the message of 1.0"


def deep(rng, threshold: float, *, steps: int):
    """Return a sigma-delta network, its weights, and values that change slowly."""
    first, second, third = rng.normal(0, 0.5, (12, 8)), rng.normal(0, 0.5, (9, 12)), None
    third = rng.normal(0, 0.5, (4, 9))
    bias = rng.normal(0, 0.3, 12)
    network = Network(
        Input("input", (8,), Interval(-40, 40)),
        (
            Population("code", (8,), Delta(threshold)),
            Population("a", (12,), SigmaDelta(threshold, bias)),
            Population("b", (9,), SigmaDelta(threshold)),
            Population("sum", (4,), Sigma()),
        ),
        (
            Projection("input", "code", dense(np.eye(8))),
            Projection("code", "a", dense(first)),
            Projection("a", "b", dense(second)),
            Projection("b", "sum", dense(third)),
        ),
        "sum",
    )
    x = np.clip(np.cumsum(rng.integers(-2, 3, (5, steps, 8)), axis=1), -40, 40)

    def answer(values):
        values = np.maximum(values @ first.T + bias, 0)
        return np.maximum(values @ second.T, 0) @ third.T

    return network, x, answer(x)


def test_a_network_of_them_computes_its_rectified_twin():
    network, x, wanted = deep(np.random.default_rng(0), 0.0, steps=12)
    np.testing.assert_allclose(network.run(x).spikes, wanted, atol=1e-9)
    held_back, _, _ = deep(np.random.default_rng(0), 0.4, steps=12)
    # Every neuron holds back less than its threshold, and passes on what those before it held back.
    error = np.full(8, 0.4)
    for projection in held_back.projections[1:3]:
        error = np.abs(projection.synapses.weight) @ error + 0.4
    most = np.abs(held_back.projections[3].synapses.weight) @ error
    missing = np.abs(held_back.run(x).spikes - wanted)
    assert (missing <= most).all()
    assert (missing.max(axis=(0, 1)) > 0).all()


def test_it_is_quantized_and_stays_close():
    network, x, wanted = deep(np.random.default_rng(0), 0.01, steps=12)
    made = Quantize()(design(network, LOIHI2, x))
    assert isinstance(made.network, IntegerNetwork)
    assert all(layer.output_error < 0.02 for layer in made.quantized)
    scale = made.quantized[-1].scale
    found = made.network.run(x).spikes / scale
    # Three layers of weights that are off by half a step, 1/254 of the largest, each: about 1 %.
    assert np.abs(found - wanted).mean() < 0.02 * np.abs(wanted).mean()


def test_it_compiles_and_counts_messages():
    """A number that is sent is one message to each core that hears the neuron; 0 is none."""
    network, x, _ = deep(np.random.default_rng(0), 0.5, steps=12)
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    shown = x[:1]
    (sent,) = run_batches(program.network, shown)
    rows = {(row.layer, row.event): row.count for row in program.estimate(shown).rows}
    assert rows["input", "host_input"] == np.count_nonzero(shown)
    assert program.mapping.cores == 1
    for population in program.network.populations[:-1]:
        messages = np.count_nonzero(sent[population.name])
        assert 0 < messages < sent[population.name].numel()
        assert rows[population.name, "message_within_tile"] == messages


def test_a_loop_of_graded_floats_keeps_its_fractions():
    network = Network(
        Input("input", (1,)),
        (Population("a", (1,), SigmaDelta(0.0)),),
        (
            Projection("input", "a", dense([[0.5]])),
            Projection("a", "a", dense([[0.25]]), 1),
        ),
        "a",
    )
    found = network.run(np.array([[[1.0], [0.0], [0.0]]])).spikes
    assert found.ravel().tolist() == [0.5, 0.125, 0.03125]


def test_long_sums_are_exact():
    """Of payloads that no float holds."""
    weight = np.array([[254, -256, 254], [2, 2, -256]])
    network = IntegerNetwork(
        Input("input", (3,), Interval(-(2**22), 2**22)),
        (Population("code", (3,), IntegerDelta(0, 0, 8)), Population("a", (2,), IntegerSigma())),
        (
            Projection("input", "code", integer_dense(np.eye(3) * 2, -1, 8)),
            Projection("code", "a", integer_dense(weight, 0, 8)),
        ),
        "a",
    )
    x = np.array([[[2**22 - 1, -(2**22), 3]]])
    wanted = [word(int(v)) for v in weight.astype(object) @ (x[0, 0].astype(object) * 256)]
    assert network.run(x).spikes.ravel().tolist() == wanted


LAVAS_OWN = """
import sys
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

data = np.load("in.npz")
steps = data["x"].shape[1]
exponents = {"spike_exp": 6, "state_exp": 6}
made = {
    "delta": lambda: Delta(shape=(8,), vth=7, **exponents),
    "sigma_delta": lambda: SigmaDelta(shape=(8,), vth=7, bias=data["bias"], **exponents),
    "sigma": lambda: Sigma(shape=(8,)),
}[sys.argv[1]]()
source = Source(data=data["x"])
dense = Dense(weights=data["weights"], num_message_bits=16)
sink = Sink(shape=(8,), buffer=steps)
source.s_out.connect(dense.s_in)
dense.a_out.connect(made.a_in)
made.s_out.connect(sink.a_in)
made.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
states = {n: getattr(made, n).get() for n in ("sigma", "act", "residue") if hasattr(made, n)}
found = sink.data.get()
made.stop()
np.savez("out.npz", output=found, **states)
"""
OWN = {
    "delta": lambda bias: IntegerDelta(7 << 12, 6, 12),
    "sigma_delta": lambda bias: IntegerSigmaDelta(7 << 12, 6, bias << 12),
    "sigma": lambda bias: IntegerSigma(),
}


@pytest.mark.lava
@pytest.mark.parametrize("reach", [3, 2**17])
@pytest.mark.parametrize("kind", OWN)
def test_it_is_lavas_own(lava, tmp_path, kind, reach):
    random = np.random.default_rng(reach)
    weights, bias = random.integers(-100, 110, (8, 10)) * 2, random.integers(-20, 20, 8)
    x = random.integers(-reach, reach + 1, (10, 40)) * (random.random((10, 40)) < 0.3)
    np.savez(tmp_path / "in.npz", x=x, weights=weights, bias=bias)
    (tmp_path / "own.py").write_text(LAVAS_OWN)
    command = [environment.locate_python(), "own.py", kind]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    neuron = OWN[kind](bias)
    state, wanted = neuron.begin(np.zeros(8, np.int64)), []
    for step in range(40):  # Dense takes one step
        drive = weights @ x[:, step - 1] if step else np.zeros(8, np.int64)
        state, output = neuron.step(state, drive)
        wanted.append(output)
    with np.load(tmp_path / "out.npz") as found:
        assert (found["output"] == np.stack(wanted, axis=1)).all()
        for name, value in zip(neuron.states, state, strict=True):
            assert (found[name] == value).all()
    assert np.any(wanted)
