"""Programs as modules: their spikes are the Program's, and what trains is what runs."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_programs import TOGETHER, Case, draw_case, join
from torch import nn

import snncompile
from snncompile import registry, training
from snncompile.errors import InputError, UnsupportedError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import IntegerReadout, Readout
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.dense import dense, integer_dense
from snncompile.training import chip_aware, fused

SEED = 5
"""Of the drawn Programs, see `tests/reference/test_drawn_programs.py`."""
SAMPLES = 6
GRADIENT_STEPS = 10
"""Gradients of loops with drawn weights grow from step to step, in 100 beyond float32."""


def list_differences(case: Case) -> list[str]:
    """Compare every output of a Program's module with the reference, without and with gradients."""
    chip, x, network = chip_aware(case.program), case.x[:SAMPLES], case.program.network
    (wanted,) = run_batches(network, check_spikes(network, x))
    result = chip.run(x)
    expected = case.program.run(x).spikes
    found = [] if np.array_equal(result.spikes, expected) else ["run"]
    assert result.spikes.dtype == expected.dtype
    for train in (False, True):
        with torch.set_grad_enabled(train):
            output = chip(x)
        found += [
            f"{name}, gradients {train}"
            for name, spikes in wanted.items()
            if not torch.equal(chip.outputs[name].detach().double(), spikes.double())
        ]
        assert np.array_equal(output.detach().double().numpy() * chip.output_scale, expected) or (
            chip.output_scale != 1
        )
    if output.requires_grad:
        output = chip(x[:, :GRADIENT_STEPS])
        (output / max(1.0, float(output.detach().abs().max()))).sum().backward()
        gradients = [p.grad for p in chip.parameters() if p.grad is not None]
        assert all(bool(g.isfinite().all()) for g in gradients)
    return found


@pytest.mark.parametrize("number", range(0, 90, 5))
def test_a_sample_of_programs_has_the_same_spikes_as_a_module(number):
    assert list_differences(draw_case(SEED, number)) == []


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(10))
def test_two_hundred_programs_have_the_same_spikes_as_modules(chunk):
    kinds = set()
    for number in range(chunk * 20, (chunk + 1) * 20):
        case = draw_case(SEED, number)
        kinds |= {p.neuron.name for p in case.program.network.populations}
        assert list_differences(case) == [], f"program {number} of seed {SEED}"
    assert len(kinds) > 5


@pytest.mark.slow
def test_two_hundred_programs_have_every_neuron_and_loops():
    networks = [draw_case(SEED, number).program.network for number in range(200)]
    kinds = {p.neuron.name for n in networks for p in n.populations}
    assert kinds == set(registry.list_names("neurons"))
    assert sum(any(p.source == p.target for p in n.projections) for n in networks) > 10


