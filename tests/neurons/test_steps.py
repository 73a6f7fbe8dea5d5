"""Steps of every neuron: by hand, and against plain Python over the whole ranges."""

from __future__ import annotations

import laws
import numpy as np
import plain
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import DECAY, DRIVE, FINITE, HALF, THRESHOLD, TOP
from networks import RESETS, TOY

from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import IntegerReadout, Readout


def run(neuron, drive):
    """Return [(states..., output)] of one neuron, numpy; torch must give the same."""
    dtype = neuron.threshold.dtype if hasattr(neuron, "threshold") else neuron.bias_mantissa.dtype
    state = tuple(np.zeros(1, dtype) for _ in neuron.states)
    bound = neuron.bind(torch.tensor)
    tensors = tuple(torch.tensor(s) for s in state)
    rows = []
    for x in drive:
        state, output = neuron.step(state, np.asarray([x], dtype))
        tensors, other = bound.step(tensors, torch.tensor(np.asarray([x], dtype)))
        assert [s.tolist() for s in tensors] == [s.tolist() for s in state]
        assert other.tolist() == output.tolist()
        rows.append((*(s.item() for s in state), int(output.item())))
    return rows


# Neuron, accumulated weights per time step, (u, v, output) after each. 1 weight is 64 in u.
CUBA_LIF = {
    "v at the threshold does not fire, one above does": (
        IntegerCubaLif(4095, 0, 2, bias_mantissa=[1]),
        [1, 0, 1],
        [(64, 65, 0), (0, 66, 0), (64, 0, 1)],  # 65, 66, 131 > 128
    ),
    "v exactly at the threshold": (
        IntegerCubaLif(4095, 0, 2),
        [2, 0, 1],
        [(128, 128, 0), (0, 128, 0), (64, 0, 1)],
    ),
    "the current loses a 4096th even with current_decay 0": (
        IntegerCubaLif(0, 4095, 1000),
        [64, 0, 0],
        [(4096, 4096, 0), (4095, 4096, 0), (4094, 4095, 0)],  # v: 1 + 4095, 1 + 4094
    ),
    "no decay at all with current_decay -1": (
        IntegerCubaLif(-1, 4095, 1000),
        [1, 0, 0],
        [(64, 64, 0), (64, 64, 0), (64, 64, 0)],
    ),
    "a negative current dies out toward zero": (
        IntegerCubaLif(2047, 4095, 1000),
        [-1, *[0] * 7],
        [(u, u, 0) for u in (-64, -32, -16, -8, -4, -2, -1, 0)],
    ),
    "the current wraps above 2^23 and v saturates": (
        IntegerCubaLif(4095, 0, 131071),
        [2**17, 2**17 + 1],
        [(HALF, 0, 1), (64 - HALF, 64 - HALF, 0)],  # v 8388607 > 8388544
    ),
    "the current wraps at -2^23": (
        IntegerCubaLif(4095, 0, 131072),
        [-(2**17), 1 - 2**17],
        [(HALF, TOP, 0), (64 - HALF, 63, 0)],  # TOP + 64 - 2^23
    ),
    "v saturates below": (
        IntegerCubaLif(4095, 0, 1, bias_mantissa=-4095, bias_exponent=11),
        [0, 0, 0],
        [(0, -8386560, 0), (0, -TOP, 0), (0, -TOP, 0)],
    ),
    "hard: v is zero at once": (
        IntegerCubaLif(4095, 2048, 2),
        [5, 0, 2],
        [(320, 0, 1), (0, 0, 0), (128, 128, 0)],
    ),
    "soft: the excess is kept, and fires again": (
        IntegerCubaLif(4095, 0, 2, reset="soft"),
        [5, 0, 0],
        [(320, 192, 1), (0, 64, 1), (0, 64, 0)],
    ),
    "delayed_soft: subtracted after the leak of the next step": (
        IntegerCubaLif(4095, 2048, 2, reset="delayed_soft"),
        [6, 0, 0, 3],
        # 384; 192 - 128; 32; 16 + 192
        [(384, 384, 1), (0, 64, 0), (0, 32, 0), (192, 208, 1)],
    ),
    "delayed_soft: below zero when little drive follows": (
        IntegerCubaLif(4095, 2048, 4, reset="delayed_soft"),
        [5, 0, 0],
        [(320, 320, 1), (0, -96, 0), (0, -48, 0)],  # 160 - 256
    ),
    "delayed_soft: fires and is reset in one step": (
        IntegerCubaLif(4095, 0, 1, reset="delayed_soft"),
        [4, 0, 0, 0, 0],
        [(256, 256, 1), (0, 192, 1), (0, 128, 1), (0, 64, 0), (0, 64, 0)],
    ),
    "delayed_soft: v at the threshold has not fired": (
        IntegerCubaLif(4095, 0, 2, reset="delayed_soft"),
        [2, 0, 1],
        [(128, 128, 0), (0, 128, 0), (64, 192, 1)],
    ),
    "delayed_hard: v at the threshold has not fired": (
        IntegerCubaLif(4095, 0, 2, reset="delayed_hard"),
        [2, 0, 1],
        [(128, 128, 0), (0, 128, 0), (64, 192, 1)],
    ),
    "delayed_hard: the input of the next step is lost": (
        IntegerCubaLif(4095, 0, 2, reset="delayed_hard"),
        [3, 3, 3, 1],
        [(192, 192, 1), (192, 0, 0), (192, 192, 1), (64, 0, 0)],
    ),
    "delayed_hard: the bias of the next step is lost, the current stays": (
        IntegerCubaLif(2047, 0, 2, bias_mantissa=10, reset="delayed_hard"),
        [2, 0, 0],
        [(128, 138, 1), (64, 0, 0), (32, 42, 0)],
    ),
    "strict_soft: fires again above twice the threshold only": (
        IntegerCubaLif(4095, 0, 2, reset="strict_soft"),
        [5, 1, 1, 0, 0],
        # 320 - 128; 256 is not above it; 320 - 128; 192 stays
        [(320, 192, 1), (64, 256, 0), (64, 192, 1), (0, 192, 0), (0, 192, 0)],
    ),
    "strict_soft: v that fell to the threshold fires above it": (
        IntegerCubaLif(4095, 0, 2, reset="strict_soft"),
        [4, 1, 0],
        [(256, 128, 1), (64, 64, 1), (0, 64, 0)],  # 128 + 64 - 128
    ),
    "strict_soft: v saturates before it is compared": (
        IntegerCubaLif(4095, 0, 65536, 4095, 11, reset="strict_soft"),
        [0, 0],
        [(0, 8386560 - 65536 * 64, 1), (0, TOP - 65536 * 64, 1)],
    ),
    "none: v stays above": (
        IntegerCubaLif(4095, 0, 2, reset="none"),
        [3, 0, -1, 0],
        [(192, 192, 1), (0, 192, 1), (-64, 128, 0), (0, 128, 0)],
    ),
    "the reset sees the saturated v": (
        IntegerCubaLif(4095, 0, 131071, bias_mantissa=4095, bias_exponent=12, reset="soft"),
        [0],
        [(0, TOP - 131071 * 64, 1)],
    ),
    "delayed_soft subtracts before v saturates": (
        IntegerCubaLif(4095, 0, 131071, 4095, 11, reset="delayed_soft"),
        [1, 131000],
        [(64, 8386624, 0), (8384000, TOP, 1)],
    ),
    "a threshold of 0 fires on the smallest v": (
        IntegerCubaLif(4095, 0, 0, bias_mantissa=1),
        [0, -1],
        [(0, 0, 1), (-64, -63, 0)],
    ),
}

