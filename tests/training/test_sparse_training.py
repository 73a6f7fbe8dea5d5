"""Pruning, rewiring, and the connectivity that a budget of cores holds."""

from __future__ import annotations

import copy
from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError
from snncompile.training.pruning import RAMP, find_share, keep_largest


def build_net(sizes=(20, 30, 4)):
    torch.manual_seed(0)
    lif = {"potential_decay": 0.1, "reset": "hard"}
    return nn.Sequential(
        nn.Linear(sizes[0], sizes[1]),
        training.Lif(**lif),
        nn.Linear(sizes[1], sizes[2]),
        training.Lif(**lif),
    )


def draw_spikes(samples=8, steps=6, size=20):
    return (np.random.default_rng(1).random((samples, steps, size)) < 0.3).astype(np.uint8)


def build_network(sizes=(20, 30, 4)):
    x = draw_spikes(size=sizes[0])
    return snncompile.from_torch(build_net(sizes), x.astype(np.float32))


@given(st.floats(0.001, 1), st.integers(2, 200))
def test_the_share_falls_to_what_is_kept(keep, steps):
    shares = [find_share(keep, step, steps) for step in range(steps)]
    assert all(a >= b for a, b in pairwise(shares))
    assert shares[-1] == pytest.approx(keep)
    late = [s for i, s in enumerate(shares) if i + 1 >= RAMP * steps]
    assert late == [pytest.approx(keep)] * len(late)


def test_the_largest_weights_of_all_layers_stay():
    net = build_net()
    before = copy.deepcopy(net.state_dict())
    share = training.prune(net, 0.1)
    weights = torch.cat([before[k].abs().flatten() for k in ("0.weight", "2.weight")])
    least = weights.sort(descending=True).values[round(0.1 * 720) - 1]
    assert share == training.measure_connectivity(net) == 72 / 720
    for key, value in net.state_dict().items():
        kept = before[key].abs() >= least if key.endswith("weight") else torch.tensor(True)
        assert torch.equal(value, torch.where(kept, before[key], 0))


def test_one_weight_stays_at_least_and_all_of_them_at_one():
    net = build_net()
    before = copy.deepcopy(net.state_dict())
    assert training.prune(net, 1.0) == 1.0
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert training.prune(net, 1e-9) == 1 / 720


