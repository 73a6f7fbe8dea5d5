"""Energy and latency as losses: equal to the estimate, and they fall when they are trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn_programs import draw_case
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError, UnsupportedError
from snncompile.hwmodels import chips


def build_program(chip="loihi1", **options):
    torch.manual_seed(0)
    lif = {"potential_decay": 0.1, "reset": "hard"}
    net = nn.Sequential(nn.Linear(20, 30, bias=False), training.Lif(**lif))
    net += nn.Sequential(nn.Linear(30, 4, bias=False), training.Lif(**lif))
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(4.0).add_(0.1)
    x = draw_spikes()
    network = snncompile.from_torch(net, x.astype(np.float32))
    return snncompile.compile(network, chip=chip, calibration=x, **options)


def draw_spikes(samples=8, steps=6, size=20):
    return (np.random.default_rng(1).random((samples, steps, size)) < 0.3).astype(np.uint8)


CASES = [("loihi1", {}), ("loihi1", {"share_cores": False, "placement": "random"}), ("loihi2", {})]
CASES += [("loihi1:nahuku", {"share_cores": False})]


@pytest.mark.parametrize("chip, options", CASES)
def test_they_are_those_of_the_estimate(chip, options):
    program, x = build_program(chip, **options), draw_spikes()
    module, estimate = training.chip_aware(program), program.estimate(x)
    module(x)
    assert training.energy(module).item() == pytest.approx(estimate.energy_j, rel=1e-9)
    assert training.latency(module).item() == pytest.approx(estimate.latency_s, rel=1e-9)


@pytest.mark.parametrize("number", range(0, 60, 4))
def test_they_are_those_of_drawn_programs(number):
    """Loops, delays, convolutions, ranges, readouts, graded spikes, several cores."""
    case = draw_case(14, number)
    names = [n for n, s in case.program.chip.costs.items() if "neuron_updated" not in s.prices]
    module, x = training.chip_aware(case.program), case.x[:4]
    with torch.no_grad():
        module(x)
    assert names
    for name in names:
        estimate = case.program.estimate(x, costs=name)
        for ours, theirs in (
            (training.energy(module, name), estimate.energy_j),
            (training.latency(module, name), estimate.latency_s),
        ):
            assert ours.item() == pytest.approx(theirs or 0.0, rel=1e-9)


def test_training_lowers_them():
    program, x = build_program(), draw_spikes()
    module = training.chip_aware(program)
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    module(x)
    before, hidden = training.energy(module).item(), module.outputs["layer_1"].sum().item()
    for _ in range(30):
        module(x)
        loss = training.energy(module) / before
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = module.program()
    assert module.outputs["layer_1"].sum().item() < hidden / 2
    assert loss.item() < 1
    assert after.estimate(x).synaptic_ops < program.estimate(x).synaptic_ops


def test_says_what_has_no_gradient():
    module = training.chip_aware(build_program())
    with pytest.raises(InputError) as early:
        training.energy(module)
    assert str(early.value) == ("energy and latency are of a forward pass; call the module first")
    module(draw_spikes())
    with pytest.raises(InputError) as unknown:
        training.energy(module, "nobody")
    assert str(unknown.value).startswith("loihi1 has no cost set 'nobody'; it has davies2018")
    sets = chips.load_chip("loihi1").costs
    (costs,) = [name for name, s in sets.items() if s.prices.get("neuron_updated")]
    with pytest.raises(UnsupportedError) as updated:
        training.energy(module, costs)
    others = ", ".join(name for name in sets if name != costs)
    assert str(updated.value) == (
        f"loihi1: cost set {costs} prices neuron_updated, which depends on potentials and has no"
        f" gradient; choose from {others}"
    )
