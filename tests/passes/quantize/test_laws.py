"""Laws of the quantizer: units, neighbours, order and bits, for every neuron, wiring and chip."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import float_neurons
import numpy as np
import pytest
from float_neurons import NEURONS, WIRINGS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import changed, design, spikes

from snncompile.errors import QuantizeError
from snncompile.hwmodels import chips
from snncompile.ir.graph import Network, Population, Projection
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

CHIPS = {name: chips.load_chip(name) for name in chips.list_names()}
UNITLESS = {"accumulate", "graded", "graded/scaled", "graded_delta", "phase_maximum"}
UNITLESS |= {"product", "product/scaled", "synapse_filter"}
"""They send whole numbers as they are, or share the scale of their target; see test_currents.py.
The weights of a phase maximum are a mask; products have two scales, see test_products.py;
filters count spikes, see tests/neurons/test_synapse_filter.py."""
CASES = sorted(
    (name, kind) for name, chip in CHIPS.items() for kind in chip.neurons if kind not in UNITLESS
)
SPIKING = sorted(
    (name, kind)
    for name, kind in CASES
    if CHIPS[name].core.threshold_profiles.whole is None
    and kind.partition("/")[0] not in ("readout", "window_readout", "delta", "sigma_delta", "sigma")
)
SEEDS = st.integers(0, 10**6)
EXAMPLES = 150


def draw(case, wiring: str, seed: int) -> tuple[Network, object]:
    """Return a network that the chip can hold, and the chip; biases where it has some."""
    chip = CHIPS[case[0]]
    made = float_neurons.network(np.random.default_rng(seed), case[1], wiring)
    if chip.formats.bias_mantissa.whole == 0 or chip.formats.decay_bits.whole is None:
        plain = {"bias": 0.0, "initial": 0.0}
        (a, *others) = made.populations
        held = {k: v for k, v in plain.items() if hasattr(a.neuron, k)}
        a = dataclasses.replace(a, neuron=dataclasses.replace(a.neuron, **held))
        made = dataclasses.replace(made, populations=(a, *others))
    return made, chip


def make_integers(network, chip, x=None, **options):
    return Quantize(**options)(design(network, chip, x))


def list_numbers(done) -> list:
    """Return every number of an integer network."""
    neurons = [
        (p.name, name, np.broadcast_to(getattr(p.neuron, name), (p.size,)).tolist())
        for p in done.network.populations
        for name in p.neuron.parameters()
    ]
    synapses = [
        (p.source, p.target, p.synapses.exponent, p.synapses.weight.tolist())
        for p in done.network.projections
    ]
    return [*neurons, *synapses]


def rescale(network: Network, factor: float, name: str = "a") -> Network:
    """Return the network with one population in another unit."""
    populations = [
        dataclasses.replace(p, neuron=p.neuron.rescale(factor)) if p.name == name else p
        for p in network.populations
    ]
    values = float_neurons.sends_values(network.population(name).neuron)
    projections = []
    for p in network.projections:
        scale = (factor if p.target == name else 1.0) / (
            factor if values and p.source == name else 1.0
        )
        wiring, weight = p.synapses.wiring, p.synapses.weight * scale
        projections.append(dataclasses.replace(p, synapses=Synapses(wiring, weight)))
    return dataclasses.replace(
        network, populations=tuple(populations), projections=tuple(projections)
    )


@settings(max_examples=EXAMPLES)
@given(
    case=st.sampled_from(CASES),
    wiring=st.sampled_from(WIRINGS),
    seed=SEEDS,
    power=st.integers(-30, 30),
    calibrated=st.booleans(),
    scales=st.sampled_from(["neuron", "channel", "population"]),
)
def test_the_unit_of_a_population_changes_no_integer(case, wiring, seed, power, calibrated, scales):
    made, chip = draw(case, wiring, seed)
    x = spikes(made, 4, 8, seed) if calibrated else None
    other = rescale(made, 2.0**power)
    if made.output == "b":
        other = rescale(other, 2.0 ** (power // 2), "b")
    one, two = (make_integers(n, chip, x, scales=scales) for n in (made, other))
    assert list_numbers(one) == list_numbers(two)
    left_out = {"scale", "message"}
    if case[1] == "resonate_fire_izhikevich":  # its floats reset to 1e-5 below, in any unit
        left_out.add("output_error")
    errors = [[q.model_dump(exclude=left_out) for q in d.quantized] for d in (one, two)]
    assert errors[0] == errors[1]


@settings(max_examples=40)
@given(
    case=st.sampled_from(CASES),
    wiring=st.sampled_from(WIRINGS),
    seed=SEEDS,
    factor=st.floats(1e-6, 1e6),
)
def test_any_unit_changes_ties_of_rounding_at_most(case, wiring, seed, factor):
    made, chip = draw(case, wiring, seed)
    one, two = (make_integers(n, chip) for n in (made, rescale(made, factor)))
    for a, b in zip(one.network.projections, two.network.projections, strict=True):
        assert a.synapses.exponent == b.synapses.exponent
        step = 2 ** (9 - a.synapses.bits)
        assert np.abs(a.synapses.weight.astype(int) - b.synapses.weight).max() <= step


def change_neuron(network: Network, index: int, factor: float) -> Network:
    """Return the network with one neuron's weights and parameters times a factor."""
    (a, *others) = network.populations
    factors = np.ones(NEURONS)
    factors[index] = factor
    new = {
        name: np.broadcast_to(getattr(a.neuron, name), (NEURONS,)) * factors
        for name in a.neuron.parameters()
        if a.neuron.has_unit(name)
    }
    a = dataclasses.replace(a, neuron=dataclasses.replace(a.neuron, **new))
    diagonal = Synapses(Scale(NEURONS, per_neuron=True), factors)
    projections = tuple(
        dataclasses.replace(p, synapses=compose(diagonal, p.synapses)) if p.target == "a" else p
        for p in network.projections
    )
    return dataclasses.replace(network, populations=(a, *others), projections=projections)


