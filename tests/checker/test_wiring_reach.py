"""Sources, synapses and rows of any slice of any wiring, by the checker, against the matrix."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.checker.weighted_rows import list_column_rows, list_weighted_rows
from snncompile.checker.wiring_reach import (
    count_kernels,
    count_rows,
    count_synapses,
    find_sources,
    has_one_weight,
    is_tile,
)
from snncompile.errors import MappingError
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

GEOMETRIES = [
    Convolution((4, 6, 5), 4, (3, 2), (1, 2), (1, 0), (1, 2), groups=2),
    Convolution((2, 9), 3, (4,), (3,), (2,), (1,)),
    Convolution((3, 7, 7), 2, (2, 2), (3, 3), (0, 0), (1, 1)),
    Convolution((6, 3, 4), 9, (2, 3), (1, 1), (1, 2), (1, 1), groups=3),
    Convolution((1, 2, 3), 5, (3, 3), (1, 1), (1, 1), (1, 1)),  # taps that meet only padding
    Convolution((2, 5, 4), 2, (2, 3), (2, 1), (0, 1), (2, 1)),
]
OTHERS = [
    Dense(7, 5),
    Scale(9),
    Scale(9, per_neuron=True),
    Sparse([0, 3, 3, 1, 5], [0, 1, 4, 4, 2], 6, 5),
    SourceRange(Dense(4, 3), 2, 8),
    SourceRange(GEOMETRIES[4], 6, 18),  # one whole channel of three
    SourceRange(GEOMETRIES[4], 12, 20),  # no whole channels in all
    SourceRange(GEOMETRIES[4], 5, 18),  # from the middle of a channel on
]


def number_weights(wiring: Wiring) -> IntegerSynapses:
    """Return synapses whose weights are all different, 1, 2, ..."""
    numbers = np.arange(1, prod(wiring.weight_shape) + 1).reshape(wiring.weight_shape)
    return IntegerSynapses(wiring, numbers, 0, 8)


@st.composite
def draw_slice(draw: st.DrawFn, wiring: Wiring, *, box: bool | None = None) -> Slice:
    """Return a box of a convolution's targets, a range, or neurons named one by one."""
    shape = getattr(wiring.plain, "target_shape", (wiring.targets,))
    if box is None:
        box = draw(st.booleans())
    if not box and draw(st.booleans()):
        neuron = st.integers(0, wiring.targets - 1)
        return Slice.from_neurons("a", tuple(sorted(draw(st.sets(neuron, min_size=1)))), 0)
    shape = shape if box else (wiring.targets,)
    ends = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
    ends = [(a, b) if a < b else (0, n) for (a, b), n in zip(ends, shape, strict=True)]
    return Slice("a", shape, tuple(a for a, _ in ends), tuple(b for _, b in ends), 0)


def list_compartments(s: Slice) -> list[int]:
    """Return the neurons in the order of compartments: pixel by pixel, all channels of each."""
    if s.members:
        return list(s.members)
    if len(s.shape) < 2:
        return list(range(s.start[0], s.stop[0]))
    axes = [range(a, b) for a, b in zip(s.start[1:], s.stop[1:], strict=True)]
    pixels = np.array(np.meshgrid(*axes, indexing="ij")).reshape(len(axes), -1).T.tolist()
    channels = range(s.start[0], s.stop[0])
    return [int(np.ravel_multi_index((c, *p), s.shape)) for p in pixels for c in channels]


def unroll(wiring: Wiring, s: Slice) -> dict[int, list[tuple[int, int]]]:
    """Return (compartment, weight) of each synapse by source, with weights of `number_weights`."""
    matrix = wiring.matrix(number_weights(wiring).weight.astype(np.int64)).toarray()
    rows = defaultdict(list)
    for compartment, neuron in enumerate(list_compartments(s)):
        for source in np.flatnonzero(matrix[neuron]).tolist():
            rows[source].append((compartment, int(matrix[neuron, source])))
    return dict(rows)


def count_from_first(row: list[tuple[int, int]]) -> tuple[int, ...]:
    """Return the compartments of a row, counted from its first."""
    return tuple(compartment - row[0][0] for compartment, _ in row)


@settings(max_examples=60, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES), data=st.data())
def test_of_neurons_that_are_no_box(wiring, data):
    s = data.draw(draw_slice(wiring, box=False))
    rows = wiring.matrix(np.ones(wiring.weight_shape)).toarray()[s.neurons()] != 0
    assert count_synapses(wiring, s) == rows.sum()
    assert find_sources(wiring, s).neurons().tolist() == np.flatnonzero(rows.any(axis=0)).tolist()


