"""Linear layers of torch: each against the library, and what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from layers import check, filled, leaky, spikes
from torch import nn
from torch.nn import functional as F  # noqa: N812

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.function_layers import POOLS
from snncompile.frontends.torch.known_layers import count_sample_axes
from snncompile.frontends.torch.linear_layers import LINEAR
from snncompile.neurons.base import Interval
from snncompile.reference.synapses import bind
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.transposed_convolution import TransposedConvolution

snn = pytest.importorskip("snntorch")


# Each layer alone, with every option: what it does to one sample is synapses and a bias.
IMAGE, LINE, VOLUME = (4, 9, 6), (4, 11), (4, 3, 5, 4)
ALONE = [
    (nn.Linear(5, 3), (5,)),
    (nn.Linear(5, 3, bias=False), (5,)),
    (nn.Conv1d(4, 6, 3), LINE),
    (nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), LINE),
    (nn.Conv1d(4, 4, 3, padding="same", dilation=3, groups=4), LINE),
    (nn.Conv1d(4, 4, 2, padding="same", dilation=3), LINE),  # one zero more at the end
    (nn.Conv2d(4, 8, (4, 3), padding="same", groups=2), IMAGE),
    (nn.Conv2d(4, 6, 3, padding="valid"), IMAGE),
    (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3), groups=2), IMAGE),
    (nn.Conv2d(4, 8, (3, 5), padding="same", groups=4), IMAGE),
    (nn.AvgPool1d(3), LINE),
    (nn.AvgPool1d(4, stride=2, padding=2), LINE),
    (nn.AvgPool2d(2), IMAGE),
    (nn.AvgPool2d((3, 2), stride=(2, 3), padding=(1, 0)), IMAGE),
    (nn.AvgPool2d(3, stride=1, divisor_override=1), IMAGE),
    (nn.AvgPool2d(2, count_include_pad=False), IMAGE),
    (nn.AdaptiveAvgPool1d(1), LINE),
    (nn.AdaptiveAvgPool2d(3), IMAGE),
    (nn.AdaptiveAvgPool2d((None, 2)), IMAGE),
    (nn.BatchNorm1d(5), (5,)),
    (nn.BatchNorm1d(4, eps=0.1), LINE),
    (nn.BatchNorm2d(4), IMAGE),
    (nn.BatchNorm2d(4, affine=False), IMAGE),
    (nn.BatchNorm3d(4), VOLUME),
    (nn.InstanceNorm1d(4, affine=True, track_running_stats=True), LINE),
    (nn.InstanceNorm2d(4, track_running_stats=True), IMAGE),
    (nn.Conv3d(4, 6, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 2), groups=2), VOLUME),
    (nn.Conv3d(4, 2, 2, dilation=(2, 1, 1), bias=False), VOLUME),
    (nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), LINE),
    (nn.ConvTranspose2d(4, 6, (4, 3), stride=(2, 3), padding=(1, 2), dilation=(1, 2)), IMAGE),
    (nn.ConvTranspose2d(4, 8, 2, stride=3, groups=4, bias=False), IMAGE),
    (nn.Upsample(scale_factor=2), IMAGE),
    (nn.Upsample(size=(12, 5)), IMAGE),
    (nn.Upsample(scale_factor=1.7, mode="nearest-exact"), IMAGE),
    (nn.Upsample(scale_factor=3, mode="linear"), LINE),
    (nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), IMAGE),
    (nn.Upsample(size=(5, 9), mode="bilinear", align_corners=True), IMAGE),
    (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    (nn.Upsample(size=(4, 4), mode="area"), IMAGE),
    (nn.Upsample(scale_factor=2, mode="trilinear"), VOLUME),
    (nn.Upsample(scale_factor=2), VOLUME),
    (nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    (nn.UpsamplingBilinear2d(size=(10, 8)), IMAGE),
    (nn.AdaptiveAvgPool1d(4), LINE),
    (nn.AdaptiveAvgPool2d((4, 8)), IMAGE),
    (nn.AvgPool1d(4, ceil_mode=True), LINE),
    (
        nn.AvgPool1d(3, stride=6, padding=1, ceil_mode=True),
        LINE,
    ),  # the third would begin in the padding
    (nn.AvgPool2d(4, stride=3, padding=(1, 2), ceil_mode=True), IMAGE),
    (nn.AvgPool2d(4, padding=1, ceil_mode=True, count_include_pad=False), IMAGE),
    (nn.AvgPool2d(2, stride=2, padding=1, count_include_pad=False), IMAGE),
    (nn.AvgPool2d(5, ceil_mode=True, divisor_override=3), IMAGE),
]


def describe(value):
    return str(value).replace(" ", "")


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("layer, shape", ALONE, ids=describe)
def test_a_layer_is_its_synapses_and_bias(layer, shape):
    layer = filled(copy.deepcopy(layer)).double()
    x = torch.tensor(np.random.default_rng(1).normal(size=(3, *shape)))
    assert count_sample_axes(layer, x.ndim) == len(shape)
    affine = LINEAR[type(layer)].translate(layer, "layer", shape)
    ours = bind(affine.synapses, Interval(0, 1))(x.flatten(1)) + torch.tensor(affine.bias)
    expected = layer(x).detach()
    np.testing.assert_allclose(ours, expected.flatten(1), rtol=1e-11, atol=1e-11)
    if isinstance(affine.synapses.wiring, Convolution | TransposedConvolution):
        assert affine.synapses.wiring.target_shape == expected.shape[1:]


def test_every_row_is_tested():
    assert {type(layer) for layer, _ in ALONE} == {
        cls for cls, row in LINEAR.items() if not row.maximum
    }
    assert {POOLS[f.__name__] for f, *_ in CALLS} == {
        cls for cls in POOLS.values() if not LINEAR[cls].maximum
    }


# Functions that are layers without weights; the arguments any way round.
CALLS = [
    (F.avg_pool2d, (2,), {}, IMAGE, "kernel=2x2 stride=2x2 groups=4"),
    (F.avg_pool2d, (3,), {"stride": 1, "padding": 1}, IMAGE, "kernel=3x3 padding=1x1 groups=4"),
    (F.avg_pool1d, (), {"kernel_size": 3}, LINE, "kernel=3 stride=3 groups=4"),
    (F.adaptive_avg_pool2d, (3,), {}, IMAGE, "kernel=3x2 stride=3x2 groups=4"),
    (F.adaptive_avg_pool1d, (), {"output_size": 1}, LINE, "kernel=11 stride=11 groups=4"),
    (F.interpolate, (), {"scale_factor": 2}, IMAGE, "kernel=2x2 stride=2x2 groups=4"),
    (F.interpolate, ((5, 4),), {"mode": "bilinear"}, IMAGE, "sparse 80x216"),
]


@pytest.mark.parametrize("function, args, kwargs, shape, text", CALLS)
def test_functions_are_layers(function, args, kwargs, shape, text):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = leaky(threshold=0.31)

        def forward(self, x):
            return self.lif(function(x, *args, **kwargs))

    class ByKeyword(Net):
        def forward(self, x):
            return self.lif(function(input=x, **dict(zip(NAMES[function], args)), **kwargs))  # noqa: B905

    for net in (Net(), ByKeyword()):
        network = check(net, spikes(3, 8, *shape))
        assert str(network.projections[0].synapses.wiring).endswith(text)


NAMES = {f: ("kernel_size" if "adaptive" not in f.__name__ else "output_size",) for f, *_ in CALLS}
NAMES[F.interpolate] = ("size",)


# Refused, with the whole message.
def _pool_with_indices(m, x):
    return m.lif(F.max_pool2d(m.conv(x), 2, return_indices=True)[0])


def _antialiased(m, x):
    return m.lif(F.interpolate(x, (3, 3), mode="bilinear", antialias=True))


def _other_size(m, x):
    return m.lif(m.up(x, output_size=(14, 14)))


def _drawn(m, x):
    return m.lif(m.conv(x) + torch.arange(len(x)).reshape(-1, 1, 1, 1))


def _columns_as_images(m, x):
    return m.lif(F.avg_pool2d(m.conv(x).flatten(2), (1, 2)))


def _two_images(m, x):
    both = torch.stack([x, x], 1).flatten(0, 1)
    return m.lif(m.conv(both).unflatten(0, (len(x), 2)))


def _rows_of_images(m, x):
    return m.lif(m.fc(m.conv(x)))


def _not_the_end(m, x):
    return F.avg_pool2d(m.lif(m.conv(x)), 2)


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.lif, self.fc = nn.Conv2d(2, 3, 3), leaky(), nn.Linear(4, 4)
        self.up = nn.ConvTranspose2d(2, 3, 3, stride=2)


A_MAXIMUM = "a maximum is known as nn.MaxPool2d without indices"
ONLY = (
    "known are functions that only reshape or select, average pooling, sums of layers and factors"
)
IN_FRONT = (
    f"{ONLY}; or put what computes it into a module and leave that on the host, host=[its name], or"
    " give the spikes that come out"
)
BETWEEN = {
    _pool_with_indices: (
        "torch.nn.functional.max_pool2d_with_indices between conv and lif is not known; "
        + A_MAXIMUM
    ),
    _antialiased: (
        f"torch.nn.functional.interpolate between the input and lif is not known; {IN_FRONT}"
    ),
    _other_size: ("up: ConvTranspose2d with output_size is not known; use output_padding"),
    _drawn: (
        "lif gets other constants in one sample than in another; numbers drawn in forward are no"
        " network, make them part of the input"
    ),
    _columns_as_images: (
        "lif reads the values of avg_pool2d((1, 2)) mixed between samples, which is not known; keep"
        " the samples in an axis of their own, and take its length from the input"
    ),
    _two_images: (
        "conv acts on 2 images per sample and time step; a linear layer has to take all values of"
        " a sample as one image, use nn.Unflatten before it"
    ),
    _rows_of_images: (
        "fc acts on 12 rows per sample and time step; a linear layer has to take all values of a"
        " sample as one row, use nn.Flatten before it"
    ),
    _not_the_end: (
        "avg_pool2d(2) is not followed by a neuron layer and does not act on each time step; end"
        " with a neuron layer, or with a linear layer for each time step"
    ),
}


@pytest.mark.parametrize("forward", BETWEEN)
def test_refuses_between_the_layers(forward):
    module = filled(type("Net", (Around,), {"forward": forward})())
    with pytest.raises(UnsupportedError) as error:
        from_torch(module, spikes(3, 6, 2, 6, 6))
    assert str(error.value) == BETWEEN[forward]


LAYERS = {
    "0: MaxPool2d is not known; " + A_MAXIMUM: (nn.MaxPool2d(2, return_indices=True)),
    "0: MaxPool2d with ceil_mode=True is not known; use padding or another kernel": (
        nn.MaxPool2d(4, ceil_mode=True)
    ),
    "0: AdaptiveMaxPool2d from 6x6 to 4x4 has windows of different sizes; use a size that divides"
    " the input's": nn.AdaptiveMaxPool2d(4),
    "0: BatchNorm2d without running statistics normalizes by the batch, which a chip does not see;"
    " use track_running_stats=True": nn.BatchNorm2d(2, track_running_stats=False),
}


@pytest.mark.parametrize("message", LAYERS)
def test_refuses_layers(message):
    net = nn.Sequential(LAYERS[message], leaky())
    with pytest.raises(UnsupportedError) as error:
        from_torch(net, spikes(3, 6, 2, 6, 6), time="step")
    assert str(error.value) == message


def test_a_kernel_that_is_too_large_is_the_librarys_error():
    with pytest.raises(InputError, match=r"tried time='step': RuntimeError: .*Kernel size"):
        from_torch(nn.Sequential(nn.Conv2d(2, 3, 7), leaky()), spikes(3, 4, 2, 6, 6), time="step")


def test_a_composition_that_is_too_large_names_the_layer(monkeypatch):
    monkeypatch.setattr("snncompile.synapses.compose.LARGEST", 1000)
    net = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, padding=1), leaky())
    with pytest.raises(UnsupportedError) as error:
        from_torch(net, spikes(3, 4, 2, 6, 6), time="step")
    assert str(error.value) == (
        "1: convolution 2x4x4 -> 2x4x4 kernel=3x3 padding=1x1 after convolution 2x6x6 -> 2x4x4"
        " kernel=3x3 takes up to 2,304 synapses as one projection, more than 1,000; put a neuron"
        " layer between them"
    )
