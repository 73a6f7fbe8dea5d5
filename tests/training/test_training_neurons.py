"""Our neuron modules: they train, say what is wrong, and are imported as they compute."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snncompile import training
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.training import IntegrateFire, Lif, Readout, unroll
from snncompile.training.float_records import bind_record
from snncompile.training.fused import run_floats
from snncompile.training.surrogate import find_formula


def drive(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(0.4, 1.0, shape)).float()


def test_one_neuron_by_hand():
    """Decays of 1/2; the potential is 1, 1.5 (fires, keeps 0.5), 1.25 (fires), ..."""
    soft = unroll(Lif(0.5, threshold=1.0), torch.tensor([[[1.0], [1.0], [1.0], [0.5]]]))
    assert soft.flatten().tolist() == [0, 1, 1, 0]
    hard = unroll(Lif(0.5, threshold=1.0, reset="hard"), torch.tensor([[[1.0], [1.0], [1.0]]]))
    assert hard.flatten().tolist() == [0, 1, 0]
    slow = unroll(Readout(0.5, 0.5), torch.tensor([[[1.0], [0.0], [0.0]]]))
    assert slow.flatten().tolist() == [1, 1, 0.75]


def test_fires_above_the_threshold_only():
    assert unroll(IntegrateFire(threshold=1.0), torch.ones(1, 2, 1)).flatten().tolist() == [0, 1]


def test_every_sample_starts_anew():
    net, x = nn.Sequential(Lif(0.1), Readout(0.1)), drive(3, 9, 4)
    torch.testing.assert_close(unroll(net, x), unroll(net, x), rtol=0, atol=0)


def test_the_surrogate_gradient_is_that_of_a_fast_sigmoid():
    x = torch.tensor([[0.9, 1.0, 1.2]], requires_grad=True)
    Lif(0.1, threshold=1.0)(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 1 / (1 + 25 * (x.detach() - 1).abs()) ** 2)


def test_it_learns_to_tell_patterns_apart():
    """Four random patterns; weights and decays are trained through time."""
    torch.manual_seed(0)
    x = (torch.rand(4, 12, 10) < 0.3).float()
    hidden = Lif(0.2, 0.5, learn=True)
    net = nn.Sequential(nn.Linear(10, 20), hidden, nn.Linear(20, 4), Readout(0.1))
    decay = hidden.potential_decay.item()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(unroll(net, x).mean(1), torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < np.log(4) / 10  # ln 4: four classes told apart by chance
    assert hidden.potential_decay.item() != decay
    network = from_torch(net, x)
    answers = network.run(x).spikes.mean(1).argmax(1)
    np.testing.assert_array_equal(answers, np.arange(4))


@st.composite
def neurons(draw, size):
    shape = draw(st.sampled_from([(), (size,)]))
    share = st.floats(0, 1, width=32)
    decays = [torch.tensor(draw(st.lists(share, min_size=size, max_size=size))) for _ in "uv"]
    decays = [decay.reshape(size) if shape else decay[0] for decay in decays]
    return Lif(
        *decays,
        threshold=draw(st.floats(0.25, 2)),
        reset=draw(st.sampled_from(["soft", "hard"])),
        learn=draw(st.booleans()),
    )


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 99))
def test_random_networks_are_imported_exactly(data, seed):
    torch.manual_seed(seed)
    layers, size = [], 3
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.integers(1, 5))
        linear = nn.Linear(size, target)
        nn.init.normal_(linear.weight)
        layers += [linear, data.draw(neurons(target))]
        size = target
    if data.draw(st.booleans()):
        layers += [nn.Linear(size, 2), Readout(0.3, 0.6)]
    net, x = nn.Sequential(*layers).double(), drive(3, 10, 3, seed=seed).double()
    with torch.no_grad():
        expected = unroll(net, x).numpy()
    ours = from_torch(net, x).run(x).spikes
    if not isinstance(layers[-1], Readout):
        np.testing.assert_array_equal(ours, expected)
    else:
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9 * max(1, abs(expected).max()))


WRONG = {
    "potential_decay must be between 0 and 1, got 1.5": lambda: Lif(1.5),
    "current_decay must be between 0 and 1, got -1": lambda: Readout(0.5, -1),
    "threshold must be positive, got 0": lambda: Lif(threshold=0),
    "reset must be soft or hard, got 'none'": lambda: Lif(reset="none"),
}


@pytest.mark.parametrize("message", WRONG)
def test_says_what_is_wrong(message):
    with pytest.raises(InputError) as error:
        WRONG[message]()
    assert str(error.value) == message


def test_a_decay_per_channel_broadcasts_and_another_shape_is_refused():
    decay = torch.tensor([0.25, 0.5]).reshape(2, 1, 1)
    network = from_torch(Lif(decay), drive(2, 5, 2, 1, 2))
    assert network.populations[0].neuron.potential_decay.tolist() == [0.25, 0.25, 0.5, 0.5]
    with pytest.raises(UnsupportedError) as error:
        from_torch(Lif(torch.zeros(3, 1, 2, 1)), drive(3, 5, 2, 1))
    assert str(error.value) == (
        "Lif: potential_decay has shape (3, 1, 2, 1) for neurons of shape (2, 1); give one number"
        " or one per neuron"
    )


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("name", ["fast", "slope", "arc"])
def test_known_surrogates_have_the_derivative_of_any(name, reset):
    """Compiled formulas beside the same surrogate as a function that nothing is known of."""
    known = {
        "fast": training.fast_sigmoid,
        "slope": partial(training.fast_sigmoid, slope=7.0),
        "arc": pytest.importorskip("spikingjelly.activation_based.surrogate").ATan(alpha=3.0),
    }[name]
    assert (find_formula(known) or ("GIVEN",))[0] != "GIVEN"
    generator = torch.Generator().manual_seed(0)
    drive = torch.randn(3, 9, 5, generator=generator, dtype=torch.float64)
    neuron = CubaLif(0.7, 0.2, np.array([0.5, 1, 2, 1, 1]), 0.1, reset)
    gradients = []
    for surrogate in (known, lambda excess: known(excess)):
        x = drive.clone().requires_grad_()
        threshold = torch.tensor(neuron.threshold).requires_grad_()
        record = bind_record(neuron, x.device, {"threshold": threshold}, x.dtype)
        unit = torch.tensor([1.0, 1, 2, 0.5, 1], dtype=torch.float64)
        run_floats(record, unit, surrogate, x).square().sum().backward()
        gradients.append((x.grad, threshold.grad))
    assert gradients[0][0].abs().sum() > 0
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
