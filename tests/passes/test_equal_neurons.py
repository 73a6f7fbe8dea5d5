"""Neurons that a chip lacks become equal ones of it; no spike changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import (
    LOIHI2,
    TOY,
    chain,
    changed,
    integer_chain,
    random_integer_network,
    random_network,
    spikes,
)

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.fit import fit
from snncompile.hwmodels import chips
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.passes.equal_neurons import begin_design, use_equal_neurons
from snncompile.reference.simulate import check_spikes, run_batches

IF_CHIPS = ("truenorth", "odin", "speck2", "paicore2")
PLAIN = CubaLif(1.0, 0.0, 1.0)


def with_neurons(*kinds: str):
    """Return the toy chip with some of its neurons only."""
    return TOY.model_copy(update={"neurons": {kind: TOY.neurons[kind] for kind in kinds}})


ONLY_IF = with_neurons("integrate_fire/hard", "integrate_fire/soft")
ONLY_CUBA = with_neurons("cuba_lif/hard", "cuba_lif/soft")


@pytest.mark.parametrize("chip", IF_CHIPS)
def test_a_network_without_leak_and_memory_compiles_where_there_is_integrate_and_fire(chip):
    network = chain(6, 5, 4, neuron=PLAIN, weight=0.5)
    x = spikes(network, 4, 6)
    program = snncompile.compile(network, chip=chip, calibration=x, bits=4)
    assert {p.neuron.kind for p in program.network.populations} == {"integrate_fire/hard"}
    assert program.log[0] == (
        "neurons: cuba_lif/hard is integrate_fire/hard here, bit for bit, in a, b"
    )
    assert program.source is network
    assert (program.run(x).spikes == network.run(x).spikes).all()
    assert program.run(x).spikes.any()


def test_a_neuron_of_the_chip_stays():
    network = chain(3, 2)
    assert use_equal_neurons(network, LOIHI2) is network
    assert begin_design(network, LOIHI2).log == ()


def test_a_neuron_without_an_equal_stays_too():
    network = chain(3, 2, neuron=CubaLif(1.0, 0.5, 1.0))
    assert use_equal_neurons(network, ONLY_IF) is network


def test_an_equal_of_an_equal_will_do():
    """Adaptive without a rise is current-based; without leak and memory integrate-and-fire."""
    network = chain(3, 2, neuron=AdaptiveLif(1.0, 0.0, 1.0, 0.3, 0.0, 0.25, "soft", initial=0.5))
    (population,) = use_equal_neurons(network, ONLY_IF).populations
    assert str(population.neuron) == "integrate_fire/soft threshold=1 bias=0.25 initial=0.5"


def test_the_nearest_may_be_an_equal_of_one_that_comes_close():
    """Potentials 0.75, 1.5 (fires), 1.25 (fires), 1, ...; hard: every second step fires."""
    network = chain(1, 1, neuron=CubaLif(1.0, 0.0, 1.0, reset="soft"), weight=0.75)
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip="odin", calibration=np.ones((20, 6, 1), np.uint8))
    assert str(error.value) == (
        "population a: odin has no neuron cuba_lif/soft; it has integrate_fire/hard; train with the"
        " nearest, integrate_fire/hard, where a spike clears the potential at once; in this network"
        " it would change 48 of the 96 outputs of a on 16 calibration samples"
    )


def test_fit_agrees():
    trials = fit(chain(3, 2), chip="paicore2")
    assert [(trial.what, trial.fits) for trial in trials] == [("as it is", True)]


def plain_everywhere(network, current_decay):
    """Return the network with all current-based neurons without leak and memory, hard or soft."""
    for p in network.populations:
        if p.neuron.name == "cuba_lif":
            reset = "soft" if "soft" in p.neuron.reset else "hard"
            memory, leak = np.full(p.size, current_decay), np.zeros(p.size, np.int64)
            neuron = replace(p.neuron, current_decay=memory, potential_decay=leak, reset=reset)
            network = changed(network, p.name, neuron=neuron)
    return network


def all_outputs(network, x):
    (batch,) = run_batches(network, check_spikes(network, x))
    return batch


@given(seed=st.integers(0, 10_000))
def test_no_spike_of_any_population_changes(seed):
    """Random networks with loops, delays, biases and several projections; floats and integers."""
    floats = plain_everywhere(random_network(seed), 1.0)
    integers = plain_everywhere(random_integer_network(seed), 4095)
    for network in (floats, integers):
        x = spikes(network, 3, 8, seed)
        expected = all_outputs(network, x)
        for chip in (ONLY_IF, ONLY_CUBA):
            changed_network = use_equal_neurons(network, chip)
            kinds = {p.neuron.name for p in changed_network.populations} - {"readout"}
            assert kinds <= {"integrate_fire" if chip is ONLY_IF else "cuba_lif"}
            for name, output in all_outputs(changed_network, x).items():
                assert (output == expected[name]).all(), name


def test_integers_from_a_file_too():
    network = integer_chain(3, 2, neuron=IntegerCubaLif(4095, 0, 3, 5, 2, "soft", initial=7))
    (population,) = use_equal_neurons(network, chips.load_chip("speck2")).populations
    assert str(population.neuron) == (
        "integrate_fire/soft threshold=3 bias_mantissa=5 bias_exponent=2 initial=7"
    )


def test_other_way_round():
    network = chain(3, 2, neuron=IntegrateFire(1.0, 0.25, "soft"))
    (population,) = use_equal_neurons(network, ONLY_CUBA).populations
    assert str(population.neuron) == (
        "cuba_lif/soft current_decay=1 potential_decay=0 threshold=1 bias=0.25"
    )
