"""The emulator of nengo-loihi against the integer reference: a second witness beside Lava.

200 networks out of the whole pipeline for Loihi 1. Every spike and every state of every population
is compared, in every time step. The emulator is another group's account of the chip, in code that
shares nothing with ours or with Lava's. Where it differs from Lava, Lava is our definition; the
last tests show where.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import emulator
import numpy as np
import pytest
from emulated_networks import draw_case
from lava_states import reference_with_states
from networks import LOIHI1, alone

import snncompile
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.program import Program
from snncompile.reference.backend import spike_trains

SEED = 1
"""Of the networks; network i of this seed is always the same."""
SAMPLE = range(20)
"""Networks of `make test`."""
ALL = range(200)


def list_mismatches(program: Program, x) -> list[str]:
    """Return the outputs and states that differ: the first place of each population."""
    computed = emulator.run_with_states(program, x)
    outputs, states = reference_with_states(program.network, x)
    assert {*outputs, *states} <= {*computed}
    return [
        f"{name}: sample {place[0]}, step {place[1]}, neuron {place[2]}"
        for name, expected in (outputs | states).items()
        for place in np.argwhere(computed[name] != expected)[:1]
    ]


@pytest.mark.parametrize("number", SAMPLE)
def test_twenty_networks(number):
    case = draw_case(SEED, number)
    assert list_mismatches(case.program, case.x) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", ALL)
def test_two_hundred_networks(number):
    case = draw_case(SEED, number)
    assert list_mismatches(case.program, case.x) == []


FEATURES = [
    *("dense", "convolution", "sparse", "scale", "loop", "two of one source", "left out of rows"),
    *(
        "cuba_lif/hard",
        "integrate_fire/hard",
        "memory",
        "no memory",
        "leak",
        "no leak",
        "per neuron",
    ),
    *("bias", "initial potential", "exponent 0", "a higher exponent", "8 bits", "fewer bits"),
    *("several slices of a population", "several populations on a core", "one core", "phase 3"),
]


def list_features(program: Program):
    """Yield what a Program has."""
    network, mapping = program.network, program.mapping
    pairs = Counter((p.source, p.target) for p in network.projections)
    order = [p.name for p in network.populations]
    for p in network.projections:
        yield p.synapses.wiring.kind
        exponent, bits = p.synapses.exponent, p.synapses.bits
        yield "exponent 0" if exponent == 0 else "a higher exponent" if exponent > 0 else "lower"
        yield "8 bits" if bits == 8 else "fewer bits"
        source = -1 if p.source == network.input.name else order.index(p.source)
        conditions = {
            "loop": source >= order.index(p.target),
            "two of one source": pairs[p.source, p.target] > 1,
            "left out of rows": (p.synapses.weight == 0).any(),
        }
        yield from (name for name, holds in conditions.items() if holds)
    on_core = Counter(core for _, core in {(s.population, s.core) for s in mapping.slices})
    yield "one core" if mapping.cores == 1 else "several cores"
    for p in network.populations:
        decays = getattr(p.neuron, "current_decay", 4095), getattr(p.neuron, "potential_decay", 0)
        yield p.neuron.kind
        conditions = {
            "memory": (np.asarray(decays[0]) < 4095).any(),
            "no memory": (np.asarray(decays[0]) == 4095).any(),
            "leak": np.any(decays[1]),
            "no leak": (np.asarray(decays[1]) == 0).any(),
            "per neuron": any(getattr(p.neuron, n).ndim for n in p.neuron.parameters()),
            "bias": np.any(p.neuron.bias_mantissa),
            "initial potential": np.any(p.neuron.initial),
            "several slices of a population": len(mapping.of(p.name)) > 1,
            "several populations on a core": max(on_core.values()) > 1,
            "phase 3": p.phase >= 3,
        }
        yield from (name for name, holds in conditions.items() if holds)


def test_the_twenty_have_everything_and_fire():
    seen, fired = Counter(), Counter()
    for number in SAMPLE:
        case = draw_case(SEED, number)
        seen.update(set(list_features(case.program)))
        trains = spike_trains(case.program.network, case.x)
        fired.update("some" if train.any() else "none" for train in trains.values())
    assert [feature for feature in FEATURES if not seen[feature]] == []
    assert fired["none"] < 0.2 * fired.total()


def change_neurons(program: Program, name: str, share: float) -> Program:
    """Return the Program with a parameter a share less, at least 1, in neurons that have it."""

    def change(neuron):
        value = np.asarray(getattr(neuron, name, 0))
        less = value - np.maximum(1, value * share).astype(np.int64)
        return replace(neuron, **{name: less}) if (value > 1).all() else neuron

    populations = tuple(replace(p, neuron=change(p.neuron)) for p in program.network.populations)
    return replace(program, network=replace(program.network, populations=populations))


@pytest.mark.parametrize(
    "name, share", [("current_decay", 0), ("potential_decay", 0), ("threshold", 0.02)]
)
def test_a_wrong_parameter_is_seen(name, share):
    """The comparison can fail: for a decay that is 1 of 4096 less, a threshold that is 2 % less."""

    def differs(program: Program, x) -> bool:
        outputs, states = reference_with_states(program.network, x)
        wrong = emulator.run_with_states(change_neurons(program, name, share), x)
        return any((wrong[key] != right).any() for key, right in (outputs | states).items())

    cases = [draw_case(SEED, number) for number in range(8)]
    assert any(differs(case.program, case.x) for case in cases)


def compile_one(weight: int, exponent: int, sources: int, **parameters: int) -> Program:
    """Return the Program of one neuron and its input, synapses of one weight."""
    values = {"current_decay": 4095, "potential_decay": 0, "threshold": 1} | parameters
    neuron = IntegerCubaLif(**values)
    network = alone(neuron, 1, np.full((1, sources), weight), sources=sources)
    (projection,) = network.projections
    synapses = replace(projection.synapses, exponent=exponent)
    network = replace(network, projections=(replace(projection, synapses=synapses),))
    return snncompile.compile(network, chip=LOIHI1, steps=2, prune=False)


def test_at_the_threshold_neither_fires():
    program = compile_one(2, exponent=0, sources=1, threshold=2)
    x = np.ones((1, 3, 1), np.uint8)
    assert list_mismatches(program, x) == []
    assert spike_trains(program.network, x)["a"].ravel().tolist() == [0, 1, 0]  # 128, 256, 128


def test_below_an_exponent_of_0_the_emulator_keeps_bits_that_lava_drops():
    program = compile_one(2, exponent=-2, sources=3)
    x = np.ones((1, 2, 3), np.uint8)
    outputs, states = reference_with_states(program.network, x)
    assert (outputs["a"].ravel().tolist(), states["a.u"].ravel().tolist()) == ([0, 1], [64, 64])
    with_bits = emulator.run_with_states(program, x)  # 3 times 2 / 2^2 = 1.5, not 1
    assert (with_bits["a"].ravel().tolist(), with_bits["a.u"].ravel().tolist()) == (
        [1, 1],
        [96, 96],
    )


def test_an_input_beyond_21_bits_wraps_in_the_emulator_and_not_in_lava():
    program = compile_one(254, exponent=7, sources=2)
    x = np.ones((1, 2, 2), np.uint8)
    _, states = reference_with_states(program.network, x)
    assert states["a.u"].ravel().tolist() == [254 * 2 << 13] * 2
    with pytest.warns(UserWarning, match="Overflow in q0"):
        wrapped = emulator.run_with_states(program, x)
    assert wrapped["a.u"].ravel().tolist() == [(254 * 2 << 13) - 2**22] * 2


def test_a_current_and_a_bias_beyond_23_bits_wrap_in_the_emulator_and_not_in_lava():
    """The current grows by 248 * 2^13 in each step; with the bias it passes 2^23 in the fourth."""
    values = {"current_decay": 0, "threshold": 131071, "bias_mantissa": 4095, "bias_exponent": 7}
    program = compile_one(248, exponent=7, sources=1, potential_decay=4095, **values)
    x = np.ones((1, 4, 1), np.uint8)
    _, states = reference_with_states(program.network, x)
    with pytest.warns(UserWarning, match="Overflow in u2"):
        wrapped = emulator.run_with_states(program, x)
    assert (wrapped["a.u"] == states["a.u"]).all()
    assert (wrapped["a.v"] == states["a.v"]).ravel().tolist() == [True, True, True, False]
