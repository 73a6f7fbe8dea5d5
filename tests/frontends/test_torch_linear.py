"""Linear layers of torch: each against the library, in whole networks, and what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.torch_layers import sample_axes
from snncompile.frontends.torch_linear import LINEAR, POOLS
from snncompile.frontends.torch_module import from_torch
from snncompile.neurons.base import Interval
from snncompile.reference.synapses import bind
from snncompile.synapses.convolution import Convolution

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")


def leaky(beta=0.75, **options):
    return snn.Leaky(beta=beta, init_hidden=True, **options)


def filled(module, seed=0):
    """Return the module with random weights and statistics, large enough for spikes."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.1, 0.6, generator=generator)
        if type(layer) in LINEAR:
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.normal_(0.2, 0.6, generator=generator)
    return module.eval()


def spikes(*shape, seed=0):
    """Return random spikes of shape (samples, steps, *shape)."""
    return (np.random.default_rng(seed).random(shape) < 0.4).astype(np.uint8)


def native(module, x):
    """Run the user's module step by step in its own float32; return its spikes."""
    module = copy.deepcopy(module)
    utils.reset(module)
    x = torch.tensor(x).float()
    with torch.no_grad():
        return torch.stack([module(one) for one in x.unbind(1)], dim=1).numpy()


def check(module, x, allowed=0.0):
    """Import the module (which compares in float64) and compare the spikes with float32 too."""
    network = from_torch(module, x, time="step")
    differ = np.mean(network.run(x).spikes != native(module, x))
    assert differ <= allowed
    return network


# Each layer alone, with every option: what it does to one sample is synapses and a bias.
IMAGE, LINE = (4, 9, 6), (4, 11)
ALONE = [
    (nn.Linear(5, 3), (5,)),
    (nn.Linear(5, 3, bias=False), (5,)),
    (nn.Conv1d(4, 6, 3), LINE),
    (nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), LINE),
    (nn.Conv1d(4, 4, 3, padding="same", dilation=3, groups=4), LINE),
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
]


def describe(value):
    return str(value).replace(" ", "")


@pytest.mark.parametrize("layer, shape", ALONE, ids=describe)
def test_a_layer_is_its_synapses_and_bias(layer, shape):
    layer = filled(copy.deepcopy(layer)).double()
    x = torch.tensor(np.random.default_rng(1).normal(size=(3, *shape)))
    assert sample_axes(layer, x.ndim) == len(shape)
    affine = LINEAR[type(layer)].translate(layer, "layer", shape)
    ours = bind(affine.synapses, Interval(0, 1))(x.flatten(1)) + torch.tensor(affine.bias)
    expected = layer(x).detach()
    np.testing.assert_allclose(ours, expected.flatten(1), rtol=1e-11, atol=1e-11)
    if isinstance(affine.synapses.wiring, Convolution):
        assert affine.synapses.wiring.target_shape == expected.shape[1:]


def test_every_row_is_tested():
    assert {type(layer) for layer, _ in ALONE} == set(LINEAR)
    assert {POOLS[f.__name__] for f, *_ in CALLS} == set(POOLS.values())


# Functions that are layers without weights; the arguments any way round.
CALLS = [
    (F.avg_pool2d, (2,), {}, IMAGE, "kernel=2x2 stride=2x2 groups=4"),
    (F.avg_pool2d, (3,), {"stride": 1, "padding": 1}, IMAGE, "kernel=3x3 padding=1x1 groups=4"),
    (F.avg_pool1d, (), {"kernel_size": 3}, LINE, "kernel=3 stride=3 groups=4"),
    (F.adaptive_avg_pool2d, (3,), {}, IMAGE, "kernel=3x2 stride=3x2 groups=4"),
    (F.adaptive_avg_pool1d, (), {"output_size": 1}, LINE, "kernel=11 stride=11 groups=4"),
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
        assert str(network.projections[0].synapses.wiring).endswith(f" {text}")


NAMES = {f: ("kernel_size" if "adaptive" not in f.__name__ else "output_size",) for f, *_ in CALLS}


# Networks, with their text.
def _residual_block():
    class Block(nn.Module):
        def __init__(self, sources, targets, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(sources, targets, 3, stride, padding=1, bias=False)
            self.bn1, self.lif1 = nn.BatchNorm2d(targets), leaky()
            self.conv2 = nn.Conv2d(targets, targets, 3, padding=1, bias=False)
            self.bn2, self.lif2 = nn.BatchNorm2d(targets), leaky()
            self.skip = nn.Identity()
            if stride != 1:
                self.skip = nn.Sequential(
                    nn.Conv2d(sources, targets, 1, stride, bias=False), nn.BatchNorm2d(targets)
                )

        def forward(self, x):
            y = self.bn2(self.conv2(self.lif1(self.bn1(self.conv1(x)))))
            return self.lif2(y + self.skip(x))

    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.AvgPool2d(2), leaky()),
        *(Block(4, 4, 1), Block(4, 6, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), leaky()),
    )


