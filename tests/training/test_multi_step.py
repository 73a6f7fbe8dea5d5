"""Layers over all time steps: gradients by hand, what they lower to, what they refuse."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError
from snncompile.training.float_records import _bind_all

jelly = pytest.importorskip("spikingjelly.activation_based")
layer = pytest.importorskip("spikingjelly.activation_based.layer")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")


def differentiate(neurons, x, gradient):
    """Return spikes and the gradient of the input of one neuron."""
    x = torch.tensor(x, dtype=torch.float64).reshape(-1, 1, 1).requires_grad_()
    spikes = neurons(x)
    spikes.backward(torch.tensor(gradient, dtype=torch.float64).reshape(-1, 1, 1))
    return spikes.flatten().tolist(), x.grad.flatten().tolist()


def test_counts_of_spikes_by_hand():
    """Fires in steps 0 and 2; the trace ends at ((1 / 2) / 2 + 1) / 2, of two spikes."""
    neurons = training.SpikeBackpropLif(0.5, threshold=1.0)
    spikes, gradient = differentiate(neurons, [1.5, 0.6, 0.8, 0.1], [1, 2, 3, 4])
    assert spikes == [1, 0, 1, 0]
    slope = 1 + math.log(0.5) * 0.625 / 2
    assert gradient == pytest.approx([slope, 3 * slope, 3 * slope, 0])


def test_without_leak_the_derivative_is_one_per_threshold():
    neurons = training.SpikeBackpropLif(threshold=2.0)
    spikes, gradient = differentiate(neurons, [1.5, 1.0, 1.0, 1.5], [1, 2, 3, 4])
    assert spikes == [0, 1, 0, 1]
    assert gradient == pytest.approx([1, 1, 2, 2])


def test_spikes_that_are_long_ago_have_the_correction_alone():
    """2^-10 of a spike is left: no more a neuron that fires, but still a logarithm."""
    spikes, gradient = differentiate(training.SpikeBackpropLif(0.5), [1.5, *[0] * 10], [1] * 11)
    assert sum(spikes) == 1
    assert gradient[0] == pytest.approx(math.log(0.5) * 2**-10)


def test_the_rectangle_by_hand():
    """tdBN: a slope of 1 within 0.5 of the threshold; the gradient passes the reset.

    Potentials 0.4, 0.7 (fires) and 1.1 (fires, beyond the window).
    """
    spikes, gradient = differentiate(rectangle(), [0.4, 0.6, 1.1], [1, 1, 1])
    assert spikes == [0, 1, 1]
    assert gradient == pytest.approx([1 + 0.25 * (1 - 0.4), 1, 0])


def test_the_tuned_surrogate_by_hand():
    """Soft reset: v - spike; the slope is 1 / (1 + 10 |v - 1|)^2."""
    neurons = training.MultiStepLif(surrogate=partial(training.fast_sigmoid, slope=10.0))
    spikes, gradient = differentiate(neurons, [0.9, 0.3], [1, 1])
    assert spikes == [0, 1]
    first, last = 1 / (1 + 1) ** 2, 1 / (1 + 2) ** 2
    assert gradient == pytest.approx([first + last * (1 - first), last])


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_spikes_and_gradients_are_those_of_our_neuron_step_by_step(reset):
    torch.manual_seed(0)
    one, all_steps = training.Lif(0.25, reset=reset), training.MultiStepLif(0.25, reset=reset)
    x, gradients = torch.randn(9, 3, 2, 4, dtype=torch.float64) + 0.5, []
    for run in (all_steps, lambda x: training.unroll(one, x.transpose(0, 1)).transpose(0, 1)):
        drive = x.clone().requires_grad_()
        spikes = run(drive)
        spikes.square().sum().backward()
        gradients.append((spikes.detach(), drive.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_without_a_kernel_spikes_and_gradients_are_the_same(reset, monkeypatch):
    torch.manual_seed(0)
    neurons = training.MultiStepLif(0.25, threshold=0.5, reset=reset)
    x, gradients = torch.randn(7, 3, 5, dtype=torch.float64) + 0.3, []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr("snncompile.training.multi_step.has_kernel", lambda *_: False)
        drive = x.clone().requires_grad_()
        spikes = neurons(drive)
        spikes.square().sum().backward()
        gradients.append((spikes.detach(), drive.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_calls_leave_no_records_behind():
    """A record that each call makes anew stays in a cache, and with it what it needs."""
    neurons, x = training.MultiStepLif(), torch.ones(3, 2, 4)
    neurons(x)
    before = _bind_all.cache_info().currsize
    for _ in range(3):
        neurons(x)
    assert _bind_all.cache_info().currsize == before


def build_convolutions(neurons, norm):
    torch.manual_seed(1)
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False, step_mode="m"),
        norm(6),
        neurons(),
        layer.Dropout(0.3, step_mode="m"),
        layer.AvgPool2d(2, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(54, 4, step_mode="m"),
    )
    net(torch.randn(5, 8, 2, 6, 6))  # statistics of batch norm
    return net.eval()


def rectangle():
    return training.MultiStepLif(
        0.75, threshold=0.5, reset="hard", surrogate=surrogate.Rect(alpha=0.5)
    )


WAYS = {
    "counts": (partial(training.SpikeBackpropLif, 0.1), lambda _: nn.Identity()),
    "tdBN": (rectangle, partial(layer.ThresholdDependentBatchNorm2d, 1.0, 0.5)),
    "batch norm": (training.MultiStepLif, partial(layer.BatchNorm2d, step_mode="m")),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_trained_is_imported_exactly(way):
    net = build_convolutions(*WAYS[way])
    x = torch.randn(4, 5, 2, 6, 6)
    network = snncompile.from_torch(net, x)
    with torch.no_grad():
        expected = net(x.transpose(0, 1)).transpose(0, 1).numpy()
    found = network.run(x.numpy()).spikes
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert [p.neuron.name for p in network.populations] == ["cuba_lif", "readout"]
    module = training.from_network(network)
    np.testing.assert_allclose(module(x).detach(), expected, rtol=1e-5, atol=1e-5)


def test_dropout_drops_the_same_in_every_time_step():
    net = build_convolutions(*WAYS["counts"]).train()
    masks = []
    for _ in range(2):
        jelly.functional.reset_net(net)
        dropped = net[3](torch.ones(5, 3, 40))
        assert (dropped == dropped[:1]).all()
        assert (dropped == 0).any()
        masks.append(dropped)
    assert not torch.equal(*masks)


def test_the_loss_by_hand():
    """Two steps, threshold 2: last potentials 4 and -2 are 1 and -0.5 per step and threshold."""
    output = torch.tensor([[[1.0, -3.0]], [[3.0, 1.0]]])
    loss = training.potential_loss(output, torch.tensor([1]), threshold=2.0)
    assert loss.item() == pytest.approx((1**2 + 1.5**2) / 2)
    assert training.potential_loss(output, torch.tensor([1], dtype=torch.uint8), 2.0) == loss


def test_a_batch_trains_each_way():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(6, 8, 2, 6, 6, generator=generator) < 0.4).float()
    label = torch.arange(8) % 4
    for way in WAYS:
        net = build_convolutions(*WAYS[way])
        optimizer = torch.optim.Adam(net.parameters(), 0.03)
        losses = []
        for _ in range(30):
            loss = training.potential_loss(net(x), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2, way


OUTPUT, LABEL = torch.zeros(3, 4, 5), torch.tensor([0, 1, 2, 3])
WRONG = {
    "potential_decay must be a number, got 'fast'": lambda: training.SpikeBackpropLif("fast"),
    "potential_decay must be a number, got shape (3,)": (
        lambda: training.SpikeBackpropLif(torch.ones(3))
    ),
    "potential_decay must be between 0 and 1, got -0.1": lambda: training.SpikeBackpropLif(-0.1),
    "threshold must be a number, got None": lambda: training.SpikeBackpropLif(threshold=None),
    "threshold must be positive, got -1": lambda: training.Lif(threshold=-1),
    "surrogate must be a function of the excess, like fast_sigmoid or SpikingJelly's ATan(), got"
    " 3": lambda: training.MultiStepLif(surrogate=3),
    "potential_loss: output is torch.int64, expected a tensor of floats": (
        lambda: training.potential_loss(OUTPUT.long(), LABEL)
    ),
    "potential_loss: output is list, expected a tensor of floats": (
        lambda: training.potential_loss([1.0], LABEL)
    ),
    "potential_loss: output has shape (4, 5), expected (steps, samples, classes)": (
        lambda: training.potential_loss(OUTPUT[0], LABEL)
    ),
    "potential_loss: output has shape (0, 4, 5), expected (steps, samples, classes)": (
        lambda: training.potential_loss(OUTPUT[:0], LABEL)
    ),
    "potential_loss: label is torch.float32, expected a tensor of whole numbers": (
        lambda: training.potential_loss(OUTPUT, LABEL.float())
    ),
    "potential_loss: label is list, expected a tensor of whole numbers": (
        lambda: training.potential_loss(OUTPUT, [0, 1, 2, 3])
    ),
    "potential_loss: label has shape (2,), expected (4,), one of each sample": (
        lambda: training.potential_loss(OUTPUT, LABEL[:2])
    ),
    "potential_loss: labels are -1..2, the output has classes 0..4": (
        lambda: training.potential_loss(OUTPUT, LABEL - 1)
    ),
    "potential_loss: labels are 2..5, the output has classes 0..4": (
        lambda: training.potential_loss(OUTPUT, LABEL + 2)
    ),
    "threshold must be positive, got 0": lambda: training.potential_loss(OUTPUT, LABEL, 0),
    "threshold must be positive, got inf": (lambda: training.MultiStepLif(threshold=float("inf"))),
    "potential_decay must be between 0 and 1, got 1.5": lambda: training.MultiStepLif(1.5),
    "reset must be soft or hard, got 'none'": lambda: training.MultiStepLif(reset="none"),
    "potential_decay must be below 1: the trace of spikes has its logarithm": (
        lambda: training.SpikeBackpropLif(1.0)
    ),
    "MultiStepLif: input has shape (5, 3), expected (steps, samples, *shape)": (
        lambda: training.MultiStepLif()(torch.zeros(5, 3))
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_says_what_is_wrong(message):
    with pytest.raises(InputError) as error:
        WRONG[message]()
    assert str(error.value) == message


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("neuron", [training.MultiStepLif, training.SpikeBackpropLif])
def test_half_floats_are_computed_in_single(kind, neuron):
    x = torch.rand(5, 2, 7, generator=torch.Generator().manual_seed(0)).to(kind).requires_grad_()
    wide = x.detach().float().requires_grad_()
    narrow, plain = neuron(0.1, threshold=0.7)(x), neuron(0.1, threshold=0.7)(wide)
    assert narrow.dtype == kind
    assert torch.equal(narrow.float(), plain)
    narrow.sum().backward()
    plain.sum().backward()
    assert torch.equal(x.grad, wide.grad.to(kind))


def test_whole_numbers_and_no_steps():
    with pytest.raises(InputError) as error:
        training.MultiStepLif()(torch.ones(3, 1, 1).int())
    assert str(error.value) == "MultiStepLif: input is torch.int32, expected a tensor of floats"
    for neuron in (training.MultiStepLif(), training.SpikeBackpropLif()):
        assert neuron(torch.ones(0, 2, 3)).shape == (0, 2, 3)
    for threshold in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="threshold must be positive, got "):
            training.MultiStepLif(threshold=threshold)
