"""Quantize: by hand, within half a step, exact where it can be, refused where it cannot."""

from __future__ import annotations

import dataclasses

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import (
    LOIHI1,
    LOIHI2,
    TOY,
    alone,
    chain,
    changed,
    formatted,
    random_network,
    spikes,
)

from snncompile.errors import QuantizeError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.passes.analysis import number_ranges
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize import population_scale, quantize
from snncompile.passes.quantize.quantize import Quantize
from snncompile.synapses.base import Synapses
from snncompile.synapses.dense import dense
from snncompile.synapses.weight_formats import weight_step

SEEDS = st.integers(0, 10**9)


def quantized(network, chip=TOY, calibration=None, **options):
    """Return the design with one scale per population; `test_group_scales.py` has the others."""
    return networks.quantized(network, chip, calibration, scales="population", **options)


BITS = (2, 3, 4, 5, 6, 8)


HARD = CubaLif(1.0, 0.0, 1.0)

# Network, options; weights, exponent, threshold, scale of the first population.
BY_HAND = {
    "the largest exponent with which v fits": (
        # exponent 7: threshold 104,877 and a drive of 254 * 2^13 in v, more than 2^23
        alone(HARD, weight=[[0.31]]),
        {},
        ([[254]], 6, 52439, 254 * 2**12 / 0.31),
    ),
    "a low threshold leaves room for the largest exponent": (
        alone(CubaLif(1.0, 0.0, 0.25), weight=[[1.0]]),
        {},
        ([[254]], 7, 8128, 254 * 2**13),
    ),
    "signs and zeros": (
        alone(HARD, weight=[[-1.0, 0.5, 0.0, 0.25]], sources=4),
        {"steps": 1},
        ([[-254, 128, 0, 64]], 7, 32512, 254 * 2**13),  # 63.5 and 31.75 units
    ),
    "2 bits": (
        alone(HARD, weight=[[-1.0, 0.51, 0.49]], sources=3),
        {"bits": 2, "steps": 1},
        ([[-128, 128, 0]], 7, 16384, 2.0**20),
    ),
    "3 bits": (
        alone(HARD, weight=[[-0.75, 0.25, 0.374]], sources=3),
        {"bits": 3, "steps": 1},
        ([[-192, 64, 64]], 7, 32768, 2.0**21),
    ),
    "many steps need a smaller exponent": (
        # 2^e * 254 * 64 * 40 steps < 2^23: e = 3
        alone(CubaLif(1.0, 0.0, 1.0), weight=[[-1.0]]),
        {"steps": 40},
        ([[-254]], 3, 2032, 254 * 2**9),
    ),
    "nothing proved: the smallest exponent with a fine threshold": (
        alone(CubaLif(1.0, 0.0, 1.0), weight=[[-1.0]]),
        {},
        ([[-254]], 0, 254, 254 * 2**6),
    ),
    "nothing proved, a low threshold": (
        # 25.4, 50.8, 101.6: the first of 64 or more
        alone(CubaLif(1.0, 0.0, 0.1), weight=[[-1.0]]),
        {},
        ([[-254]], 2, 102, 254 * 2**8),
    ),
    "nothing proved, no fine threshold: the finest there is": (
        alone(CubaLif(1.0, 0.0, 0.001), weight=[[-1.0]]),
        {},
        ([[-254]], 7, 33, 254 * 2**13),
    ),
    "the threshold caps the scale": (
        alone(CubaLif(1.0, 0.0, 131071.0), weight=[[8.0]]),
        {"steps": 1},
        ([[8]], 0, 131071, 64.0),
    ),
    "no weights": (
        alone(CubaLif(1.0, 0.0, 2.0), weight=[[0.0]]),
        {},
        ([[0]], 0, 131071, 131071 * 32.0),
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    network, options, (weight, exponent, threshold, scale) = BY_HAND[case]
    done = quantized(network, **options)
    synapses, neuron = done.network.projections[0].synapses, done.network.populations[0].neuron
    assert synapses.weight.tolist() == weight
    assert (synapses.exponent, synapses.bits) == (exponent, options.get("bits", 8))
    assert neuron.threshold == threshold
    assert done.quantized[0].scale == pytest.approx(scale, rel=1e-12)


def test_the_bias_caps_the_scale():
    """At most 4095 * 2^7 / 2; the largest weight still ends its range, with a smaller exponent."""
    done = quantized(alone(CubaLif(1.0, 0.0, 1.0, bias=2.0), weight=[[1.0]]))
    neuron, synapses = done.network.populations[0].neuron, done.network.projections[0].synapses
    assert done.quantized[0].scale == 254 * 2**10 < 4095 * 2**6 < 254 * 2**11
    assert (synapses.weight, synapses.exponent) == (254, 4)
    assert (neuron.bias_mantissa, neuron.bias_exponent) == (4064, 7)


@settings(max_examples=40)
@given(seed=SEEDS, bits=st.sampled_from(BITS))
def test_the_largest_weight_ends_its_range(seed, bits):
    """Else weight bits were wasted; only the smallest exponent cannot always reach that."""
    network = random_network(seed)
    done = quantized(network, bits=bits)
    for population in network.populations:
        into = [p.synapses for p in done.network.into(population.name)]
        floats = [p.synapses.weight for p in network.into(population.name)]
        if any(w.any() for w in floats):
            exponent = max(s.exponent for s in into)
            largest = max(np.abs(s.weight).max() for s in into if s.exponent == exponent)
            assert largest == number_ranges.find_top(bits) or exponent == 0


def test_text(golden):
    """Weights of a are 31sts of the largest, which are 6 bits, and lose nothing; those of b do."""
    network = Network(
        Input("input", (2,)),
        (
            Population("a", (2,), CubaLif(1.0, 0.25, 1.0)),
            Population("b", (1,), CubaLif(0.5, 0.0, 0.75, reset="delayed_soft")),
        ),
        (
            Projection("input", "a", dense(np.array([[31, -16], [8, 16]]) / 31)),
            Projection("a", "b", dense(np.array([[0.3, 0.7]]))),
        ),
        "b",
    )
    done = quantized(network, LOIHI2, spikes(network, 20, 10), bits=6, steps=10)
    reports = "\n".join(
        f"{q.population} scale {q.scale:.6g} clip {q.clip} weights {q.weight_error:.2%}"
        f" outputs {q.output_error:.2%} "
        + " ".join(f"{name} {error:.2%}" for name, error in q.parameter_error.items())
        for q in done.quantized
    )
    golden(f"{done.network}\n{reports}\n\n{done.log[-1]}\n")


def half_steps(old, new, scale: float):
    """Return the weight differences in steps of the integer format."""
    unit = 64 * 2.0**new.exponent * weight_step(new.bits) / scale
    return np.abs(new.weight * (unit / weight_step(new.bits)) - old.weight) / unit


@settings(max_examples=60)
@given(seed=SEEDS, bits=st.sampled_from(BITS), steps=st.none() | st.integers(1, 30))
def test_every_weight_is_within_half_a_step(seed, bits, steps):
    """Without calibration nothing is cut; each projection has the finest step that holds it."""
    network = random_network(seed)
    done = quantized(network, bits=bits, steps=steps)
    scales = {q.population: q.scale for q in done.quantized}
    for old, new in zip(network.projections, done.network.projections, strict=True):
        synapses, scale = new.synapses, scales[new.target]
        assert synapses.bits == bits
        assert half_steps(old.synapses, synapses, scale).max() <= 0.5 + 1e-6
        largest = np.abs(old.synapses.weight).max() * scale / 64
        if synapses.exponent > 0 and largest:
            assert largest > number_ranges.find_top(bits) * 2 ** (synapses.exponent - 1) * (
                1 - 1e-8
            )


@settings(max_examples=60)
@given(seed=SEEDS, bits=st.sampled_from(BITS), calibrated=st.booleans())
def test_all_numbers_are_in_range_and_nothing_else_changes(seed, bits, calibrated):
    network = random_network(seed)
    x = spikes(network, 3, 5, seed) if calibrated else None
    done = quantized(network, LOIHI1, x, bits=bits)
    assert isinstance(done.network, IntegerNetwork)
    number_ranges.check_ranges(done.network, LOIHI1)
    for old, new in zip(network.populations, done.network.populations, strict=True):
        assert (old.name, old.shape, old.phase) == (new.name, new.shape, new.phase)
        assert old.neuron.kind == new.neuron.kind
    for old, new in zip(network.projections, done.network.projections, strict=True):
        assert (old.source, old.target, old.delay) == (new.source, new.target, new.delay)
        assert new.synapses.weight.shape == old.synapses.weight.shape
    assert [q.population for q in done.quantized] == [p.name for p in network.populations]
    assert (done.network.input, done.network.output) == (network.input, network.output)
    assert done.network.title == network.title
    again = Quantize(bits=bits)(done)
    assert again.network is done.network


@settings(max_examples=25)
@given(seed=SEEDS, bits=st.sampled_from(BITS))
def test_networks_of_integers_lose_nothing(seed, bits):
    """Weights -top..top in units, thresholds and biases whole: spikes and potentials are equal."""
    rng = np.random.default_rng(seed)
    top = 2 ** (bits - 1) - 1
    network = Network(
        Input("input", (3,)),
        (
            Population("a", (4,), IntegrateFire(whole(rng, 4, top), whole(rng, 4, 2) - 1, "soft")),
            Population("b", (3,), CubaLif(1.0, 0.0, whole(rng, 3, top), reset=any_reset(rng))),
            Population("c", (2,), Readout(1.0, 0.0, whole(rng, 2, 3) - 2)),
        ),
        (
            Projection("input", "a", integers(rng, 4, 3, top)),
            Projection("a", "b", integers(rng, 3, 4, top), 1),
            Projection("b", "c", integers(rng, 2, 3, top)),
            Projection("b", "a", integers(rng, 4, 3, top), 2),
        ),
        "c",
    )
    done = quantized(network, LOIHI2, bits=bits, steps=12)
    assert all(q.weight_error == 0 for q in done.quantized)
    assert all(set(q.parameter_error.values()) <= {0, 1 / 4096} for q in done.quantized)
    x = spikes(network, 5, 12, seed)
    for name in ("a", "b"):
        exact, integer = (changed(n, output=name) for n in (network, done.network))
        assert (exact.run(x).spikes == integer.run(x).spikes).all()
    potential = done.network.run(x).spikes / done.quantized[2].scale
    assert (potential == network.run(x).spikes).all()


def whole(rng, size: int, highest: int):
    return rng.integers(1, highest + 1, size).astype(float)


def any_reset(rng) -> str:
    return str(rng.choice(["hard", "soft", "delayed_soft", "delayed_hard"]))


def integers(rng, target: int, source: int, top: int) -> Synapses:
    """Return whole weights -top..top; one of them is top."""
    weight = rng.integers(-top, top + 1, (target, source))
    weight.flat[rng.integers(0, weight.size)] = top
    return dense(weight)


@settings(max_examples=15)
@given(seed=SEEDS, steps=st.none() | st.integers(1, 30))
def test_the_scale_is_the_largest_that_is_proved(seed, steps):
    network = random_network(seed)
    every = [
        quantized(network, formatted(TOY, weight_exponent_highest=highest), steps=steps)
        for highest in range(8)
    ]
    chosen = every[-1]
    for i, population in enumerate(network.populations):
        holds = [(done.quantized[i].scale, proved(done, population.name, steps)) for done in every]
        best = max((scale for scale, held in holds if held), default=None)
        if best is not None:
            assert chosen.quantized[i].scale == best
            assert proved(chosen, population.name, steps)


def proved(done, name: str, steps) -> bool:
    """Whether all bounds hold with a threshold that is not coarse, which a proof is not worth."""
    threshold = getattr(done.network.population(name).neuron, "threshold", np.array(64))
    return threshold.min() >= 64 and all(
        b.holds for b in prove_bounds(done.network, TOY, steps) if b.population == name
    )


def outlier():
    """One weight is far larger than the others; its source never fires, the others always do."""
    network = alone(HARD, weight=[[1.0, 0.3, 0.3, 0.3, 0.3]], sources=5)
    x = np.ones((2, 6, 5), np.uint8)
    x[:, :, 0] = 0
    return network, x


def test_calibration_cuts_a_weight_that_nobody_needs():
    """2 bits: 0, +-largest kept. 0.3 is 0 unless the largest kept is below 0.6."""
    network, x = outlier()
    whole = quantized(network, bits=2)
    assert whole.network.projections[0].synapses.weight.tolist() == [[128, 0, 0, 0, 0]]
    assert (whole.quantized[0].clip, whole.quantized[0].output_error) == (1.0, None)
    cut = quantized(network, calibration=x, bits=2)
    assert cut.network.projections[0].synapses.weight.tolist() == [[128] * 5]
    assert (cut.quantized[0].clip, cut.quantized[0].output_error) == (0.5, 0.0)
    assert (cut.network.run(x).spikes == network.run(x).spikes).all()
    silent = x * np.array([1, 0, 0, 0, 0], np.uint8)
    tie = quantized(network, calibration=silent, bits=2)
    assert (tie.quantized[0].clip, tie.quantized[0].output_error) == (1.0, 0.0)


@settings(max_examples=8)
@given(seed=SEEDS, bits=st.sampled_from((2, 3, 4)))
def test_a_smaller_clip_must_be_clearly_better(seed, bits):
    """From the whole range down: fewer errors by two standard deviations of their number.

    Of a readout, an error smaller by a tenth.
    """
    network = random_network(seed)
    x = spikes(network, 4, 6, seed)
    chosen = quantized(network, calibration=x, bits=bits)
    single = {}
    for clip in population_scale.CLIPS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(population_scale, "CLIPS", (clip,))
            single[clip] = quantized(network, calibration=x, bits=bits)
    for i, population in enumerate(network.populations):
        report, best = chosen.quantized[i], 1.0
        wrong = {c: d.quantized[i].output_error * 24 * population.size for c, d in single.items()}
        for clip in population_scale.CLIPS:
            noise = 2 * wrong[best] ** 0.5 if population.neuron.spikes else 0.1 * wrong[best]
            if wrong[clip] < wrong[best] - noise:
                best = clip
        assert report.clip == (best if network.into(population.name) else 1.0)
        assert report.output_error == single[best].quantized[i].output_error


# Network, chip, bits, whole message.
REFUSED = [
    (
        alone(CubaLif(1.0, 0.0, 1e-6), weight=[[1.0]]),
        8,
        "population a: no scale puts both weights and threshold into the ranges of toy:"
        " threshold mantissa 0 is outside 1..131071; scale its weights and threshold alike",
    ),
    (
        alone(CubaLif(1.0, 0.0, [1e-9, 1.0]), 2),
        8,
        "population a: no scale puts both weights and threshold into the ranges of toy:"
        " threshold mantissa 0 is outside 1..131071; scale its weights and threshold alike",
    ),
    (
        alone(CubaLif(1.0, 0.0, 1.0, bias=1e6)),
        8,
        "population a: no scale puts both weights and threshold into the ranges of toy:"
        " threshold mantissa 0 is outside 1..131071; scale its weights and threshold alike",
    ),
    (chain(1, 1), 7, "toy has no signed 7-bit weights; choose from 2, 3, 4, 5, 6, 8"),
    (chain(1, 1), 1, "toy has no signed 1-bit weights; choose from 2, 3, 4, 5, 6, 8"),
]


@pytest.mark.parametrize("network, bits, message", REFUSED)
def test_refused(network, bits, message):
    with pytest.raises(QuantizeError) as error:
        quantized(network, bits=bits)
    assert str(error.value) == message


@pytest.mark.parametrize("weight", [1e-310, 1e-30, 5e-324])
def test_vanishing_weights_become_zero(weight):
    done = quantized(alone(HARD, weight=[[weight]]))
    assert done.network.projections[0].synapses.weight == 0
    assert done.network.projections[0].synapses.exponent == 0


def test_weights_of_two_projections_share_a_scale_not_an_exponent():
    network = dataclasses.replace(
        alone(CubaLif(1.0, 0.0, 1.0), weight=[[1.0]]),
        projections=(
            Projection("input", "a", dense([[1.0]])),
            Projection("input", "a", dense([[-1 / 128]]), 2),
        ),
        populations=(Population("a", (1,), CubaLif(1.0, 0.0, 1.0)),),
    )
    done = quantized(network, steps=1)
    one, other = (p.synapses for p in done.network.projections)
    assert (one.weight.item(), one.exponent) == (254, 7)
    assert (other.weight.item(), other.exponent) == (-254, 0)
    assert [p.delay for p in done.network.projections] == [0, 2]


def test_the_log_tells_the_worst_layer():
    done = quantized(chain(1, 1, 1, weight=1.0))
    assert done.log == (
        "quantize: 8-bit weights, largest weight error of a layer 0.00%; of the neurons median"
        " 0.00%, worst 0.00% (a 0)",
    )
    network, _ = outlier()
    done = quantized(network, bits=2)
    share = (0.36 / 1.36) ** 0.5
    assert done.log == (
        f"quantize: 2-bit weights, largest weight error of a layer {share:.2%}; of the neurons"
        f" median {share:.2%}, worst {share:.2%} (a 0)",
    )


def test_only_so_many_samples_are_looked_at(monkeypatch):
    monkeypatch.setattr(quantize, "CALIBRATION_SAMPLES", 2)
    network, x = outlier()
    wrong = np.concatenate([x, np.zeros_like(x)])
    assert quantized(network, calibration=wrong, bits=2).quantized[0].clip == 0.5
    late = np.concatenate([np.zeros_like(x), x])
    assert quantized(network, calibration=late, bits=2).quantized[0].clip == 1.0
