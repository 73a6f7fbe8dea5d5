"""Resonate-and-fire neurons: by hand, against plain Python and Lava's own models, within bounds."""

from __future__ import annotations

import subprocess
from math import hypot

import laws
import numpy as np
import plain
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, design

from snncompile.backends.lava import environment
from snncompile.errors import QuantizeError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.resonate_fire import IntegerResonateFire, ResonateFire
from snncompile.neurons.resonate_fire_izhikevich import (
    IntegerResonateFireIzhikevich,
    ResonateFireIzhikevich,
)
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.dense import dense

INTEGERS = {"RF": IntegerResonateFire, "RF_IZ": IntegerResonateFireIzhikevich}
FLOATS = {"RF": ResonateFire, "RF_IZ": ResonateFireIzhikevich}

# Neuron, (real, imag) input per time step, (real, imag, output) after each. 1 is 64 in the state.
BY_HAND = {
    "a quarter turn per step, fires where imag passes zero": (
        IntegerResonateFire(4096, 0, 64),
        [(1, 0), (0, 0), (0, 0), (0, 0), (0, 0)],
        [(64, 0, 0), (0, 64, 0), (-64, 0, 0), (0, -64, 0), (64, 0, 1)],
    ),
    "at the threshold it fires, below it does not": (
        IntegerResonateFire(4096, 0, 65),
        [(1, 0), (0, 0), (0, 0), (0, 0), (0, 0)],
        [(64, 0, 0), (0, 64, 0), (-64, 0, 0), (0, -64, 0), (64, 0, 0)],
    ),
    "each product toward zero by itself": (
        IntegerResonateFire(2048, 2048, 9, initial=3),
        [(0, 0), (0, 0), (0, -1)],
        [(1, 1, 0), (0, 0, 0), (0, -64, 0)],
    ),
    "saturates in both parts": (
        IntegerResonateFire(0, 4096, 9, initial=2**23 - 1),
        [(1, -(2**18)), (-(2**19), 0)],
        [(2**23 - 1, 1 - 2**23, 0), (1 - 2**23, 1 - 2**23, 0)],
    ),
    "izhikevich: at the threshold, to one below it": (
        IntegerResonateFireIzhikevich(0, 4096, 128),
        [(5, 1), (0, 1), (0, 0), (0, 0)],
        [(320, 64, 0), (0, 127, 1), (0, 127, 0), (0, 127, 0)],
    ),
    "izhikevich: the initial potential turns into one that fires": (
        IntegerResonateFireIzhikevich(4096, 0, 100, initial=100),
        [(0, 0), (0, 0)],
        [(0, 99, 1), (-99, 0, 0)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert run(neuron, drive) == wanted


def run(neuron, drive):
    """Return [(real, imag, output)] of one neuron, numpy; torch must give the same."""
    state = neuron.begin(np.zeros(1, np.int64))
    bound, rows = neuron.bind(torch.tensor), []
    tensors = bound.begin(torch.zeros(1, dtype=torch.int64))
    for x in drive:
        x = np.array(x, np.int64)[:, None]
        state, output = neuron.step(state, x)
        tensors, other = bound.step(tensors, torch.tensor(x))
        assert [t.tolist() for t in tensors] == [s.tolist() for s in state]
        assert (output.dtype, str(other.dtype)) == (np.bool_, "torch.bool")
        rows.append((*(s.item() for s in state), int(output.item())))
        assert other.item() == output.item()
    return rows


def toward_zero(product: int) -> int:
    return -(-product // 4096) if product < 0 else product // 4096


def plain_step(kind, p, state, x):
    real, imag = state
    cosine, sine, level = p["cos_decay"], p["sin_decay"], p["threshold_level"]
    raw = (
        toward_zero(cosine * real) - toward_zero(sine * imag) + 64 * x[0],
        toward_zero(sine * real) + toward_zero(cosine * imag) + 64 * x[1],
    )
    new_real, new_imag = map(plain.saturated, raw)
    if kind == "RF":
        return (new_real, new_imag), int(new_real >= level and new_imag >= 0 > imag), raw
    if new_imag >= level:
        return (0, level - 1), 1, raw
    return (new_real, new_imag), 0, raw


FACTOR = st.integers(-4096, 4096) | st.sampled_from([0, 4096, 4095, -4095, 2900])
PARAMETERS = {
    "sin_decay": FACTOR,
    "cos_decay": FACTOR,
    "threshold_level": st.integers(1, 300) | st.integers(1, 2**23 - 1),
    "initial": st.just(0) | st.integers(-500, 500) | laws.STATE,
}
DRIVES = st.lists(st.tuples(laws.DRIVE, laws.DRIVE), min_size=1, max_size=12)


@given(kind=st.sampled_from(["RF", "RF_IZ"]), p=st.fixed_dictionaries(PARAMETERS), drive=DRIVES)
def test_integer_step_is_the_docstring(kind, p, drive):
    state, wanted = (p["initial"], 0), []
    for x in drive:
        state, output, _ = plain_step(kind, p, state, x)
        wanted.append((*state, output))
    assert run(INTEGERS[kind](**p), drive) == wanted


@settings(max_examples=200)
@given(
    kind=st.sampled_from(["RF", "RF_IZ"]),
    p=st.fixed_dictionaries(PARAMETERS),
    size=st.tuples(laws.SIZE, laws.SIZE, laws.SIZE, laws.SIZE),
    steps=st.integers(1, 16),
    known=st.booleans(),
    noise=laws.NOISE,
)
@example(
    kind="RF",
    p={"sin_decay": 4096, "cos_decay": 0, "threshold_level": 1, "initial": 100},
    size=(1, 1, 1, 1),
    steps=16,
    known=True,
    noise=[0] * 24,
)
def test_nothing_leaves_the_bounds(kind, p, size, steps, known, noise):
    low, high = np.array([[-size[0]], [-size[1]]]), np.array([[size[2]], [size[3]]])
    found = INTEGERS[kind](**p).bounds(Interval(low, high), steps if known else None)
    ends = [(int(low[i, 0]), int(high[i, 0])) for i in range(2)]

    def pushing(state, step):  # the input that makes the potential longest
        parts = (p["cos_decay"] * state[0] - p["sin_decay"] * state[1],)
        parts += (p["sin_decay"] * state[0] + p["cos_decay"] * state[1],)
        return tuple(e[1] if part >= 0 else e[0] for e, part in zip(ends, parts, strict=True))

    def random(state, step):
        return tuple(e[noise[step] >> i & 1] for i, e in enumerate(ends))

    def constant(state, step):
        return ends[0][1], ends[1][1]

    for choose in (pushing, random, constant):
        state = (p["initial"], 0)
        for step in range(steps):
            state, _, raw = plain_step(kind, p, state, choose(state, step))
            for name, value in zip(("real", "imag"), raw, strict=True):
                assert found[name].low.item() <= value <= found[name].high.item()


def test_bounds_of_a_turn_that_loses_half():
    neuron = IntegerResonateFire(0, 2048, 1)
    x = Interval(np.array([[-3], [0]]), np.array([[4], [3]]))
    one, any_number = neuron.bounds(x, 1)["real"], neuron.bounds(x, None)["imag"]
    assert one.high.item() == 64 * hypot(4, 3) + 2**0.5
    assert any_number.high.item() == 2 * one.high.item()
    silent = neuron.bounds(Interval(np.zeros((2, 1)), np.zeros((2, 1))), None)
    assert silent["real"] == (0, 0)


@given(
    threshold=st.integers(1, 40),
    drive=st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), min_size=1, max_size=9),
)
def test_integers_are_the_floats_times_the_scale(threshold, drive):
    exact = ResonateFire(0.5, 0.5, threshold / 4, initial=0.25)
    integer = exact.quantize(2.0**12, LOIHI2.formats)
    floats, ints = exact.begin(np.zeros(1)), integer.begin(np.zeros(1, np.int64))
    for x in drive:
        floats, one = exact.step(floats, np.array(x, float)[:, None])
        ints, other = integer.step(ints, np.array(x)[:, None] * 64)
        assert [i.item() for i in ints] == [f.item() * 2**12 for f in floats]
        assert one.item() == other.item()


def test_a_resonator_answers_its_own_period():
    """Drive at the period adds up, drive at half of it cancels."""
    neuron = ResonateFire.of(8, 0.05, 1.5)
    counts = {}
    for period in (4, 8):
        state, count = neuron.begin(np.zeros(1)), 0
        for step in range(160):
            x = np.array([[0.0], [-1.0 if step % period == 0 else 0.0]])
            state, spike = neuron.step(state, x)
            count += int(spike.item())
        counts[period] = count
    assert counts[4] == 0 < counts[8]


REFUSED = [
    (
        lambda: ResonateFire(0.8, [0.1, 0.8], 1),
        "sin_decay and cos_decay must shrink, they stretch by 1.13137",
    ),
    (lambda: ResonateFireIzhikevich(0.5, 0.5, 0), "threshold must be positive, got 0"),
    (lambda: IntegerResonateFire(4097, 0, 1), "sin_decay must be within +-4096, got 4097"),
    (lambda: IntegerResonateFire(0, -5000, 1), "cos_decay must be within +-4096, got 5000"),
    (
        lambda: IntegerResonateFireIzhikevich(0, 0, 0),
        "threshold_level must be a whole number from 1, got 0",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = ResonateFireIzhikevich.of([4, 8], 0.0, [1.0, 0.5]).quantize(100.0, TOY.formats)
    assert neuron.sin_decay.tolist() == [4095, 2896]
    assert neuron.cos_decay.tolist() == [0, 2896]
    assert neuron.threshold_level.tolist() == [100, 50]
    assert neuron.real()["cos_decay"].tolist() == [0, 2896 / 4096]
    assert len(np.unique(neuron.profile()["compartment"])) == 2
    with pytest.raises(QuantizeError) as error:
        ResonateFire.of(8, 0.0, 1.0).quantize(0.25, TOY.formats)
    assert str(error.value) == "threshold level 0 is outside 1..8388607"


@pytest.mark.parametrize("kind", FLOATS)
def test_a_network_of_them_is_quantized_and_fires_alike(kind):
    rng = np.random.default_rng(1)
    neuron = FLOATS[kind].of(rng.uniform(5, 12, 6), 0.05, 2.0)
    into = [
        Projection("input", "a", dense(rng.normal(0, 1, (6, 5))), port=port)
        for port in ("real", "imag")
    ]
    network = Network(Input("input", (5,)), (Population("a", (6,), neuron),), tuple(into), "a")
    x = (rng.random((10, 60, 5)) < 0.3).astype(np.uint8)
    made = Quantize()(design(network, LOIHI2, x)).network
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.sum() > 100
    # Factors round to 1/4096: one spike at the edge of its phase may move by a step.
    assert (wanted != found).sum() <= 2


LAVAS_OWN = """
import sys
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ

data = np.load("in.npz")
steps = data["x"].shape[1]
kind = {"RF": RF, "RF_IZ": RF_IZ}[sys.argv[1]]
neuron = kind(shape=(8,), period=7.3, alpha=0.03, state_exp=6, decay_bits=12, vth=int(sys.argv[2]))
for part, port in (("real", neuron.a_real_in), ("imag", neuron.a_imag_in)):
    source = Source(data=data["x"])
    dense = Dense(weights=data[part], weight_exp=int(data["exponent"]))
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(port)
sink = Sink(shape=(8,), buffer=steps)
neuron.s_out.connect(sink.a_in)
neuron.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
found, real, imag = sink.data.get(), neuron.real.get(), neuron.imag.get()
neuron.stop()
np.savez("out.npz", spikes=found, real=real, imag=imag)
"""


@pytest.mark.lava
@pytest.mark.parametrize("exponent", [0, 7])
@pytest.mark.parametrize("kind", INTEGERS)
def test_it_is_lavas_own(lava, tmp_path, kind, exponent):
    random, level = np.random.default_rng(exponent), 300 << exponent
    weights = {part: random.integers(-100, 110, (8, 10)) * 2 for part in ("real", "imag")}
    x = random.random((10, 40)) < 0.3
    np.savez(tmp_path / "in.npz", x=x.astype(int), exponent=exponent, **weights)
    (tmp_path / "own.py").write_text(LAVAS_OWN)
    command = [environment.locate_python(), "own.py", kind, str(level)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    parts = FLOATS[kind].of(7.3, 0.03, 1.0)
    factors = [int(part * 4096) for part in (parts.sin_decay, parts.cos_decay)]  # Lava rounds down
    neuron = INTEGERS[kind](*factors, level * 64)
    state, wanted = neuron.begin(np.zeros(8, np.int64)), []
    for step in range(40):  # Dense takes one step
        spikes = x[:, step - 1] if step else np.zeros(10, np.int64)
        drive = np.stack([weights[part] @ spikes << exponent for part in ("real", "imag")])
        state, spike = neuron.step(state, drive)
        wanted.append(spike)
    with np.load(tmp_path / "out.npz") as found:
        assert (found["spikes"] == np.stack(wanted, axis=1)).all()
        assert (found["real"] == state[0]).all()
        assert (found["imag"] == state[1]).all()
    assert np.any(wanted)
