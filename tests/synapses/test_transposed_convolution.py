"""Transposed convolutions: against torch, composed, listed, refused where they are too large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from snncompile.errors import UnsupportedError
from snncompile.reference.synapses import bind_weights
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose, compose_all
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.sparse import Sparse, unroll
from snncompile.synapses.transposed_convolution import TransposedConvolution


@st.composite
def draw_transposed(draw, axes=None):
    """Return any geometry of one or two axes, with places cut off or added at both ends."""
    axes, groups = axes or draw(st.integers(1, 2)), draw(st.integers(1, 2))

    def per_axis(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    channels = [groups * draw(st.integers(1, 2)) for _ in range(2)]
    return TransposedConvolution(
        (channels[0], *per_axis(1, 4)),
        channels[1],
        per_axis(1, 3),
        per_axis(1, 3),
        per_axis(-2, 3),
        per_axis(1, 2),
        per_axis(1, 9),
        groups,
    )


def random(wiring, seed=0):
    weight = np.random.default_rng(seed).integers(-5, 6, wiring.weight_shape)
    return Synapses(wiring, weight)


def matrix(synapses):
    return synapses.wiring.matrix(synapses.weight).toarray()


def together(several):
    return sum(map(matrix, several))


@given(wiring=draw_transposed())
@settings(max_examples=40, deadline=None)
def test_sums_and_counts_are_those_of_its_synapses(wiring):
    synapses = random(wiring)
    x = np.random.default_rng(1).integers(0, 3, (2, wiring.sources))
    sums = bind_weights(wiring, torch.tensor(synapses.weight))(torch.tensor(x))
    np.testing.assert_array_equal(sums, x @ matrix(synapses).T)
    each = unroll(wiring).wiring
    assert wiring.synapses == each.synapses
    assert wiring.fan_in.tolist() == each.fan_in.tolist()
    targets = np.arange(wiring.targets)[::2]
    assert wiring.fan_out(targets).tolist() == each.fan_out(targets).tolist()


@pytest.mark.parametrize("groups", [1, 2])
def test_it_is_that_of_torch(groups):
    wiring = TransposedConvolution((4, 5, 3), 6, (3, 2), (2, 3), (1, 0), (1, 2), (10, 9), groups)
    weight = torch.tensor(np.random.default_rng(0).normal(size=(4, 6 // groups, 3, 2)))
    ours = weight.reshape(groups, -1, 6 // groups, 3, 2).transpose(1, 2).reshape(6, -1, 3, 2)
    x = torch.tensor(np.random.default_rng(1).normal(size=(2, 4, 5, 3)))
    options = {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 0), "dilation": (1, 2)}
    wanted = F.conv_transpose2d(x, weight, groups=groups, **options)
    assert wanted.shape[1:] == wiring.target_shape
    np.testing.assert_allclose(
        bind_weights(wiring, ours)(x.flatten(1)), wanted.flatten(1), rtol=1e-12, atol=1e-12
    )


def draw_convolution(draw, shape, channels):
    axes = len(shape) - 1
    groups = draw(st.sampled_from([1, shape[0]]))

    def per_axis(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    return (shape, channels * groups, per_axis(1, 3), (1,) * axes, per_axis(0, 2), per_axis(1, 2))


@given(first=draw_transposed(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_convolution_behind_it_is_the_product_of_the_matrices(first, data):
    try:
        second = Convolution(*draw_convolution(data.draw, first.target_shape, 2))
    except ValueError:
        return
    inner, outer = random(first), random(second, 1)
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


@given(second=draw_transposed(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_convolution_before_it_is_the_product_of_the_matrices(second, data):
    space = tuple(data.draw(st.integers(1, 5)) for _ in second.kernel)
    try:
        first = Convolution(*draw_convolution(data.draw, (2, *space), 2))
    except ValueError:
        return
    second = replace(second, source_shape=first.target_shape, groups=1)
    inner, outer = random(first), random(second, 1)
    np.testing.assert_array_equal(matrix(compose(outer, inner)), matrix(outer) @ matrix(inner))


def copies(index, sources):
    """Return the synapses of a grid whose values are those of some sources; -1: of none."""
    target = np.flatnonzero(index.ravel() >= 0)
    wiring = Sparse(target, index.ravel()[target], index.size, sources)
    return Synapses(wiring, np.ones(len(target)))


def numbered(*shape):
    return torch.arange(float(np.prod(shape))).reshape(1, *shape)


KERNEL = {"channels": 3, "kernel": (3, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
GRIDS = {
    "reflect": (F.pad(numbered(2, 5, 6), (1, 1, 2, 2), mode="reflect"), KERNEL),
    "replicate": (F.pad(numbered(2, 5, 6), (2, 2, 1, 1), mode="replicate"), KERNEL),
    "circular": (F.pad(numbered(2, 5, 6), (1, 1, 1, 1), mode="circular"), KERNEL),
    "zeros": (F.pad(numbered(2, 5, 6) + 1, (1, 1, 1, 1)) - 1, KERNEL),
    "one end": (F.pad(numbered(2, 5, 6), (0, 1, 0, 0), mode="reflect"), KERNEL),
    "repeated": (numbered(2, 4, 3).repeat_interleave(2, 2).repeat_interleave(3, 3), KERNEL),
    "repeated, strided": (
        numbered(2, 4, 3).repeat_interleave(2, 2).repeat_interleave(3, 3),
        KERNEL | {"stride": (2, 1)},
    ),
    "turned": (numbered(2, 5, 6).flip(2), KERNEL),
    "channels swapped": (numbered(2, 5, 6).flip(1), KERNEL),
    "padded and own padding": (
        F.pad(numbered(2, 5, 6), (1, 1, 1, 1), mode="reflect"),
        KERNEL | {"padding": (1, 1), "stride": (2, 2)},
    ),
    "cut": (numbered(2, 5, 6)[..., 1:-1], KERNEL),
}
KINDS = {
    "reflect": ("convolution", "sparse"),
    "replicate": ("convolution", "sparse"),
    "circular": ("convolution", "sparse"),
    "zeros": ("convolution",),
    "repeated": ("transposed_convolution",),
    "padded and own padding": ("convolution", "sparse"),
}


@pytest.mark.parametrize("case", GRIDS)
def test_a_convolution_of_a_grid_keeps_its_kernel(case):
    grid, options = GRIDS[case]
    grid = grid[0].numpy().astype(int)
    inner = copies(grid, int(grid.max()) + 1)
    outer = random(Convolution(grid.shape, **options))
    several = compose_all(outer, inner)
    np.testing.assert_array_equal(together(several), matrix(outer) @ matrix(inner))
    assert tuple(s.wiring.kind for s in several) == KINDS.get(case, ("sparse",))


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_pixel_shuffle_of_a_convolution_keeps_its_kernel(dilation):
    inner = random(Convolution((2, 6, 5), 12, (3, 2), (1, 1), (1, 1), (dilation, 1)))
    shape = inner.wiring.target_shape
    shuffled = F.pixel_shuffle(numbered(*shape), 2).numpy().astype(int)
    outer = copies(shuffled, int(np.prod(shape)))
    (ours,) = compose_all(outer, inner)
    assert ours.wiring.kind == "transposed_convolution"
    np.testing.assert_array_equal(matrix(ours), matrix(outer) @ matrix(inner))


def test_says_what_is_too_large_to_list():
    wiring = TransposedConvolution((64, 32, 32), 64, (4, 4), (2, 2), (1, 1), (1, 1), (64, 64))
    with pytest.raises(UnsupportedError) as error:
        unroll(wiring)
    assert str(error.value) == (
        "transposed_convolution 64x32x32 -> 64x64x64 kernel=4x4 stride=2x2 padding=1x1: its"
        " 65,028,096 synapses would be listed one by one, more than 10,000,000; use fewer channels"
        " or a smaller kernel, or put a neuron layer behind the upsampling and a plain convolution"
        " behind that"
    )


BAD = {
    "transposed convolution of source (2, 3, 3) with kernel (2,): one value per space axis is"
    " needed, for one or two axes": {"kernel": (2,)},
    "transposed convolution: kernel, stride, dilation, target, groups start at 1": {
        "stride": (0, 1)
    },
    "transposed convolution: 3 groups do not divide 2 source and 2 target channels": {"groups": 3},
}


@pytest.mark.parametrize("message", BAD)
def test_refuses_a_geometry_that_makes_no_sense(message):
    good = TransposedConvolution((2, 3, 3), 2, (2, 2), (2, 2), (0, 0), (1, 1), (6, 6))
    with pytest.raises(ValueError) as error:  # noqa: PT011
        replace(good, **BAD[message])
    assert str(error.value) == message
