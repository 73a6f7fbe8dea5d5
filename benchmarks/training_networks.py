"""Spiking networks for training from nothing: a small one in three ways, and two deep ones.

All take (steps, samples, *shape) and return what arrives at the last neurons in each step, so they
are made of SpikingJelly's layers with `step_mode="m"` and of `training.MultiStepLif`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import conversion_networks as networks
from spikingjelly.activation_based import layer, surrogate
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snncompile import training

Norm = Callable[[int], nn.Module]
Neurons = Callable[[], nn.Module]
Conv2d = partial(layer.Conv2d, bias=False, step_mode="m")
WIDTHS = ((3, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2))
"""Channels before and after, and stride, of the small network's convolutions."""


def tdbn_norm(width: int, share: float = 1.0) -> nn.Module:
    """Return the batch normalization of Zheng et al. for a threshold of 0.5.

    Args:
        width: channels.
        share: of the deviation, for each of several layers that are added up.
    """
    return layer.ThresholdDependentBatchNorm2d(share, 0.5, width)


def tdbn_neurons() -> nn.Module:
    """Return the neurons of Zheng et al.: a window of 1 around the threshold."""
    window = surrogate.Rect(alpha=0.5)
    return training.MultiStepLif(0.75, threshold=0.5, reset="hard", surrogate=window)


def deep_norm(width: int) -> nn.Module:
    """Return batch normalization of currents over samples and time steps (Ledinauskas et al.)."""
    return layer.BatchNorm2d(width, step_mode="m")


def deep_neurons() -> nn.Module:
    """Return the neurons of Ledinauskas et al., whose surrogate has a slope of 10."""
    return training.MultiStepLif(surrogate=partial(training.fast_sigmoid, slope=10.0))


def counting_neurons() -> nn.Module:
    """Return the neurons of Lee et al. with a leak of a hundredth."""
    return training.SpikeBackpropLif(0.01)


def pixels() -> nn.Module:
    """Return the normalization of pixels 0..255."""
    return layer.SeqToANNContainer(networks.pixels())


def build_small(norm: Norm, neurons: Neurons) -> nn.Module:
    """Return the small network with batch normalization, for pixels of 16 x 16."""
    layers: list[nn.Module] = [pixels()]
    for before, width, stride in WIDTHS:
        layers += [Conv2d(before, width, 3, stride, 1), norm(width), neurons()]
    return nn.Sequential(*layers, *_build_end(384))


def build_counting(dropout: float = 0.1) -> nn.Module:
    """Return the small network of Lee et al.: no normalization, dropout, spikes as input."""
    layers: list[nn.Module] = []
    for before, width, stride in WIDTHS:
        convolution = Conv2d(before, width, 3, stride, 1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, counting_neurons(), layer.Dropout(dropout, step_mode="m")]
    return nn.Sequential(*layers, *_build_end(384))


def _build_end(features: int) -> tuple[nn.Module, ...]:
    return (
        layer.AvgPool2d(2, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(features, 10, step_mode="m"),
    )


class Block(nn.Module):
    """Convolutions beside a shortcut; what both give adds up before the last neurons."""

    def __init__(
        self, before: int, widths: list[tuple[int, int]], stride: int, norm: Norm, neurons: Neurons
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, strides = before, [1 for _ in widths]
        strides[[size for _, size in widths].index(3)] = stride
        for number, (after, size) in enumerate(widths):
            layers += [Conv2d(width, after, size, strides[number], size // 2), norm(after)]
            layers += [] if number == len(widths) - 1 else [neurons()]
            width = after
        self.main, self.neurons = nn.Sequential(*layers), neurons()
        same = before == width and stride == 1
        shortcut = (Conv2d(before, width, 1, stride), norm(width))
        self.shortcut = nn.Identity() if same else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of the block."""
        spikes: Tensor = self.neurons(self.main(x) + self.shortcut(x))
        return spikes


def build_resnet19() -> nn.Module:
    """Return ResNet-19 with tdBN (Zheng et al.) for 32 x 32: 128, 256 and 512 channels."""
    added = partial(tdbn_norm, share=2**-0.5)
    layers: list[nn.Module] = [pixels(), Conv2d(3, 128, 3, 1, 1), tdbn_norm(128), tdbn_neurons()]
    before = 128
    for width, blocks, first in ((128, 3, 1), (256, 3, 2), (512, 2, 2)):
        for number in range(blocks):
            stride = first if number == 0 else 1
            layers.append(Block(before, [(width, 3), (width, 3)], stride, added, tdbn_neurons))
            before = width
    end = (layer.AdaptiveAvgPool2d(1, step_mode="m"), layer.Flatten(step_mode="m"))
    hidden = (layer.Linear(512, 256, step_mode="m"), tdbn_neurons())
    return nn.Sequential(*layers, *end, *hidden, layer.Linear(256, 10, step_mode="m"))


def build_resnet50() -> nn.Module:
    """Return ResNet-50 with batch normalization of currents for 32 x 32 (Ledinauskas et al.)."""
    layers: list[nn.Module] = [pixels(), Conv2d(3, 64, 3, 1, 1), deep_norm(64), deep_neurons()]
    before = 64
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(blocks):
            stride = first if number == 0 else 1
            widths = [(width, 1), (width, 3), (4 * width, 1)]
            layers.append(Block(before, widths, stride, deep_norm, deep_neurons))
            before = 4 * width
    end = (layer.AdaptiveAvgPool2d(1, step_mode="m"), layer.Flatten(step_mode="m"))
    return nn.Sequential(*layers, *end, layer.Linear(2048, 10, step_mode="m"))


def keep_last_statistics(net: nn.Module) -> None:
    """Let batch normalization keep the statistics of its next batch alone."""
    for norm in net.modules():
        if isinstance(norm, _BatchNorm) and norm.affine:  # tdBN is no BatchNorm2d
            norm.momentum = 1.0


def begin_training(net: nn.Module) -> None:
    """Let a network train; the normalization of pixels keeps its statistics."""
    net.train()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.train(norm.affine)
