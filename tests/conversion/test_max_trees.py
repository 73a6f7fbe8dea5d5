"""A tree of rectifiers is torch's maximum, over windows of any size, stride and padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from snncompile.conversion.ann import Maximum
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.build import build_conversion
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import find_method
from snncompile.conversion.max_trees import expand_maxima
from snncompile.errors import UnsupportedError
from snncompile.reference.simulate import check_input, run_batches
from snncompile.synapses.sparse import Sparse

POOLS = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 5)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "ceil_mode": st.booleans(),
    }
)
ORDERS = {
    "rectifier, pool": lambda pool: [nn.ReLU6(), pool],
    "pool, norm, rectifier": lambda pool: [pool, nn.BatchNorm2d(4), nn.ReLU()],
    "a pool that nothing rectifies": lambda pool: [nn.ReLU(), nn.Conv2d(4, 4, 1), pool],
    "pool, pool": lambda pool: [nn.ReLU(), nn.MaxPool2d(2, 1), pool],
}


def make_model(data, order: str, convolution: nn.Module) -> nn.Module:
    p = data.draw(POOLS)
    padding = tuple(data.draw(st.integers(0, (k - 1) // 2)) for k in p["kernel"])
    pool = nn.MaxPool2d(p["kernel"], p["stride"], padding, p["dilation"], ceil_mode=p["ceil_mode"])
    tail = [nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(convolution, *ORDERS[order](pool), *tail, nn.Linear(3, 2)).double().eval()


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    order=st.sampled_from(sorted(ORDERS)),
    size=st.tuples(st.integers(9, 13), st.integers(9, 13)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 9),
)
def test_a_tree_is_the_maximum(data, order, size, stride, padding, groups, seed):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(2, 4, 3, stride, padding, groups=groups)
    model = make_model(data, order, convolution)
    x = np.random.default_rng(seed).normal(size=(4, 2, *size))
    try:
        wanted = model(torch.tensor(x)).detach()
    except RuntimeError:  # the windows are larger than the image
        assume(False)
    ann = capture(model, x)
    try:
        expanded = expand_maxima(ann, x)
    except UnsupportedError as error:
        assert "use less padding than half of the kernel" in str(error)  # noqa: PT017
        return
    answers = expanded.compute_activations(x)[expanded.layers[-1].name]
    # Activations are kept in float32.
    assert float((answers - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    wirings = [term.synapses.wiring for layer in expanded.layers for term in layer.terms]
    assert not any(isinstance(wiring, Sparse) for wiring in wirings)


def test_four_neurons_a_window_and_none_for_what_the_pool_reads():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 3)
    )
    x = np.random.default_rng(0).normal(size=(4, 2, 12, 12))
    layers = expand_maxima(capture(model, x), x).rectified
    assert [(layer.name, layer.size // 144) for layer in layers] == [
        ("layer_2_1", 2),
        ("layer_2_2", 1),
        ("layer_2", 1),
    ]
    assert [[term.source for term in layer.terms] for layer in layers] == [
        ["input"],
        ["input", "layer_2_1"],
        ["input", "layer_2_1", "layer_2_2"],
    ]


def test_windows_over_edges_of_images_that_hardly_differ_from_place_to_place():
    """What holds neurons down along one axis is measured with those of the other held down."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.MaxPool2d(3, 1, 1), nn.Conv2d(4, 3, 1), nn.ReLU())
    model = model.append(nn.Flatten()).append(nn.Linear(12, 2)).double()
    draw = np.random.default_rng(0)
    x = draw.normal(size=(16, 2, 1, 1)) + 0.01 * draw.normal(size=(16, 2, 2, 2))
    expanded = expand_maxima(capture(model, x), x)
    wanted = model(torch.tensor(x)).detach()
    answers = expanded.compute_activations(x)[expanded.layers[-1].name]
    assert float((answers - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())


def test_small_channels_beside_large_ones_are_no_rounding_errors():
    """What holds neurons over an edge down is large beside what the others of a channel add up."""
    torch.manual_seed(0)
    conv, sizes = nn.Conv2d(2, 4, 1), torch.tensor([1.0, 1e-12, 1.0, 1e-12])
    with torch.no_grad():
        conv.weight *= sizes[:, None, None, None]
        conv.bias *= sizes
    model = nn.Sequential(conv, nn.MaxPool2d(3, 1, 1), nn.Flatten(), nn.Linear(64, 2)).double()
    x = np.random.default_rng(0).normal(size=(16, 2, 4, 4))
    found = expand_maxima(capture(model, x), x).compute_activations(x)
    names = [name for name in found if name.startswith("layer_1_")]
    assert names
    assert all(found[name].amax(dim=(0, 2, 3)).gt(0).all() for name in names)


def test_windows_without_a_place_that_is_always_inside_are_refused():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2, 1), nn.Flatten(), nn.Linear(144, 3)
    )
    x = np.random.default_rng(0).normal(size=(4, 2, 12, 12))
    with pytest.raises(UnsupportedError) as error:
        expand_maxima(capture(model, x), x)
    assert str(error.value) == (
        "layer_2: no place of its windows lies inside at both edges; use less padding than half of"
        " the kernel, and no ceil_mode"
    )