def _concatenating_block():
    """Every layer reads all before it, as in a DenseNet; convolutions stay what they are."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), leaky()
            self.bn, self.conv2, self.lif2 = nn.BatchNorm2d(5), nn.Conv2d(5, 4, 3), leaky()
            self.fc, self.lif3 = nn.Linear(68, 3), leaky()

        def forward(self, x):
            y = torch.cat([x, self.lif1(self.conv1(x))], dim=1)
            z = self.lif2(self.conv2(self.bn(y)))
            return self.lif3(self.fc(torch.cat([z.flatten(1), y[:, 1:, 2, 3]], dim=-1)))

    return Block()


def _shortcut_of_zeros():
    """The shortcut of a CIFAR ResNet: every other pixel, and channels of zeros."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lif = nn.Conv2d(2, 4, 3, stride=2, padding=1), leaky()
            self.pad = nn.ZeroPad2d(1)
            self.fc, self.out = nn.Linear(100, 3), leaky()

        def forward(self, x):
            skip = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1), "constant", 0)
            return self.out(self.fc(self.pad(self.lif(self.conv(x) + skip)).flatten(1)))

    return Block()


def _pool_alone():
    return nn.Sequential(
        nn.AvgPool2d(2), leaky(threshold=0.4), nn.Flatten(), nn.Linear(18, 2), leaky()
    )


def _batch_norm_alone():
    return nn.Sequential(nn.BatchNorm2d(2), leaky())


def _batch_norm_before():
    return nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1), leaky())


def _linear_with_batch_norm():
    layers = nn.Flatten(), nn.Linear(72, 4), nn.BatchNorm1d(4), leaky(), nn.BatchNorm1d(4)
    return nn.Sequential(*layers, nn.Linear(4, 3, bias=False), leaky())


def _synaptic_with_padding():
    """The bias of the first layer reaches the neurons through the padding of the second."""
    layers = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 3, padding=1)
    return nn.Sequential(*layers, snn.Synaptic(0.5, 0.8, init_hidden=True))


def _one_dimension():
    layers = nn.Flatten(2), nn.Conv1d(2, 3, 5, stride=2), nn.BatchNorm1d(3), leaky()
    return nn.Sequential(*layers, nn.AvgPool1d(4), nn.Flatten(), nn.Linear(12, 2), leaky())


def _channel_parameters():
    beta = torch.tensor([0.25, 0.5, 0.75]).reshape(3, 1, 1)
    return nn.Sequential(nn.Conv2d(2, 3, 3, groups=1), leaky(beta))


def _skip_of_the_same_spikes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
            self.point, self.lif = nn.Conv2d(2, 2, 1), leaky()

        def forward(self, x):
            return self.lif(x + self.one(x) + self.two(x) + self.point(x) + x)

    return Net()


def _spikes_added():
    """Adds spikes, not currents: values of 0 to 2."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.lif1 = nn.Conv2d(2, 2, 3, padding="same"), leaky()
            self.conv2, self.lif2 = nn.Conv2d(2, 2, 3, padding="same"), leaky()
            self.fc, self.lif3 = nn.Linear(8, 3), leaky()

        def forward(self, x):
            one = self.lif1(self.conv1(x))
            two = self.lif2(self.conv2(one)) + one
            return self.lif3(self.fc(torch.flatten(F.avg_pool2d(two, 3), 1)))

    return Net()


def _residual_potential():
    """No neuron on the way of the skip, so it reaches all later layers."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), leaky()
            self.conv1, self.lif2 = nn.Conv2d(3, 3, 3, padding=1), leaky()
            self.conv2, self.lif3 = nn.Conv2d(3, 3, 3, padding=1), leaky()

        def forward(self, x):
            x = self.stem(x)
            x = x + self.conv1(self.lif1(x))
            x = x + self.conv2(self.lif2(x))
            return self.lif3(x)

    return Net()


