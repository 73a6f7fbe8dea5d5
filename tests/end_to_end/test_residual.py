"""A residual convolutional network with batch norm and average pooling, from torch to Lava."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile

torch = pytest.importorskip("torch")
snntorch = pytest.importorskip("snntorch")


def leaky():
    return snntorch.Leaky(beta=0.75, init_hidden=True)


class Block(torch.nn.Module):
    """Two convolutions with batch norm beside a skip."""

    def __init__(self, sources, targets, stride):
        super().__init__()
        nn = torch.nn
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


def residual_network():
    """Return a network with the weights of a seed, whose layers all fire."""
    nn = torch.nn
    stem = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.AvgPool2d(2), leaky()
    blocks = Block(4, 4, 1), Block(4, 6, 2)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), leaky()
    module = nn.Sequential(*stem, *blocks, *head)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.2, 0.6, generator=generator)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.1, 0.6, generator=generator)
    return module.eval()


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_a_residual_network_goes_from_torch_to_lava():
    x = (np.random.default_rng(0).random((4, 12, 2, 8, 8)) < 0.4).astype(np.uint8)
    network = snncompile.from_torch(residual_network(), x)
    kinds = [projection.synapses.wiring.kind for projection in network.projections]
    assert kinds == [
        *("convolution", "convolution", "convolution", "scale"),
        *("convolution", "convolution", "convolution", "dense"),
    ]
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    verification = program.verify(x)
    assert verification.equal
    assert program.run(x).spikes.any()
    assert program.run(x).spikes.shape == (4, 12, 5)
