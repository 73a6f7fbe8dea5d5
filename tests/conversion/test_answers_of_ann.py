"""from_ann compares the values of the last layer, whatever follows it or stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import linear
from torch import nn
from torch.nn import functional

import snncompile
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


class Ended(nn.Module):
    """Two convolutions and a function at the end."""

    def __init__(self, end, rectified=False):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)]
        self.layers = nn.Sequential(*layers, *([nn.ReLU()] if rectified else []))
        self.end, self.answer = end, nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.end(self, self.layers(x))


ENDINGS = {
    "pixel shuffle": (lambda self, y: functional.pixel_shuffle(y, 2), (1, 16, 16)),
    "channels last": (lambda self, y: y.permute(0, 2, 3, 1), (8, 8, 4)),
    "other order": (lambda self, y: y.flip(1), (4, 8, 8)),
    "a crop": (lambda self, y: y[:, :, 1:-1, 2:], (4, 6, 6)),
    "side by side": (lambda self, y: torch.cat([y, 2 * y], 1), (8, 8, 8)),
    "a constant": (lambda self, y: y + 1, (4, 8, 8)),
    "a mean": (lambda self, y: y.mean((2, 3)), (4,)),
    "a pool, rows of the batch": (
        lambda self, y: functional.avg_pool2d(y, 8).view(-1, y.size(1)),
        (4,),
    ),
    "rectified and not": (lambda self, y: y + torch.relu(y), (4, 8, 8)),
    "a layer that is called answer": (lambda self, y: self.answer(y.relu()).flip(1), (2, 8, 8)),
    "softmax of another order": (lambda self, y: y.flip(1).mean((2, 3)).softmax(1), (4,)),
}


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("name", ENDINGS)
def test_the_answer_is_what_forward_returns(name, rectified):
    end, shape = ENDINGS[name]
    module, x = Ended(end, rectified), np.random.default_rng(0).normal(size=(8, 2, 8, 8))
    ann = capture(module, x)
    got = ann.compute_activations(x)["answer"]
    assert ann.layers[-1].shape == tuple(got.shape[1:]) == shape
    got = got.softmax(1) if "softmax" in name else got
    with torch.no_grad():
        torch.testing.assert_close(got, module.double()(torch.tensor(x)).float())


def test_a_reordered_answer_becomes_spikes():
    x = np.random.default_rng(0).normal(size=(16, 2, 8, 8))
    module = Ended(ENDINGS["pixel shuffle"][0], rectified=True)
    network = snncompile.from_ann(module, x, "graded")
    program = snncompile.compile(network, chip="loihi2", calibration=network.input.present(x))
    found = program.run(network.input.present(x)).answer
    with torch.no_grad():
        wanted = module.double()(torch.tensor(x)).numpy()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99
