"""Every way to compute a projection gives what `bind` gives, in any layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.neurons.base import BINARY, Interval
from snncompile.reference.fast import base, crossovers, layout, matrix, projections
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

SIGNED, BYTE, WIDE = Interval(-1, 1), Interval(-128, 127), Interval(-(2**15), 2**15)
WIRINGS = {
    "3x3": Convolution((3, 6, 7), 5, (3, 3), (1, 1), (0, 0), (1, 1)),
    "3x3 of 8 channels": Convolution((8, 6, 7), 8, (3, 3), (1, 1), (0, 0), (1, 1)),
    "padded": Convolution((2, 5, 5), 16, (3, 3), (1, 1), (1, 1), (1, 1)),
    "wide padding": Convolution((1, 2, 2), 3, (2, 3), (1, 1), (3, 4), (1, 1)),
    "strided": Convolution((4, 9, 8), 6, (3, 2), (2, 3), (1, 0), (1, 1)),
    "dilated": Convolution((2, 9, 8), 3, (3, 2), (1, 1), (1, 2), (2, 3)),
    "strided and dilated": Convolution((2, 9, 8), 3, (3, 2), (2, 2), (1, 2), (2, 3)),
    "1-D": Convolution((2, 11), 5, (4,), (1,), (2,), (1,)),
    "1-D strided": Convolution((2, 11), 5, (4,), (3,), (2,), (1,)),
    "kernel as large as the image": Convolution((2, 4, 3), 2, (4, 3), (1, 1), (0, 0), (1, 1)),
    "1x1": Convolution((8, 3, 3), 4, (1, 1), (1, 1), (0, 0), (1, 1)),
    "1x1 with a stride": Convolution((8, 4, 3), 4, (1, 1), (2, 2), (0, 0), (1, 1)),
    "one pixel": Convolution((1, 1, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1)),
    "many pixels": Convolution((1, 9, 9), 3, (2, 2), (1, 1), (0, 0), (1, 1)),
    "groups": Convolution((4, 3, 3), 8, (2, 2), (1, 1), (0, 0), (1, 1), 2),
    "dense 1": Dense(1, 1),
    "dense of one source": Dense(4, 1),
    "dense of one target": Dense(1, 4),
    "dense": Dense(9, 16),
    "dense without words": Dense(16, 9),
    "sparse": Sparse([3, 0, 3, 11], [1, 1, 8, 15], 12, 16),
    "no synapses": Sparse(np.zeros(0, int), np.zeros(0, int), 2, 3),
    "scale": Scale(12),
    "scale per neuron": Scale(12, True),
    "some sources": SourceRange(Dense(9, 16), 4, 24),
    "some channels": SourceRange(Convolution((4, 3, 3), 8, (2, 2), (1, 1), (0, 0), (1, 1)), 18, 72),
}
LARGEST = (1, 127, 254, 255, 2**15 - 1)


def synapses_of(wiring, largest, exponent, seed=1) -> IntegerSynapses:
    rng = np.random.default_rng(seed)
    step = 2 if largest == 254 else 1
    weight = rng.integers(-largest // step, largest // step + 1, wiring.weight_shape) * step
    if weight.size and weight.ndim:
        weight.flat[0], weight.flat[-1] = -largest, largest
    return IntegerSynapses(wiring, weight, exponent, 9)


def channels(size: int) -> list[int]:
    return [d for d in range(1, size + 1) if size % d == 0]


def check(synapses, payload, source, target, rate, seed=2) -> None:
    """Compare all ways between neurons in these layouts with the plain function."""
    found = projections.build_ways(synapses, payload, source, target)
    assert found
    rng = np.random.default_rng(seed)
    train = rng.integers(payload.low, payload.high + 1, (7, synapses.wiring.sources))
    train *= rng.random(train.shape) < rate
    wanted = bind(synapses, payload)(torch.tensor(train)).numpy()
    there = np.ascontiguousarray(layout.change_layout(train, 1, source))
    there = there.astype(np.uint8 if payload == BINARY else np.int8 if payload.low > -129 else int)
    for way in filter(None, (found.product, found.events)):
        total = np.full((7, synapses.wiring.targets), 5, np.int32)
        way.fill(there, total, base.Scratch())
        total = layout.change_layout(total, target, 1)
        assert ((total << max(found.shift, 0)) >> max(-found.shift, 0) == wanted).all()


@pytest.mark.parametrize("largest", LARGEST)
@pytest.mark.parametrize("payload", [BINARY, SIGNED, BYTE])
@pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)
def test_every_way_is_the_plain_function(wiring, payload, largest):
    source = wiring.source_shape[0] if isinstance(wiring, Convolution) else 1
    target = wiring.channels if isinstance(wiring, Convolution) else 1
    for exponent, rate in ((-3, 0.3), (0, 1.0), (0, 0.0), (3, 0.1)):
        if largest < 2**14 or payload != BYTE:
            check(synapses_of(wiring, largest, exponent), payload, source, target, rate)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), wiring=st.sampled_from(list(WIRINGS.values())), floats=st.booleans())
def test_any_layout(data, wiring, floats):
    source = data.draw(st.sampled_from(channels(wiring.sources)))
    target = data.draw(st.sampled_from(channels(wiring.targets)))
    payload = data.draw(st.sampled_from([BINARY, SIGNED]))
    with pytest.MonkeyPatch.context() as patch:
        if floats:
            patch.setattr(matrix, "has_integer_product", lambda: False)
        check(synapses_of(wiring, 127, -1), payload, source, target, 0.5)


def test_which_ways_there_are():
    plain = integer_dense([[2, -4]], 0, 8)
    assert projections.build_ways(plain, BINARY, 1, 1).events
    assert projections.build_ways(plain, SIGNED, 1, 1).events is None
    assert projections.build_ways(integer_dense([[2**14]], 17, 8), BINARY, 1, 1) is None
    assert projections.build_ways(integer_dense([[1]], -40, 8), BINARY, 1, 1) is None
    if matrix.has_integer_product():
        assert projections.build_ways(plain, BINARY, 1, 1).shift == 1
        kinds = {largest: type(way(largest).product) for largest in (127, 254, 255)}
        assert kinds == {127: kinds[254], 254: kinds[254], 255: matrix.FloatMatrix}


def way(largest: int) -> base.Ways:
    found = projections.build_ways(integer_dense([[largest, -largest]], 0, 9), BINARY, 1, 1)
    assert found
    return found


def test_few_spikes_take_the_events():
    found = way(127)
    train = np.zeros((64, 100, 2), np.uint8)
    assert found.choose(train) is (found.events if found.below else found.product)
    train[:] = 1
    assert found.choose(train) is found.product
    train[:, 4:] = 0
    assert found.choose(train, np.arange(100) < 4) is found.product
    assert 0 < crossovers.estimate_dense_crossover(1000) < 0.5
    assert 0 < crossovers.estimate_convolution_crossover(WIRINGS["3x3"]) < 0.5


@given(size=st.integers(1, 60), seed=st.integers(0, 9))
def test_layouts_turn_back_and_forth(size, seed):
    train = np.random.default_rng(seed).integers(0, 9, (2, 3, size))
    for old in channels(size):
        for new in channels(size):
            there = layout.change_layout(layout.change_layout(train, 1, old), old, new)
            assert (there == layout.change_layout(train, 1, new)).all()
            assert (layout.change_layout(there, new, 1) == train).all()


def test_channels_last_by_hand():
    """Two channels of three places."""
    assert layout.change_layout(np.arange(6), 1, 2).tolist() == [0, 3, 1, 4, 2, 5]
    assert layout.order_neurons(6, 2).tolist() == [0, 3, 1, 4, 2, 5]
    assert layout.change_layout(torch.arange(6), 2, 1).tolist() == [0, 2, 4, 1, 3, 5]