NETWORKS = [
    _residual_block,
    _concatenating_block,
    _shortcut_of_zeros,
    _pool_alone,
    _batch_norm_alone,
    _batch_norm_before,
    _linear_with_batch_norm,
    _synaptic_with_padding,
    _one_dimension,
    _channel_parameters,
    _skip_of_the_same_spikes,
    _spikes_added,
    _residual_potential,
]


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_networks_spike_as_the_library(make, golden):
    module, shape = filled(make()), (2, 16, 16) if make is _residual_block else (2, 6, 6)
    network = check(module, spikes(4, 12, *shape), allowed=0.001)
    golden(str(network))


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("average", [nn.AvgPool2d, lambda _: nn.AdaptiveAvgPool2d(2)])
def test_a_full_window_is_at_the_threshold_and_not_above(average, size):
    """In torch, which divides the sum, the mean of ones is 1; a sum of shares may be a bit more."""
    layer = average(size)
    x = np.ones((2, 1, 3, 2 * size, 2 * size))
    assert not from_torch(nn.Sequential(layer, leaky()), x).run(x).spikes.any()
    above = from_torch(nn.Sequential(layer, leaky(threshold=0.999)), x)
    assert above.run(x).spikes.all()


def test_a_layer_in_training_is_imported_as_it_infers():
    module = filled(_linear_with_batch_norm())
    x = spikes(4, 12, 2, 6, 6)
    expected, counted = str(from_torch(module, x)), int(module[2].num_batches_tracked)
    assert str(from_torch(module.train(), x)) == expected
    assert module[2].training
    assert int(module[2].num_batches_tracked) == counted


def test_all_time_steps_may_go_through_a_layer_at_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
            self.lif = snn.Leaky(beta=0.5)

        def forward(self, x):
            mem, record = self.lif.init_leaky(), []
            current = self.bn(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])
            for one in F.avg_pool2d(current.flatten(0, 1), 2).unflatten(0, x.shape[:2]):
                spk, mem = self.lif(one, mem)
                record.append(spk)
            return torch.stack(record)

    module, x = filled(Net()), spikes(3, 7, 2, 6, 6)
    network = from_torch(module, x)
    with torch.no_grad():
        expected = module(torch.tensor(x).float().transpose(0, 1)).transpose(0, 1)
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert network.output_shape == (3, 2, 2)


