"""Networks of linear layers and neurons: they spike as the library."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from layers import check, filled, leaky, spikes
from torch import nn
from torch.nn import functional as F  # noqa: N812

from snncompile.frontends.torch.from_torch import from_torch
from snncompile.training import Lif

snn = pytest.importorskip("snntorch")


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


def _maxima_of_spikes():
    """One layer in two places, one with a window that overlaps and sees the border, a function."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), leaky()
            self.pool, self.wide = nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1)
            self.conv2, self.lif2 = nn.Conv2d(3, 3, 1), leaky(threshold=1.5)
            self.fc, self.lif3 = nn.Linear(9, 4), leaky()

        def forward(self, x):
            x = self.lif2(self.conv2(self.pool(self.lif1(self.conv(x)))))
            return self.lif3(self.fc(F.max_pool2d(self.wide(x), (3, 1), 1).flatten(1)))

    return Net()


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
    _maxima_of_spikes,
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
    # The smallest has 36 outputs, of which rounding to float32 may change a few.
    check(module, spikes(2, 6, *shape, seed=seed), allowed=0.1)


def test_a_maximum_is_read_by_several_layers_from_one_population():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif, self.pool, self.one = Lif(threshold=0.5), nn.MaxPool1d(2), nn.Linear(4, 3)
            self.two, self.out = nn.Linear(4, 3), Lif(threshold=0.5)

        def forward(self, x):
            x = self.pool(self.lif(x)).flatten(1)
            return self.out(self.one(x) - 0.5 * self.two(x))

    network = from_torch(filled(Net()), spikes(4, 12, 2, 4))
    assert [p.name for p in network.populations] == ["lif", "pool", "out"]
    assert len(network.into("out")) == 1