def differ_from_lava(group: int, count: int = TOGETHER) -> list[str]:
    """Return the populations in which modules and real Lava differ; one start for a group."""
    cases = [draw_case(SEED, group * TOGETHER + i) for i in range(count)]
    x = cases[0].x[:SAMPLES]
    lava = registry.load("backends", "lava").spike_trains(join(cases), x)
    found = []
    for number, case in enumerate(cases):
        chip = chip_aware(case.program)
        with torch.no_grad():
            chip(x)
        for p in case.program.network.populations:
            ours = chip.outputs[p.name].double().numpy()
            if not np.array_equal(ours, lava[f"n{number}_{p.name}"].reshape(ours.shape)):
                found.append(f"program {group * TOGETHER + number}: {p.name}")
    return found


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("group", range(40 // TOGETHER))
def test_forty_programs_have_the_same_spikes_on_lava(lava, group):
    assert differ_from_lava(group) == []


@pytest.mark.parametrize("number", [0, 4, 8, 20, 33, 48, 57])
def test_what_was_trained_compiles_without_quantizing_again(number):
    """Masters take a large random step; module, its Program and its integers agree."""
    case = draw_case(SEED, number)
    chip, generator = chip_aware(case.program), torch.Generator().manual_seed(number)
    before = chip.run(case.x[:SAMPLES]).spikes
    with torch.no_grad():
        for p in chip.parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=p.dtype)
            p += 0.2 * p.abs().mean() * noise
    integers, x = chip.integers(), case.x[:SAMPLES]
    assert str(integers) != str(case.program.network)
    expected = integers.run(x).spikes
    assert np.array_equal(chip.run(x).spikes, expected)
    assert before.shape == expected.shape
    program = chip.program()
    assert np.array_equal(program.run(x).spikes, expected)
    for ours, compiled in zip(integers.projections, program.network.projections, strict=False):
        if len(integers.projections) == len(program.network.projections):
            assert set(np.unique(compiled.synapses.weight)) <= set(np.unique(ours.synapses.weight))


def build_layers(neuron="cuba_lif", reset="hard", seed=0) -> Network:
    """Return 12 - 16 - 4 neurons with a residual, and a readout behind them."""
    rng = np.random.default_rng(seed)
    make = {
        "cuba_lif": lambda: CubaLif(0.6, 0.1, 1.0, rng.normal(0, 0.02, 16), reset),
        "integrate_fire": lambda: IntegrateFire(1.0, 0.01, reset),
    }[neuron]
    wide = rng.normal(0.1, 0.5, (16, 12))
    return Network(
        Input("in", (12,)),
        (Population("h", (16,), make()), Population("out", (4,), Readout(1.0, 0.1, 0.02))),
        (
            Projection("in", "h", dense(wide)),
            Projection("in", "out", dense(rng.normal(0, 0.2, (4, 12)))),
            Projection("h", "out", dense(rng.normal(0, 0.3, (4, 16)))),
        ),
        "out",
    )


def draw_spikes(seed=0, samples=8, steps=10, size=12):
    rng = np.random.default_rng(seed)
    return (rng.random((samples, steps, size)) < 0.3).astype(np.uint8)


def find_gradients(module, x):
    module.zero_grad()
    loss = nn.functional.cross_entropy(module(x).mean(1), torch.arange(len(x)) % 4)
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


KERNELS = [("cuba_lif", "hard"), ("cuba_lif", "soft"), ("integrate_fire", "soft")]
KERNELS += [("cuba_lif", "none"), ("integrate_fire", "hard")]


@pytest.mark.parametrize("neuron, reset", KERNELS)
def test_kernels_have_the_spikes_and_gradients_of_the_records(monkeypatch, neuron, reset):
    network, x = build_layers(neuron, reset), draw_spikes()
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    modules = [training.from_network(network), chip_aware(program)]
    compiled = [(m(x).detach(), find_gradients(m, x)) for m in modules]
    monkeypatch.setattr(fused, "NEURONS", ())
    for module, (output, gradients) in zip(modules, compiled, strict=True):
        # Sums of float32 in another order.
        torch.testing.assert_close(output, module(x).detach(), rtol=1e-5, atol=1e-6)
        plain = find_gradients(module, x)
        assert gradients.keys() == plain.keys()
        for name, gradient in gradients.items():
            assert gradient.abs().max() > 0
            torch.testing.assert_close(gradient, plain[name], rtol=1e-4, atol=1e-6)


def test_gradients_are_those_of_the_float_network_where_nothing_rounds():
    """Weights, thresholds and biases that are whole at the chip's scale; decays of all and none."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-60, 100, (6, 12)) * 2
    neuron = IntegerCubaLif(4095, 0, 250, 5, 3, "soft")
    out = IntegerReadout(4095, 0)
    network = IntegerNetwork(
        Input("in", (12,)),
        (Population("h", (6,), neuron), Population("out", (4,), out)),
        (
            Projection("in", "h", integer_dense(weight, 0, 8)),
            Projection("h", "out", integer_dense(rng.integers(-60, 60, (4, 6)) * 2, 0, 8)),
        ),
        "out",
    )
    program = snncompile.compile(network, chip="loihi2")
    chip, x = chip_aware(program), draw_spikes(3)
    scale = 250 * 64.0
    top = chip.output_scale
    floats = Network(
        Input("in", (12,)),
        (
            Population("h", (6,), CubaLif(1.0, 0.0, 1.0, 40 / scale, "soft")),
            Population("out", (4,), Readout(1.0, 0.0)),
        ),
        (
            Projection("in", "h", dense(weight * 64 / scale)),
            Projection("h", "out", dense(network.projections[1].synapses.weight * 64 / top)),
        ),
        "out",
    )
    ours, theirs = find_gradients(chip, x), find_gradients(training.from_network(floats), x)
    for layer in (0, 1):
        torch.testing.assert_close(
            ours[f"projections.{layer}.weights.weight"],
            theirs[f"projections.{layer}.weight"],
            rtol=1e-4,
            atol=1e-6,
        )
    torch.testing.assert_close(
        ours["populations.0.parameters_of.bias"].float(),
        theirs["populations.0.bias"],
        rtol=1e-4,
        atol=1e-6,
    )


KINDS = ["cuba_lif/hard", "cuba_lif/delayed_soft", "integrate_fire/soft", "adaptive_lif/soft"]
KINDS += ["refractory_lif/", "ternary_lif/", "signed_integrate_fire/", "multi_spike_lif/soft"]


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss(kind):
    """Eight random patterns in four classes, on the integers of 3 bits."""
    name, _, reset = kind.partition("/")
    make, more = registry.load("neurons", name), {"reset": reset} if reset else {}
    values = {"current_decay": 1.0, "potential_decay": 0.1, "threshold": 1.0}
    values |= {"threshold_decay": 0.1, "threshold_step": 0.2, "refractory": 1.0}
    values |= {"negative_threshold": -1.0}
    neuron = make(**{n: values[n] for n in make._arrays() if n in values}, **more)
    network = build_layers()
    network = replace(network, populations=(Population("h", (16,), neuron), network.populations[1]))
    x, label = draw_spikes(5), torch.arange(8) % 4
    program = snncompile.compile(network, chip="loihi2", bits=3, calibration=x, prune=False)
    chip = chip_aware(program)
    before = nn.functional.cross_entropy(chip(x).mean(1), label).item()
    optimizer = torch.optim.Adam(chip.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(chip(x).mean(1), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < before / 3
    after = chip.program()
    answers = after.run(x).spikes.mean(1).argmax(1)
    assert (answers == label.numpy()).mean() > 0.9


def test_masters_begin_at_the_float_weights():
    network, x = build_layers(), draw_spikes()
    chip = chip_aware(snncompile.compile(network, chip="loihi2", calibration=x, prune=False))
    for ours, p in zip(chip.projections, network.projections, strict=True):
        master, floats = ours.weights.weight.detach().numpy(), p.synapses.weight
        integers = ours.synapses.weight / ours.weights.per_step.numpy() / ours.weights.step
        assert np.abs(master - floats).mean() < 0.2 * np.abs(integers - floats).mean()
    bias = chip.populations[0].parameters_of.bias.detach().numpy()
    np.testing.assert_allclose(bias, network.populations[0].neuron.bias, atol=1e-3)
    threshold = chip.populations[0].parameters_of.threshold.detach().numpy()
    np.testing.assert_allclose(threshold, 1.0, rtol=1e-6)


def test_decays_train_where_they_are_asked_for():
    program = snncompile.compile(build_layers(), chip="loihi2", calibration=draw_spikes())
    chip = chip_aware(program, train=("potential_decay", "weight"))
    gradients = find_gradients(chip, draw_spikes())
    assert gradients["populations.0.parameters_of.potential_decay"].abs().sum() > 0
    assert not any("threshold" in name for name, _ in chip.named_parameters())
    with torch.no_grad():
        chip.populations[0].parameters_of.potential_decay += 0.25
    decay = chip.integers().populations[0].neuron.potential_decay
    assert decay == program.network.populations[0].neuron.potential_decay + 1024
    x = draw_spikes(9)
    assert np.array_equal(chip.run(x).spikes, chip.program().run(x).spikes)


def test_masters_beyond_their_range_stay_at_its_end():
    program = snncompile.compile(build_layers(), chip="loihi2", bits=2, calibration=draw_spikes())
    chip, x = chip_aware(program), draw_spikes()
    with torch.no_grad():
        for p in chip.parameters():
            p.mul_(1e4)
    weights = [p.synapses.weight for p in chip.integers().projections]
    assert {*np.unique(np.concatenate([w.ravel() for w in weights]))} <= {-128, 0, 128}
    assert np.array_equal(chip.run(x).spikes, chip.program().run(x).spikes)


def test_no_gradient_passes_a_potential_that_saturates():
    """One neuron that never fires; the second of two inputs of 200 * 2^13 saturates it."""
    neuron = IntegerReadout(4095, 0)
    network = IntegerNetwork(
        Input("in", (1,)),
        (Population("out", (1,), neuron),),
        (Projection("in", "out", integer_dense([[200]], 7, 8)),),
        "out",
    )
    x = np.ones((1, 8, 1), np.uint8)
    chip = chip_aware(snncompile.compile(network, chip="loihi2"))
    output = chip(x)
    reached = (output * chip.output_scale).flatten().tolist()
    assert reached[4:6] == [5 * 200 * 2**13, 2**23 - 1]
    (output[0, 4].sum() + output[0, 7].sum()).backward()
    weight = chip.projections[0].weights.weight
    expected = output.detach()[0, 4] / weight.detach()[0]  # nothing of step 7
    torch.testing.assert_close(weight.grad[0], expected)


def test_copies_states_and_groups_of_an_optimizer_work():
    program = snncompile.compile(build_layers(), chip="loihi2", calibration=draw_spikes())
    chip, x = chip_aware(program), draw_spikes()
    chip(x)
    copied = deepcopy(chip)
    with torch.no_grad():
        copied.projections[0].weights.weight.mul_(3.0)
    assert np.array_equal(chip.run(x).spikes, program.run(x).spikes)
    assert not np.array_equal(copied.run(x).spikes, program.run(x).spikes)
    chip.load_state_dict(copied.state_dict())
    assert np.array_equal(chip.run(x).spikes, copied.run(x).spikes)
    weights = [p for n, p in chip.named_parameters() if n.endswith("weight")]
    rest = [p for n, p in chip.named_parameters() if not n.endswith("weight")]
    optimizer = torch.optim.SGD([{"params": weights, "lr": 0.1}, {"params": rest, "lr": 0.0}])
    before = [p.clone() for p in rest]
    chip(x).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, rest, strict=True))


def test_a_surrogate_of_spikingjelly_takes_the_place_of_ours():
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    program = snncompile.compile(build_layers(), chip="loihi2", calibration=draw_spikes())
    x = draw_spikes()
    ours, theirs = chip_aware(program), chip_aware(program, surrogate=surrogate.ATan())
    assert torch.equal(ours(x), theirs(x))
    name = "projections.0.weights.weight"
    assert not torch.allclose(find_gradients(ours, x)[name], find_gradients(theirs, x)[name])


class Unknown(IntegerIntegrateFire):
    name = "unknown"


def exchange(program, neuron):
    """Return a Program with another neuron of its first population, which was never compiled."""
    populations = (replace(program.network.populations[0], neuron=neuron),)
    network = replace(program.network, populations=populations + program.network.populations[1:])
    return replace(program, network=network, source=None)


def test_says_what_cannot_train():
    program = snncompile.compile(build_layers(), chip="loihi2", calibration=draw_spikes())
    with pytest.raises(InputError) as wrong:
        chip_aware(program, train=("weights",))
    assert str(wrong.value) == (
        "train: no parameter 'weights'; known: bias, cos_decay, current_decay, negative_threshold,"
        " potential_decay, sin_decay, threshold, threshold_decay, threshold_step, weight"
    )
    with pytest.raises(UnsupportedError) as unknown:
        chip_aware(exchange(program, Unknown(5)))
    assert str(unknown.value) == (
        "population h: neuron unknown has no float record, whose step would give the gradient; give"
        " it one, in the table `neurons` of the registry"
    )
    first = program.network.projections[0]
    rule = snncompile.stdp(a_plus=0.5, a_minus=-0.5, tau_plus=4, tau_minus=4)
    network = replace(
        program.network, projections=(replace(first, rule=rule), *program.network.projections[1:])
    )
    with pytest.raises(InputError) as learns:
        chip_aware(replace(program, network=network))
    assert str(learns.value) == (
        "projection in -> h learns on the chip, by its own rule; use freeze_learning for weights"
        " that stay, and compile that"
    )
    wide = exchange(program, IntegerGraded())
    wiring = replace(first.synapses, exponent=20)
    projections = tuple(
        replace(p, synapses=replace(p.synapses, exponent=20)) for p in wide.network.projections
    )
    assert wiring.exponent == 20
    with pytest.raises(UnsupportedError) as large:
        chip_aware(replace(wide, network=replace(wide.network, projections=projections)))
    assert str(large.value) == (
        "population out: sums reach 3.6e+16, training holds 2^53 exactly; send smaller numbers, or"
        " use fewer sources"
    )


def test_a_network_that_has_diverged_is_no_program():
    x = draw_spikes()
    chip = chip_aware(snncompile.compile(build_layers(), chip="loihi2", calibration=x))
    name, master = next(iter(chip.named_parameters()))
    with torch.no_grad():
        master.fill_(torch.nan)
    with pytest.raises(InputError) as error:
        chip.program()
    assert str(error.value) == (
        f"{name} holds numbers that are not finite: training has diverged; begin anew from an"
        " earlier state, with a smaller rate or clipped gradients"
    )
