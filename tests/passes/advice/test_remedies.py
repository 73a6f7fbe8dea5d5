"""Remedies count cores as the other chip's own quantizer would fill them."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, integer_chain

import snncompile
from snncompile.errors import FitError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.passes.advice.remedies import level_scales, share_thresholds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.dense import dense
from snncompile.synapses.weight_formats import weight_step


@pytest.mark.parametrize(
    "chip, thresholds",
    [
        (LOIHI1, [1, 4, 7, 10, 13, 16, 19]),
        (TOY, [1, 11]),
        (LOIHI2, list(range(1, 21))),
    ],
    ids=["seven profiles", "two profiles", "number not known"],
)
def test_neurons_share_the_thresholds_that_a_chip_has(chip, thresholds):
    network = integer_chain(3, 20, 2, neuron=IntegerCubaLif(4095, 0, 5))
    (a, b) = network.populations
    neuron = IntegerCubaLif(4095, 0, np.arange(20, 0, -1))
    network = type(network)(
        network.input, (type(a)("a", (20,), neuron, a.phase), b), network.projections, "b"
    )
    shared = share_thresholds(network, chip)
    assert np.unique(shared.population("a").neuron.threshold).tolist() == thresholds
    assert shared.population("b").neuron.threshold == 5


def scaled(weight: np.ndarray) -> Network:
    """Return integrate-and-fire neurons behind these weights."""
    targets, sources = weight.shape
    return Network(
        Input("input", (sources,)),
        (Population("a", (targets,), IntegrateFire(3.0, reset="hard")),),
        (Projection("input", "a", dense(weight)),),
        "a",
    )


def test_a_crossbar_names_one_scale_per_population_where_it_helps():
    """Small weights beside a large one take one axon of a source in place of two or three."""
    weight = np.full((3, 150), 0.9)
    weight[0] = [7] + 149 * [0]
    with pytest.raises(FitError) as error:
        snncompile.compile(scaled(weight), chip="truenorth")
    assert str(error.value) == (
        "population a: needs 300 axons for one neuron, the chip allows 256; use fewer sources per"
        " neuron or fewer weight bits; with 2-bit weights it takes 1 core; with scales=population"
        " it takes about 1 core; on loihi1 it takes 1 core; on loihi2 it takes 1 core"
    )
    program = snncompile.compile(scaled(weight), chip="truenorth", scales="population")
    assert program.mapping.cores == 1


def test_one_scale_per_population_is_not_named_where_it_does_not_help():
    with pytest.raises(FitError) as error:
        snncompile.compile(scaled(np.full((3, 150), 0.9) * [[1], [1], [0.5]]), chip="truenorth")
    assert "scales=population" not in str(error.value)


def test_levelled_scales_are_those_that_quantize_would_take():
    """Thresholds are equal then, and weights differ from those of the option by half a step."""
    network = scaled(np.random.default_rng(0).normal(0, 1, (6, 9)) * [[1], [2], [4], [1], [8], [3]])
    chip = load_chip("truenorth")
    own, one = (
        Quantize(bits=4, scales=scales)(Design(network, chip)).network
        for scales in ("neuron", "population")
    )
    level = level_scales(own)
    assert level is not None
    found, wanted = (n.projections[0].synapses.weight for n in (level, one))
    step = weight_step(4)
    assert np.abs(found.astype(int) - wanted).max() <= step
    assert (found != wanted).mean() < 0.2  # rounded twice, a weight can end on the other side
    assert level_scales(one) is None