INTEGRATE_FIRE = {
    "soft, at and above the threshold": (
        IntegerIntegrateFire(2),
        [2, 1, 0],
        [(128, 0), (64, 1), (64, 0)],
    ),
    "hard": (
        IntegerIntegrateFire(2, reset="hard"),
        [2, 1, 3, 0],
        [(128, 0), (0, 1), (0, 1), (0, 0)],
    ),
    "no leak": (IntegerIntegrateFire(2), [-1, 0, 0], [(-64, 0), (-64, 0), (-64, 0)]),
    "bias": (IntegerIntegrateFire(1, 3, 4), [0, 0], [(48, 0), (32, 1)]),
    "the input wraps": (
        IntegerIntegrateFire(131071),
        [2**17 + 1, 1],
        [(64 - HALF, 0), (128 - HALF, 0)],
    ),
    "v saturates": (
        IntegerIntegrateFire(131072),
        [2**16, 2**16, 5],
        [(2**22, 0), (TOP, 0), (TOP, 0)],
    ),
}

READOUT = {
    "the potential is the output": (
        IntegerReadout(2047, 2048, 1, 3),
        [1, 0, -2],
        [(64, 72, 72), (32, 76, 76), (-112, -66, -66)],
    ),
    "u wraps and v saturates": (
        IntegerReadout(4095, 0),
        [2**17, 2**17, 2**17 + 1],
        [(HALF, TOP, TOP), (HALF, TOP, TOP), (64 - HALF, 63, 63)],
    ),
}


@pytest.mark.parametrize("case", CUBA_LIF)
def test_cuba_lif_by_hand(case):
    neuron, drive, wanted = CUBA_LIF[case]
    assert run(neuron, drive) == wanted


