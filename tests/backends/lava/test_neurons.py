"""Neurons that Lava lacks, on their own processes: equal to the reference, sample after sample."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase

import numpy as np
import pytest

from snncompile.backends.lava.emit import emit
from snncompile.backends.lava.run import spike_trains
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.adaptive_lif import IntegerAdaptiveLif
from snncompile.neurons.alpha_lif import IntegerAlphaLif
from snncompile.neurons.alpha_soft_lif import IntegerAlphaSoftLif
from snncompile.neurons.base import IntegerNeuron, Interval
from snncompile.neurons.bistable_fire import IntegerBistableFire
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.delta import IntegerDelta
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.multi_spike_lif import IntegerMultiSpikeLif
from snncompile.neurons.phase_fire import IntegerPhaseFire
from snncompile.neurons.phase_maximum import IntegerPhaseMaximum
from snncompile.neurons.product import IntegerProduct
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.refractory_lif import IntegerRefractoryLif
from snncompile.neurons.resonate_fire import IntegerResonateFire
from snncompile.neurons.resonate_fire_izhikevich import IntegerResonateFireIzhikevich
from snncompile.neurons.sigma_delta import IntegerSigmaDelta
from snncompile.neurons.signed_integrate_fire import IntegerSignedIntegrateFire
from snncompile.neurons.synapse_filter import IntegerSynapseFilter
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.neurons.window_readout import IntegerWindowReadout
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.dense import integer_dense

LINES, SIZE, SAMPLES, STEPS = 12, 6, 5, 24
NONE = IntegerReadout(4095, 4095)
"""Shows the input of each time step."""


def refractory_lif(some) -> IntegerNeuron:
    decays = some(1500, 4096), some(0, 800)
    return IntegerRefractoryLif(*decays, some(50, 200), some(0, 6), some(-40, 60), some(0, 5))


def signed_integrate_fire(some) -> IntegerNeuron:
    thresholds = some(80, 200), some(-100, 1)
    return IntegerSignedIntegrateFire(*thresholds, some(-40, 60), some(0, 5))


def ternary_lif(some) -> IntegerNeuron:
    decays, thresholds = (some(1500, 4096), some(0, 800)), (some(50, 200), some(-100, 1))
    return IntegerTernaryLif(*decays, *thresholds, some(-40, 60), some(0, 5))


def adaptive_lif(reset: str):
    def make(some) -> IntegerNeuron:
        decays, raising = (some(1500, 4096), some(0, 800)), (some(50, 900), some(0, 80))
        bias = some(-40, 60), some(0, 5)
        return IntegerAdaptiveLif(*decays, some(50, 200), *raising, *bias, reset)

    return make


def resonate_fire(some) -> IntegerNeuron:
    return IntegerResonateFire(some(1500, 2500), some(2500, 3200), some(1, 900))


def resonate_fire_izhikevich(some) -> IntegerNeuron:
    return IntegerResonateFireIzhikevich(some(1500, 2500), some(-3000, 3200), some(1, 900))


def sigma_delta(some) -> IntegerNeuron:
    return IntegerSigmaDelta(some(0, 400), some(0, 5), some(-300, 300))


def delta(some) -> IntegerNeuron:
    return IntegerDelta(some(0, 400), some(0, 5), some(0, 3))


def bistable_fire(some) -> IntegerNeuron:
    cycle = some(2, 6), some(0, 4)
    return IntegerBistableFire(some(50, 200), *cycle, some(-40, 60), some(0, 5), some(0, 2))


def phase_fire(some) -> IntegerNeuron:
    cycle = some(2, 6), some(0, 4)
    return IntegerPhaseFire(some(50, 200), *cycle, some(-40, 60), some(0, 5), some(0, 2))


def phase_maximum(some) -> IntegerNeuron:
    return IntegerPhaseMaximum(some(1, 9), some(2, 6), some(0, 4))


def multi_spike_lif(reset: str):
    def make(some) -> IntegerNeuron:
        decays, bias = (some(1500, 4096), some(0, 800)), (some(-40, 60), some(0, 5))
        more = some(2, 4), some(-9000, 1)
        return IntegerMultiSpikeLif(*decays, some(20, 60), *bias, *more, reset)

    return make


def alpha_lif(some) -> IntegerNeuron:
    return IntegerAlphaLif(some(1500, 4096), some(0, 800), some(50, 200))


def alpha_soft_lif(some) -> IntegerNeuron:
    decays = some(1500, 4096), some(0, 800)
    return IntegerAlphaSoftLif(*decays, some(20, 90), some(0, 3000), some(10, 200))


def synapse_filter(some) -> IntegerNeuron:
    return IntegerSynapseFilter(some(300, 4096), some(1, 300))


def accumulate(some) -> IntegerNeuron:
    return IntegerAccumulate(some(-3000, -200), some(200, 4000))


def graded(some) -> IntegerNeuron:
    return IntegerGraded(some(1, 900), some(0, 12), some(-3000, -200), some(200, 4000))


def graded_by_table(some) -> IntegerNeuron:
    table = np.random.default_rng(int(some(1, 99).flat[0])).integers(-900, 900, 41)
    return IntegerGraded(some(1, 30), some(3, 12), -10, 30, table)


def product(some) -> IntegerNeuron:
    ends = some(-3000, -200), some(200, 4000)
    return IntegerProduct(some(1, 900), some(8, 20), *ends, some(-30, 60), some(-30, 60))


KINDS = {
    "accumulate": accumulate,
    "graded": graded,
    "graded/table": graded_by_table,
    "adaptive_lif/hard": adaptive_lif("hard"),
    "adaptive_lif/soft": adaptive_lif("soft"),
    "alpha_lif": alpha_lif,
    "alpha_soft_lif": alpha_soft_lif,
    "bistable_fire": bistable_fire,
    "multi_spike_lif/hard": multi_spike_lif("hard"),
    "multi_spike_lif/soft": multi_spike_lif("soft"),
    "phase_fire": phase_fire,
    "phase_maximum": phase_maximum,
    "product": product,
    "refractory_lif": refractory_lif,
    "resonate_fire": resonate_fire,
    "resonate_fire_izhikevich": resonate_fire_izhikevich,
    "signed_integrate_fire": signed_integrate_fire,
    "synapse_filter": synapse_filter,
    "ternary_lif": ternary_lif,
    "sigma_delta": sigma_delta,
    "delta": delta,
}


def network(make, seed: int) -> IntegerNetwork:
    """Return populations with one number and one per neuron, heard late, in loops and in chains.

    The last one has an input that wraps u and drives v to its limits.
    """
    random = np.random.default_rng(seed)
    exponent = 0 if make is phase_maximum else 7  # a mask takes the lowest bits only
    populations, projections = [], []

    def weight(targets: int, sources: int):
        return random.integers(-60, 80, (targets, sources)) * 2

    def project(source: str, target: str, delay: int, matrix, exponent: int = 0) -> None:
        neuron = next(p.neuron for p in populations if p.name == target)
        sender = [p.neuron.payload for p in populations if p.name == source]
        if sender and sender[0].high > 9:
            exponent -= 9  # Lava adds up what arrives in 32 bits
        for turn, port in enumerate(neuron.ports or (None,)):
            synapses = integer_dense(np.roll(matrix, turn), exponent, 8)
            projections.append(Projection(source, target, synapses, delay, port))

    for case, shape in enumerate(((), (SIZE,), (SIZE,), (SIZE,))):

        def some(low: int, high: int, shape: tuple[int, ...] = shape) -> np.ndarray:
            return random.integers(low, high, shape)

        name = f"kind_{case}"
        populations.append(Population(name, (SIZE,), make(some), phase=1))
        project("input", name, 1, weight(SIZE, LINES), exponent if case == 3 else 0)
        populations.append(Population(f"shown_{case}", (4,), NONE, phase=2))
        project(name, f"shown_{case}", 1 + case, weight(4, SIZE), -1)
    project("kind_1", "kind_1", 2, weight(SIZE, SIZE))
    project("kind_2", "kind_1", 1, weight(SIZE, SIZE))
    # Starts late: what the first layer does in its own first steps must arrive in these.
    populations.append(Population("second", (SIZE,), make(some), phase=3))
    project("kind_0", "second", 2, weight(SIZE, SIZE))
    project("kind_2", "second", 5, weight(SIZE, SIZE))
    return IntegerNetwork(
        Input("input", (LINES,)), tuple(populations), tuple(projections), "second"
    )


@pytest.mark.lava
@pytest.mark.parametrize("kind", KINDS)
def test_lava_and_the_reference_agree(lava, kind):
    made = network(KINDS[kind], seed=len(kind))
    x = np.random.default_rng(3).random((SAMPLES, STEPS, LINES)) < 0.3
    x[0], x[1] = 1, 0
    computed = spike_trains(made, x)
    (batch,) = run_batches(made, x.astype(np.uint8))
    for population in made.populations:
        expected = batch[population.name].numpy()
        different = np.argwhere(computed[population.name] != expected)
        assert not len(different), f"{population.name} differs first at {different[0]}"
        assert computed[population.name].min() == expected.min()
        if population.neuron.spikes:
            found = set(np.unique(expected).tolist())
            low, high = population.neuron.payload
            few = high - low < 10
            enough = found == set(range(low, high + 1)) if few else len(found) > 3
            assert enough, f"{population.name} proves nothing"


@pytest.mark.lava
def test_initial_potentials_and_graded_input(lava):
    """Also of LIFReset's neurons, which Lava cannot start elsewhere than at 0."""
    rng = np.random.default_rng(5)

    def some(low: int, high: int):
        return rng.integers(low, high, SIZE)

    def weight() -> np.ndarray:
        return rng.integers(-20, 20, (SIZE, LINES)) * 2

    neurons = [
        IntegerCubaLif(some(0, 4096), some(0, 900), some(50, 200), initial=some(-9000, 20000)),
        IntegerIntegrateFire(some(50, 200), reset="hard", initial=some(-9000, 20000)),
        *(replace(make(some), initial=some(-9000, 20000)) for make in KINDS.values()),
        IntegerReadout(some(0, 4096), some(0, 4096), initial=some(-9000, 20000)),
        IntegerWindowReadout(some(1, 4), some(0, 4), 0, some(-40, 60), initial=some(-99, 99)),
        IntegerWindowReadout(some(2, 4), some(0, 4), 1, some(-40, 60), initial=some(-99, 99)),
    ]
    names = ascii_lowercase[: len(neurons)]
    made = IntegerNetwork(
        Input("input", (LINES,), Interval(-5, 200)),
        tuple(Population(n, (SIZE,), neuron, 1) for n, neuron in zip(names, neurons, strict=True)),
        tuple(
            Projection("input", name, integer_dense(weight(), 0, 8), 1, port)
            for name, neuron in zip(names, neurons, strict=True)
            for port in neuron.ports or (None,)
        ),
        "a",
    )
    x = rng.integers(-5, 201, (SAMPLES, 7, LINES)) * (rng.random((SAMPLES, 7, LINES)) < 0.4)
    computed = spike_trains(made, x)
    (batch,) = run_batches(made, check_spikes(made, x))
    for name in names:
        assert (computed[name] == batch[name].numpy()).all(), name
        assert len(np.unique(computed[name])) > 1


