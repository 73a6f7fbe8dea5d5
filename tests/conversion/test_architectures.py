"""Networks of many kinds are captured and computed as they are, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from architectures import CONVERTS, PLAIN, REFUSED, SHAPE

from snncompile.conversion.capture import capture
from snncompile.conversion.signed import Signed
from snncompile.errors import UnsupportedError


def sample(name: str) -> np.ndarray:
    shape = (3, 16) if name == "maximum over time" else SHAPE
    return np.random.default_rng(len(name)).normal(size=(4, *shape))


def make(table, name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return table[name][0]().eval()


@pytest.mark.parametrize("name", CONVERTS)
def test_what_is_captured_is_what_the_module_computes(name):
    """`capture` compares the answers itself; rate methods take rectifiers and pools, no curves."""
    model, x, first = make(CONVERTS, name), sample(name), CONVERTS[name][1]
    ann = capture(model, x)
    assert sum(layer.kind != "rectifier" for layer in ann.rectified) == 0 or first
    if first != PLAIN:
        with pytest.raises(UnsupportedError) as error:
            Signed().prepare(ann, x)
        assert str(error.value) == (
            f"{first} is no rectifier, and signed sends rates of rectifiers; take method='graded',"
            " or train with ReLU"
        )
        return
    expanded = Signed().prepare(ann, x)
    assert {layer.kind for layer in expanded.rectified} == {"rectifier"}
    wanted = ann.compute_activations(x)[ann.layers[-1].name]
    answers = expanded.compute_activations(x)[expanded.layers[-1].name]
    assert float((answers - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name):
    model, x, message = make(REFUSED, name), sample(name), REFUSED[name][1]
    with pytest.raises(UnsupportedError) as error:
        capture(model, x)
    assert str(error.value) == message


def test_enough_networks_are_tried():
    assert len(CONVERTS) + len(REFUSED) > 60