@pytest.mark.parametrize("case", INTEGRATE_FIRE)
def test_integrate_fire_by_hand(case):
    neuron, drive, wanted = INTEGRATE_FIRE[case]
    assert run(neuron, drive) == wanted


@pytest.mark.parametrize("case", READOUT)
def test_readout_by_hand(case):
    neuron, drive, wanted = READOUT[case]
    assert run(neuron, drive) == wanted


# The same in floats: neuron, input, (u, v, output) or (v, output) after each step.
FLOAT = {
    "v at the threshold does not fire": (
        CubaLif(1.0, 0.0, 1.0),
        [1.0, 0.0, 0.5],
        [(1.0, 1.0, 0), (0.0, 1.0, 0), (0.5, 0.0, 1)],
    ),
    "current, leak and bias": (
        CubaLif(0.5, 0.25, 10.0, bias=1.0),
        [4.0, 0.0],
        [(4.0, 5.0, 0), (2.0, 6.75, 0)],
    ),
    "soft": (CubaLif(1.0, 0.0, 1.0, reset="soft"), [2.5, 0.0], [(2.5, 1.5, 1), (0.0, 0.5, 1)]),
    "delayed_soft": (
        CubaLif(1.0, 0.5, 2.0, reset="delayed_soft"),
        [3.0, 0.0, 0.0],
        [(3.0, 3.0, 1), (0.0, -0.5, 0), (0.0, -0.25, 0)],
    ),
    "delayed_hard": (
        CubaLif(1.0, 0.0, 1.0, bias=0.25, reset="delayed_hard"),
        [1.0, 5.0, 1.0],
        [(1.0, 1.25, 1), (5.0, 0.0, 0), (1.0, 1.25, 1)],
    ),
    "delayed_soft: v at the threshold has not fired": (
        CubaLif(1.0, 0.0, 1.0, reset="delayed_soft"),
        [1.0, 0.0, 0.5],
        [(1.0, 1.0, 0), (0.0, 1.0, 0), (0.5, 1.5, 1)],
    ),
    "delayed_hard: v at the threshold has not fired": (
        CubaLif(1.0, 0.0, 1.0, reset="delayed_hard"),
        [1.0, 0.0, 0.5],
        [(1.0, 1.0, 0), (0.0, 1.0, 0), (0.5, 1.5, 1)],
    ),
    "strict_soft": (
        CubaLif(1.0, 0.5, 1.0, reset="strict_soft"),
        [3.0, 1.0, 0.25, 2.0, 0.5],
        # 3 - 1; 1 + 1 is not above 2; 1.25, of which 1 was above; 2.625 - 1; 1.3125
        [(3.0, 2.0, 1), (1.0, 2.0, 0), (0.25, 1.25, 0), (2.0, 1.625, 1), (0.5, 1.3125, 0)],
    ),
    "none": (CubaLif(1.0, 0.0, 1.0, reset="none"), [1.5, 0.0], [(1.5, 1.5, 1), (0.0, 1.5, 1)]),
    "integrate_fire soft": (
        IntegrateFire(1.0, 0.5),
        [1.0, 0.0, 0.0],
        [(0.5, 1), (1.0, 0), (0.5, 1)],
    ),
    "integrate_fire hard": (IntegrateFire(1.0, reset="hard"), [1.0, 0.5], [(1.0, 0), (0.0, 1)]),
    "readout": (Readout(0.5, 0.5, 3.0), [2.0, 0.0], [(2.0, 5.0, 5), (1.0, 6.5, 6)]),
}


@pytest.mark.parametrize("case", FLOAT)
def test_float_steps_by_hand(case):
    neuron, drive, wanted = FLOAT[case]
    assert run_float(neuron, drive) == wanted


def run_float(neuron, drive):
    state = tuple(np.zeros(1) for _ in neuron.states)
    rows = []
    for x in drive:
        state, output = neuron.step(state, np.asarray([x]))
        rows.append((*(s.item() for s in state), int(output.item())))
    return rows


KINDS = [f"cuba_lif/{reset}" for reset in RESETS]
KINDS += ["integrate_fire/hard", "integrate_fire/soft", "readout"]
STATE = laws.STATE | st.sampled_from([HALF, -HALF])


def integer_neuron(kind: str, p):
    name, _, reset = kind.partition("/")
    bias = p["bias_mantissa"], p["bias_exponent"]
    if name == "readout":
        return IntegerReadout(p["current_decay"], p["potential_decay"], *bias)
    if name == "integrate_fire":
        return IntegerIntegrateFire(p["threshold"], *bias, reset)
    decays = p["current_decay"], p["potential_decay"]
    return IntegerCubaLif(*decays, p["threshold"], *bias, reset)


