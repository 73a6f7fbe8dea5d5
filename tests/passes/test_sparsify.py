"""Zeros go where single synapses cost less of the chip, and no spike changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_programs import draw_case
from networks import LOIHI1, LOIHI2, TOY

import snncompile
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.passes.pipeline import Pipeline
from snncompile.passes.sparsify import Sparsify, drop_zeros
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.source_range import split
from snncompile.synapses.sparse import Sparse


def wire(synapses: IntegerSynapses, **more) -> IntegerNetwork:
    wiring = synapses.wiring
    shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
    return IntegerNetwork(
        Input("in", (wiring.sources,)),
        (Population("out", shape, IntegerIntegrateFire(40), 1),),
        (Projection("in", "out", synapses, 1, **more),),
        "out",
    )


def lower(network, chip=LOIHI1) -> Design:
    return Pipeline((Sparsify(),)).run(Design(network, chip))


def draw_weights(shape, zeros, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.integers(1, 100, shape) * (rng.random(shape) >= zeros)


def test_by_hand():
    """Three synapses of eight, on a chip where one synapse is one word."""
    weight = np.array([[4, 0, 0, 0], [0, -6, 0, 8]])
    done = lower(wire(integer_dense(weight, 2, 8)), TOY)
    (after,) = done.network.projections
    assert isinstance(after.synapses.wiring, Sparse)
    assert after.synapses.wiring.target.tolist() == [0, 1, 1]
    assert after.synapses.wiring.source.tolist() == [0, 1, 3]
    assert after.synapses.weight.tolist() == [4, -6, 8]
    assert (after.synapses.exponent, after.synapses.bits) == (2, 8)
    assert done.log == (
        "sparsify: in -> out is sparse now, 3 of 8 synapses, 3 words in place of 8",
    )


def test_a_projection_with_few_zeros_stays():
    network = wire(integer_dense(draw_weights((20, 20), 0.2), 0, 8))
    done = lower(network)
    assert done.network is network
    assert done.log == ("sparsify: no dense projection or convolution has many zeros",)


def test_a_kernel_that_many_share_stays_and_the_report_says_why():
    wiring = Convolution((4, 12, 12), 8, (3, 3), (1, 1), (1, 1), (1, 1))
    weight = draw_weights(wiring.weight_shape, 0.5)
    network = wire(IntegerSynapses(wiring, weight, 0, 8))
    done = lower(network)
    assert done.network.projections == network.projections
    assert wiring.matrix(weight).count_nonzero() == 20_212
    assert done.log == (
        "sparsify: in -> out stays convolution: sparse it had 20,212 of 36,992 synapses, 4,888"
        " words in place of 292",
    )


def test_a_kernel_of_almost_nothing_is_listed():
    wiring = Convolution((4, 6, 6), 8, (3, 3), (1, 1), (1, 1), (1, 1))
    weight = np.zeros(wiring.weight_shape, np.int16)
    weight[0, 0, 1, 1] = weight[5, 2, 0, 1] = 8
    done = lower(wire(IntegerSynapses(wiring, weight, 0, 8)))
    (after,) = done.network.projections
    assert after.synapses.wiring.synapses == 36 + 30


def test_a_range_of_the_sources_is_lowered_as_well():
    whole = integer_dense(draw_weights((6, 40), 0.9), 0, 8)
    first, second = split(whole, 2)
    network = wire(first)
    done = lower(replace(network, projections=(network.projections[0],)))
    (after,) = done.network.projections
    assert isinstance(after.synapses.wiring, Sparse)
    assert (after.synapses.wiring.sources, after.synapses.wiring.source.max() < 20) == (40, True)
    assert (drop_zeros(second).wiring.source >= 20).all()


SKIPPED = {
    "loihi2": "sparsify: loihi2 skips weights of zero itself",
    "speck2": "sparsify: speck2 has no single synapses in a memory of rows",
}


@pytest.mark.parametrize("name", SKIPPED)
def test_chips_without_a_price_of_zeros_keep_them(name):
    network = wire(integer_dense(draw_weights((6, 40), 0.9), 0, 8))
    done = lower(network, chips.load_chip(name))
    assert done.network is network
    assert done.log == (SKIPPED[name],)


def test_zeros_that_learn_stay():
    rule = snncompile.stdp(a_plus=0.5, a_minus=-0.5, tau_plus=4, tau_minus=4)
    network = wire(integer_dense(draw_weights((6, 40), 0.9), 0, 8), rule=rule)
    assert lower(network).network is network


def test_it_can_be_switched_off():
    network = wire(integer_dense(draw_weights((6, 40), 0.9), 0, 8))
    design = Pipeline((Sparsify("off"),)).run(Design(network, LOIHI1))
    assert (design.network, design.log) == (network, ("sparsify: off",))


@pytest.mark.parametrize("number", range(0, 30, 3))
def test_no_spike_changes(number):
    """Drawn networks with half of their weights gone, compiled both ways."""
    case = draw_case(14, number)
    rng, projections = np.random.default_rng(number), []
    for p in case.program.network.projections:
        gone = rng.random(p.synapses.weight.shape) < 0.6
        weight = np.where(gone, 0, p.synapses.weight)
        projections.append(replace(p, synapses=replace(p.synapses, weight=weight)))
    network = replace(case.program.network, projections=tuple(projections))
    chip = LOIHI2.model_copy(update={"zero_weights": "counted"})
    runs = [
        snncompile.compile(network, chip=chip, sparse=sparse).run(case.x[:4]).spikes
        for sparse in ("auto", "off")
    ]
    assert np.array_equal(*runs)


def test_the_estimate_counts_fewer_operations():
    weight = draw_weights((100, 200), 0.98)
    network, x = wire(integer_dense(weight, 0, 8)), np.ones((2, 4, 200), np.uint8)
    programs = [
        snncompile.compile(network, chip="loihi1", sparse=sparse, prune=False)
        for sparse in ("off", "auto")
    ]
    dense, sparse = (p.estimate(x).synaptic_ops for p in programs)
    assert (dense, sparse) == (4 * 100 * 200, 4 * np.count_nonzero(weight))


@pytest.mark.parametrize("shape", [(3000,), (3, 40, 40), (2, 1, 1500)])
def test_a_target_larger_than_a_core_is_counted_core_by_core(shape):
    """Loihi 1's index of a synapse names one of 1,024 neurons."""
    kernel = draw_weights((shape[0], 1, 1, 1), 0.5)
    if len(shape) == 1:
        synapses = integer_dense(draw_weights((shape[0], 5), 0.9), 0, 8)
    else:
        wiring = Convolution((1, *shape[1:]), shape[0], (1, 1), (1, 1), (0, 0), (1, 1))
        synapses = IntegerSynapses(wiring, kernel, 0, 8)
    done = lower(wire(synapses))
    (after,) = done.network.projections
    most = 5 * 3000 if len(shape) == 1 else int(np.prod(shape))
    assert f" of {most:,} synapses" in done.log[0]
    before = synapses.wiring.matrix(synapses.weight).toarray()
    assert np.array_equal(after.synapses.wiring.matrix(after.synapses.weight).toarray(), before)
