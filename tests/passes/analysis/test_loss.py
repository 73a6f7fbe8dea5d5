"""How far integers part from floats: small networks by hand, laws, samples, the pass."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2, TOY, chain, design, integer_chain, random_network, spikes

import snncompile
from snncompile.errors import ContractError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.loss import AnswerLoss, Loss, PopulationLoss
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.readout import IntegerReadout, Readout
from snncompile.passes.analysis import loss as analysis
from snncompile.passes.analysis.loss import (
    choose_samples,
    measure_loss,
    measure_losses,
    output_scales,
)
from snncompile.passes.pipeline import Pipeline
from snncompile.reference import simulate
from snncompile.synapses.dense import dense, integer_dense

FIRE = CubaLif(1.0, 0.0, 100.0), IntegerCubaLif(4095, 0, 100)
"""Add up inputs and fire above 100: 120 fires in every step, 60 in every other."""
SUM = Readout(1.0, 0.0), IntegerReadout(4095, 0)
"""Add up inputs; the integer potential is 64 times the float one."""


def pair(floats, integers, neurons=FIRE) -> tuple[Network, IntegerNetwork]:
    """Return one population, fed by one input, with these weights as floats and as integers."""
    size, source = len(floats), Input("input", (1,))
    weights = (np.reshape(weight, (size, 1)) for weight in (floats, integers))
    a, b = dense(next(weights)), integer_dense(next(weights), 0, 8)
    return (
        Network(
            source,
            (Population("a", (size,), neurons[0]),),
            (Projection("input", "a", a),),
            "a",
        ),
        IntegerNetwork(
            source,
            (Population("a", (size,), neurons[1], 1),),
            (Projection("input", "a", b, 1),),
            "a",
        ),
    )


def row(**fields) -> PopulationLoss:
    return PopulationLoss(population="a", neurons=2, **fields)


# Weights as floats and as integers; the loss in 2 samples of 10 steps with a spike in each.
BY_HAND = {
    "equal": (
        ([120, 60], [120, 60]),
        row(different=0, rate_error=0, fired=2, fired_integer=2, frequent=2, silenced=0),
        0,
    ),
    "a neuron is lost": (
        ([120, 60], [120, 0]),
        row(different=5 / 20, rate_error=5 / 15, fired=2, fired_integer=1, frequent=2, silenced=1),
        0,
    ),
    "a population is lost": (
        ([60, 120], [0, 0]),
        row(different=15 / 20, rate_error=1, fired=2, fired_integer=0, frequent=2, silenced=2),
        2,
    ),
    "spikes from none": (
        ([0, 0], [0, 120]),
        row(different=1 / 2, rate_error=None, fired=0, fired_integer=1, frequent=0, silenced=0),
        2,
    ),
    "another answer": (
        ([120, 60], [60, 120]),
        row(different=1 / 2, rate_error=10 / 15, fired=2, fired_integer=2, frequent=2, silenced=0),
        2,
    ),
    "a neuron that fires 4 times is not frequent": (
        ([120, 22], [120, 0]),
        row(different=2 / 20, rate_error=2 / 12, fired=2, fired_integer=1, frequent=1, silenced=0),
        0,
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_loss_by_hand(case):
    weights, wanted, different = BY_HAND[case]
    x = np.ones((2, 10, 1), np.uint8)
    loss = measure_loss(*pair(*weights), {}, x)
    assert loss.populations == (wanted,)
    assert loss.answers == AnswerLoss(different=different, samples=2)
    assert (loss.status, loss.samples, loss.available, loss.steps) == ("measured", 2, 2, 10)


def test_potentials_are_compared_in_the_unit_of_the_floats():
    """Sums of 60 and of 62: every potential is 1/30 too large."""
    floats, integers = pair([60, -60], [62, -62], SUM)
    loss = measure_loss(floats, integers, {"a": 64.0}, np.ones((2, 10, 1), np.uint8))
    (potentials,) = loss.populations
    assert potentials.rate_error == pytest.approx(1 / 30)
    assert potentials.model_dump(exclude={"rate_error"}) == {
        **{"population": "a", "neurons": 2, "different": None},
        **dict.fromkeys(["fired", "fired_integer", "frequent", "silenced"]),
    }
    assert loss.answers == AnswerLoss(different=0, samples=2)


def test_one_output_neuron_gives_no_answer():
    loss = measure_loss(*pair([120], [0]), {}, np.ones((2, 10, 1), np.uint8))
    assert loss.answers is None
    assert str(loss) == (
        "floats and integers on 2 of 2 samples, 10 steps: one output neuron gives no answer;"
        " largest rate error 100.00% in a"
    )


@pytest.mark.parametrize(
    "different, samples, text",
    [
        (0, 8, "0 of 8 answers differ (0.00% +- 9.05%)"),
        (6, 256, "6 of 256 answers differ (2.34% +- 1.01%)"),
        (2500, 10000, "2,500 of 10,000 answers differ (25.00% +- 0.43%)"),
    ],
)
def test_the_standard_error_is_never_zero(different, samples, text):
    assert str(AnswerLoss(different=different, samples=samples)) == text


# ---- laws ----------------------------------------------------------------------------------------


@cache
def quantize(seed: int, bits: int = 3):
    """Return floats and integers of a random network, their scales, and an input."""
    network = random_network(seed)
    x = spikes(network, 6, 8, seed)
    pipeline = Pipeline.parse(f"retime,quantize{{bits={bits}}}")
    done = pipeline.run(design(network, LOIHI2, x))
    return done.floats, done.network, output_scales(done.floats, done.quantized), x


def compare(one: Loss, other: Loss) -> None:
    """Compare two losses, where sums of potentials may be added in another order."""
    for a, b in zip(one.populations, other.populations, strict=True):
        if b.rate_error is not None:
            assert a.rate_error == pytest.approx(b.rate_error, rel=1e-9)
        update = {} if b.rate_error is None else {"rate_error": b.rate_error}
        assert a.model_copy(update=update) == b
    assert one.answers == other.answers


@given(seed=st.integers(0, 9), order=st.permutations(range(6)))
def test_the_order_of_the_samples_does_not_matter(seed, order):
    *networks, x = quantize(seed)
    compare(measure_loss(*networks, x), measure_loss(*networks, x[list(order)]))


@pytest.mark.parametrize("seed", range(6))
def test_memory_does_not_matter(seed, monkeypatch):
    """With little memory, blocks of one sample and one step."""
    *networks, x = quantize(seed)
    whole = measure_loss(*networks, x)
    monkeypatch.setattr(simulate, "MEMORY_BYTES", 1)
    compare(measure_loss(*networks, x), whole)


@pytest.mark.parametrize("seed", range(4))
def test_the_compiled_way_measures_the_same(seed, monkeypatch):
    *networks, x = quantize(seed)
    plain = measure_loss(*networks, x)
    monkeypatch.setattr(simulate, "COMPILE_FROM", 1)
    compare(measure_loss(*networks, x), plain)


@pytest.mark.parametrize("seed", range(4))
def test_several_integer_networks_are_measured_at_once(seed):
    """Each as if it were alone."""
    floats, few, scales, x = quantize(seed, bits=2)
    _, many, other_scales, _ = quantize(seed, bits=8)
    both = measure_losses(floats, [(few, scales), (many, other_scales)], x)
    assert both == (
        measure_loss(floats, few, scales, x),
        measure_loss(floats, many, other_scales, x),
    )


@given(seed=st.integers(0, 10**6))
def test_integers_that_are_exact_lose_nothing(seed):
    """The float image of integers without decays, in which nothing rounds."""
    rng = np.random.default_rng(seed)
    neuron = IntegerCubaLif(4095, 0, rng.integers(1, 200, 3), reset="soft")
    integers = integer_chain(2, 3, 3, neuron=neuron)
    weights = [rng.integers(-60, 100, p.synapses.weight.shape) * 2 for p in integers.projections]
    integers = replace(
        integers,
        projections=tuple(
            replace(p, synapses=integer_dense(w, 0, 8))
            for p, w in zip(integers.projections, weights, strict=True)
        ),
    )
    image = CubaLif(**neuron.real(), reset="soft")
    floats = Network(
        integers.input,
        tuple(replace(p, neuron=image) for p in integers.populations),
        tuple(
            replace(p, synapses=dense(w * 64.0))
            for p, w in zip(integers.projections, weights, strict=True)
        ),
        integers.output,
    )
    loss = measure_loss(floats, integers, {}, spikes(floats, 3, 12, seed))
    assert {(r.different, r.rate_error, r.silenced) for r in loss.populations} == {(0.0, 0.0, 0)}
    assert loss.answers == AnswerLoss(different=0, samples=3)


# ---- which samples -------------------------------------------------------------------------------

# Samples there are, neurons and steps; samples that are chosen.
CHOSEN = {
    "few": ((5, 10, 10), 5),
    "all that are useful": ((1000, 10, 10), 256),
    "all, as they are quick": ((200, 100, 100), 200),
    "half, as they take long": ((1000, 1000, 100), 128),
    "half of what there is": ((100, 2000, 100), 50),
    "half of what quantize runs": ((1000, 10_000, 100), 33),
    "at least eight": ((1000, 10**6, 67), 8),
    "fewer than eight": ((3, 10**6, 67), 3),
    "fewer, as they take very long": ((1000, 10**6, 100), 5),
    "at least two": ((1000, 10**6, 1000), 2),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_the_number_of_samples_follows_from_sizes(case, monkeypatch):
    (samples, neurons, steps), count = CHOSEN[case]
    network = chain(1, neurons - 1) if neurons < 10**4 else wide(neurons)
    x = np.broadcast_to(np.arange(samples)[:, None, None], (samples, steps, 1))
    chosen = choose_samples(network, x)
    assert chosen.shape == (count, steps, 1)
    assert chosen[:, 0, 0].tolist() == [i * samples // count for i in range(count)]


def wide(neurons: int) -> Network:
    """Return a population that nothing feeds."""
    population = Population("a", (neurons - 1,), FIRE[0])
    return Network(Input("input", (1,)), (population,), (), "a")


# ---- the pass ------------------------------------------------------------------------------------


def test_compile_measures_and_says_so(tmp_path):
    network = chain(3, 4, 2)
    x = spikes(network, 300, 9)
    program = snncompile.compile(network, chip=TOY, calibration=x)
    assert (program.loss.samples, program.loss.available) == (256, 300)
    assert program.log[2] == (
        "measure: floats and integers on 256 of 300 samples, 9 steps: 0 of 256 answers differ"
        " (0.00% +- 0.39%); largest rate error 0.00% in a"
    )
    assert program.warnings == ()
    program.save(tmp_path / "build")
    assert snncompile.load(tmp_path / "build").loss == program.loss


UNKNOWN = {
    "no data": ({}, "the loss is unknown: there is no calibration data"),
    "skipped": ({"skip": "measure"}, "the loss is unknown: pass measure did not run"),
}


@pytest.mark.parametrize("options, text", UNKNOWN.values(), ids=UNKNOWN)
def test_a_loss_that_is_not_measured_is_unknown(options, text):
    network = chain(3, 4, 2)
    data = {"calibration": spikes(network, 4, 9)} if options else {}
    loss = snncompile.compile(network, chip=TOY, **options, **data).loss
    assert (str(loss), loss.status, loss.samples) == (text, "unknown", None)
    assert (loss.answers, loss.populations) == (None, ())


@pytest.mark.parametrize("samples", [0, 4])
def test_integers_lose_nothing(samples):
    network = integer_chain(3, 4, 2)
    data = {"calibration": spikes(network, samples, 9)} if samples else {}
    loss = snncompile.compile(network, chip=LOIHI2, **data).loss
    assert (str(loss), loss.status) == (
        "nothing is lost: the network came as integers",
        "exact",
    )


def test_integers_of_a_pass_that_keeps_no_floats_are_not_exact():
    done = Pipeline.parse("retime,quantize").run(design(chain(3, 2), LOIHI2))
    done = Pipeline.parse("measure").run(replace(done, floats=None))
    assert str(done.loss) == (
        "the loss is unknown: the pass that made the integers did not keep the floats"
    )


def test_populations_that_changed_are_not_compared():
    network = chain(3, 4, 2)
    network = replace(
        network,
        projections=(
            replace(network.projections[0], synapses=dense([[1.0] * 3] * 3 + [[0.0] * 3])),
            network.projections[1],
        ),
    )
    pipeline = Pipeline.parse("retime,quantize,prune,measure")
    with pytest.raises(ContractError) as error:
        pipeline.run(design(network, LOIHI2, spikes(network, 2, 4)))
    assert str(error.value) == (
        "pass measure requires the neurons that quantize left (a had 4 neurons and has 3): run it"
        " before prune; ran: retime, quantize, prune"
    )


def test_progress_is_reported():
    calls = []
    *networks, x = quantize(1)
    analysis.measure_loss(*networks, x, progress=lambda *done: calls.append(done))
    assert calls[-1] == (6, 6)
