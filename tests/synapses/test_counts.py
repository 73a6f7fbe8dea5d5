"""Counting synapses without unrolling: closed forms against the matrix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse


@st.composite
def draw_convolution(draw: st.DrawFn) -> Convolution:
    """Return any geometry of one or two axes: strides that skip, padding, dilation, groups."""
    axes, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    inner, outer = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    kernel, dilation, padding = per_axis(1, 4), per_axis(1, 3), per_axis(0, 4)
    reach = ((k - 1) * d + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True))
    space = tuple(max(1, least) + draw(st.integers(0, 5)) for least in reach)
    stride = per_axis(1, 4)
    shape = (groups * inner, *space)
    return Convolution(shape, groups * outer, kernel, stride, padding, dilation, groups)


def draw_wiring() -> st.SearchStrategy[Wiring]:
    """Return any wiring of ours."""
    sparse = Sparse(np.array([0, 2, 2]), np.array([1, 0, 3]), 4, 5)
    ranges = draw_convolution().map(lambda w: SourceRange(w, 3, w.sources + 7))
    plain = st.sampled_from([Dense(3, 4), Scale(5), Scale(4, per_neuron=True), sparse])
    return st.one_of(plain, draw_convolution(), ranges)


@given(wiring=draw_wiring(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_the_matrix(wiring, data):
    ones = (wiring.matrix(np.ones(wiring.weight_shape, np.int8)) != 0).toarray().astype(np.int64)
    neuron = st.integers(0, wiring.targets - 1)
    targets = np.array(data.draw(st.lists(neuron, max_size=2 * wiring.targets)), np.int64)
    assert wiring.synapses == ones.sum()
    assert wiring.fan_in.tolist() == ones.sum(axis=1).tolist()
    assert wiring.fan_out(targets).tolist() == ones[targets].sum(axis=0).tolist()


@pytest.mark.parametrize("count", ["synapses", "fan_in", "fan_out"])
def test_to_count_a_layer_of_a_hundred_million_synapses_takes_little_memory(count):
    wiring = Convolution((512, 16, 16), 512, (3, 3), (1, 1), (1, 1), (1, 1))
    tracemalloc.start()
    try:
        counted = getattr(wiring, count)
        if count == "fan_out":
            counted(np.arange(wiring.targets))
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert wiring.synapses > 550e6
    assert memory < 32 * 2**20  # 16 arrays of int64 as large as the layer's neurons; unrolled: 5 GB


@given(wiring=draw_wiring(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_rows_are_those_of_the_matrix(wiring, data):
    neuron = st.integers(0, wiring.targets - 1)
    targets = np.array(data.draw(st.lists(neuron, max_size=5)), np.int64)
    weight = np.arange(1, 1 + int(np.prod(wiring.weight_shape))).reshape(wiring.weight_shape)
    rows = wiring.rows(weight, targets)
    assert rows.shape == (len(targets), wiring.sources)
    assert (rows.toarray() == wiring.matrix(weight).toarray()[targets]).all()
