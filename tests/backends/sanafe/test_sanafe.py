"""Against SANA-FE itself: every count of every step, energy, time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from networks import LOIHI1, TOY, alone, apart, changed, integer_chain

import snncompile
from snncompile.backends.energy.activity import record
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.counts import count_events, make_sanafe_machine
from snncompile.backends.energy.estimate import Ledger
from snncompile.backends.energy.events import COLUMN, SYNAPTIC
from snncompile.backends.sanafe import architecture
from snncompile.backends.sanafe.network import translate
from snncompile.backends.sanafe.run import pad_sample, run
from snncompile.errors import FitError, InputError, UnsupportedError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale

HOPS = ("hop_east_west", "hop_north_south")


def ours(program, x):
    """Return the activity that SANA-FE sees, our counts of it by step, and the machine."""
    spikes, steps = pad_sample(program, x)
    (activity,) = record(program.network, spikes, updates=True)
    machine = make_sanafe_machine(program)
    activity = activity.cut(steps)
    events = count_events(machine, activity).events.sum(axis=1)
    inputs = program.network.input.size
    step = np.repeat(np.arange(steps), np.diff(activity.step_start))
    sent = np.bincount(step[activity.neuron < inputs], minlength=steps)
    return activity, {event: events[:, column] for event, column in COLUMN.items()}, sent, machine


def seconds(program, activity, machine, model: str):
    ledger = Ledger(machine, find_costs(program.chip, "sanafe"), model, "sanafe", activity.steps)
    ledger.add(activity)
    return ledger.seconds[0][0]


def agrees(program, x, *, replay: bool = False, replayed=()) -> None:
    """Compare every step; `replayed`: the populations SANA-FE cannot compute."""
    activity, events, sent, machine = ours(program, x)
    found = run(program, x, costs="sanafe", replay=replay)
    assert set(found.replayed) == set(replayed)
    assert found.fired.sum() > sent.sum()  # something happens
    assert (found.fired == events["spike"] + sent).all()
    assert (found.updated == events["neuron_updated"] + sent).all()
    assert (found.synaptic_ops == sum(events[event] for event in SYNAPTIC)).all()
    assert (found.messages == events["message_out"]).all()
    assert (found.hops == sum(events[event] for event in HOPS)).all()
    prices = np.nan_to_num(find_costs(program.chip, "sanafe").energy_pj)
    energy = sum(events[event] * prices[column] for event, column in COLUMN.items())
    assert found.energy_j == pytest.approx(energy * 1e-12, rel=1e-12)
    detailed = seconds(program, activity, machine, "cycle")
    # SANA-FE orders a neuron's messages by the addresses of its cores in memory, so that its own
    # times differ from run to run; that shows in short steps.
    assert detailed.sum() == pytest.approx(found.seconds.sum(), rel=0.02)
    assert detailed == pytest.approx(found.seconds, rel=0.05)
    simple = run(program, x, costs="sanafe", timing="simple", replay=replay)
    assert seconds(program, activity, machine, "fast") == pytest.approx(simple.seconds, rel=1e-9)


def lif(rng, size: int, reset: str, threshold: int, decaying: bool = False):
    return IntegerCubaLif(
        1000 if decaying else 4095,
        rng.integers(0, 2000),
        threshold,
        rng.integers(-5, 6, size) * 20,
        6,
        reset=reset,
    )


def random_program(seed: int, sizes=(40, 700, 500, 10), **options):
    """Return a random chain with a second projection around the middle, on loihi1."""
    rng = np.random.default_rng(seed)
    names = ["input", *"abcdef"[: len(sizes) - 1]]
    populations, projections = [], []
    for i in range(1, len(sizes)):
        neuron = lif(rng, sizes[i], ("soft", "hard")[i % 2], int(rng.integers(200, 600)), **options)
        populations.append(Population(names[i], (sizes[i],), neuron, i))
        weight = rng.integers(-90, 110, (sizes[i], sizes[i - 1])) * 2
        projections.append(Projection(names[i - 1], names[i], integer_dense(weight, 0, 8), 1))
    network = IntegerNetwork(
        Input("input", sizes[:1]), tuple(populations), tuple(projections), names[-1]
    )
    return apart(network, chip="loihi1")


def convolutions():
    """Return input 2x12x12, convolution to 4x12x12 and on, a one-to-one loop, a dense readout."""
    rng = np.random.default_rng(5)

    def convolution(shape, channels: int):
        wiring = Convolution(shape, channels, (3, 3), (1, 1), (1, 1), (1, 1))
        return IntegerSynapses(wiring, rng.integers(-60, 90, wiring.weight_shape) * 2, 1, 8)

    shape = (4, 12, 12)
    size = int(np.prod(shape))
    network = IntegerNetwork(
        Input("input", (2, 12, 12)),
        (
            Population("a", shape, lif(rng, size, "hard", 300), 1),
            Population("b", shape, IntegerIntegrateFire(900, reset="soft"), 2),
            Population("c", (6,), lif(rng, 6, "hard", 2000), 3),
        ),
        (
            Projection("input", "a", convolution((2, 12, 12), 4), 1),
            Projection("a", "b", convolution(shape, 4), 1),
            Projection("b", "b", IntegerSynapses(Scale(size), np.array(-40), 0, 8), 1),
            Projection("b", "c", integer_dense(rng.integers(-30, 60, (6, size)) * 2, 0, 8), 1),
        ),
        "c",
    )
    return apart(network, chip="loihi1")


def some_spikes(program, steps: int, rate: float, seed: int = 0):
    shape = (1, steps, *program.network.input.shape)
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_random_networks(seed):
    program = random_program(seed)
    agrees(program, some_spikes(program, 8, 0.3, seed))


def test_replayed_in_whole():
    program = random_program(0)
    agrees(program, some_spikes(program, 6, 0.3), replay=True, replayed="abc")


def test_neurons_that_sanafe_lacks_are_replayed():
    program = random_program(1, decaying=True)
    agrees(program, some_spikes(program, 6, 0.2), replayed="abc")


def test_convolutions():
    program = convolutions()
    agrees(program, some_spikes(program, 8, 0.15))


@pytest.mark.parametrize("delayed", [False, True])
def test_the_digits_network(digits, delayed):
    program, x = digits(delayed)
    names = [p.name for p in program.network.populations]
    agrees(program, x[:1], replayed=names if delayed else ())


@pytest.fixture(scope="module")
def digits():
    """Return the demo's network on its digits, trained for one epoch, with two kinds of reset."""
    import snntorch
    from torch import nn

    from snncompile.cli import demo

    x, label = demo._load_digits()
    patch = pytest.MonkeyPatch()
    patch.setattr(demo, "EPOCHS", 1)
    trained = demo._train(x[:600], label[:600], lambda text: None)
    patch.undo()

    def build(delayed: bool):
        how = "subtract" if delayed else "zero"
        leaky = [
            snntorch.Leaky(beta=0.9, init_hidden=True, reset_mechanism=how, reset_delay=delayed)
            for _ in range(2)
        ]
        module = nn.Sequential(trained[0], leaky[0], trained[2], leaky[1])
        network = snncompile.from_torch(module, x[:8], title="digits")
        return apart(network, chip="loihi1", calibration=x[:64]), x[-4:]

    return build