@pytest.mark.lava
@pytest.mark.parametrize(("largest", "process"), [(3, "ProdNeuron"), (40, "Product")])
def test_a_product_is_lavas_own_where_it_stays_within_24_bits(lava, largest, process):
    """Of what the input sends, and of a product times a spike; both processes send the same."""
    random = np.random.default_rng(2)
    one = np.eye(SIZE, LINES, dtype=np.int64) * 2
    drawn = random.integers(-20, 21, (2, SIZE, LINES)) * 2
    populations = [Population(name, (SIZE,), IntegerProduct(), 1 + (name == "q")) for name in "pq"]
    projections = [
        Projection("input", "p", integer_dense(drawn[0], 0, 8), 1, "a"),
        Projection("input", "p", integer_dense(drawn[1], 0, 8), 1, "b"),
        Projection("p", "q", integer_dense(one[:, :SIZE], -7, 8), 1, "a"),
        Projection("input", "q", integer_dense(one, -1, 8), 2, "b"),
    ]
    low = -2 * largest // 3
    source = Input("input", (LINES,), Interval(low, largest))
    made = IntegerNetwork(source, tuple(populations), tuple(projections), "q")
    assert f"p = {process}(" in emit(made).texts["network.py"]
    x = random.integers(low, largest + 1, (SAMPLES, STEPS, LINES))
    computed = spike_trains(made, x)
    (batch,) = run_batches(made, check_spikes(made, x))
    for name in "pq":
        assert (computed[name] == batch[name].numpy()).all(), name
        assert len(np.unique(computed[name])) > 50
