"""Weights that benchmarks ship: plain arrays, of the networks and trainings they are taken for."""

from __future__ import annotations

from dataclasses import replace

import conversion_networks as networks
import numpy as np
import pytest
import torch
from trained_weights import SHIPPED, Training, load_or_train, read_weights, write_weights

from snncompile.conversion.rate_norm import with_rate_norm

# File -> its network, images, epochs, rate of learning, whether images were mirrored.
MADE = {
    "lenet": (networks.lenet, 20_000, 6, 3e-3, False),
    "mnist": (networks.cnn, 8_000, 4, 3e-3, False),
    "mnist_cnn": (networks.cnn, 8_000, 4, 3e-3, False),
    "mobilenet": (networks.mobilenet, 40_000, 4, 4e-3, True),
    "rate_norm": (lambda: with_rate_norm(networks.deep()), 8_000, 5, 3e-3, False),
    "vgg": (networks.vgg, 40_000, 4, 4e-3, True),
    "vgg_max": (lambda: networks.vgg(torch.nn.MaxPool2d), 4_000, 1, 1e-3, True),
}


def never(model: torch.nn.Module) -> None:
    raise AssertionError("the shipped weights were not taken")


def test_all_that_are_shipped_are_known():
    assert {path.stem for path in SHIPPED.iterdir()} == set(MADE)


@pytest.mark.parametrize("name", MADE)
def test_shipped_weights_are_taken(name):
    make, *facts = MADE[name]
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    load_or_train(name, model, Training(repr(model), *facts), never)
    assert not model.training
    assert any((value != before[key]).any() for key, value in model.state_dict().items())
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_weights_of_another_training_are_not_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trained_weights.KEPT", tmp_path)
    model = networks.cnn()
    known = Training(repr(model), *MADE["mnist"][1:])
    for other in (replace(known, images=7), replace(known, epochs=1), replace(known, network="")):
        assert read_weights(SHIPPED / "mnist.npz", other) is None
    calls: list[torch.nn.Module] = []
    load_or_train("mnist", model, replace(known, images=7), calls.append)
    load_or_train("mnist", model, known, calls.append, anew=True)
    assert calls == [model, model]
    load_or_train("mnist", model, known, calls.append)
    assert len(calls) == 2
    assert capsys.readouterr().out.splitlines()[-1] == "mnist: weights of weights/mnist.npz"


def test_what_is_written_is_read(tmp_path):
    model = networks.cnn()
    training = Training(repr(model), 3, 1, 0.5, mirrored=False)
    write_weights(tmp_path / "some.npz", model, training)
    found = read_weights(tmp_path / "some.npz", training)
    assert found is not None
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(found[key].numpy(), value.numpy())
