"""Input that carries whole numbers, neurons that send them, neurons with two inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2, TOY, alone, changed, design, integer_chain

import snncompile
from snncompile import registry
from snncompile.errors import InputError
from snncompile.files import network as save
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.timing.retime import Retime
from snncompile.reference import simulate
from snncompile.reference.simulate import check_spikes
from snncompile.reference.synapses import bind
from snncompile.synapses.dense import dense, integer_dense

GRADED = Interval(-100, 300)


def graded(network, payload=GRADED):
    return changed(network, input=replace(network.input, payload=payload))


@pytest.mark.parametrize("highest", [126, 127, 128, 129, 400])
def test_sums_wrap_at_their_bits_and_no_earlier(highest):
    """8 bits hold -128..127; weight 2 and exponent -1 sum up the values themselves."""
    synapses = replace(integer_dense(np.array([[2]]), -1, 8), sum_bits=8)
    sums = bind(synapses, Interval(-highest, highest))
    values = torch.tensor([[[v] for v in range(-highest, highest + 1)]])
    wanted = (np.arange(-highest, highest + 1) + 128) % 256 - 128
    assert sums(values).ravel().tolist() == wanted.tolist()


def test_each_value_counts():
    network = graded(alone(IntegerReadout(4095, 4095), weight=[[2]]))
    x = np.array([[[30], [-20], [0], [7]]])
    assert network.run(x).spikes.ravel().tolist() == [64 * 2 * v for v in (30, -20, 0, 7)]
    assert check_spikes(network, x.astype(float)).dtype == np.int32


# Input, the whole message.
WHOLE = "expected whole numbers from -100 to 300; import the network with input_range=({}, {})"
REFUSED = [
    ([[[301]]], f"input holds values from 301 to 301, {WHOLE.format(-100, 301)}"),
    ([[[0], [-101]]], f"input holds values from -101 to 0, {WHOLE.format(-101, 300)}"),
    (
        [[[0.5]]],
        "input holds values from 0.5 to 0.5, expected whole numbers from -100 to 300; a network for"
        ' such values is imported with input="analog"',
    ),
    ([[[np.inf]]], "input holds values that are not finite"),
]


@pytest.mark.parametrize("x, message", REFUSED)
def test_what_is_outside_is_refused(x, message):
    with pytest.raises(InputError) as error:
        graded(alone(IntegerReadout(0, 0))).run(x)
    assert str(error.value) == message


PAYLOADS = [
    (Interval(1, 3), "input: payload 1..3 must be whole numbers around 0"),
    (Interval(-3, -1), "input: payload -3..-1 must be whole numbers around 0"),
    (Interval(0, 0.5), "input: payload 0..0.5 must be whole numbers around 0"),
    (Interval(0, 2**23), "input: payload 0..8388608 is beyond +-8388607"),
    (Interval(-(2**23), 0), "input: payload -8388608..0 is beyond +-8388607"),
]


@pytest.mark.parametrize("payload, message", PAYLOADS)
def test_a_payload_that_makes_no_sense(payload, message):
    with pytest.raises(InputError) as error:
        graded(integer_chain(2, 1), payload)
    assert str(error.value) == message


def test_text_and_file_keep_it(tmp_path):
    network = graded(integer_chain(2, 1))
    assert str(network).splitlines()[0] == "input input 2 payload=-100..300"
    network.save(tmp_path / "net")
    again = snncompile.load(tmp_path / "net")
    assert str(again) == str(network)
    assert again.input.payload == GRADED


def test_a_float_network_hands_it_on():
    network = graded(alone(IntegrateFire(5.0), weight=[[0.5]]))
    x = np.array([[[10], [-3], [9], [100]]])
    program = snncompile.compile(network, chip=LOIHI2, calibration=x)
    assert program.network.input.payload == GRADED
    assert (program.run(x).spikes == network.run(x).spikes).all()
    assert program.run(x).spikes.any()
    found = {(row.layer, row.event): row.count for row in program.estimate(x).rows}
    assert found["input", "host_input"] == np.count_nonzero(x) == 4  # whatever number they carry


def test_bounds_count_the_largest_value():
    network = graded(alone(IntegerIntegrateFire(2), 1, [[4, -2]], sources=2))
    found = {b.quantity: (b.low, b.high) for b in prove_bounds(network, TOY, steps=1)}
    assert found["accumulator"] == (-100 * 4 - 300 * 2, 300 * 4 + 100 * 2)


@given(seed=st.integers(0, 10**6))
def test_the_compiled_way_gives_the_same(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (7, 5)) * 2
    high = int(rng.choice([1, 9, 2**23 - 1]))
    network = graded(integer_chain(5, 7, 3), Interval(-high, high))
    network = changed(network, projection=0, synapses=integer_dense(weight, 0, 8))
    network = changed(network, "a", neuron=IntegerIntegrateFire(rng.integers(1, 10**5, 7)))
    x = rng.integers(-high, high + 1, (3, 6, 5))
    found = {}
    for limit in (1, 10**9):
        monkeypatch.setattr(simulate, "COMPILE_FROM", limit)
        found[limit] = network.run(x).spikes
    assert (found[1] == found[10**9]).all()


@dataclass(frozen=True, eq=False)
class Difference(FloatNeuron):
    """Sends the difference of its two inputs, whatever it is."""

    name: ClassVar[str] = "difference"
    states: ClassVar[tuple[str, ...]] = ("v",)
    ports: ClassVar[tuple[str, ...]] = ("plus", "minus")

    @property
    def payload(self):
        return Interval(-9, 9)

    def step(self, state, x):
        plus, minus = x
        v = state[0] + plus - minus
        return (v,), v

    def quantize(self, scale, formats):
        return IntegerDifference()


@dataclass(frozen=True, eq=False)
class IntegerDifference(IntegerNeuron):
    """The same in integers."""

    name: ClassVar[str] = "difference"
    states: ClassVar[tuple[str, ...]] = ("v",)
    ports: ClassVar[tuple[str, ...]] = Difference.ports
    payload = Difference.payload
    step = Difference.step

    def bounds(self, x, steps):
        assert x.low.shape == (2, 2)
        return {"v": Interval(x.low[0] - x.high[1], x.high[0] - x.low[1])}

    def real(self):
        return {}

    def profile(self):
        return {"compartment": np.asarray(0), "threshold": np.asarray(0)}


Difference.integer = IntegerDifference


def two_ports(ports=("plus", "minus"), *, loop: bool = False, make=IntegerNetwork):
    weights = np.array([[4, 0], [0, 2]]), np.array([[2, 2], [0, 0]])
    synapses = [integer_dense(w, 0, 8) if make is IntegerNetwork else dense(w) for w in weights]
    neuron = IntegerDifference() if make is IntegerNetwork else Difference()
    into = [Projection("input", "a", s, port=p) for s, p in zip(synapses, ports, strict=True)]
    if loop:
        into.append(Projection("a", "a", replace(into[0]).synapses, 1, "minus"))
    return make(Input("input", (2,)), (Population("a", (2,), neuron),), tuple(into), "a")


X = np.array([[[1, 0], [1, 1], [0, 1]]])


def test_each_input_gets_its_own():
    assert two_ports().run(X).spikes[0].tolist() == [[2, 0], [2, 2], [0, 4]]
    assert two_ports(make=Network).run(X).spikes[0].tolist() == [[2, 0], [2, 2], [0, 4]]
    assert two_ports(loop=True).run(X).spikes[0].tolist() == [[2, 0], [-6, 2], [16, 0]]
    found = prove_bounds(two_ports(), TOY, None)
    assert [(b.quantity, b.low, b.high, b.neuron) for b in found] == [
        ("accumulator", 0, 4, 0),
        ("v", -4, 4, 0),
    ]


def test_text_file_and_passes_keep_the_port(tmp_path, monkeypatch):
    def load(table: str, name: str):
        return Difference if name == "difference" else registry.load(table, name)

    monkeypatch.setattr(save, "load", load)
    network = Retime()(design(two_ports(), LOIHI2)).network
    line = "projection input -> a.minus dense 2x2 weight=[0 .. 2] exponent=0 bits=8 delay=1"
    assert str(network).splitlines()[3] == line
    network.save(tmp_path / "net")
    again = snncompile.load(tmp_path / "net")
    assert str(again) == str(network)
    assert (again.run(X).spikes == two_ports().run(X).spikes).all()


PORTS = [
    (
        ("plus", None),
        "projection input -> a: difference has several inputs; set port to one of plus, minus",
    ),
    (
        ("plus", "times"),
        "projection input -> a: difference has no input 'times'; it has plus, minus",
    ),
]


@pytest.mark.parametrize("ports, message", PORTS)
def test_a_port_that_is_not_there(ports, message):
    with pytest.raises(InputError) as error:
        two_ports(ports)
    assert str(error.value) == message


def test_a_port_of_a_neuron_with_one_input():
    with pytest.raises(InputError) as error:
        changed(integer_chain(2, 1), projection=0, port="x")
    assert str(error.value) == ("projection input -> a: cuba_lif has no input 'x'; it has only one")
