"""A network that learns on Loihi 1: compiled, run, verified on Lava, priced, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import snncompile
from snncompile.errors import FitError, UnsupportedError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

RULE = snncompile.stdp(
    learning_rate=2**-9, a_plus=1, a_minus=-1, tau_plus=4, tau_minus=4, limit=1.0
)


def network(inhibition: snncompile.LearningRule | None = None, *, loop: bool = False) -> Network:
    """Return input 20 -> f 12 -> h 6, where the second learns; with `loop` h inhibits itself."""
    rng = np.random.default_rng(0)
    populations = (
        Population("f", (12,), CubaLif(1.0, 0.1, 1.0)),
        Population("h", (6,), CubaLif(1.0, 0.2, 1.0)),
    )
    projections = [
        Projection("input", "f", dense(rng.normal(0.2, 0.3, (12, 20)))),
        Projection("f", "h", dense(rng.uniform(0, 0.5, (6, 12))), rule=RULE),
    ]
    if loop:
        own = dense(-0.5 * (1 - np.eye(6)))
        projections.append(Projection("h", "h", own, 1, rule=inhibition))
    return Network(Input("input", (20,)), populations, tuple(projections), "h")


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).random((6, 15, 20)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def program(x):
    return snncompile.compile(network(), chip="loihi1", calibration=x)


def test_it_learns_goes_on_and_is_saved(program, x, tmp_path):
    whole, first = program.run(x), program.run(x[:4])
    assert (whole.learned[1].weight != program.network.plastic[0].synapses.weight).any()
    learned = program.learned(first)
    second = learned.run(x[4:])
    assert (np.concatenate([first.spikes, second.spikes]) == whole.spikes).all()
    learned.save(tmp_path / "learned")
    again = snncompile.load(tmp_path / "learned")
    assert again.chip == program.chip
    assert (again.run(x[4:]).learned[1].weight == whole.learned[1].weight).all()


def test_updates_have_the_published_price(program, x):
    estimate = program.estimate(x)
    (row,) = [r for r in estimate.rows if r.event == "learning_update"]
    assert (row.layer, row.price_j) == ("h", 120e-12)
    assert row.source.startswith("quoted: Davies et al., Loihi")
    assert row.energy_j == pytest.approx(row.count * 120e-12)
    silent = snncompile.plastic(network(), "f", "h", RULE.change(dw="0*x0"))
    still = snncompile.compile(silent, chip="loihi1", calibration=x)
    assert estimate.latency_s > still.estimate(x).latency_s
    fitted = program.estimate(x, costs="sanafe")
    assert "energy of learning_update" in fitted.missing


@pytest.mark.lava
def test_lava_learns_the_same_weights(program, x):
    comparison = program.verify(x).comparison("integer", "lava")
    assert comparison.equal
    assert comparison.rows[-1].population == "weights f -> h"


def test_boards_learn(x):
    program = snncompile.compile(network(), chip="loihi1:nahuku", calibration=x)
    assert len(program.usage()) == 2


def test_fixed_synapses_beside_learning_ones_are_refused(x):
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network(loop=True), chip="loihi1", calibration=x)
    assert str(error.value) == (
        "projection f -> h learns with epoch 1, h -> h does not: on a core of loihi1 all synapses"
        " learn, by one epoch, or none; give it the rule 0*x0, which changes nothing, or compile"
        " for loihi2"
    )


def test_synapses_with_a_rule_that_changes_nothing_are_taken(x):
    still = snncompile.LearningRule("0*x0")
    program = snncompile.compile(network(still, loop=True), chip="loihi1", calibration=x)
    result = program.run(x)
    assert (result.learned[2].weight == program.network.projections[2].synapses.weight).all()
    assert (result.learned[1].weight != program.network.projections[1].synapses.weight).any()


def test_two_epochs_into_a_population_are_refused(x):
    slow = snncompile.LearningRule("0*x0", epoch=4)
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network(slow, loop=True), chip="loihi1", calibration=x)
    assert str(error.value) == (
        "projection f -> h learns with epoch 1, h -> h has epoch 4: on a core of loihi1 all"
        " synapses learn, by one epoch, or none; give it one epoch or compile for loihi2"
    )


def test_third_factors_are_refused(x):
    """Loihi 2 has them for single synapses."""
    net = network()
    teacher = Population("reward", (6,), CubaLif(1.0, 0.1, 1.0))
    feeds = Projection("input", "reward", dense(np.full((6, 20), 0.1)))
    rule = snncompile.LearningRule(
        "2^-6*x1*y0*y2", x1_impulse=16, x1_tau=4, third_factor={"y2": "reward"}, limit=1.0
    )
    populations = (*net.populations[:1], teacher, net.populations[1])
    third = replace(net, populations=populations, projections=(*net.projections, feeds))
    third = snncompile.plastic(third, "f", "h", rule)
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(third, chip="loihi1", calibration=x)
    assert str(error.value) == (
        "projection f -> h learns with a third factor (y2 of reward): on loihi1 no population can"
        " send one to single synapses; compile for loihi2, or take traces of source and target"
        " alone"
    )


def test_nxtf_does_not_count_it(x):
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network(), chip="loihi1", calibration=x, partitioner="nxtf")
    assert str(error.value) == (
        "partitioner nxtf counts no synapses that learn, as those into h; use free"
    )


def test_two_axons_per_source_limit_the_sources(x):
    """4,096 input axons are 2,048 sources."""
    wide = Network(
        Input("input", (2049,)),
        (Population("h", (2,), CubaLif(1.0, 0.2, 1.0)),),
        (Projection("input", "h", dense(np.full((2, 2049), 0.01)), rule=RULE),),
        "h",
    )
    with pytest.raises(FitError) as error:
        snncompile.compile(wide, chip="loihi1", steps=5)
    assert str(error.value).startswith(
        "population h: needs 4,098 input axons for one neuron, the chip allows 4,096; "
    )
    fewer = Projection("input", "h", dense(np.full((2, 2048), 0.01)), rule=RULE)
    fits = replace(wide, input=Input("input", (2048,)), projections=(fewer,))
    (core,) = snncompile.compile(fits, chip="loihi1", steps=5).usage()
    assert core.used["axons_in"] == 4096