@pytest.mark.parametrize("kind", ["module", "chip"])
def test_a_module_in_training_is_pruned_step_by_step(kind):
    network, x = build_network(), draw_spikes()
    module = training.from_network(network)
    if kind == "chip":
        program = snncompile.compile(network, chip="loihi1", calibration=x, prune=False)
        module = training.chip_aware(program)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for step in range(10):
        loss = nn.functional.cross_entropy(module(x).sum(1), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        share = training.prune(module, 0.25, step, 10)
        assert share == pytest.approx(find_share(0.25, step, 10), abs=1 / 720)
    result = module.network() if kind == "module" else module.program().network
    kept = sum(np.count_nonzero(p.synapses.weight) for p in result.projections)
    assert kept <= 0.25 * 720
    assert kept > 0.2 * 720


REFUSED = [
    ((0.0,), "keep must be a share above 0 and at most 1, got 0.0"),
    ((1.5,), "keep must be a share above 0 and at most 1, got 1.5"),
    ((0.5, 3, 3), "step must be 0..2 of 3 steps, got 3"),
]


@pytest.mark.parametrize("given, message", REFUSED)
def test_wrong_shares_and_steps_are_refused(given, message):
    with pytest.raises(InputError) as refusal:
        training.prune(build_net(), *given)
    assert str(refusal.value) == message


def test_a_module_without_weights_is_refused():
    with pytest.raises(InputError) as refusal:
        training.prune(nn.Flatten(), 0.5)
    assert str(refusal.value) == (
        "there are no weights to prune: no trained parameter of two axes or more"
    )


def test_rewiring_takes_the_steps_of_the_authors():
    """Three updates by hand, in float64; see the class for the rule."""
    rng = np.random.default_rng(0)
    start, keep, alpha, lr = rng.normal(size=(3, 4)), 0.2, 0.05, 0.3
    parameter = nn.Parameter(torch.tensor(start))
    optimizer = training.GradR([parameter], lr, keep=keep, alpha=alpha)
    sign, size = np.sign(start), np.abs(start)
    mean = square = np.zeros_like(start)
    for number in range(1, 4):
        gradient = rng.normal(size=start.shape)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = lr * sqrt(1 - 0.999**number) / (1 - 0.9**number)
        size = size - rate * sign * mean / (np.sqrt(square) + 1e-8)
        size = size - rate * alpha * np.sign(size - log(2 * keep) / alpha)
        weight = parameter.detach().numpy()
        np.testing.assert_allclose(weight, sign * np.maximum(size, 0), atol=1e-14)
    assert (weight == 0).any()
    assert (weight != 0).any()


def test_a_synapse_that_vanished_grows_again_with_its_sign():
    parameter = nn.Parameter(torch.tensor([[0.1, -0.1]]))
    optimizer = training.GradR([parameter], 0.2, keep=0.5, alpha=1e-6)
    for gradient in ([1.0, -1.0],) * 2 + ([-1.0, 1.0],) * 30:
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        if gradient == [1.0, -1.0]:
            assert not parameter.detach().any()
    assert parameter[0, 0] > 0 > parameter[0, 1]


def test_the_connectivity_at_the_end_is_what_was_asked():
    network, x = build_network(), draw_spikes()
    module = training.from_network(network)
    weights = training.list_weights(module)
    others = [p for p in module.parameters() if p.ndim == 1]
    groups = [{"params": weights}, {"params": others, "keep": 1.0}]
    optimizer = training.GradR(groups, 1e-2, keep=0.1, steps=30)
    for _ in range(30):
        loss = nn.functional.cross_entropy(module(x).sum(1), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert training.measure_connectivity(module) == pytest.approx(0.1, abs=2 / 720)
    assert all(p.count_nonzero() for p in others)
    with pytest.raises(InputError) as refusal:
        optimizer.step()
    assert str(refusal.value) == "GradR was made for 30 steps, this is one more"


def shrink_once(start, gradient, keep, lr=0.0):
    """Return the optimizer after its last update of ten, and the weights."""
    parameter = nn.Parameter(torch.tensor([start]))
    optimizer = training.GradR([parameter], lr, keep=keep, steps=10)
    optimizer.param_groups[0]["step"] = 9
    parameter.grad = torch.tensor([gradient])
    optimizer.step()
    return optimizer.state[parameter]["size"][0], parameter.detach()[0]


def test_sizes_fall_by_the_smallest_amount_and_those_below_zero_stay():
    """Of 5, 3, 2 and 1 two stay, so all fall by 2; at rate 0 nothing else moves them."""
    size, weight = shrink_once([5.0, -3.0, 2.0, 1.0], [1.0] * 4, 0.5)
    assert size.tolist() == [3, 1, 0, -1]
    assert weight.tolist() == [3, -1, 0, 0]
    size, weight = shrink_once([5.0, -3.0, 0.0, 0.0], [0.0] * 4, 0.25)
    assert size.tolist() == [2, 0, 0, 0]
    parameter = nn.Parameter(torch.tensor([[4.0, 2.0, 1.0]]))
    optimizer = training.GradR([parameter], 0.0, keep=1 / 3, steps=10)
    for _ in range(10):
        parameter.grad = torch.zeros(1, 3)
        optimizer.step()
        below = optimizer.state[parameter]["size"][0, 2].item()
        assert below >= -1  # once it has vanished it does not sink further
    assert parameter.count_nonzero() == 1


def test_nothing_falls_where_as_many_are_left_as_asked():
    size, weight = shrink_once([5.0, 3.0, 0.0, 0.0], [0.0] * 4, 0.5)
    assert size.tolist() == weight.tolist() == [5, 3, 0, 0]
    parameter = nn.Parameter(torch.tensor([[5.0, 3.0, 1.0, 1.0]]))
    optimizer = training.GradR([parameter], 4.0, keep=0.5, steps=10)
    optimizer.param_groups[0]["step"] = 8
    parameter.grad = torch.tensor([[0.0, 0.0, 9.0, 9.0]])  # takes the last two below zero
    optimizer.step()
    before = optimizer.state[parameter]["size"].clone()
    assert (before[0, 2:] < 0).all()
    optimizer.state[parameter]["mean"].zero_()
    parameter.grad = torch.zeros(1, 4)
    optimizer.step()
    assert torch.equal(optimizer.state[parameter]["size"], before)


def test_weights_of_zero_get_a_sign_and_grow():
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.zeros(1, 40))
    optimizer = training.GradR([parameter], 0.1, keep=0.5, alpha=1e-9)
    for _ in range(3):
        parameter.grad = torch.full((1, 40), -1.0)
        optimizer.step()
    grown = int((parameter > 0).sum())
    assert 5 < grown < 35  # those whose sign is that of the gradient's way
    assert not (parameter < 0).any()


def test_all_kept_is_adam():
    torch.manual_seed(0)
    start = torch.randn(3, 4, dtype=torch.float64)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = training.GradR([ours], 0.1, keep=1.0, steps=9), torch.optim.Adam([theirs], 0.1)
    for number in range(5):
        gradient = torch.randn(3, 4, dtype=torch.float64) * number
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)  # 1e-8 is added before Adam does


