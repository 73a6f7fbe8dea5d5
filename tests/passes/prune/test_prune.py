"""Prune: outputs and the spikes of what stays are the same; what goes, and what has to stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differential import FRAMES
from differential import network as drawn
from differential import spikes as drawn_spikes
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, chain, design, integer_chain, random_integer_network, spikes

import snncompile
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.signed_integrate_fire import IntegerSignedIntegrateFire
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.passes.prune.prune import Prune
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

SEEDS = st.integers(0, 10**9)


def prune(network, chip=LOIHI2):
    return Prune()(design(network, chip))


def check_same(network, x) -> None:
    """Every neuron that stays sends what it sent before; the output population stays whole."""
    found = prune(network)
    before, after = (next(iter(run_batches(made, x))) for made in (network, found.network))
    for name, train in after.items():
        assert (train == before[name][..., found.kept.get(name, slice(None))]).all(), name
    assert after[network.output].shape == before[network.output].shape


def thinned(network, seed: int):
    """Return the network with most weights zero and some neurons too weak to fire."""
    rng = np.random.default_rng(seed)
    projections = []
    for p in network.projections:
        weight = p.synapses.weight * (rng.random(p.synapses.weight.shape) < 0.4)
        if weight.ndim > 1:
            weight = weight * (rng.random((*weight.shape[:2], *[1] * (weight.ndim - 2))) < 0.4)
        projections.append(replace(p, synapses=replace(p.synapses, weight=weight)))
    return replace(network, projections=tuple(projections))


@settings(max_examples=100)
@given(seed=SEEDS, steps=st.integers(1, 8), wild=st.booleans())
def test_random_networks_send_the_same(seed, steps, wild):
    network = thinned(random_integer_network(seed, wild=wild), seed)
    check_same(network, spikes(network, 3, steps, seed))


@settings(max_examples=40)
@given(seed=SEEDS, frame=st.sampled_from(FRAMES))
def test_networks_of_all_wirings_send_the_same(seed, frame):
    check_same(thinned(drawn(seed, 0, frame), seed), drawn_spikes(seed, frame))


WEAK, STRONG = IntegerCubaLif(4095, 2048, 41), IntegerCubaLif(4095, 2048, 39)
"""With an input of 20 in every step and a decay of a half, v stays below 40 * 2^6."""

# A neuron with input of -20..20 in each step, any number of steps; whether it may fire.
NEURONS = [
    (WEAK, False),
    (STRONG, True),
    (IntegerCubaLif(4095, 2048, 40), False),
    (IntegerIntegrateFire(10**5), True),  # it adds up for ever
    (IntegerIntegrateFire(10**5, -20 * 64), False),  # the bias takes away what comes
    (IntegerTernaryLif(4095, 2048, 40, -40), False),
    (IntegerTernaryLif(4095, 2048, 40, -39), True),
    (IntegerSignedIntegrateFire(30, 0, -20 * 64), False),  # -1 only takes back
    (IntegerCubaLif(4095, 2048, 41, 70), True),  # the bias helps
]


def middle(neuron, weight=20) -> IntegerNetwork:
    """Return input -> a, two neurons of the kind -> b, with inputs of both signs."""
    return IntegerNetwork(
        Input("input", (2,)),
        (Population("a", (2,), neuron, 1), Population("b", (1,), STRONG, 2)),
        (
            Projection("input", "a", integer_dense([[weight, 0], [0, -weight]], 0, 8), 1),
            Projection("a", "b", integer_dense([[40, 40]], 0, 8), 1),
        ),
        "b",
    )


@pytest.mark.parametrize("neuron, fires", NEURONS)
def test_neurons_too_weak_to_fire_go(neuron, fires):
    found = prune(middle(neuron)).network
    assert [p.name for p in found.populations] == (["a", "b"] if fires else ["b"])
    if not fires:
        assert found.projections == ()


def test_only_dead_neurons_of_a_dense_layer_go():
    neuron = IntegerCubaLif(4095, 2048, np.array([39, 41, 39, 10]), np.array([0, 0, 0, -(2**11)]))
    weight = np.diag([20, 20, 20, 2])
    network = IntegerNetwork(
        Input("input", (4,)),
        (Population("a", (2, 2), neuron, 1), Population("b", (2,), STRONG, 2)),
        (
            Projection("input", "a", integer_dense(weight, 0, 8), 1),
            Projection("a", "b", integer_dense([[2, 4, 6, 8], [0, 4, 0, 8]], 0, 8), 1),
        ),
        "b",
    )
    found = prune(network)
    (a, _), (before, after) = found.network.populations, found.network.projections
    assert found.kept["a"].tolist() == [0, 2]
    assert (a.shape, a.neuron.threshold.tolist()) == ((2,), [39, 39])
    assert before.synapses.weight.tolist() == [[20, 0, 0, 0], [0, 0, 20, 0]]
    assert after.synapses.weight.tolist() == [[2, 6], [0, 0]]
    assert found.log == ("prune: dropped 2 of 4 neurons of a, 12 weights",)


def convolutional(groups: int = 1) -> IntegerNetwork:
    """Channel 1 of a gets nothing, channel 2 is read by nobody; Scale skips from a to b."""
    first = Convolution((2, 4, 4), 4, (3, 3), (1, 1), (1, 1), (1, 1), groups)
    second = Convolution((4, 4, 4), 4, (3, 3), (1, 1), (1, 1), (1, 1))
    rng = np.random.default_rng(1)
    into = rng.integers(1, 20, first.weight_shape) * 2
    out = rng.integers(1, 20, second.weight_shape) * 2
    into[1] = 0
    out[:, 2] = 0
    neuron = IntegerCubaLif(4095, 400, np.arange(64) + 30)
    return IntegerNetwork(
        Input("input", (2, 4, 4)),
        (
            Population("a", (4, 4, 4), neuron, 1),
            Population("b", (4, 4, 4), IntegerCubaLif(4095, 0, 900), 2),
            Population("c", (3,), STRONG, 3),
        ),
        (
            Projection("input", "a", IntegerSynapses(first, into, 0, 8), 1),
            Projection("a", "b", IntegerSynapses(second, out, 0, 8), 1),
            Projection("b", "c", integer_dense(rng.integers(-9, 9, (3, 64)) * 2, 0, 8), 1),
        ),
        "c",
    )


def test_whole_channels_of_a_convolution_go():
    network = convolutional()
    found = prune(network)
    a = found.network.population("a")
    assert (a.shape, a.neuron.threshold.tolist()) == ((2, 4, 4), [*range(30, 46), *range(78, 94)])
    before, after, _ = (p.synapses for p in found.network.projections)
    assert before.weight.tolist() == network.projections[0].synapses.weight[[0, 3]].tolist()
    assert after.weight.tolist() == network.projections[1].synapses.weight[:, [0, 3]].tolist()
    assert after.wiring.source_shape == (2, 4, 4)
    check_same(network, spikes(network, 4, 6))


def test_channels_of_a_grouped_convolution_stay():
    assert prune(convolutional(groups=2)).network.population("a").shape == (4, 4, 4)


def test_what_feeds_a_neuron_that_has_to_stay_stays():
    """Found by the law above: e is no output, but its grouped convolution keeps it."""
    network = convolutional()
    grouped = Convolution((4, 4, 4), 4, (1, 1), (1, 1), (0, 0), (1, 1), 2)
    weight = np.full(grouped.weight_shape, 60)
    network = replace(
        network,
        populations=(*network.populations, Population("e", (4, 4, 4), STRONG, 3)),
        projections=(
            *network.projections,
            Projection("a", "e", IntegerSynapses(Scale(64), 20, 0, 8), 2),
            Projection("b", "e", IntegerSynapses(grouped, weight, 0, 8), 1),
        ),
    )
    assert prune(network, LOIHI1).kept["a"].tolist() == [*range(16), *range(32, 64)]
    check_same(network, spikes(network, 4, 6))


def test_a_channel_with_one_live_neuron_stays():
    network = convolutional()
    skip = Projection("a", "b", IntegerSynapses(Sparse([5], [33], 64, 64), [2], 0, 8), 1)
    network = replace(network, projections=(*network.projections, skip))
    assert prune(network).kept["a"].tolist() == [*range(16), *range(32, 64)]
    check_same(network, spikes(network, 4, 6))


def test_a_scale_between_what_is_left_becomes_sparse():
    network = convolutional()
    skip = Projection("a", "b", IntegerSynapses(Scale(64), 8, 0, 8), 1)
    pruned = prune(replace(network, projections=(*network.projections, skip)), LOIHI1)
    left = pruned.network.projections[3].synapses
    assert pruned.kept["a"].tolist() == [*range(16), *range(32, 64)]
    assert left.wiring.source.tolist() == list(range(48))
    assert left.wiring.target.tolist() == [*range(16), *range(32, 64)]


def test_a_scale_of_images_stays_a_kernel():
    """Loihi 2 takes an input axon for each source of a list, and of a kernel one for channels."""
    network = convolutional()
    skip = Projection("a", "b", IntegerSynapses(Scale(64), 8, 0, 8), 1)
    network = replace(network, projections=(*network.projections, skip))
    pruned = prune(network)
    assert "a" not in pruned.kept
    assert isinstance(pruned.network.projections[3].synapses.wiring, Scale)
    check_same(network, spikes(network, 4, 6))


def test_what_reaches_nothing_goes_with_its_loop():
    network = IntegerNetwork(
        Input("input", (1,)),
        tuple(Population(name, (1,), STRONG, 1) for name in "abc"),
        (
            Projection("input", "a", integer_dense([[254]], 0, 8), 1),
            Projection("input", "b", integer_dense([[254]], 0, 8), 1),
            Projection("b", "c", integer_dense([[254]], 0, 8), 1),
            Projection("c", "b", integer_dense([[254]], 0, 8), 1),
            Projection("a", "a", integer_dense([[0]], 0, 8), 1),
        ),
        "a",
    )
    found = prune(network)
    assert [p.name for p in found.network.populations] == ["a"]
    assert [(p.source, p.target) for p in found.network.projections] == [("input", "a")]
    assert found.log == ("prune: dropped 1 of 1 neurons of b, 1 of 1 neurons of c, 4 weights",)


def test_what_feeds_a_population_that_has_to_stay_stays():
    """b is behind a convolution in groups, so it stays, though it reaches no output."""
    grouped = Convolution((2, 1), 2, (1,), (1,), (0,), (1,), 2)
    network = IntegerNetwork(
        Input("input", (2,)),
        tuple(Population(name, (2,), STRONG, 1) for name in "abc"),
        (
            Projection("input", "a", integer_dense([[254, 0], [0, 254]], 0, 8), 1),
            Projection("input", "b", IntegerSynapses(grouped, np.full((2, 1, 1), 2), 0, 8), 1),
            Projection("a", "b", integer_dense([[254, 0], [0, 254]], 0, 8), 1),
            Projection("input", "c", integer_dense([[254, 0], [0, 254]], 0, 8), 1),
        ),
        "c",
    )
    assert [p.name for p in prune(network).network.populations] == ["a", "b", "c"]
    check_same(network, spikes(network, 3, 4))


def test_nothing_to_do_says_so():
    network = integer_chain(2, 2, 1)
    found = prune(network)
    assert found.network is network
    assert found.log == ("prune: nothing is dead",)
    assert Prune(on=False)(design(network)).log == ("prune: skipped",)


def test_a_program_knows_which_neurons_are_left(tmp_path):
    """Also after saving; float and integer outputs are compared neuron by neuron."""
    network = chain(3, 4, 2, neuron=CubaLif(1.0, 0.5, 1.0), weight=0.7)
    weight = network.projections[1].synapses.weight.copy()
    weight[:, 1] = 0
    synapses = replace(network.projections[1].synapses, weight=weight)
    second = replace(network.projections[1], synapses=synapses)
    network = replace(network, projections=(network.projections[0], second))
    x = spikes(network, 4, 9)
    program = snncompile.compile(network, chip=LOIHI2)
    assert program.kept["a"].tolist() == [0, 2, 3]
    program.save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    rows = again.verify(x, lava=False).comparison("float", "integer").rows
    assert [(row.outputs, row.differences) for row in rows] == [(4 * 9 * 3, 0), (4 * 9 * 2, 0)]
    whole = snncompile.compile(network, chip=LOIHI2, prune=False)
    assert (whole.kept, whole.network.population("a").size) == ({}, 4)
    assert (whole.run(x).spikes == again.run(x).spikes).all()


def one_to_one(source, target):
    return Projection(source, target, IntegerSynapses(Scale(64), 40, 0, 8), 1)


def test_shortcuts_that_lead_nowhere_go():
    """Ends that are dead as a whole take their projection with them, whatever the other is."""
    network = convolutional()
    dead = [Population(name, (4, 4, 4), STRONG, phase) for name, phase in (("d", 1), ("e", 3))]
    more = (
        one_to_one("b", "e"),
        Projection("input", "d", integer_dense(np.ones((64, 32)), 0, 8), 1),
    )
    network = replace(
        network,
        populations=(*network.populations, *dead),
        projections=(*network.projections, *more),
    )
    assert [p.name for p in prune(network).network.populations] == ["a", "b", "c"]
    check_same(network, spikes(network, 4, 6))


def test_both_ends_of_a_shortcut_lose_a_channel():
    """Channel 1 of a gets nothing, so that of d gets nothing either; both stay images."""
    network = convolutional()
    first, *_ = network.projections
    to_c = integer_dense(np.full((3, 64), 2), 0, 8)
    network = replace(
        network,
        populations=(
            network.populations[0],
            Population("d", (4, 4, 4), IntegerCubaLif(4095, 0, 20), 2),
            network.populations[2],
        ),
        projections=(first, one_to_one("a", "d"), Projection("d", "c", to_c, 1)),
    )
    pruned = prune(network)
    assert pruned.kept["a"].tolist() == pruned.kept["d"].tolist() == [*range(16), *range(32, 64)]
    assert [p.shape for p in pruned.network.populations] == [(3, 4, 4), (3, 4, 4), (3,)]
    assert isinstance(pruned.network.projections[1].synapses.wiring, Scale)
    check_same(network, spikes(network, 4, 6))


def test_ends_of_a_shortcut_without_space_lose_their_own_neurons():
    """No chip reads a one-to-one projection of a flat population as a kernel."""
    weight = np.full((6, 4), 40)
    weight[1] = 0
    network = IntegerNetwork(
        Input("input", (4,)),
        (Population("a", (6,), STRONG, 1), Population("b", (6,), STRONG, 2)),
        (
            Projection("input", "a", integer_dense(weight, 0, 8), 1),
            Projection("a", "b", IntegerSynapses(Scale(6), 40, 0, 8), 1),
        ),
        "b",
    )
    assert prune(network).kept["a"].tolist() == [0, 2, 3, 4, 5]
    check_same(network, spikes(network, 4, 6))
