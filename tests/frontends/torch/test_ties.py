"""Ties, where rounding decides, are told from other differences, and taken if one says so."""

from __future__ import annotations

import numpy as np
import pytest
from cells import Hard, KeptInside, drawn_spikes
from torch import nn

from snncompile.errors import ImportMismatchError, InputError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.neurons.cuba_lif import CubaLif

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")


def averages(threshold=1.0):
    x = (np.random.default_rng(0).random((2, 20, 1, 12, 12)) < 0.4).astype(np.float32)
    return nn.Sequential(nn.AvgPool2d(3), neuron.IFNode(v_threshold=threshold)), x


def test_says_how_many_ties_there_are():
    with pytest.raises(ImportMismatchError) as error:
        from_torch(*averages())
    assert str(error.value) == (
        "layer_1: sample 0, time step 1, neuron 7: a tie, the potential meets the threshold and"
        " rounding decides; 53 of 640 outputs are ties that the module decides otherwise, nothing"
        " else differs; take them with ties='accept', or move the threshold a little"
    )


def test_takes_ties(caplog):
    from_torch(*averages(), ties="accept")
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "53 of 640 outputs are ties that the module decides otherwise: a potential meets the"
        " threshold, and rounding decides"
    ]


@pytest.mark.parametrize("threshold", [1 - 1e-6, 1 + 1e-6])
def test_a_threshold_beside_the_sums_has_no_ties(threshold):
    from_torch(*averages(threshold))


@pytest.mark.parametrize("decay", [0.25 + 1e-4, 0.3])
def test_other_differences_are_no_ties(decay):
    said = {Hard: CubaLif(1.0, decay, 1.0)}
    with pytest.raises(ImportMismatchError, match="the module's output is"):
        from_torch(KeptInside(Hard(), Hard()), drawn_spikes(steps=300), neurons=said, ties="accept")


def test_knows_two_choices():
    with pytest.raises(InputError, match="ties must be 'refuse' or 'accept', got 'yes'"):
        from_torch(*averages(), ties="yes")
