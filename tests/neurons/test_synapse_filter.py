"""Filter of spikes: by hand, against plain Python, within its bounds, floats like integers."""

from __future__ import annotations

from dataclasses import replace

import laws
import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, chain, design, spikes

from snncompile.errors import QuantizeError
from snncompile.hwmodels import chips
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.synapse_filter import IntegerSynapseFilter, SynapseFilter
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

# Neuron, spikes per time step, (v, output) after each.
BY_HAND = {
    "a spike holds the decay up": (
        IntegerSynapseFilter(2048),
        [1, 1, 0, 0, 1],
        [(4096, 64), (8192, 128), (4096, 64), (2048, 32), (6144, 96)],
    ),
    "half a message rounds up": (
        IntegerSynapseFilter(4095, 1),
        [1, 0, 0],
        [(64, 1), (0, 0), (0, 0)],
    ),
    "two spikes stretch, a negative one shrinks twice": (
        IntegerSynapseFilter(1024),
        [2, 2, -1],
        [(8192, 128), (18432, 288), (5120, 80)],
    ),
    "it saturates": (
        IntegerSynapseFilter(1, 131071),
        [1, 1],
        [(131071 * 64, 131071), (laws.TOP, 131072)],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    neuron, drive, wanted = BY_HAND[case]
    assert laws.run(neuron, drive) == wanted


def test_floats_by_hand():
    state, sent = (np.zeros(1),), []
    for x in (1.0, 1.0, 0.0, 0.0, 1.0):
        state, output = SynapseFilter(0.5).step(state, np.array([x]))
        sent.append(output.item())
    assert sent == [1.0, 2.0, 1.0, 0.5, 1.5]


def plain_step(p, state, x):
    (v,) = state
    kept = v * (4096 - p["potential_decay"] * (1 - x))
    raw = (kept // 4096 if kept >= 0 else -(-kept // 4096)) + 64 * p["rise"] * x
    v = plain.saturated(raw)
    return (v,), (v + 32) // 64, {"v": raw}


PARAMETERS = st.fixed_dictionaries(
    {"potential_decay": laws.DECAY, "rise": st.integers(1, 131071) | st.just(64)}
)
COUNT = st.integers(0, 1) | st.integers(-3, 9) | st.integers(-(2**15), 2**15)


@given(p=PARAMETERS, start=laws.STATE, drive=st.lists(COUNT, min_size=1, max_size=5))
def test_integer_step_is_the_docstring(p, start, drive):
    laws.same_as_plain(IntegerSynapseFilter(**p), plain_step, p, (start,), drive)


@settings(max_examples=300)
@given(
    p=PARAMETERS,
    initial=st.just(0) | laws.STATE,
    low=st.integers(-3, 0),
    high=st.integers(0, 3),
    steps=st.integers(1, 24),
    known=st.booleans(),
    noise=laws.NOISE,
)
def test_nothing_leaves_the_bounds(p, initial, low, high, steps, known, noise):
    neuron = IntegerSynapseFilter(**p, initial=initial)
    found = neuron.bounds(Interval(np.asarray(low), np.asarray(high)), steps if known else None)
    drives = [[low] * steps, [high] * steps, [low + n % (high - low + 1) for n in noise[:steps]]]
    for drive in (*drives, [high, low] * (steps // 2)):
        state = (initial,)
        for x in drive:
            state, output, reached = plain_step(p, state, x)
            assert found["v"].low <= reached["v"] <= found["v"].high
            assert neuron.payload.low <= output <= neuron.payload.high


def test_only_a_number_of_steps_bounds_spikes_in_every_step():
    neuron, once = IntegerSynapseFilter(1000), Interval(np.asarray(0), np.asarray(1))
    assert neuron.bounds(once, 10) == {"v": (0, 10 * 4096)}
    assert neuron.bounds(once, None) == {"v": (0, np.inf)}
    assert neuron.bounds(Interval(np.asarray(0), np.asarray(0)), None) == {"v": (0, 0)}


@given(drive=st.lists(st.integers(0, 2), min_size=1, max_size=8), initial=st.integers(0, 9))
def test_integers_are_the_floats_times_their_unit(drive, initial):
    exact = SynapseFilter(0.5, 1.0, initial=initial)
    integer = exact.quantize(exact.fixed_scale, LOIHI2.formats)
    floats, ints = exact.begin(np.zeros(1)), integer.begin(np.zeros(1, np.int64))
    for x in drive:
        floats, sent = exact.step(floats, np.array([float(x)]))
        ints, message = integer.step(ints, np.array([x]))
        assert abs(ints[0].item() - floats[0].item() * 4096) <= 1
        assert abs(message.item() - sent.item() * 64) <= 0.51


REFUSED = [
    (lambda: SynapseFilter(1.5), "potential_decay must be between 0 and 1, got 1.5"),
    (lambda: SynapseFilter(0.5, 0.0), "rise must be positive, got 0"),
    (lambda: IntegerSynapseFilter(1, 0), "rise must be positive, got 0"),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_quantize():
    neuron = SynapseFilter(0.25, [1.0, 3.0]).quantize(4096.0, LOIHI2.formats)
    assert neuron.potential_decay == 1024
    assert neuron.rise.tolist() == [64, 192]
    assert neuron.real()["potential_decay"] == 0.25
    assert (neuron.real()["rise"] / 4096).tolist() == [1.0, 3.0]
    assert len(np.unique(neuron.profile()["threshold"])) == 2
    with pytest.raises(QuantizeError) as error:
        SynapseFilter(0.25, 1e-3).quantize(4096.0, LOIHI2.formats)
    assert str(error.value) == "rise 0 is outside 1..131071"


@pytest.mark.parametrize("rise", [0.01, 1.0, 300.0])
def test_a_network_reads_it_whatever_its_unit(rise):
    """The weights behind it are those of its unit, so the integers are always the same."""
    base = chain(6, 5, 5, 4, neuron=CubaLif(1.0, 0.1, 1.0), weight=0.37)
    network = changed_filter(base, rise)
    x = spikes(network, 20, 30, rate=0.4)
    made = Quantize()(design(network, LOIHI2)).network
    assert made.populations[1].neuron.rise == 64
    wanted, found = network.run(x).spikes, made.run(x).spikes
    assert wanted.any()
    assert (wanted != found).mean() < 0.02


def changed_filter(network, rise):
    """Return a chain whose second population is a filter, read by weights that undo its rise."""
    a, b, c = network.populations
    first, into, behind = network.projections
    one = replace(into, synapses=Synapses(Scale(5), np.asarray(1.0)))
    undone = replace(
        behind, synapses=Synapses(behind.synapses.wiring, behind.synapses.weight * 0.3 / rise)
    )
    return replace(
        network,
        populations=(a, replace(b, neuron=SynapseFilter(0.2, rise)), c),
        projections=(first, one, undone),
    )


def test_the_chip_file_says_that_its_microcode_is_assumed():
    assert chips.load_chip("loihi2").neurons["synapse_filter"].evidence == "assumed"