@settings(max_examples=EXAMPLES)
@given(
    case=st.sampled_from(SPIKING),
    wiring=st.sampled_from(["dense", "sparse", "recurrent"]),
    seed=SEEDS,
    index=st.integers(0, NEURONS - 1),
    factor=st.sampled_from([2.0**-20, 1e-3, 0.3, 7.0, 2.0**9, 1e5]),
    calibrated=st.booleans(),
)
def test_a_neuron_in_another_unit_changes_no_other(case, wiring, seed, index, factor, calibrated):
    # Its floats reset to 1e-5 below in any unit: in another unit it fires otherwise on the samples.
    assume(not (calibrated and case[1] == "resonate_fire_izhikevich"))
    made, chip = draw(case, wiring, seed)
    x = spikes(made, 4, 8, seed) if calibrated else None
    one, two = (make_integers(n, chip, x) for n in (made, change_neuron(made, index, factor)))
    exact = np.log2(factor) % 1 == 0
    assert list_of_neurons(one, index, exact) == list_of_neurons(two, index, exact)


def list_of_neurons(done, index: int, exact: bool) -> list:
    """Return every number of population a by neuron, without one neuron unless it is exact."""
    kept = [i for i in range(NEURONS) if exact or i != index]
    a = done.network.population("a")
    listed = [
        np.broadcast_to(getattr(a.neuron, name), (a.size,))[kept].tolist()
        for name in a.neuron.parameters()
        if name not in ("bias_mantissa", "bias_exponent")
    ]
    if hasattr(a.neuron, "bias_mantissa"):
        bias = np.broadcast_to(a.neuron.bias_mantissa << a.neuron.bias_exponent, (a.size,))
        listed.append(bias[kept].tolist())
    for p in done.network.into("a"):
        matrix = p.synapses.wiring.matrix(p.synapses.weight.astype(int)).toarray()
        listed += [p.synapses.exponent, matrix[kept].tolist()]
    return listed


@settings(max_examples=60)
@given(
    case=st.sampled_from(SPIKING),
    wiring=st.sampled_from(["dense", "sparse"]),
    seed=SEEDS,
    size=st.sampled_from([1e-6, 1e-3, 0.1, 10.0, 1e3]),
)
def test_a_neuron_that_never_fires_changes_no_other(case, wiring, seed, size):
    """Its weights are large or small beside its threshold; all the time it is held below."""
    made, chip = draw(case, wiring, seed)
    assume(chip.formats.bias_mantissa.whole != 0)
    (a,) = made.populations
    assume("bias" in a.neuron.parameters())
    (projection,) = made.projections
    matrix = projection.synapses.wiring.matrix(projection.synapses.weight).toarray()
    wide = np.vstack([matrix, size * matrix[:1]])
    new = {
        name: np.append(
            np.broadcast_to(getattr(a.neuron, name), (NEURONS,)),
            -np.abs(wide[-1]).sum() * 2 if name == "bias" else getattr(a.neuron, name).flat[0],
        )
        for name in a.neuron.parameters()
    }
    new |= {name: 0.0 for name in new if name == "initial"}
    neuron = dataclasses.replace(a.neuron, **new)
    more = Network(
        made.input,
        (Population("a", (NEURONS + 1,), neuron),),
        (Projection("input", "a", dense(wide)),),
        "a",
    )
    without = changed(made, "a", neuron=dataclasses.replace(a.neuron, initial=0.0))
    without = dataclasses.replace(without, projections=(Projection("input", "a", dense(matrix)),))
    x = spikes(made, 4, 8, seed)
    assume(not (more.run(x).spikes[..., -1] != 0).any())
    assume((without.run(x).spikes != 0).any())
    one, two = (make_integers(n, chip, x) for n in (without, more))
    assert list_of_neurons(one, -1, True) == list_of_neurons(two, -1, True)