@given(
    kind=st.sampled_from(KINDS),
    p=st.fixed_dictionaries(
        {
            "current_decay": DECAY,
            "potential_decay": DECAY,
            "threshold": THRESHOLD,
            "bias_mantissa": st.integers(-4095, 4095) | st.just(0),
            "bias_exponent": st.integers(0, 7),
        }
    ),
    u=STATE,
    v=STATE,
    drive=st.lists(DRIVE, min_size=1, max_size=4),
)
def test_integer_step_is_the_docstring(kind, p, u, v, drive):
    neuron = integer_neuron(kind, p)
    bound = neuron.bind(torch.tensor)
    start = (u, v)[-len(neuron.states) :]
    wanted = start
    arrays, tensors = [tuple(make([s]) for s in start) for make in (np.array, torch.tensor)]
    for x in drive:
        wanted, output = plain.integer_step(kind, p, wanted, x)
        arrays, one = neuron.step(arrays, np.array([x]))
        tensors, other = bound.step(tensors, torch.tensor([x]))
        assert (*(a.item() for a in arrays), one.item()) == (*wanted, output)
        assert (*(t.item() for t in tensors), other.item()) == (*wanted, output)
        assert all(a.dtype == np.int64 for a in arrays)


@given(
    kind=st.sampled_from(KINDS),
    p=st.fixed_dictionaries(
        {
            "current_decay": st.floats(0, 1),
            "potential_decay": st.floats(0, 1),
            "threshold": st.floats(0.01, 4) | st.just(1.0),
            "bias": FINITE,
        }
    ),
    drive=st.lists(FINITE, min_size=1, max_size=6),
)
def test_float_step_is_the_docstring(kind, p, drive):
    neuron = float_neuron(kind, p)
    bound = neuron.bind(torch.tensor)
    wanted = (0.0,) * len(neuron.states)
    arrays, tensors = [tuple(make([s]) for s in wanted) for make in (np.array, torch.tensor)]
    for x in drive:
        wanted, output = plain.float_step(kind, p, wanted, x)
        arrays, one = neuron.step(arrays, np.array([x]))
        tensors, other = bound.step(tensors, torch.tensor([x], dtype=torch.float64))
        assert (*(a.item() for a in arrays), one.item()) == (*wanted, output)
        assert (*(t.item() for t in tensors), other.item()) == (*wanted, output)


def float_neuron(kind: str, p):
    name, _, reset = kind.partition("/")
    if name == "readout":
        return Readout(p["current_decay"], p["potential_decay"], p["bias"])
    if name == "integrate_fire":
        return IntegrateFire(p["threshold"], p["bias"], reset)
    return CubaLif(p["current_decay"], p["potential_decay"], p["threshold"], p["bias"], reset)


@given(
    kind=st.sampled_from(KINDS),
    current_decay=st.sampled_from([0.5, 1.0]),
    potential_decay=st.sampled_from([0.0, 0.5]),
    threshold=st.integers(1, 40).map(lambda n: n / 4),
    bias=st.integers(-8, 8).map(lambda n: n / 4),
    drive=st.lists(st.integers(-12, 12), min_size=1, max_size=10),
)
def test_integers_are_the_floats_times_the_scale(
    kind, current_decay, potential_decay, threshold, bias, drive
):
    """Exactly: with scale 2^12 ten halvings leave no remainder."""
    p = {"current_decay": current_decay, "potential_decay": potential_decay}
    exact = float_neuron(kind, p | {"threshold": threshold, "bias": bias})
    integer = exact.quantize(2.0**12, TOY.formats)
    floats = tuple(np.zeros(1) for _ in exact.states)
    ints = tuple(np.zeros(1, np.int64) for _ in exact.states)
    for x in drive:
        floats, one = exact.step(floats, np.array([float(x)]))
        ints, other = integer.step(ints, np.array([x * 64]))  # u of 64 * 64 per unit
        assert [i.item() for i in ints] == [f.item() * 2**12 for f in floats]
        assert other.item() == one.item() * (1 if exact.spikes else 2**12)


def test_parameters_per_neuron_act_on_their_neuron_alone():
    neuron = IntegerCubaLif([4095, 2047], [0, 2048], [1, 5], [0, 3], [0, 1], "soft")
    state = (np.zeros(2, np.int64), np.zeros(2, np.int64))
    for x in ([2, 2], [0, 0], [1, -4]):
        state, spike = neuron.step(state, np.array(x))
    assert [s.tolist() for s in state] == [[64, -224], [64, -150]]
    assert spike.tolist() == [True, False]
