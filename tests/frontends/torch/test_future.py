"""Layers that act along the time axis, and attention over it, are refused with the reason."""

from __future__ import annotations

import pytest
import torch
from spiking import leaky, spikes
from torch import nn

from snncompile.errors import SnnCompileError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch


class OverTime(nn.Module):
    """A convolution over time before the neurons; takes (samples, channels, steps)."""

    def __init__(self, stride):
        super().__init__()
        self.conv, self.lif = nn.Conv1d(2, 4, 5, padding=2, stride=stride), leaky()

    def forward(self, x):
        return torch.stack([self.lif(current) for current in self.conv(x).unbind(2)], 2)


MESSAGES = {
    1: "conv reads the input of time step 15 in time step 14, before it arrives; if it acts along"
    " the time axis, let it act on each time step alone",
    2: "OverTime does not run on 2 samples of 16 time steps; tried time='last': lif is called 8"
    " times: conv acts along the time axis, so lif would need input that has not arrived; let it"
    " act on each time step alone",
}


@pytest.mark.parametrize("time", ["last", "auto"])
@pytest.mark.parametrize("stride", MESSAGES)
def test_says_that_a_layer_looks_into_the_future(stride, time):
    with pytest.raises(SnnCompileError) as error:
        from_torch(OverTime(stride), spikes(4, 16, 2), time=time)
    assert str(error.value) == MESSAGES[stride]


class Attends(nn.Module):
    """Spikes for each pair of time steps, which hold no samples."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.lif = nn.Linear(5, 4), nn.Linear(5, 4), leaky()

    def forward(self, x):
        pairs = self.query(x) @ torch.relu(self.key(x)).transpose(1, 2)
        return self.lif(pairs.flatten().unsqueeze(0))


def test_attention_is_named_where_it_mixes_time_steps():
    with pytest.raises(UnsupportedError) as error:
        from_torch(Attends(), spikes(4, 7, 5))
    assert str(error.value) == (
        "torch.Tensor.matmul of query and key is not known; a product with a matrix of weights"
        " is known; attention multiplies values of two layers, use a convolution or a linear layer"
        " in its place"
    )