@settings(max_examples=80)
@given(
    case=st.sampled_from(SPIKING),
    wiring=st.sampled_from(["dense", "sparse"]),
    seed=SEEDS,
    calibrated=st.booleans(),
)
def test_the_order_of_neurons_changes_nothing(case, wiring, seed, calibrated):
    made, chip = draw(case, wiring, seed)
    order = np.random.default_rng(seed).permutation(NEURONS)
    (a,) = made.populations
    new = {
        name: np.broadcast_to(getattr(a.neuron, name), (NEURONS,))[order]
        for name in a.neuron.parameters()
    }
    neuron = dataclasses.replace(a.neuron, **new)
    projections = tuple(
        dataclasses.replace(
            p, synapses=dense(p.synapses.wiring.matrix(p.synapses.weight).toarray()[order])
        )
        for p in made.projections
    )
    straight = tuple(
        dataclasses.replace(
            p, synapses=dense(p.synapses.wiring.matrix(p.synapses.weight).toarray())
        )
        for p in made.projections
    )
    turned = dataclasses.replace(
        made, populations=(Population("a", (NEURONS,), neuron),), projections=projections
    )
    x = spikes(made, 4, 8, seed) if calibrated else None
    one = make_integers(dataclasses.replace(made, projections=straight), chip, x)
    two = make_integers(turned, chip, x)
    for p, q in zip(one.network.projections, two.network.projections, strict=True):
        assert p.synapses.exponent == q.synapses.exponent
        assert (p.synapses.weight[order] == q.synapses.weight).all()
    for name in one.network.populations[0].neuron.parameters():
        before, after = (
            np.broadcast_to(getattr(d.network.populations[0].neuron, name), (NEURONS,))
            for d in (one, two)
        )
        assert (before[order] == after).all()


@settings(max_examples=60, derandomize=True)  # noise has tails
@given(case=st.sampled_from(CASES), wiring=st.sampled_from(WIRINGS), seed=SEEDS)
def test_more_bits_are_never_worse_than_counting_noise(case, wiring, seed):
    made, chip = draw(case, wiring, seed)
    x = spikes(made, 8, 12, seed)
    choices = [b for b in chip.formats.weight_bits.values if 2 <= b <= 8]
    wanted = made.run(x).spikes
    wrong, weights = [], []
    for bits in choices:
        done = make_integers(made, chip, x, bits=bits)
        plain = make_integers(made, chip, bits=bits)  # without data no weight is cut
        weights.append(max(q.weight_error for q in plain.quantized))
        if made.population(made.output).neuron.spikes and wiring != "recurrent":  # that is chaotic
            wrong.append(int((done.network.run(x).spikes != wanted).sum()))
    for fewer, more in pairwise(weights):
        assert more <= fewer * 1.2 + 1e-3
    for fewer, more in pairwise(wrong):
        # one spike that is off moves those after it: errors come in groups of a few
        assert more <= fewer + 6 * (fewer + 6) ** 0.5


@pytest.mark.parametrize("name", CHIPS)
def test_bits_are_what_the_chip_has(name):
    """8, and where there are none of 8, the most below; asked for, 8 bits are refused there."""
    made, chip = draw((name, next(k for k in CHIPS[name].neurons if k not in UNITLESS)), "dense", 1)
    widest = 4 if name in ("truenorth", "odin") else 8
    assert {p.synapses.bits for p in make_integers(made, chip).network.projections} == {widest}
    if widest == 4:
        message = f"^{name} has no signed 8-bit weights; choose from 2, 3, 4$"
        with pytest.raises(QuantizeError, match=message):
            make_integers(made, chip, bits=8)
