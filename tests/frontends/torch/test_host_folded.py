"""Layers of the host that get all time steps as one batch, step after step; decoders to leave."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.training import Lif


def drawn(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class Shifted(nn.Module):
    """An ANN front end over all steps of all samples; the chip's layers read two of its steps."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu = nn.Conv2d(1, 2, 3), nn.ReLU()
        self.now, self.before, self.lif = nn.Linear(72, 10), nn.Linear(72, 10), Lif()

    def front(self, x):
        return self.relu(self.conv(x.flatten(0, 1)))

    def forward(self, x):  # (steps, samples, 1, 8, 8)
        values = self.front(x).flatten(1).unflatten(0, x.shape[:2])
        late = torch.cat([torch.zeros_like(values[:1]), values[:-1]])
        drives = [self.now(a) - self.before(b) for a, b in zip(values, late, strict=True)]
        return torch.stack([self.lif(5 * drive) for drive in drives])


def test_a_batch_of_all_steps_is_taken_apart_step_after_step(tmp_path):
    module, x = Shifted(), drawn((3, 7, 1, 8, 8))
    network = from_torch(module, x, time="first", host=["conv", "relu"])
    part = network.input.host_part
    assert part.held == "folded_first"
    shown = part.run(x, module)
    with torch.no_grad():
        front = module.front(torch.tensor(x).transpose(0, 1)).numpy()
    np.testing.assert_allclose(
        shown, front.reshape(7, 3, 2, 6, 6).swapaxes(0, 1), atol=1e-6
    )  # float32
    assert sorted(p.delay for p in network.projections if p.source == "input") == [0, 1]
    snncompile.compile(network, chip="loihi2", calibration=shown).save(tmp_path / "build")
    program = snncompile.load(tmp_path / "build")
    assert program.network.input.host_part == part
    verification = program.verify(x, model=module, host=module, lava=False)
    assert verification.comparison("library", "float").equal
    assert program.run(x, host=module).spikes.any()


class Decoded(nn.Module):
    """A decoder with an activation behind the neurons; one pool in front of them and behind."""

    def __init__(self):
        super().__init__()
        self.conv, self.lif, self.pool = nn.Conv2d(2, 4, 3, padding=1), Lif(), nn.AvgPool2d(2)
        self.head = nn.Sequential(nn.Linear(16, 4), nn.Sigmoid())
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        spikes = self.lif(self.conv(self.pool(x)))
        return self.last(self.head(self.pool(spikes).flatten(1)))


def test_a_decoder_is_offered_to_the_host():
    x = (np.random.default_rng(0).random((3, 7, 2, 8, 8)) < 0.5).astype(np.uint8)
    with pytest.raises(UnsupportedError) as error:
        from_torch(Decoded(), x)
    assert str(error.value) == (
        "torch.sigmoid between head.0 and last is not known; known are functions that"
        " only reshape or select, average pooling, sums of layers and factors; or leave what is"
        " behind the neurons on the host: host=['head.0', 'last']"
    )
    network = from_torch(Decoded(), x, host=["head.0", "last"])
    assert network.input.host_part.after == ("head.0", "last")