@settings(max_examples=120, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES + OTHERS), data=st.data())
def test_of_any_slice_of_any_wiring(wiring, data):
    """Sources, synapses, and the rows of each source; sources that read equal rows share one."""
    s = data.draw(draw_slice(wiring))
    rows = unroll(wiring, s)
    found = find_sources(wiring, s)
    assert found.neurons().tolist() == sorted(rows)
    assert found.size == len(rows)
    assert count_synapses(wiring, s) == sum(map(len, rows.values()))
    apart = Counter(map(count_from_first, rows.values()))
    assert count_rows(wiring, s, shared=False) == apart
    shared = apart
    if is_tile(wiring.plain, s):
        weights = {source: tuple(w for _, w in row) for source, row in rows.items()}
        pairs = {(count_from_first(row), weights[source]) for source, row in rows.items()}
        shared = Counter(targets for targets, _ in pairs)
    elif has_one_weight(wiring.plain):
        shared = Counter({(0,): 1})
    assert count_rows(wiring, s, shared=True) == shared


@settings(max_examples=120, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES + OTHERS), data=st.data())
def test_rows_with_their_weights(wiring, data):
    """Targets from the slice's first on; of shared rows, from the row's own."""
    s = data.draw(draw_slice(wiring))
    rows, synapses = unroll(wiring, s), number_weights(wiring)
    found = list(list_weighted_rows(synapses, s, shared=False))
    assert [row.source for row in found] == sorted(rows)
    for row in found:
        assert list(zip(row.targets, row.weights, strict=True)) == rows[row.source]
    shared = list(list_weighted_rows(synapses, s, shared=True))
    if is_tile(wiring.plain, s):
        assert all(row.source < 0 for row in shared)  # no neuron of its own
        known = Counter(
            (tuple(t - row.targets[0] for t in row.targets), row.weights) for row in shared
        )
        assert known == dict.fromkeys(
            ((count_from_first(row), tuple(w for _, w in row)) for row in rows.values()), 1
        )
    else:
        assert shared == (found[:1] if has_one_weight(wiring.plain) else found)


def list_columns(wiring: Convolution, s: Slice) -> set[tuple[tuple[tuple[int, int], ...], ...]]:
    """Return the different columns: rows of sources that differ along the first axis of space."""
    rows, columns = unroll(wiring, s), defaultdict(list)
    for source in sorted(rows):
        channel, _, *rest = np.unravel_index(source, wiring.source_shape)
        columns[int(channel), *map(int, rest)].append(tuple(rows[source]))
    return {shift_column(s, column) for column in columns.values()}


def shift_column(
    s: Slice, column: list[tuple[tuple[int, int], ...]]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return a column whose channels and targets along the later axis count from their first."""
    depth, length = s.extent[0], prod(s.extent[2:])
    targets = [target for row in column for target, _ in row]
    first = min(t // depth % length for t in targets) * depth + min(t % depth for t in targets)
    return tuple(tuple((target - first, w) for target, w in row) for row in column)


@settings(max_examples=120, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES), data=st.data())
def test_rows_of_columns(wiring, data):
    """Each column once, with a number of its own; its rows differ along the first axis."""
    s = data.draw(draw_slice(wiring, box=True))
    found = defaultdict(list)
    for row in list_column_rows(number_weights(wiring), s):
        found[row.source].append(tuple(sorted(zip(row.targets, row.weights, strict=True))))
    assert sorted(found) == list(range(len(found)))
    columns = Counter(map(tuple, found.values()))
    assert columns == dict.fromkeys(list_columns(wiring, s), 1)


def test_only_convolutions_have_columns():
    s = Slice("a", (2,), (0,), (2,), 0)
    with pytest.raises(MappingError) as error:
        list(list_column_rows(integer_dense(np.full((2, 3), 2), 0, 8), s))
    assert str(error.value) == "dense synapses into a[0:2] have no columns to be stored"


@settings(max_examples=80, deadline=None)
@given(wiring=st.sampled_from(GEOMETRIES), data=st.data())
def test_kernels_of_a_box(wiring, data):
    """A word holds the weights of a source channel and a tap that meets a source."""
    s = data.draw(draw_slice(wiring, box=True))
    weight = number_weights(wiring).weight
    met = {w for row in unroll(wiring, s).values() for _, w in row}
    inner, per_group = weight.shape[1], wiring.channels // wiring.groups
    words: defaultdict[tuple[int, ...], int] = defaultdict(int)
    for number in met:
        channel, source, *tap = map(int, np.argwhere(weight == number)[0])
        words[channel // per_group * inner + source, *tap] += 1
    assert count_kernels(wiring, s) == Counter(words.values())