# Random networks.
@st.composite
def chains(draw):
    """Draw a convolutional network, the shapes of its input and its output."""
    axes = draw(st.sampled_from([1, 2]))
    shape = (draw(st.sampled_from([1, 2, 4])), *draw(st.tuples(*[st.integers(4, 9)] * axes)))
    channels, layers, space = shape[0], [], torch.zeros(1, *shape)
    conv, bn = (nn.Conv1d, nn.BatchNorm1d) if axes == 1 else (nn.Conv2d, nn.BatchNorm2d)
    average = nn.AvgPool1d if axes == 1 else nn.AvgPool2d
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "pool", "norm", "neuron"]))
        if kind == "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
            options = {
                name: draw(st.integers(low, high))
                for name, low, high in [("stride", 1, 3), ("padding", 0, 2), ("dilation", 1, 2)]
            }
            after = groups * draw(st.integers(1, 3))
            size, bias = draw(st.integers(1, 3)), draw(st.booleans())
            layer = conv(channels, after, size, groups=groups, bias=bias, **options)
        elif kind == "pool":
            size = draw(st.integers(1, 3))
            layer = average(size, draw(st.integers(1, 3)), draw(st.integers(0, size // 2)))
        else:
            layer = bn(channels) if kind == "norm" else leaky(threshold=0.77)
        try:
            with torch.no_grad():
                space = layer.eval()(space)
        except RuntimeError:  # the kernel is larger than what is left
            assume(False)
        channels = space.shape[1]
        layers.append(layer)
    if draw(st.booleans()):
        layers, space = [*layers, nn.Flatten(), nn.Linear(space.numel(), 3)], torch.zeros(1, 3)
    return nn.Sequential(*layers, leaky(threshold=0.77)), shape, tuple(space.shape[1:])


class Skips(nn.Module):
    """The same chain twice side by side, with other weights, and perhaps an identity."""

    def __init__(self, one, identity):
        super().__init__()
        self.one, self.two = one[:-1], filled(copy.deepcopy(one[:-1]), seed=7)
        self.identity, self.lif = identity, one[-1]

    def forward(self, x):
        total = self.one(x) + self.two(x)
        return self.lif(total + x if self.identity else total)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(chain=chains(), skips=st.booleans(), identity=st.booleans(), seed=st.integers(0, 99))
def test_random_networks_spike_as_the_library(chain, skips, identity, seed):
    module, shape, target_shape = chain
    filled(module, seed)
    if skips:
        module = Skips(module, identity and shape == target_shape)
    check(module, spikes(2, 6, *shape, seed=seed), allowed=0.05)


# Refused, with the whole message.
def _functional_pool(m, x):
    return m.lif(F.max_pool2d(m.conv(x), 2))


def _pool_with_indices(m, x):
    return m.lif(F.max_pool2d(m.conv(x), 2, return_indices=True)[0])


def _adaptive_maximum(m, x):
    return m.lif(F.adaptive_max_pool2d(m.conv(x), 1))


def _functional_convolution(m, x):
    return m.lif(F.conv2d(x, m.conv.weight))


def _functional_norm(m, x):
    return m.lif(F.batch_norm(m.conv(x), torch.zeros(3), torch.ones(3)))


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


A_MAXIMUM = "a maximum is no weighted sum of spikes: use average pooling (nn.{}) or a stride of the"
A_MAXIMUM += " convolution before it, and train with it"
ONLY = (
    "known are functions that only reshape or select, average pooling, sums of layers and factors"
)
BETWEEN = {
    _functional_pool: (
        "torch.nn.functional.max_pool2d between conv and lif is not known; "
        + A_MAXIMUM.format("AvgPool2d")
    ),
    _pool_with_indices: (
        "torch.nn.functional.max_pool2d_with_indices between conv and lif is not known; "
        + A_MAXIMUM.format("AvgPool2d")
    ),
    _adaptive_maximum: (
        "torch.nn.functional.adaptive_max_pool2d between conv and lif is not known; "
        + A_MAXIMUM.format("AdaptiveAvgPool2d")
    ),
    _functional_convolution: (
        f"torch.nn.functional.conv2d between the input and lif is not known; {ONLY}"
    ),
    _functional_norm: f"torch.nn.functional.batch_norm between conv and lif is not known; {ONLY}",
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
    "0: MaxPool2d is not known; " + A_MAXIMUM.format("AvgPool2d"): nn.MaxPool2d(2),
    "0: MaxPool1d is not known; " + A_MAXIMUM.format("AvgPool1d"): nn.MaxPool1d(2),
    "0: AdaptiveMaxPool2d is not known; " + A_MAXIMUM.format("AdaptiveAvgPool2d"): (
        nn.AdaptiveMaxPool2d(2)
    ),
    "0: Conv2d with padding_mode='circular' is not known; use 'zeros'": nn.Conv2d(
        2, 3, 3, padding=1, padding_mode="circular"
    ),
    "0: Conv2d with padding='same' pads one end more than the other for kernel (3, 2); use an odd"
    " kernel, or padding as a number": nn.Conv2d(2, 3, (3, 2), padding="same"),
    "0: AvgPool2d with ceil_mode=True is not known; use padding or another kernel": (
        nn.AvgPool2d(4, ceil_mode=True)
    ),
    "0: AvgPool2d with padding and count_include_pad=False is not known; use"
    " count_include_pad=True": nn.AvgPool2d(2, padding=1, count_include_pad=False),
    "0: AdaptiveAvgPool2d from 6x6 to 4x6 averages over windows of different sizes; use a size"
    " that divides the input's": nn.AdaptiveAvgPool2d((4, None)),
    "0: BatchNorm2d without running statistics normalizes by the batch, which a chip does not see;"
    " use track_running_stats=True": nn.BatchNorm2d(2, track_running_stats=False),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
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