@settings(max_examples=15, deadline=None)
@given(
    data=st.data(),
    order=st.sampled_from(["rectifier, pool", "pool, norm, rectifier", "pool, pool"]),
    long=st.sampled_from([None, 9, 10, 16]),
    seed=st.integers(0, 9),
)
def test_digits_of_a_pool_are_those_of_the_largest_number(data, order, long, seed):
    """All digits of every pool equal numpy's maximum of the digits that it reads."""
    torch.manual_seed(seed)
    model = make_model(data, order, nn.Conv2d(2, 4, 3, padding=1))
    if long:  # windows that one neuron cannot hold
        pool = next(m for m in model if isinstance(m, nn.MaxPool2d))
        pool.kernel_size, pool.padding, pool.dilation = (long, 1), (0, 0), (1, 1)
    x = np.abs(np.random.default_rng(seed).normal(size=(3, 2, 18, 12)))
    method, digits = BistablePhase(), 5
    try:
        model(torch.tensor(x))
    except RuntimeError:
        assume(False)
    conversion = build_conversion(capture(model, x), x, method, digits)
    shown = check_input(conversion.network, conversion.network.input.present(x), np.int32)
    (trains,) = run_batches(conversion.network, shown)
    for layer in conversion.ann.rectified:
        if not isinstance(layer.operation, Maximum):
            continue
        read = layer.terms[0].source
        given_, sent = (
            conversion.network.population(name).neuron.decode(trains[name].double())
            for name in (read, layer.name)
        )
        wanted = layer.operation(given_.reshape(len(x), *layer.operation.shape)).flatten(1)
        assert torch.equal(sent, wanted)
        assert float(sent.max()) > 0


class PoolsInARow(nn.Module):
    """Branches side by side, a pool of both, and a pool of that beside a convolution: GoogLeNet."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 5, 1)
        self.first, self.second = nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 1, 1)
        self.c, self.end = nn.Conv2d(8, 4, 1), nn.Linear(4 * 36, 3)

    def forward(self, x):
        x = self.first(torch.cat([self.a(x).relu(), self.b(x).relu()], 1))
        return self.end(self.c(self.second(x)).relu().flatten(1))


@pytest.mark.parametrize("method", ["graded", "signed", "bistable_phase"])
def test_a_pool_of_a_pool_of_layers_side_by_side_is_taken_apart_too(method):
    x = np.random.default_rng(0).normal(size=(64, 2, 12, 12))
    ann = capture(PoolsInARow().eval(), x)
    prepared = find_method(method).prepare(ann, x)
    got = prepared.compute_activations(x)[prepared.layers[-1].name]
    with torch.no_grad():
        wanted = PoolsInARow().double()(torch.tensor(x)).float()
    torch.testing.assert_close(got, wanted)
