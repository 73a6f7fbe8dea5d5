"""Large transposed convolutions become plain ones of a grid of relays: the same sums and spikes."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import LOIHI2, design

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.hwmodels import chips
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.delta import Delta
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.synapse_filter import SynapseFilter
from snncompile.passes.quantize import quantize
from snncompile.passes.timing.retime import Retime
from snncompile.passes.timing.upsampled_grids import split_transposed
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale
from snncompile.synapses.transposed_convolution import TransposedConvolution

PER_AXIS = st.tuples(*(st.integers(1, 4) for _ in range(4)), st.integers(-3, 3), st.integers(-2, 2))
"""Places of the source, taps, stride, dilation, padding, and places more or fewer at the end."""


@given(
    axes=st.lists(PER_AXIS, min_size=1, max_size=2),
    groups=st.integers(1, 2),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    seed=st.integers(0, 99),
)
def test_both_maps_in_a_row_are_the_transposed_convolution(axes, groups, channels, seed):
    space, kernel, stride, dilation, padding, more = (tuple(v) for v in zip(*axes, strict=True))
    target = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + m
        for n, k, s, d, p, m in zip(space, kernel, stride, dilation, padding, more, strict=True)
    )
    assume(min(target) > 0)
    source = (groups * channels[0], *space)
    wiring = TransposedConvolution(
        source, groups * channels[1], kernel, stride, padding, dilation, target, groups
    )
    weight = np.random.default_rng(seed).normal(size=wiring.weight_shape)
    shape, places, convolution = split_transposed(wiring, weight)
    grid = places.matrix(np.ones(places.weight_shape)).toarray()
    assert grid.shape == (prod(shape), wiring.sources)
    product = convolution.wiring.matrix(convolution.weight).toarray() @ grid
    np.testing.assert_array_equal(product, wiring.matrix(weight).toarray())


def decoder(payload=None, rate_neuron=None) -> Network:
    """Return a convolution, a transposed one of 1,176 synapses, and one behind it."""
    rng, fire = np.random.default_rng(1), IntegrateFire(np.asarray(1.0), reset="soft")
    front = Convolution((2, 4, 4), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    up = TransposedConvolution((3, 4, 4), 2, (4, 4), (2, 2), (1, 1), (1, 1), (8, 8))
    last = Convolution((2, 8, 8), 1, (1, 1), (1, 1), (0, 0), (1, 1))
    maps = [Synapses(w, rng.normal(0.1, 0.5, w.weight_shape)) for w in (front, up, last)]
    sizes = {"a": (3, 4, 4), "b": (2, 8, 8), "c": (1, 8, 8)}
    populations = [Population(name, shape, fire) for name, shape in sizes.items()]
    if rate_neuron is not None:
        populations[0] = replace(populations[0], neuron=rate_neuron)
        maps[0] = Synapses(Scale(48), np.asarray(1.0))
    names = ["input", *sizes]
    source = Input("input", (3, 4, 4) if rate_neuron is not None else (2, 4, 4))
    if payload:
        source = replace(source, payload=payload)
    projections = tuple(
        Projection(a, b, s) for a, b, s in zip(names[:-1], names[1:], maps, strict=True)
    )
    return Network(source, tuple(populations), projections, "c")


def draw(network, rate=0.5):
    shape = (4, 12, *network.input.shape)
    return (np.random.default_rng(2).random(shape) < rate).astype(np.float32)


@pytest.fixture
def small_lists(monkeypatch):
    """More than 100 synapses of a transposed convolution are many, and ranges have 20 sources."""
    monkeypatch.setattr(TransposedConvolution, "largest_list", 100)
    module = "snncompile.passes.timing.upsampled_grids"
    monkeypatch.setattr(f"{module}.SHARE", 800)


def test_the_text_of_it(small_lists, golden):
    golden(str(Retime()(design(decoder(), LOIHI2))))


@pytest.mark.parametrize("most, grids", [(1176, 0), (1175, 1)])
def test_as_many_synapses_as_are_listed_stay_listed(monkeypatch, most, grids):
    assert decoder().projections[1].synapses.wiring.synapses == 1176
    monkeypatch.setattr(TransposedConvolution, "largest_list", most)
    after = Retime()(design(decoder(), LOIHI2)).network
    assert sum(p.name.endswith("_grid") for p in after.populations) == grids


@pytest.mark.parametrize("axons, grids", [(48, 0), (47, 1)])
def test_more_sources_than_a_core_of_loihi2_has_input_axons_take_a_grid(axons, grids):
    limit = LOIHI2.core.axons_in.model_copy(update={"value": axons})
    chip = LOIHI2.model_copy(update={"core": LOIHI2.core.model_copy(update={"axons_in": limit})})
    network = decoder()
    after = Retime()(design(network, chip)).network
    assert sum(p.name.endswith("_grid") for p in after.populations) == grids
    x = draw(network)
    np.testing.assert_array_equal(after.run(x).spikes, network.run(x).spikes)


def test_spikes_are_those_of_before(small_lists):
    network = decoder()
    after = Retime()(design(network, LOIHI2)).network
    x = draw(network)
    np.testing.assert_array_equal(after.run(x).spikes, network.run(x).spikes)
    assert network.run(x).spikes.any()


def test_integers_are_those_of_the_transposed_convolution(small_lists):
    """The same kernel, turned round, from the source itself gives the same integer spikes."""
    network = decoder()
    x = draw(network)
    made = snncompile.compile(network, chip="loihi2", calibration=x).network
    (behind,) = made.out_of("a_grid")
    plain = network.projections[1].synapses.wiring
    turned = replace(behind.synapses, wiring=plain, weight=np.flip(behind.synapses.weight, (2, 3)))
    direct = replace(
        made,
        populations=tuple(p for p in made.populations if p.name != "a_grid"),
        projections=(
            *(p for p in made.projections if "a_grid" not in (p.source, p.target)),
            Projection("a", "b", turned, 2),
        ),
    )
    np.testing.assert_array_equal(made.run(x).spikes, direct.run(x).spikes)
    assert made.run(x).spikes.any()


def test_relays_are_quantized_together_as_they_are_alone(small_lists, monkeypatch):
    network = decoder()
    x = draw(network)
    together = snncompile.compile(network, chip="loihi2", calibration=x, prune=False).network
    monkeypatch.setattr(quantize, "_are_relays", lambda network, population: False)
    alone = snncompile.compile(network, chip="loihi2", calibration=x, prune=False).network
    np.testing.assert_array_equal(together.run(x).spikes, alone.run(x).spikes)
    grids = [net.population("a_grid").neuron.threshold for net in (together, alone)]
    fed = np.concatenate([p.synapses.wiring.part.target for p in together.into("a_grid")])
    np.testing.assert_array_equal(grids[0][fed], grids[1][fed])
    assert len(np.unique(grids[0])) == 1


def test_numbers_pass_the_grid(small_lists):
    """Relays of the input's event counts add up; chips without such neurons refuse."""
    network = decoder()
    network = replace(
        network,
        input=replace(network.input, shape=(3, 4, 4), payload=Interval(0, 5)),
        populations=network.populations[1:],
        projections=(replace(network.projections[1], source="input"), network.projections[2]),
    )
    after = Retime()(design(network, LOIHI2)).network
    assert after.population("input_grid").neuron.kind == "accumulate"
    x = np.random.default_rng(0).integers(0, 6, (3, 8, 3, 4, 4))
    np.testing.assert_array_equal(after.run(x).spikes, network.run(x).spikes)
    with pytest.raises(UnsupportedError) as error:
        Retime()(design(network, chips.load_chip("loihi1")))
    assert str(error.value) == (
        "projection input -> b: transposed_convolution 3x4x4 -> 2x8x8 kernel=4x4 stride=2x2"
        " padding=1x1 takes 1,176 synapses, more than are listed one by one, and loihi1 has no"
        " neuron that passes the source's values on to a grid; put a neuron layer before it, or"
        " use fewer channels or a smaller kernel"
    )


def test_values_are_passed_on(small_lists):
    network = decoder(rate_neuron=SynapseFilter(0.2))
    after = Retime()(design(network, LOIHI2)).network
    assert [p.name for p in after.populations if p.name.endswith("_grid")] == ["a_grid"]
    x = draw(network)
    np.testing.assert_array_equal(after.run(x).spikes, network.run(x).spikes)


def test_sums_that_are_sent_again_and_again_are_not(small_lists):
    network = decoder(rate_neuron=Delta(threshold=0.1))
    with pytest.raises(UnsupportedError) as error:
        Retime()(design(network, LOIHI2))
    assert "loihi2 has no neuron that passes the source's values on to a grid" in str(error.value)
