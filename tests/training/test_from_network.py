"""Float networks as modules: what they compute, what trains, what comes back."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_programs import draw_case
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.readout import Readout
from snncompile.reference.simulate import check_input, run_batches
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

SEED = 14
SINGLE = {"rtol": 1e-5, "atol": 1e-5}
"""Modules compute in float32, networks in float64."""


@pytest.fixture
def doubles():
    """Let modules have parameters of float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


FLOATS = [n for n in range(90) if n // 5 % 3 and n % 5 < 2]
"""Programs whose source is a float network: drawn, or converted by every method."""


@pytest.mark.parametrize("number", FLOATS)
def test_modules_compute_what_networks_compute(doubles, number):
    case = draw_case(SEED, number)
    network, x = case.source, case.x[:4]
    module = training.from_network(network)
    (wanted,) = run_batches(network, check_input(network, x, np.float64), fast=False)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            output = module(x)
        for name, train in wanted.items():
            if network.input.host and name == network.input.name:
                continue  # its lines send nothing
            torch.testing.assert_close(
                module.outputs[name].detach(), train.double(), rtol=1e-9, atol=1e-9
            )
    expected = network.run(x).spikes
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    assert str(module.network()) == str(network)


def build_network(threshold=1.0) -> Network:
    rng = np.random.default_rng(2)
    neuron = CubaLif(1.0, 0.1, threshold, reset="soft")
    return Network(
        Input("in", (10,)),
        (Population("h", (20,), neuron), Population("out", (4,), Readout(1.0, 0.1))),
        (
            Projection("in", "h", dense(rng.normal(0.1, 0.4, (20, 10)))),
            Projection("h", "out", dense(rng.normal(0, 0.3, (4, 20)))),
        ),
        "out",
    )


def draw_spikes(seed=1, samples=8, steps=12):
    return (np.random.default_rng(seed).random((samples, steps, 10)) < 0.3).astype(np.uint8)


def test_what_was_trained_is_the_network_that_comes_back():
    module, x = training.from_network(build_network()), draw_spikes()
    label = torch.arange(8) % 4
    before = nn.functional.cross_entropy(module(x).mean(1), label).item()
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(module(x).mean(1), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < before / 5
    network = module.network()
    assert network.populations[0].neuron.bias.shape == (20,)
    np.testing.assert_allclose(network.run(x).spikes, module(x).detach().numpy(), **SINGLE)
    assert (network.run(x).spikes.mean(1).argmax(1) == label.numpy()).all()
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert (program.run(x).spikes.mean(1).argmax(1) == label.numpy()).all()


def test_gradients_are_those_of_our_neurons_called_step_by_step(doubles):
    torch.manual_seed(0)
    x = torch.from_numpy(draw_spikes()).double()
    lif = training.Lif(0.1, reset="soft")
    net = nn.Sequential(nn.Linear(10, 20), lif, nn.Linear(20, 4), training.Readout(0.1))
    module = training.from_network(snncompile.from_torch(net, x))
    for run in (lambda: training.unroll(net, x), lambda: module(x)):
        nn.functional.cross_entropy(run().mean(1), torch.arange(8) % 4).backward()
    for layer, ours in zip((net[0], net[2]), module.projections, strict=True):
        torch.testing.assert_close(layer.weight.grad, ours.weight.grad, rtol=1e-12, atol=1e-12)
    for layer, ours in zip((net[0], net[2]), module.populations, strict=True):
        torch.testing.assert_close(layer.bias.grad, ours.bias.grad, rtol=1e-12, atol=1e-12)


def test_images_are_shown_for_some_steps():
    module, image = training.from_network(build_network(), steps=5), draw_spikes()[:, 0]
    repeated = np.repeat(image[:, None], 5, axis=1)
    assert torch.equal(module(image), training.from_network(build_network())(repeated))


def test_biases_that_the_host_computes_of_an_image_train():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 12), training.IntegrateFire(), nn.Linear(12, 3))
    net.append(training.Readout(0.1))
    images = torch.rand(16, 10)
    shown = images[:, None].expand(-1, 8, -1)
    network = snncompile.from_torch(net, shown, input="biases")
    module = training.from_network(network, steps=8)
    output = module(images)
    np.testing.assert_allclose(output.detach(), network.run(shown).spikes, **SINGLE)
    output[:, -1].square().sum().backward()
    assert module.host[0].weight.grad.abs().sum() > 0
    with torch.no_grad():
        module.host[0].bias += 0.1
    after = module.network()
    np.testing.assert_allclose(after.run(shown).spikes, module(images).detach(), **SINGLE)


