"""Two maximum pools, and resets of both kinds, from torch to Lava."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile

torch = pytest.importorskip("torch")
snntorch = pytest.importorskip("snntorch")


def leaky(**options):
    return snntorch.Leaky(beta=0.75, init_hidden=True, **options)


def two_pools(pool):
    """Return a network with the weights of a seed; `pool` makes its two pools."""
    nn = torch.nn
    first = nn.Conv2d(2, 3, 3, padding=1), leaky(reset_delay=False), pool()
    second = nn.Conv2d(3, 4, 3, padding=1), leaky(), pool()
    module = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16, 5), leaky())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.1, 0.4, generator=generator)
    return module.eval()


def sums():
    return torch.nn.AvgPool2d(2, divisor_override=1)


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_two_maximum_pools_go_from_torch_to_lava():
    x = (np.random.default_rng(0).random((4, 12, 2, 8, 8)) < 0.4).astype(np.uint8)
    network = snncompile.from_torch(two_pools(lambda: torch.nn.MaxPool2d(2)), x)
    assert [p.size for p in network.populations] == [192, 48, 64, 16, 5]
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    found = program.run(x).spikes
    np.testing.assert_array_equal(program.run(x, backend="lava").spikes, found)
    assert program.verify(x).equal
    assert found.any()
    summed = snncompile.from_torch(two_pools(sums), x)  # windows with several spikes are there
    assert (summed.run(x).spikes != network.run(x).spikes).any()


def tutorial(first: int, second: int):
    """Return the network of snnTorch's tutorial on convolutions: pools stand before the neurons."""
    nn = torch.nn
    layers = nn.Conv2d(1, first, 5), nn.MaxPool2d(2), leaky(), nn.Conv2d(first, second, 5)
    layers += nn.MaxPool2d(2), leaky(), nn.Flatten(), nn.Linear(second * 16, 10), leaky()
    generator = torch.Generator().manual_seed(1)
    module = nn.Sequential(*layers)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan_in = 1 if name.endswith("bias") else parameter[0].numel()
            parameter.normal_(0.02, 1.5 * fan_in**-0.5, generator=generator).clamp_(-1, 1)
    return module.eval()


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_the_tutorial_with_pools_of_currents_goes_from_torch_to_lava():
    x = (np.random.default_rng(0).random((2, 8, 1, 28, 28)) < 0.2).astype(np.uint8)
    network = snncompile.from_torch(tutorial(4, 8), x)
    assert [p.size for p in network.populations] == [1152, 576, 576, 256, 128, 128, 10]
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    found = program.run(x).spikes
    np.testing.assert_array_equal(program.run(x, backend="lava").spikes, found)
    assert program.verify(x).equal
    assert found.any()
    assert program.estimate(x).energy_j > 0
