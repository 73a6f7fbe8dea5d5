"""Layers of torch with random weights, run as a user runs them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.linear_layers import LINEAR

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
