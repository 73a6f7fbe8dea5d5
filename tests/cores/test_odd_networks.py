"""Networks of odd shapes: every chip places them or refuses them in one line, soon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from odd_networks import ODD, make_network

import snncompile
from snncompile.errors import LINE_LENGTH, FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.chips import list_names, load_chip
from snncompile.synapses.dense import integer_dense


def answer(name: str, chip: str) -> None:
    """Compile; a refusal is about the network and fits a line."""
    network = make_network(name, load_chip(chip))
    try:
        snncompile.compile(network, chip=chip, prune=False)
    except (FitError, UnsupportedError, QuantizeError) as error:
        first, *others = str(error).splitlines()
        assert max(map(len, (first, *others))) < LINE_LENGTH
        assert not others or first.endswith("things stand in the way:")


@pytest.mark.parametrize("chip", list_names())
@pytest.mark.parametrize("name", ["prime sizes", "shortcut"])
def test_is_placed_or_refused(name, chip):
    answer(name, chip)


@pytest.mark.parametrize("chip", ["odin", "speck2", "spinnaker2"])
def test_many_layers_are_refused_in_one_line(chip):
    answer("200 layers", chip)


def test_cores_of_crossbars_are_counted_as_far_as_it_says_enough():
    """Of 156,800 neurons each is built for every core that hears it: a count takes minutes."""
    network = make_network("depthwise", load_chip("odin"))
    with pytest.raises(FitError) as error:
        snncompile.compile(network, chip="odin", prune=False)
    assert str(error.value) == (
        "network depthwise: needs 1,025 cores or more (p1 1025), the chip allows 1; use fewer"
        " neurons or weight bits: sources with many axons are built several times; with"
        " 196,000 neurons only boards were tried, to answer soon"
    )


@pytest.mark.parametrize("chip", ["speck2", "loihi1"])
def test_thresholds_of_one_core_are_as_many_as_its_profiles(chip):
    """On chips with rules of their own, too."""
    network = make_network("one neuron", load_chip(chip))
    (population,) = network.populations
    wide = integer_dense(np.full((40, 1), 2), 0, 8)
    neuron = replace(population.neuron, threshold=np.arange(100, 140))
    network = replace(
        network,
        populations=(replace(population, shape=(40,), neuron=neuron),),
        projections=(replace(network.projections[0], synapses=wide),),
    )
    if chip == "loihi1":
        assert snncompile.compile(network, chip=chip, prune=False).mapping.cores > 1
        return
    with pytest.raises(FitError) as error:
        snncompile.compile(network, chip=chip, prune=False)
    assert str(error.value).startswith(
        "population p0: needs 40 threshold profiles on a core, the chip allows 1; give the neurons"
        " of a layer the same threshold, decays and bias"
    )


@pytest.mark.slow
@pytest.mark.parametrize("chip", list_names())
@pytest.mark.parametrize("name", ODD)
def test_every_odd_network_is_placed_or_refused(name, chip):
    answer(name, chip)