def test_rewiring_goes_on_from_a_saved_state():
    def begin():
        torch.manual_seed(1)
        parameter = nn.Parameter(torch.randn(5, 6))
        return parameter, training.GradR([parameter], 0.1, keep=0.3, steps=8)

    def update(parameter, optimizer, numbers):
        for number in numbers:
            generator = torch.Generator().manual_seed(number)
            parameter.grad = torch.randn(5, 6, generator=generator)
            optimizer.step()

    whole, optimizer = begin()
    update(whole, optimizer, range(8))
    first, optimizer = begin()
    update(first, optimizer, range(4))
    second, other = begin()
    second.data = first.data.clone()
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    update(second, other, range(4, 8))
    assert torch.equal(whole, second)


REFUSED_RATES = [
    ({"lr": -1.0, "steps": 3}, "lr must not be negative, got -1.0"),
    ({"keep": 0.5}, "GradR: give steps, the number of updates in all, or alpha"),
    ({"alpha": 0.0}, "alpha must be positive, got 0.0"),
    ({"keep": 2.0, "steps": 3}, "keep must be a share above 0 and at most 1, got 2.0"),
]


@pytest.mark.parametrize("given, message", REFUSED_RATES)
def test_wrong_arguments_of_rewiring_are_refused(given, message):
    with pytest.raises(InputError) as refusal:
        training.GradR([nn.Parameter(torch.ones(2, 2))], **given)
    assert str(refusal.value) == message


def test_a_budget_of_cores_gives_the_connectivity():
    network, x = build_network((300, 900, 100)), draw_spikes(size=300)
    options = {"calibration": x, "bits": 8}
    whole = snncompile.compile(network, chip="loihi1", **options).mapping.cores
    share = training.find_connectivity(network, "loihi1", whole // 2, **options)

    def count(keep):
        pruned = keep_largest(network, keep)
        return snncompile.compile(pruned, chip="loihi1", **options).mapping.cores

    assert 1 / 128 < share < 1
    assert count(share) <= whole // 2 < count(share + 1 / 128)
    assert training.find_connectivity(network, "loihi1", whole, **options) == 1.0


def test_a_budget_that_cannot_be_met_is_refused():
    network, x = build_network((20, 3000, 4)), draw_spikes()
    with pytest.raises(InputError) as refusal:
        training.find_connectivity(network, "loihi1", 1, calibration=x, prune=False)
    assert str(refusal.value) == (
        "loihi1: 3 cores with 1/128 of the weights, the budget is 1; allow more cores, or take a"
        " smaller network"
    )
    with pytest.raises(InputError) as wrong:
        training.find_connectivity(network, "loihi1", 0)
    assert str(wrong.value) == "cores must be a whole number above 0, got 0"


def build_gradr(**options):
    return training.GradR([nn.Parameter(torch.ones(2, 2))], **{"steps": 3} | options)


ODD = {
    "lr must be a number, got 'fast'": lambda: build_gradr(lr="fast"),
    "lr must not be negative, got nan": lambda: build_gradr(lr=float("nan")),
    "steps must be a whole number above 0, got 2.5": lambda: build_gradr(steps=2.5),
    "keep must be a number, got 'few'": lambda: training.prune(build_net(), "few"),
    "step must be a number, got 'last'": lambda: training.prune(build_net(), 0.5, "last", 3),
    "module must be a torch module or tensors, its weights": lambda: training.prune([1, 2], 0.5),
    "energy and latency are of a module of chip_aware, got Sequential": (
        lambda: training.energy(build_net())
    ),
    "from_network takes a network of floats, got Sequential; a Program trains with chip_aware": (
        lambda: training.from_network(build_net())
    ),
    "steps must be a whole number above 0, got 0": (
        lambda: training.from_network(build_network(), steps=0)
    ),
    "chip_aware takes a Program, got Network; compile the network, or train it in floats with"
    " from_network": lambda: training.chip_aware(build_network()),
}


@pytest.mark.parametrize("message", ODD)
def test_says_which_argument_is_odd(message):
    with pytest.raises(InputError) as error:
        ODD[message]()
    assert str(error.value) == message


def test_a_group_that_is_added_later_trains():
    optimizer, late = build_gradr(), nn.Parameter(torch.ones(3))
    optimizer.add_param_group({"params": [late], "keep": 1.0})
    late.grad = torch.ones(3)
    optimizer.step()
    assert (late < 1).all()
    with pytest.raises(InputError, match="keep must be a share"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(3))], "keep": 2})


@pytest.mark.parametrize("keep", [0.99, 0.5, 0.01])
def test_of_equal_weights_as_many_stay_as_of_others(keep):
    weights = [nn.Parameter(torch.full((20, 30), 0.1)), nn.Parameter(torch.ones(4, 5))]
    assert training.prune(weights, keep) == max(1, round(keep * 620)) / 620
    assert weights[1].count_nonzero() == min(20, max(1, round(keep * 620)))
