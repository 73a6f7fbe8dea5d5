"""Two linear maps as one: equal as matrices, and in which form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from snncompile.errors import UnsupportedError
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose, merge
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse


def random(wiring, seed=0):
    """Return synapses with whole weights, so that every sum is exact."""
    weight = np.random.default_rng(seed).integers(-9, 10, wiring.weight_shape)
    return Synapses(wiring, weight)


def matrix(synapses):
    return synapses.wiring.matrix(synapses.weight).toarray()


@st.composite
def convolutions(draw, source_shape=None):
    """Draw convolutions over one or two axes."""
    if source_shape is None:
        space = draw(st.lists(st.integers(1, 6), min_size=1, max_size=2))
        source_shape = (draw(st.sampled_from([1, 2, 4, 6])), *space)
    axes = len(source_shape) - 1

    def values(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    groups = draw(st.sampled_from([g for g in (1, 2, 3, 4, 6) if source_shape[0] % g == 0]))
    options = {
        "channels": groups * draw(st.integers(1, 3)),
        "kernel": values(1, 3),
        "stride": values(1, 3),
        "padding": values(0, 2),
        "dilation": values(1, 3),
        "groups": groups,
    }
    lengths = zip(
        source_shape[1:], options["kernel"], options["padding"], options["dilation"], strict=True
    )
    assume(all(n + 2 * p > d * (k - 1) for n, k, p, d in lengths))
    return Convolution(source_shape, **options)


def others(draw, sources):
    """Draw wiring of another kind that has so many sources."""
    kind = draw(st.sampled_from(["dense", "scale", "scales", "sparse"]))
    if kind == "dense":
        return Dense(draw(st.integers(1, 4)), sources)
    if kind != "sparse":
        return Scale(sources, per_neuron=kind == "scales")
    targets = draw(st.integers(1, 4))
    pairs = draw(st.sets(st.integers(0, targets * sources - 1), max_size=9))
    return Sparse([i // sources for i in pairs], [i % sources for i in pairs], targets, sources)


@given(data=st.data())
def test_a_composition_is_the_product_of_the_matrices(data):
    first = data.draw(convolutions())
    if data.draw(st.booleans()):
        first = others(data.draw, first.sources)
    if isinstance(first, Convolution) and data.draw(st.booleans()):
        second = data.draw(convolutions(first.target_shape))
    else:
        second = others(data.draw, first.targets)
    inner, outer = random(first), random(second, 1)
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


@given(data=st.data())
def test_any_wiring_may_come_before_a_convolution(data):
    second = data.draw(convolutions())
    first = others(lambda strategy: data.draw(strategy), 3)
    assume(first.targets == second.sources or isinstance(first, Dense | Scale))
    if isinstance(first, Dense):
        first = Dense(second.sources, 3)
    elif isinstance(first, Scale):
        first = Scale(second.sources, first.per_neuron)
    inner, outer = random(first), random(second, 1)
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


@given(data=st.data())
def test_what_is_merged_is_the_sum_of_the_matrices(data):
    a = data.draw(convolutions())
    if data.draw(st.booleans()):
        a = others(data.draw, a.sources)
    same = data.draw(st.booleans())
    b = a if same else Dense(a.targets, a.sources)
    one, other = random(a), random(b, 1)
    both = merge(one, other)
    if isinstance(a, Sparse) and same:
        assert both is None
    else:
        np.testing.assert_array_equal(matrix(both), matrix(one) + matrix(other))


IMAGE = Convolution((2, 8, 8), 4, (3, 3), (1, 1), (1, 1), (1, 1))
POOL = Convolution((4, 8, 8), 4, (2, 2), (2, 2), (0, 0), (1, 1), 4)
PADDED = Convolution((4, 8, 8), 4, (2, 2), (2, 2), (1, 1), (1, 1), 4)
AFTER_POOL = Convolution((4, 4, 4), 3, (3, 3), (1, 1), (1, 1), (1, 1))
POINT = Convolution((4, 8, 8), 6, (1, 1), (2, 2), (0, 0), (1, 1))
AFTER_POINT = Convolution((6, 4, 4), 6, (2, 2), (2, 2), (0, 0), (1, 1), 6)
PER_CHANNEL = Synapses(Scale(256, per_neuron=True), np.repeat([1.0, 2.0, 3.0, 4.0], 64))
PER_NEURON = Synapses(Scale(256, per_neuron=True), np.arange(256.0))

# Inner, outer, text of the wiring that does both.
FORMS = [
    (random(IMAGE), random(POOL), "convolution 2x8x8 -> 4x4x4 kernel=4x4 stride=2x2 padding=1x1"),
    (random(IMAGE), random(PADDED), "sparse 100x128"),
    (random(POINT), random(AFTER_POINT), "convolution 4x8x8 -> 6x2x2 kernel=2x2 stride=4x4"
     " dilation=2x2"),
    (random(POOL), random(AFTER_POOL), "convolution 4x8x8 -> 3x4x4 kernel=6x6 stride=2x2"
     " padding=2x2"),
    (random(IMAGE), PER_CHANNEL, str(IMAGE)),
    (random(IMAGE), PER_NEURON, "sparse 256x128"),
    (PER_CHANNEL, random(POOL), str(POOL)),
    (PER_NEURON, random(POOL), "sparse 64x256"),
    (random(POOL), random(Dense(3, 64)), "dense 3x256"),
    (random(Dense(256, 3)), random(POOL), "dense 64x3"),
    (PER_CHANNEL, PER_NEURON, "scale 256x256"),
]  # fmt: skip


@pytest.mark.parametrize("inner, outer, text", FORMS)
def test_keeps_the_structure_there_is(inner, outer, text):
    assert str(compose(outer, inner).wiring) == text


def test_two_depthwise_convolutions_stay_depthwise():
    again = Convolution((4, 4, 4), 4, (2, 2), (2, 2), (0, 0), (1, 1), 4)
    both = compose(random(again), random(POOL))
    assert both.wiring.groups == 4
    assert both.weight.shape == (4, 1, 4, 4)


def test_different_wirings_side_by_side_stay_two():
    assert merge(random(IMAGE), random(Sparse([0], [0], 256, 128))) is None
    assert merge(random(Scale(4)), random(Sparse([0], [0], 4, 4))) is None
    wide = Convolution((2, 8, 8), 4, (5, 5), (1, 1), (2, 2), (1, 1))
    assert merge(random(IMAGE), random(wide)) is None


# What the second convolution has other than the first; both have the same shapes of weights,
# sources and targets, so that their weights could be added up where they must not.
OTHER_GEOMETRIES = {
    "padding": ((2, 6, 6), {"padding": (1, 1)}, {}),
    "stride": ((2, 5, 5), {"kernel": (2, 2), "stride": (2, 2)}, {}),
    "dilation": ((2, 6, 6), {"kernel": (2, 2)}, {"dilation": (2, 2)}),
    "source shape": ((2, 4, 9), {}, {"source_shape": (2, 9, 4)}),
    "padding and dilation": (
        (2, 8, 8),
        {"stride": (1, 1), "padding": (1, 1)},
        {"padding": (2, 2), "dilation": (2, 2)},
    ),
}


@pytest.mark.parametrize("name", OTHER_GEOMETRIES)
def test_convolutions_of_another_geometry_stay_two(name):
    """Their matrices differ for the same weights, so no weights of one do for both."""
    shape, both, second = OTHER_GEOMETRIES[name]
    usual = {"stride": (3, 3), "padding": (0, 0), "dilation": (1, 1), "kernel": (3, 3)}
    one = Convolution(shape, 4, **{**usual, **both})
    changed = second or {name: usual[name]}
    other = replace(one, **changed)
    assert (one.weight_shape, one.sources, one.targets) == (
        other.weight_shape,
        other.sources,
        other.targets,
    )
    assert (matrix(random(one)) != matrix(random(other))).any()
    assert merge(random(one), random(other)) is None
    alike = merge(random(one), random(one, 1))
    assert alike is not None
    assert alike.wiring == one


def test_says_what_is_too_large(monkeypatch):
    compose(random(PADDED), random(IMAGE))
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST", 7199)
    with pytest.raises(UnsupportedError) as error:
        compose(random(PADDED), random(IMAGE))
    assert str(error.value) == (
        "convolution 4x8x8 -> 4x5x5 kernel=2x2 stride=2x2 padding=1x1 groups=4 after convolution"
        " 2x8x8 -> 4x8x8 kernel=3x3 padding=1x1 takes up to 7,200 synapses as one projection, more"
        " than 7,199; put a neuron layer between them"
    )
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST", 7200)
    compose(random(PADDED), random(IMAGE))


def test_dense_maps_have_the_same_limit(monkeypatch):
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST", 15)
    compose(dense(np.ones((3, 2))), dense(np.ones((2, 5))))
    with pytest.raises(UnsupportedError, match="dense 4x2 after dense 2x5 takes up to 20 synapses"):
        compose(dense(np.ones((4, 2))), dense(np.ones((2, 5))))


def test_a_view_of_a_large_dense_map_is_no_larger(monkeypatch):
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST", 15)
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST_LIST", 15)
    weights = np.arange(20.0).reshape(4, 5)
    view = Synapses(Sparse(np.arange(5), np.arange(1, 6), 5, 8), np.ones(5))
    whole = compose(dense(weights), view)
    assert isinstance(whole.wiring, Dense)
    np.testing.assert_array_equal(whole.weight[:, 1:6], weights)
    wide = Synapses(Sparse(np.arange(2), np.array([3, 90]), 2, 99), np.ones(2))
    few = compose(dense(np.ones((4, 2))), wide)
    assert isinstance(few.wiring, Sparse)
    assert few.wiring.synapses == 8


@st.composite
def placements(draw, targets):
    """Draw wiring of sources to places of their own, in a row or anywhere."""
    sources = draw(st.integers(1, targets))
    first = draw(st.integers(0, targets - sources))
    places = list(range(first, first + sources))
    if draw(st.booleans()):
        places = draw(st.permutations(range(targets)))[:sources]
    order = draw(st.permutations(range(sources)))
    return Sparse([places[i] for i in order], order, targets, sources)


@given(data=st.data())
def test_a_map_of_values_put_in_places_is_the_product_of_the_matrices(data):
    second = data.draw(convolutions())
    if data.draw(st.booleans()):
        second = others(data.draw, second.sources)
    inner, outer = random(data.draw(placements(second.sources))), random(second, 1)
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


def test_a_convolution_of_concatenated_channels_stays_a_convolution():
    outer = random(Convolution((3, 4, 4), 2, (3, 3), (1, 1), (1, 1), (1, 1)))
    inner = random(Sparse(range(16, 48), range(32), 48, 32))  # the last two channels
    assert str(compose(outer, inner).wiring) == "sparse 32x32"  # weights differ within a channel
    inner = Synapses(inner.wiring, np.full(32, 2.0))
    found = compose(outer, inner)
    assert str(found.wiring) == "convolution 2x4x4 -> 2x4x4 kernel=3x3 padding=1x1"
    np.testing.assert_array_equal(found.weight, 2 * outer.weight[:, 1:])
    shifted = Synapses(Sparse(range(8, 40), range(32), 48, 32), np.ones(32))
    assert str(compose(outer, shifted).wiring) == "sparse 32x32"


def test_a_dense_map_of_concatenated_values_stays_dense():
    outer = random(Dense(3, 5))
    found = compose(outer, Synapses(Sparse([4, 1], [0, 1], 5, 2), np.asarray([1.0, 3.0])))
    np.testing.assert_array_equal(found.weight, outer.weight[:, [4, 1]] * [1, 3])
    assert str(found.wiring) == "dense 3x2"


def test_windows_of_one_value_change_no_weight_of_a_dense_map():
    outer = random(Dense(3, 8))
    pool = Convolution((2, 2, 2), 2, (1, 1), (1, 1), (0, 0), (1, 1), 2)
    assert compose(outer, Synapses(pool, np.ones(pool.weight_shape))) is outer
    half = compose(outer, Synapses(pool, np.full(pool.weight_shape, 0.5)))
    np.testing.assert_array_equal(half.weight, outer.weight / 2)
    each = compose(outer, Synapses(pool, np.array([2.0, 3.0]).reshape(pool.weight_shape)))
    np.testing.assert_array_equal(each.weight, outer.weight * np.repeat([2, 3], 4))
    assert isinstance(each.wiring, Dense)


@pytest.mark.parametrize("change", [{"stride": (2, 2)}, {"padding": (1, 1)}, {"groups": 1}])
def test_other_windows_of_one_value_are_multiplied_out(change):
    whole = Convolution((2, 2, 2), 2, (1, 1), (1, 1), (0, 0), (1, 1), 2)
    pool = replace(whole, **change)
    inner, outer = random(pool, 1), random(Dense(3, pool.targets))
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


@pytest.mark.parametrize("target, source", [([0, 1, 1], [0, 2, 2]), ([1, 0, 1], [2, 0, 2])])
def test_pairs_that_occur_twice_are_refused_in_any_order(target, source):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        Sparse(np.array(target), np.array(source), 2, 3)
    assert str(error.value) == "sparse: two synapses join the same neurons; add their weights"
    assert Sparse(np.array([1, 0]), np.array([2, 0]), 2, 3).synapses == 2
