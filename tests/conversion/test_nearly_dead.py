"""A neuron that is nearly always off, or stated in large numbers, costs the others nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.passes.analysis import measure

IMAGES = torch.rand(120, 1, 12, 12, generator=torch.Generator().manual_seed(0)).double()


def perceptron(largest: float | None) -> nn.Sequential:
    """Return a perceptron; three neurons of its second layer reach `largest` at most."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    ).double()
    with torch.no_grad():
        if largest is not None:
            z = model[:4](IMAGES)
            for neuron in (0, 3, 5):
                model[3].bias[neuron] -= z[:, neuron].max() - largest
        model[5].bias -= model(IMAGES).mean(0)  # answers of all kinds
    return model.eval()


@pytest.mark.parametrize("method, steps", [("signed", 32), ("bistable_phase", 6)])
@pytest.mark.parametrize("largest", [None, 1e-2, 1e-6])
def test_integers_answer_as_floats_do(largest, method, steps):
    model, x = perceptron(largest), IMAGES.numpy()
    with torch.no_grad():
        wanted = model(IMAGES).argmax(1).numpy()
    network = snncompile.from_ann(model, x, method=method, steps=steps)
    shown = network.input.present(x)
    program = snncompile.compile(network, chip="loihi2", calibration=shown[:16])
    floats, integers = (
        float((run.run(shown).prediction == wanted).mean()) for run in (network, program)
    )
    error = (floats * (1 - floats) / len(x)) ** 0.5
    assert integers >= floats - 0.02 - error
    # Half a step of 8 bits is 1/254 of the largest weight, three times that of a middling one where
    # the scales of the sources differ.
    assert max(layer.worst_error for layer in program.quantized) < 0.015
    assert program.loss.answers.different <= 3  # of 16; 5 % differ, and chance adds two
    if largest == 1e-6:  # one scale of such a layer does not exist
        assert program.loss.one_scale is None
        assert program.loss.no_one_scale.startswith("population layer_4: no scale puts both")
        assert str(program.loss).endswith("; with one scale per population it has no integers")
    else:
        assert program.loss.one_scale.share >= program.loss.answers.share


def test_one_scale_is_not_tried_where_samples_take_long(monkeypatch):
    model, x = perceptron(1e-2), IMAGES.numpy()
    network = snncompile.from_ann(model, x, method="signed", steps=32)
    shown = network.input.present(x)[:16]
    samples, steps, *_ = shown.shape
    outputs = (network.input.size + sum(p.size for p in network.populations)) * steps * samples
    losses = []
    for limit in (outputs, outputs - 1):
        monkeypatch.setattr(measure, "CALIBRATION_OUTPUTS", limit)
        losses.append(snncompile.compile(network, chip="loihi2", calibration=shown).loss)
    tried, other = losses
    assert other.one_scale is None
    assert other.no_one_scale == "not tried: the samples take long on a network of this size"
    assert str(other).endswith(
        "; one scale per population was not tried, on a network of this size"
    )
    assert tried.one_scale is not None
    assert tried.answers == other.answers
    assert tried.populations == other.populations


def test_the_loss_names_what_one_scale_costs():
    model, x = perceptron(1e-2), IMAGES.numpy()
    network = snncompile.from_ann(model, x, method="signed", steps=16)
    shown = network.input.present(x)
    program = snncompile.compile(
        network, chip="loihi2", calibration=shown[:16], scales="population"
    )
    layer = next(q for q in program.quantized if q.population == "layer_4")
    assert layer.scales == 1
    assert layer.largest_neuron in (0, 3, 5)
    assert layer.median_error > 0.1 > 0.01 > layer.alone_error
    assert any("layer_4" in text for text in program.warnings)
    text = next(line for line in program.log if line.startswith("quantize"))
    assert (
        f"; neurons of layer_4 have a median of {layer.median_error:.2%}, each by its own" in text
    )


def test_differences_of_equal_values_are_no_activations():
    """A pool of equal values compares rounding errors: their scale would be a millionth of one."""
    torch.manual_seed(0)
    overlapping = nn.MaxPool2d(3, 1, 1)  # all four places get the largest of four
    layers = [nn.Conv2d(1, 4, 3, 6), nn.ReLU(), overlapping, nn.Conv2d(4, 8, 1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 10)).double().eval()
    x = IMAGES.numpy()
    conversion = convert(model, x, "signed", 32)
    compared = [f"layer_5_{i}" for i in (1, 2)]
    found = conversion.ann.compute_activations(x)
    assert all(not found[name].any() for name in compared)
    weights = [p.synapses.weight for p in conversion.network.projections]
    assert max(abs(weight).max() for weight in weights) < 1e3
    shown = conversion.network.input.present(x)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:16])
    with torch.no_grad():
        wanted = model(IMAGES).numpy()
    answers = (answer - answer.mean(axis=0) for answer in (program.run(shown).answer, wanted))
    correlation = np.corrcoef([answer.ravel() for answer in answers])[0, 1]
    assert correlation > 0.95


@pytest.mark.parametrize("pools", [[], [nn.MaxPool2d(2)]])
def test_what_reads_rounding_errors_alone_is_silent_too(pools):
    """It is as large as what it adds up, however small that is."""
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 1, 1, bias=False), nn.Conv2d(1, 2, 1, bias=False)
    layers = [first, nn.ReLU(), *pools, last, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)]
    model, x = nn.Sequential(*layers).double(), IMAGES.repeat(1, 3, 1, 1)
    model(x)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[[[0.1]], [[0.2]], [[-0.3]]]], dtype=torch.float64))
        last.weight.abs_()
        assert 0 < model[:-2](x).max() < 1e-15
    ann = capture(model, x.numpy())
    found = ann.compute_activations(x.numpy())
    rectifiers = [layer.name for layer in ann.rectified if layer.kind == "rectifier"]
    assert len(rectifiers) == 2
    assert not any(found[name].any() for name in rectifiers)