def test_parameters_stay_in_the_range_of_their_record():
    module = training.from_network(build_network(), train=("threshold", "potential_decay"))
    assert len(list(module.populations[0].parameters())) == 2
    with torch.no_grad():
        module.populations[0].threshold.fill_(-3.0)
        module.populations[0].potential_decay.fill_(2.0)
    neuron = module.network().populations[0].neuron
    assert neuron.threshold == pytest.approx(1e-6)
    assert neuron.potential_decay == 1.0


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
def test_compiled_neurons_are_their_records_at_the_threshold(reset, doubles):
    """Weights and decays of halves, so that potentials meet the threshold exactly."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-2, 5, (6, 8)) / 2
    network = Network(
        Input("in", (8,)),
        (Population("out", (6,), CubaLif(1.0, 0.5, 1.0, reset=reset)),),
        (Projection("in", "out", dense(weight)),),
        "out",
    )
    x = rng.integers(0, 2, (9, 7, 8))
    gradients = []
    for names in (("weight",), ("weight", "potential_decay")):  # the latter step by step
        module = training.from_network(network, train=names)
        spikes = module(x)
        np.testing.assert_array_equal(spikes.detach(), network.run(x).spikes)
        (spikes - 0.5).square().sum().backward()
        gradients.append(module.projections[0].weight.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("largest, unit", [(255, 255), (1, 1)])
def test_weights_of_pixels_are_as_large_as_others(largest, unit):
    """An optimizer's first step is as large as its rate, whatever the gradient."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 8)) / unit
    source = Input("in", (8,), payload=Interval(0, largest))
    network = Network(
        source,
        (Population("out", (6,), CubaLif(1.0, 0.1, 1.0)),),
        (Projection("in", "out", dense(weight)),),
        "out",
    )
    module = training.from_network(network)
    np.testing.assert_allclose(module.network().projections[0].synapses.weight, weight, rtol=1e-6)
    x = rng.integers(0, largest + 1, (3, 5, 8))
    np.testing.assert_array_equal(module(x).detach(), network.run(x).spikes)
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    module(x).sum().backward()
    optimizer.step()
    moved = np.abs(module.network().projections[0].synapses.weight - weight).max()
    assert moved == pytest.approx(0.01 / unit, rel=1e-3)
    chip = training.chip_aware(snncompile.compile(network, chip="loihi2", calibration=x))
    masters = chip.projections[0].weights.weight.detach().numpy()
    np.testing.assert_allclose(masters, weight * unit, atol=0.02)


def test_weights_move_by_what_their_ends_send():
    """Pixels are 0..127 here, messages 0..255: the last layer's weights are that much smaller."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(9, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU())
    model.append(nn.Linear(20, 4))
    x = np.random.default_rng(3).random((200, 9)).astype(np.float32)
    network = snncompile.from_ann(model, x, method="graded")
    module, shown = training.from_network(network, train=("weight",)), network.input.present(x)
    optimizer = torch.optim.Adam(module.parameters(), 0.001)
    module(shown).square().sum().backward()
    optimizer.step()
    ends = zip(network.projections, module.network().projections, strict=True)
    moved = [float(np.abs(new.synapses.weight - old.synapses.weight).max()) for old, new in ends]
    assert moved == pytest.approx([0.001 * 255 / 127, 0.001, 0.001 / 255], rel=0.02)


def test_weights_that_make_up_for_others_start_in_the_middle_of_their_integers():
    """Their floats are nearer to another integer, which a first small step would choose for all."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    model += nn.Sequential(nn.Flatten(), nn.Linear(128, 4))
    x = np.random.default_rng(3).integers(0, 256, (64, 1, 8, 8)).astype(np.float32)
    network = snncompile.from_ann(model, x, method="graded")
    shown = network.input.present(x)
    program = snncompile.compile(network, chip="loihi2", bits=3, calibration=shown, prune=False)
    chip = training.chip_aware(program, train=("weight",))
    convolutions = [p.weights for p in chip.projections if p.weights.weight.ndim == 4]
    before = [w.round() for w in convolutions]
    centred = [w.weight * w.per_step == w.round() / w.step for w in convolutions]
    assert all(0.03 < float(c.float().mean()) < 0.9 for c in centred)
    optimizer = torch.optim.Adam(chip.parameters(), 1e-4)
    chip(shown).square().sum().backward()
    optimizer.step()
    changed = [
        (w.round() != old).float().mean() for w, old in zip(convolutions, before, strict=True)
    ]
    assert all(share < 0.02 for share in changed)


def test_copies_and_states_work():
    module, x = training.from_network(build_network()), draw_spikes()
    module(x).sum().backward()
    copied = deepcopy(module)
    with torch.no_grad():
        copied.projections[0].weight.mul_(2.0)
    assert not torch.equal(copied(x), module(x))
    module.load_state_dict(copied.state_dict())
    assert torch.equal(copied(x), module(x))


def test_says_what_cannot_train():
    network = build_network()
    with pytest.raises(InputError) as wrong:
        training.from_network(network, train=("speed",))
    assert str(wrong.value).startswith("train: no parameter 'speed'; known: bias, cos_decay,")
    first, rule = network.projections[0], snncompile.LearningRule("2^-2*x0*y0")
    learns = replace(network, projections=(replace(first, rule=rule), *network.projections[1:]))
    with pytest.raises(InputError) as error:
        training.from_network(learns)
    assert str(error.value) == (
        "projection in -> h learns by its own rule; use freeze_learning for weights that stay"
    )


class Residual(nn.Module):
    """Two convolutions with a shortcut over the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.end = nn.Linear(48, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        return self.end((x + self.second(x)).relu().flatten(1))


@pytest.mark.parametrize("method", ["graded", "signed"])
def test_shortcuts_keep_one_weight_per_channel(method):
    torch.manual_seed(3)
    x = np.random.default_rng(3).integers(0, 256, (16, 1, 4, 4)).astype(np.float32)
    network = snncompile.from_ann(Residual(), x, method=method)
    shown = network.input.present(x)
    program = snncompile.compile(network, chip="loihi2", calibration=shown, prune=False)
    chip, module = training.chip_aware(program), training.from_network(network)
    changed = 0
    for trained, write in ((chip, chip.integers), (module, module.network)):
        before = write()
        optimizer = torch.optim.SGD(trained.parameters(), 0.3)
        trained(shown).square().sum().backward()
        optimizer.step()
        after = write()
        for old, new in zip(before.projections, after.projections, strict=True):
            wiring = new.synapses.wiring
            if isinstance(wiring, Scale) and wiring.per_neuron:
                by_channel = np.asarray(new.synapses.weight).reshape(3, -1)
                assert (by_channel == by_channel[:, :1]).all()
                changed += (new.synapses.weight != old.synapses.weight).any()
    assert changed == 2
