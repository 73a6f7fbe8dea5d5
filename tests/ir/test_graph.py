"""Networks: every rule with its whole message, frozen, ordered, as text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import chain, changed, integer_chain, random_integer_network, random_network

from snncompile.errors import InputError
from snncompile.ir import view
from snncompile.ir.graph import Graph, Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.result import Result
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.synapses.dense import dense, integer_dense

LIF = CubaLif(1.0, 0.0, 1.0)


def net(*projections: Projection, populations=None, shape=(2,), output="b") -> Network:
    populations = populations or (Population("a", (2,), LIF), Population("b", (1,), LIF))
    return Network(Input("input", shape), populations, projections, output)


def join(source: str, target: str, delay: int = 0, *, shape=(1, 2)) -> Projection:
    return Projection(source, target, dense(np.ones(shape)), delay)


NAN = np.array([[1.0, np.nan]])

# A new rule is one function in ir/verify.py and one entry here: what breaks it, the whole message.
BROKEN = {
    "name": (
        lambda: net(populations=(Population("a b", (2,), LIF),)),
        "name 'a b': use letters, digits and _, starting with a letter",
    ),
    "empty name": (
        lambda: net(populations=(Population("", (2,), LIF),)),
        "name '': use letters, digits and _, starting with a letter",
    ),
    "name with a line break": (
        lambda: net(populations=(Population("a\n", (2,), LIF),)),
        "name 'a\\n': use letters, digits and _, starting with a letter",
    ),
    "name that starts with a digit": (
        lambda: Network(Input("1", (2,)), (Population("a", (1,), LIF),), (), "a"),
        "name '1': use letters, digits and _, starting with a letter",
    ),
    "letters of other scripts": (
        lambda: net(populations=(Population("ä", (2,), LIF),)),
        "name 'ä': use letters, digits and _, starting with a letter",
    ),
    "name twice": (
        lambda: net(populations=(Population("a", (2,), LIF), Population("a", (2,), LIF))),
        "name 'a' is used twice",
    ),
    "name of the input twice": (
        lambda: net(populations=(Population("input", (2,), LIF),)),
        "name 'input' is used twice",
    ),
    "output": (
        lambda: net(output="c"),
        "output 'c' is not a population; there are a, b",
    ),
    "the input is no output": (
        lambda: net(output="input"),
        "output 'input' is not a population; there are a, b",
    ),
    "no axes": (
        lambda: net(populations=(Population("b", (), LIF),)),
        "b: shape () holds no neurons",
    ),
    "no neurons": (
        lambda: net(populations=(Population("b", (2, 0), LIF),)),
        "b: shape (2, 0) holds no neurons",
    ),
    "no inputs": (lambda: net(shape=(-1,)), "input: shape (-1,) holds no neurons"),
    "source": (lambda: net(join("c", "b")), "projection c -> b: there is no population 'c'"),
    "target": (lambda: net(join("a", "c")), "projection a -> c: there is no population 'c'"),
    "target is the input": (
        lambda: net(join("a", "input")),
        "projection a -> input: there is no population 'input'",
    ),
    "integer neuron among floats": (
        lambda: net(populations=(Population("b", (1,), IntegerCubaLif(0, 0, 1)),)),
        "b: IntegerCubaLif has no place in Network",
    ),
    "float neuron among integers": (
        lambda: changed(integer_chain(2, 1), "a", neuron=LIF),
        "a: CubaLif has no place in IntegerNetwork",
    ),
    "integer weights among floats": (
        lambda: net(Projection("a", "b", integer_dense([[2, 2]], 0, 8))),
        "projection a -> b: IntegerSynapses has no place in Network",
    ),
    "float weights among integers": (
        lambda: changed(integer_chain(2, 1), projection=0, synapses=dense([[1, 1]])),
        "projection input -> a: Synapses has no place in IntegerNetwork",
    ),
    "parameter": (
        lambda: net(populations=(Population("b", (2,), CubaLif(1, 0, [1, 2, 3])),)),
        "b: threshold has 3 values for 2 neurons",
    ),
    "bias": (
        lambda: net(populations=(Population("b", (2, 2), CubaLif(1, 0, 1, [0, 1])),)),
        "b: bias has 2 values for 4 neurons",
    ),
    "weight the wrong way round": (
        lambda: net(join("a", "b", shape=(2, 1))),
        "projection a -> b: weights join (target, source) (2, 1), the populations have (1, 2)",
    ),
    "weight that is not finite": (
        lambda: net(Projection("a", "b", dense(NAN))),
        "projection a -> b: 1 weights are not finite",
    ),
    "a readout as source": (
        lambda: net(
            join("a", "b"),
            populations=(Population("a", (2,), Readout(1, 0)), Population("b", (1,), LIF)),
        ),
        "projection a -> b: a is a readout and sends no spikes",
    ),
    "negative delay": (
        lambda: net(join("a", "b", -1)),
        "projection a -> b: delay -1 cannot carry spikes from phase 0 to 0",
    ),
    "negative delay from a late phase": (
        lambda: net(
            join("a", "b", -1),
            populations=(Population("a", (2,), LIF, 5), Population("b", (1,), LIF)),
        ),
        "projection a -> b: delay -1 cannot carry spikes from phase 5 to 0",
    ),
    "too short for the phases": (
        lambda: net(
            join("a", "b", 1),
            populations=(Population("a", (2,), LIF), Population("b", (1,), LIF, 2)),
        ),
        "projection a -> b: delay 1 cannot carry spikes from phase 0 to 2",
    ),
    "negative phase": (
        lambda: net(populations=(Population("b", (1,), LIF, -1),)),
        "b: phase -1 is before the first time step",
    ),
    "loop": (
        lambda: net(join("a", "b"), join("b", "a", shape=(2, 1))),
        "loop a -> b -> a has no delay; give one of its projections a delay of 1 or more",
    ),
    "loop to itself": (
        lambda: net(join("b", "b", shape=(1, 1))),
        "loop b -> b has no delay; give one of its projections a delay of 1 or more",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rules(case):
    make, message = BROKEN[case]
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


SOUND = [
    lambda: net(),
    lambda: net(join("b", "b", 1, shape=(1, 1))),
    lambda: net(join("a", "b"), join("b", "a", 1, shape=(2, 1))),
    lambda: net(join("a", "b"), join("a", "b"), join("input", "b")),
    lambda: net(
        join("a", "b", 2), populations=(Population("a", (2,), LIF), Population("b", (1,), LIF, 2))
    ),
    lambda: net(populations=(Population("b", (1, 1), CubaLif([1], [0], [1], [0])),)),
]


@pytest.mark.parametrize("make", SOUND)
def test_sound_networks(make):
    assert str(make()).startswith("input input 2\n")


@pytest.mark.parametrize(
    "weight, message",
    [
        ([[40000]], "weights must be whole numbers from -32768 to 32767"),
        ([[2, 4], [2, -32769]], "weights must be whole numbers from -32768 to 32767"),
        ([[32768]], "weights must be whole numbers from -32768 to 32767"),
        ([[0.5]], "weights must be whole numbers from -32768 to 32767"),
        ([[np.nan]], "weights must be whole numbers from -32768 to 32767"),
        ([[1e300]], "weights must be whole numbers from -32768 to 32767"),
    ],
)
def test_integer_weights_are_not_rounded_in_silence(weight, message):
    with pytest.raises(InputError) as error:
        integer_dense(weight, 0, 8)
    assert str(error.value) == message


@pytest.mark.parametrize("synapses", [dense, lambda w: integer_dense(w, 0, 8)])
def test_weights_are_frozen_copies(synapses):
    given = np.array([[2, 4]])
    made = synapses(given)
    given[:] = 0
    assert made.weight.tolist() == [[2, 4]]
    assert made.weight.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        made.weight[0, 0] = 1
    assert synapses(np.asfortranarray(np.ones((3, 2)))).weight.flags.c_contiguous


def test_records_are_frozen():
    network = chain(1, 1)
    for record, name in (
        (network, "output"),
        (network.populations[0], "phase"),
        (network.projections[0], "delay"),
        (network.projections[0].synapses, "weight"),
        (network.input, "shape"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, name, 1)


def test_look_ups():
    network = net(
        join("input", "a", shape=(2, 2)), join("a", "b"), join("input", "b", 3), join("a", "b", 1)
    )
    assert network.population("b").name == "b"
    assert network.end("input") is network.input
    assert network.end("a") is network.populations[0]
    assert [p.delay for p in network.into("b")] == [0, 3, 1]
    assert [(p.target, p.delay) for p in network.out_of("a")] == [("b", 0), ("b", 1)]
    assert [p.target for p in network.out_of("input")] == ["a", "b"]
    assert network.into("a") == network.out_of("input")[:1]
    assert network.output_shape == (1,)
    assert (Input("x", (2, 3)).size, Population("y", (4, 5), LIF).size) == (6, 20)


def test_what_nobody_says_is_zero():
    assert Population("a", (1,), LIF).phase == 0
    assert Projection("a", "b", dense([[1]])).delay == 0
    assert (LIF.bias, IntegerCubaLif(0, 0, 1).bias_mantissa) == (0, 0)
    assert chain(1, 1).title == "network"


def test_own_delay():
    network = net(
        join("a", "b", 3),
        join("input", "b", 5),
        populations=(Population("a", (2,), LIF, 1), Population("b", (1,), LIF, 2)),
    )
    assert [network.own_delay(p) for p in network.projections] == [2, 3]
    assert (network.phase("input"), network.phase("b")) == (0, 2)


def test_text(golden):
    neuron = CubaLif([0.25, 0.5], 1 / 3, 1.0, reset="delayed_soft")
    network = Network(
        Input("image", (1, 2)),
        (
            Population("hidden", (2, 1), neuron, phase=1),
            Population("other", (1,), IntegrateFire(2.0, 1e-7)),
            Population("answer", (1,), Readout(1.0, 0.0), phase=2),
        ),
        (
            Projection("image", "hidden", dense([[0.1, -2], [1 / 3, 0]]), 1),
            Projection("hidden", "answer", dense([[1e6, 12345678]]), 4),
        ),
        "answer",
        title="not in the text",
    )
    golden(f"{network}\n{integer_chain(2, 3, 1, weight=-256, exponent=-3)}")


def test_text_of_random_networks_is_one_line_per_part():
    for seed in range(20):
        network = random_network(seed)
        lines = str(network).splitlines()
        assert len(lines) == 2 + len(network.populations) + len(network.projections)


# Populations in an order in which each follows its sources; whether they form a loop.
GROUPS = [
    ([("input", "a", 0), ("a", "b", 0)], "ab", [("a",), ("b",)], [False, False]),
    ([("b", "a", 0)], "ab", [("b",), ("a",)], [False, False]),
    ([("c", "a", 0), ("b", "c", 3)], "abc", [("b",), ("c",), ("a",)], [False] * 3),
    ([], "cab", [("c",), ("a",), ("b",)], [False] * 3),
    ([("a", "c", 1), ("c", "a", 1)], "abc", [("a", "c"), ("b",)], [True, False]),
    ([("b", "c", 1), ("c", "b", 1)], "abc", [("a",), ("b", "c")], [False, True]),
    ([("a", "a", 1)], "ab", [("a",), ("b",)], [True, False]),
    ([("a", "b", 1), ("b", "a", 0)], "ab", [("b", "a")], [True]),
    ([("a", "b", 0), ("b", "a", 1)], "ab", [("a", "b")], [True]),
    ([("a", "b", 1), ("b", "a", 1)], "ba", [("b", "a")], [True]),
    (
        [("c", "d", 0), ("d", "c", 1), ("d", "a", 0), ("a", "b", 2), ("b", "a", 0)],
        "abcd",
        [("c", "d"), ("b", "a")],
        [True, True],
    ),
]


@pytest.mark.parametrize("projections, names, wanted, loops", GROUPS)
def test_groups(projections, names, wanted, loops):
    network = Network(
        Input("input", (1,)),
        tuple(Population(name, (1,), LIF) for name in names),
        tuple(join(s, t, delay, shape=(1, 1)) for s, t, delay in projections),
        "a",
    )
    found = list(view.order_populations(network))
    assert [group for group, _ in found] == wanted
    assert [loop for _, loop in found] == loops


@given(seed=st.integers(0, 10**6))
def test_groups_follow_their_sources(seed):
    network = random_network(seed, long_loops=False)
    groups = list(view.order_populations(network))
    order = [name for names, _ in groups for name in names]
    assert sorted(order) == sorted(p.name for p in network.populations)
    group_of = {name: i for i, (names, _) in enumerate(groups) for name in names}
    for p in network.projections:
        if p.source != "input":
            assert group_of[p.source] <= group_of[p.target]
            if network.own_delay(p) == 0:
                assert order.index(p.source) < order.index(p.target)
            if group_of[p.source] == group_of[p.target]:
                assert groups[group_of[p.source]][1]


def test_a_graph_is_told_by_its_kind():
    assert isinstance(random_network(1), Network)
    assert isinstance(random_integer_network(1), IntegerNetwork)
    assert all(issubclass(kind, Graph) for kind in (Network, IntegerNetwork))


# Output (samples, steps, 3), prediction.
PREDICTIONS = [
    ([[[0, 1, 0], [0, 1, 1]]], [1]),
    ([[[1, 0, 0], [0, 0, 1]]], [0]),  # the lowest of equals
    ([[[0, 0, 0]], [[0, 0, 1]]], [0, 2]),
    ([[[-1.5, -0.5, -2.0], [0.0, -1.5, 0.75]]], [2]),
]


@pytest.mark.parametrize("output, wanted", PREDICTIONS)
def test_prediction(output, wanted):
    result = Result(np.array(output))
    assert result.prediction.tolist() == wanted
    assert result.prediction.dtype == np.int64
    assert result.accuracy(wanted) == 1.0


def test_prediction_counts_beyond_a_byte():
    spikes = np.ones((1, 300, 2), np.uint8)
    spikes[0, 0, 0] = 0
    assert Result(spikes).prediction.tolist() == [1]
    half = np.full((1, 3000, 2), 60000.0, np.float16)
    half[0, 0, 0] = 0
    assert Result(half).prediction.tolist() == [1]


def test_prediction_of_a_shaped_output_is_flat():
    spikes = np.zeros((1, 1, 2, 3), np.uint8)
    spikes[0, 0, 1, 0] = 1
    assert Result(spikes).prediction.tolist() == [3]


def test_accuracy():
    result = Result(np.array([[[1, 0]], [[0, 1]], [[1, 0]], [[0, 1]]]))
    assert result.accuracy([0, 1, 1, 1]) == 0.75
    with pytest.raises(InputError) as error:
        result.accuracy([0, 1, 1])
    assert str(error.value) == "label has shape (3,), expected (4,)"