def test_two_chips_are_refused():
    program = random_program(0)
    last = dataclasses.replace(program.mapping.sites[-1], chip=1)
    sites = (*program.mapping.sites[:-1], last)
    program = dataclasses.replace(
        program, mapping=dataclasses.replace(program.mapping, sites=sites)
    )
    with pytest.raises(UnsupportedError) as error:
        translate(program)
    assert str(error.value) == "network network: SANA-FE has one chip, the program takes 2"


def test_delays_are_refused():
    program = apart(integer_chain(1, 1), chip=LOIHI1)
    late = changed(changed(program.network, projection=0, delay=2), "a", phase=2)
    program = dataclasses.replace(program, network=late)
    with pytest.raises(UnsupportedError) as error:
        translate(program)
    assert str(error.value) == (
        "projection input -> a: has a delay of 2 steps, SANA-FE's updates come one step after the"
        " spike; only a delay of 1 can be exported"
    )


def test_several_samples_are_refused():
    program = random_program(0)
    with pytest.raises(InputError) as error:
        run(program, np.zeros((2, 3, 40)), costs="sanafe")
    assert str(error.value) == "SANA-FE runs one sample, got 2"


def test_other_cost_sets_are_refused():
    with pytest.raises(UnsupportedError) as error:
        architecture.make_architecture(find_costs(LOIHI1, "davies2018"), 1)
    assert str(error.value) == (
        "loihi1: cost set davies2018 has no price for neuron_mapped, neuron_updated, spike,"
        " message_out, message_in, which SANA-FE needs; take one that has"
    )


def test_the_input_needs_cores_of_its_own():
    program = apart(integer_chain(8, 4, 4, 4), chip=TOY)
    with pytest.raises(FitError) as error:
        program.estimate(np.zeros((1, 2, 8)), account="sanafe")
    assert str(error.value) == (
        "input: needs 2 cores beside those in use, the chip allows 1;"
        " account sanafe maps the input to cores; take account chip"
    )


WHY = {
    "a current that decays": (IntegerCubaLif(5, 0, 1), "its neurons have no decaying current"),
    "a delayed reset": (
        IntegerCubaLif(4095, 0, 1, reset="delayed_soft"),
        "it has no reset delayed_soft",
    ),
    "a start": (IntegerCubaLif(4095, 0, 1, initial=3), "its potentials start at 0"),
}


@pytest.mark.parametrize("case", WHY)
def test_why_a_population_is_replayed(case):
    neuron, why = WHY[case]
    program = apart(alone(neuron), chip=LOIHI1, prune=False)
    assert translate(program).groups[1].replayed == why


def test_sums_that_are_rounded_are_replayed():
    network = changed(alone(IntegerCubaLif(4095, 0, 1)), projection=0,
                      synapses=integer_dense([[6]], -2, 8))  # fmt: skip
    program = apart(network, chip=LOIHI1, prune=False)
    assert translate(program).groups[1].replayed == "its sums are not rounded"
