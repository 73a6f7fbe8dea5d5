"""from_ann compares the values of the last layer, whatever follows it or stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import linear
from torch import nn

from snncompile.conversion import capture as capture_module
from snncompile.conversion.capture import capture
from snncompile.errors import ImportMismatchError


class Unused(nn.Module):
    """Has a Softmax that it does not call; `shape` is that of its result."""

    def __init__(self, softmax, shape=(3,)):
        super().__init__()
        self.layers = nn.Sequential(linear(4, 5), nn.ReLU(), linear(5, 3, seed=1))
        self.softmax, self.used, self.shape = nn.Softmax(-1), softmax, shape

    def forward(self, x):
        y = self.layers(x)
        return (self.softmax(y) if self.used else y).reshape(-1, *self.shape)


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_a_small_error_is_found(softmax, shape, monkeypatch):
    x = np.random.default_rng(0).random((8, 4))
    module = Unused(softmax, shape)
    capture(module, x)
    make = capture_module._make_layers

    def make_wrong(layers):
        with torch.no_grad():
            module.layers[2].bias[2] += 1e-4  # of the module, after it was read
        return make(layers)

    monkeypatch.setattr(capture_module, "_make_layers", make_wrong)
    with pytest.raises(ImportMismatchError, match=r"differ by 0\.0001, of"):
        capture(module, x)
