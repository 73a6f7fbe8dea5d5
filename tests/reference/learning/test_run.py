"""Runs of networks that learn: floats and integers, in pieces and as one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from plastic_networks import PAIRS, layers, rewarded, show

from snncompile.errors import InputError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.plastic import adopt_states, freeze_learning, plastic
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.reference.learning.run import run_learning
from snncompile.reference.simulate import run_batches
from snncompile.synapses.dense import dense, integer_dense

RULE = LearningRule(
    "0.5*x0*y1 + 0.25*y0*x1", x1_impulse=1, x1_tau=2, y1_impulse=1, y1_tau=2, limit=2.0
)


def pair(rule: LearningRule, weight: float = 0.75) -> Network:
    """Return one input line and one neuron that fires if it gets more than 0.5."""
    h = Population("h", (1,), CubaLif(1.0, 1.0, 0.5))
    projection = Projection("input", "h", dense([[weight]]), rule=rule)
    return Network(Input("input", (1,)), (h,), (projection,), "h")


MAKE = {"layers": layers, "rewarded": rewarded, "floats": lambda rng: pair(RULE)}


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("first", [1, 3])
def test_a_run_in_two_pieces_is_one_run(name, first):
    rng = np.random.default_rng(1)
    network = MAKE[name](rng)
    x = show(rng, network, samples=5)
    whole, before = network.run(x), network.run(x[:first])
    again = adopt_states(network, dict(before.learned))
    after = again.run(x[first:])
    assert (np.concatenate([before.spikes, after.spikes]) == whole.spikes).all()
    for number, state in whole.learned.items():
        for field in fields(state):
            ours = getattr(after.learned[number], field.name)
            assert np.array_equal(ours, getattr(state, field.name)), field.name


def test_floats_learn_as_the_rule_says():
    """The neuron fires with its input; its synapse sees that one step later.

    Step 0: source fires. Step 1: the synapse sees the target's spike: x1 = exp(-1/2), so w grows by
    a quarter of it. Step 2: the source fires again: y1 = exp(-1/2), w grows by half of it.
    """
    result = pair(RULE).run(np.array([[[1], [0], [1], [0]]]))
    decay = np.exp(-0.5)
    after_one = 0.75 + 0.25 * decay
    after_two = after_one + 0.5 * decay
    x1 = decay * (decay**2 + 1)
    after_three = after_two + 0.25 * x1
    assert result.spikes[0, :, 0].tolist() == [1, 0, 1, 0]
    assert result.learned[0].weight.item() == pytest.approx(after_three)
    assert result.learned[0].pre[0].item() == pytest.approx(x1)


def test_float_weights_stop_at_the_limit():
    x = np.ones((1, 50, 1))
    assert pair(RULE).run(x).learned[0].weight.item() == 2.0
    assert pair(RULE.change(limit=None)).run(x).learned[0].weight.item() == 0.75
    down = RULE.change(dw="-x0", sign="positive")
    assert pair(down).run(x).learned[0].weight.item() == 0.0


def test_a_run_leaves_the_network_alone():
    rng = np.random.default_rng(1)
    network = layers(rng)
    text, weight = str(network), network.projections[0].synapses.weight.copy()
    x = show(rng, network)
    first, second = network.run(x), network.run(x)
    assert str(network) == text
    assert (network.projections[0].synapses.weight == weight).all()
    assert (first.spikes == second.spikes).all()


def test_batches_are_refused():
    rng = np.random.default_rng(1)
    network = layers(rng)
    x = show(rng, network)
    with pytest.raises(InputError) as error:
        next(run_batches(network, x))
    assert str(error.value) == (
        "projection input -> h learns: its samples run one after the other, not in batches; use"
        " run, or freeze_learning for fixed weights"
    )
    assert next(run_batches(freeze_learning(network), x))["o"].shape == (4, 11, 4)


def test_a_rule_that_does_nothing_changes_no_spike():
    rng = np.random.default_rng(1)
    network = layers(rng)
    idle = [p.rule and p.rule.change(dw="0*x0", dt="") for p in network.projections]
    still = network
    for p, rule in zip(network.projections, idle, strict=True):
        if rule:
            still = plastic(still, p.source, p.target, rule)
    x = show(rng, network)
    assert (still.run(x).spikes == freeze_learning(network).run(x).spikes).all()


def test_updates_are_counted():
    """Epochs of 2 steps; a synapse has an update if its source or target fired, or by u1."""
    x = np.array([[[1], [0], [0], [0], [0], [0]]])
    h = Population("h", (1,), IntegerCubaLif(4095, 4095, 10), 1)
    counts = {}
    for dw in ("x0*y1", "x0*y1 + u1"):
        projection = Projection(
            "input", "h", integer_dense([[64]], 0, 8), 1, rule=PAIRS.change(dw=dw)
        )
        network = IntegerNetwork(Input("input", (1,)), (h,), (projection,), "h")
        (count,) = run_learning(network, x.astype(np.uint8), ["h"]).updates
        counts[dw] = (count.synapses, count.epochs)
    assert counts == {"x0*y1": (1, 3), "x0*y1 + u1": (2, 3)}
