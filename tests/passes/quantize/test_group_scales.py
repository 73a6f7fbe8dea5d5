"""One scale per channel: by hand, within half a step, and only where the chip has the profiles."""

from __future__ import annotations

import numpy as np
import pytest
from conversion_models import MODELS, images
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, TOY, design

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.phase_fire import PhaseFire
from snncompile.neurons.sigma import Sigma
from snncompile.neurons.sigma_delta import SigmaDelta
from snncompile.neurons.window_readout import WindowReadout
from snncompile.passes.analysis import number_ranges
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.quantize.rounding import convert_to_real
from snncompile.passes.quantize.scale_limits import find_largest_potential
from snncompile.passes.quantize.weight_rows import group_neurons
from snncompile.passes.timing.retime import Retime
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse
from snncompile.synapses.weight_formats import weight_step

WIRING = Convolution((2, 5, 5), 2, (3, 3), (1, 1), (1, 1), (1, 1))


def network(weight, neuron=None, payload=(0, 1), shortcut=None) -> Network:
    """Return a convolution, with a one-to-one projection beside it where a weight is given."""
    neuron = neuron or IntegrateFire(1.0, 0.1)
    projections = [Projection("input", "a", Synapses(WIRING, weight))]
    if shortcut is not None:
        wide = np.repeat(np.asarray(shortcut, float), 25)
        projections.append(Projection("input", "a", Synapses(Scale(50, per_neuron=True), wide)))
    return Network(
        Input("input", (2, 5, 5), Interval(*payload)),
        (
            Population("a", (2, 5, 5), neuron),
            Population("b", (3,), WindowReadout(4)),
        ),
        (*projections, Projection("a", "b", dense(np.ones((3, 50))))),
        "b",
    )


@pytest.mark.parametrize(
    ("shape", "weight", "groups"),
    [
        ((2, 3), [1, 1, 1, 2, 2, 2], [0, 0, 0, 1, 1, 1]),  # a kernel of one tap stays one
        ((2, 3), [1, 1, 1, 2, 2, 3], [0, 1, 2, 3, 4, 5]),
        ((6,), [1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_channels_read_one_to_one_share_a_scale(shape, weight, groups):
    synapses = Synapses(Scale(6, per_neuron=True), np.asarray(weight, np.float64))
    a = Population("a", shape, IntegrateFire(1.0))
    one = Network(Input("input", shape), (a,), (Projection("input", "a", synapses),), "a")
    assert group_neurons(one, a).tolist() == groups


def test_thresholds_that_differ_within_a_channel_keep_scales_of_their_own():
    synapses = Synapses(Scale(6, per_neuron=True), np.ones(6))
    a = Population("a", (2, 3), IntegrateFire(np.array([1.0, 1, 1, 1, 1, 500])))
    one = Network(Input("input", (2, 3)), (a,), (Projection("input", "a", synapses),), "a")
    assert group_neurons(one, a).tolist() == list(range(6))


def weights(seed: int = 0, ratio: float = 6.0):
    made = np.random.default_rng(seed).normal(0, 0.2, WIRING.weight_shape)
    made[1] /= ratio
    return made


def quantized(made, chip=LOIHI2, calibration=None, **options):
    return Quantize(**options)(design(made, chip, calibration))


def test_room_is_for_all_weights_of_a_step_and_the_bias():
    made = network(weights(), PhaseFire(0.01, 1, bias=-0.1), payload=(-3, 2), shortcut=[0.5, 0.7])
    sums = np.abs(weights()).sum(axis=(1, 2, 3)) + np.array([0.5, 0.7])
    assert find_largest_potential(made, made.populations[0]) == pytest.approx(
        np.repeat(3 * sums + 0.1, 25)
    )
    made = network(weights(), PhaseFire(50.0, 3))
    assert (find_largest_potential(made, made.populations[0]) == 400).all()
    assert find_largest_potential(network(weights()), network(weights()).populations[0]) is None


def test_every_channel_uses_all_bits():
    done = quantized(network(weights()))
    (projection, _), (a, _) = done.network.projections, done.network.populations
    largest = np.abs(projection.synapses.weight.astype(int)).max(axis=(1, 2, 3))
    assert (largest >= 0.7 * 254).all()
    thresholds = a.neuron.threshold.reshape(2, 25)
    assert (thresholds == thresholds[:, :1]).all()
    assert thresholds[1, 0] > 5 * thresholds[0, 0]
    assert done.quantized[0].scales == 2


@pytest.mark.parametrize("chip", [TOY, LOIHI1, LOIHI2], ids=lambda chip: chip.name)
def test_channels_share_as_many_thresholds_as_the_chip_has(chip):
    wiring = Convolution((2, 5, 5), 24, (3, 3), (1, 1), (1, 1), (1, 1))
    random = np.random.default_rng(0)
    weight = random.normal(0, 0.2, wiring.weight_shape)
    weight *= np.exp(random.normal(0, 1.5, (24, 1, 1, 1)))
    made = Network(
        Input("input", (2, 5, 5)),
        (Population("a", (24, 5, 5), IntegrateFire(1.0)),),
        (Projection("input", "a", Synapses(wiring, weight)),),
        "a",
    )
    done = quantized(made, chip)
    profiles = chip.core.threshold_profiles.whole or 24
    assert len(np.unique(done.network.populations[0].neuron.threshold)) == profiles
    errors = [
        q.quantized[0].median_error for q in (done, quantized(made, chip, scales="population"))
    ]
    assert errors[0] < errors[1] / (1.5 if chip is TOY else 5)


def test_one_channel_cannot_take_the_bits_of_all_others():
    """Two profiles for 24 channels, one of them of weights a million times as large."""
    wiring = Convolution((2, 5, 5), 24, (3, 3), (1, 1), (1, 1), (1, 1))
    weight = np.random.default_rng(0).normal(0, 0.2, wiring.weight_shape)
    weight[7] *= 1e6
    made = Network(
        Input("input", (2, 5, 5)),
        (Population("a", (24, 5, 5), IntegrateFire(1.0)),),
        (Projection("input", "a", Synapses(wiring, weight)),),
        "a",
    )
    report = quantized(made, TOY).quantized[0]
    # 8 bits for the largest of the other 23 channels, whose own largest weights differ by half.
    assert report.median_error < 0.02
    assert (report.worst_error > 0.1) == (report.worst_neuron == 7 * 25)


@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([3, 4, 8]),
    shortcut=st.none() | st.tuples(st.floats(0.02, 5), st.floats(0.02, 5)),
    phase=st.booleans(),
)
def test_every_weight_is_within_half_a_step(seed, bits, shortcut, phase):
    neuron = PhaseFire(1.0, 5, initial=1 / 32) if phase else None
    made = network(weights(seed), neuron, shortcut=shortcut)
    done = quantized(made, bits=bits)
    number_ranges.check_ranges(done.network, LOIHI2)
    (a, _), scale = done.network.populations, None
    scale = a.neuron.threshold * 64.0
    for old, new in zip(made.into("a"), done.network.into("a"), strict=True):
        real = convert_to_real(new.synapses, scale / 64)
        unit = 2.0**new.synapses.exponent * weight_step(bits) * 64 / scale
        unit = unit.reshape(2, 25)[:, 0].reshape(2, 1, 1, 1) if real.ndim == 4 else unit
        rounding_of_the_threshold = 0.01 * np.abs(old.synapses.weight)
        assert (np.abs(real - old.synapses.weight) <= unit / 2 + rounding_of_the_threshold).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), high=st.sampled_from([1, 15, 255, 4095]))
def test_the_current_of_a_graded_input_cannot_wrap(seed, high):
    done = quantized(network(weights(seed), payload=(-high, high)))
    found = prove_bounds(done.network, LOIHI2, None)
    assert all(b.holds for b in found if b.quantity == "u" and b.population == "a")
    largest = np.abs(done.network.projections[0].synapses.weight.astype(int)).max()
    assert largest > 120


def test_the_bias_makes_up_for_what_rounding_adds():
    made = network(np.abs(weights()) / 4)
    x = (np.random.default_rng(1).random((40, 30, 2, 5, 5)) < 0.4).astype(np.uint8)
    differences = []
    for calibration in (None, x):
        done = quantized(made, bits=3, calibration=calibration)
        a = done.network.populations[0]
        scale = a.neuron.threshold * 64.0
        shift = np.zeros(50)
        for network_, sign in ((done.network, 1), (made, -1)):
            (p,) = network_.into("a")
            real = convert_to_real(p.synapses, scale / 64) if sign == 1 else p.synapses.weight
            shift += sign * (p.synapses.wiring.matrix(real) @ x.mean(axis=(0, 1)).ravel())
        bias = (a.neuron.bias_mantissa << a.neuron.bias_exponent) / scale - 0.1
        differences.append(np.abs((shift + bias).reshape(2, 25).mean(axis=1)).max())
    assert differences[1] < 0.2 * differences[0]


def test_a_readout_has_room_for_what_it_adds_up():
    made = network(np.abs(weights()))
    x = np.ones((3, 300, 2, 5, 5), np.uint8)
    made = Network(
        made.input,
        (made.populations[0], Population("b", (3,), WindowReadout(300))),
        (made.projections[0], Projection("a", "b", dense(np.full((3, 50), 40.0)))),
        "b",
    )
    done = quantized(made, calibration=x)
    total, wanted = done.network.run(x).spikes[:, -1], made.run(x).spikes[:, -1]
    assert total.max() < 2**23 - 1
    # The sums are whole numbers of steps; their scale, a mantissa of 8 bits or more, is not.
    assert np.abs(total / done.quantized[-1].scale - wanted).max() < wanted.max() / 2**8 / 2
    with pytest.raises(StopIteration):
        next(
            b for b in prove_bounds(done.network, LOIHI2, 300) if b.quantity == "u" and not b.holds
        )


def test_weights_behind_a_neuron_that_sends_values_are_in_its_messages():
    """A change of 0.5, sent as 64, times a weight of 0.6 exceeds a threshold of 0.25."""
    made = Network(
        Input("input", (1,)),
        (
            Population("change", (1,), SigmaDelta(0.5)),
            Population("a", (2,), IntegrateFire([0.25, 0.35])),
        ),
        (
            Projection("input", "change", dense([[0.5]])),
            Projection("change", "a", dense([[0.6], [0.6]])),
        ),
        "a",
    )
    done = quantized(made)
    assert done.quantized[0].message == 128.0
    x = np.array([1, 0, 0, 0, 0, 0])[None, :, None]
    assert made.run(x).spikes.any(axis=1).tolist() == [[True, False]]
    assert (done.network.run(x).spikes == made.run(x).spikes).all()


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.0, 1.1, 1.3, 1.9])
@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2], ids=lambda chip: chip.name)
def test_loops_cost_the_weights_from_outside_no_bits(ratio, chip):
    """Weights of the input a little larger than the recurrent ones, which are more."""
    rng = np.random.default_rng(0)
    made = Network(
        Input("input", (20,)),
        (Population("a", (24,), IntegrateFire(1.0, 0.1)),),
        (
            Projection("input", "a", dense(ratio * rng.uniform(-0.2, 0.2, (24, 20)))),
            Projection("a", "a", dense(rng.uniform(-0.2, 0.2, (24, 24))), 1),
        ),
        "a",
    )
    alone, shared = (quantized(made, chip, scales=s).quantized[0] for s in ("neuron", "population"))
    assert alone.weight_error < 1.02 * shared.weight_error


@pytest.mark.parametrize("scales", ["neuron", "population"])
@pytest.mark.parametrize("decay, leak", [(0.0, 0.1), (0.001, 0.1), (0.001, 1.0)])
def test_a_proof_is_not_worth_a_coarse_threshold(scales, decay, leak):
    """Currents that hardly forget could wrap after thousands of steps, all extreme.

    The last could be proved, with thresholds of some sixteen.
    """
    weight = np.random.default_rng(0).normal(0, 0.3, (12, 20))
    made = Network(
        Input("input", (20,)),
        (Population("a", (12,), CubaLif(decay, leak, 1.0)),),
        (Projection("input", "a", dense(weight)),),
        "a",
    )
    done = quantized(made, scales=scales)
    assert done.network.populations[0].neuron.threshold.min() >= 64
    assert not all(b.holds for b in prove_bounds(done.network, LOIHI2, None))
    x = (np.random.default_rng(1).random((10, 20, 20)) < 0.2).astype(np.uint8)
    wrong = (done.network.run(x).spikes != made.run(x).spikes).mean()
    assert wrong < 0.02  # a current that loses 1/4096 of itself in each step, at least


def test_thresholds_round_as_well_as_weights():
    """Of 0.3, 127 steps would be exact too, with a threshold of 846.67."""
    made = Network(
        Input("input", (3,)),
        (Population("a", (1,), IntegrateFire(1.0)),),
        (Projection("input", "a", dense([[0.3, -0.3, 0.3]])),),
        "a",
    )
    done = quantized(made)
    assert done.network.projections[0].synapses.weight.tolist() == [[252, -252, 252]]
    assert done.network.populations[0].neuron.threshold == 840
    assert done.quantized[0].parameter_error["threshold"] < 1e-12


def test_readouts_are_right_on_the_average_of_the_data():
    """3 bits: sums are off by much; that of all samples together is not."""
    random = np.random.default_rng(0)
    made = Network(
        Input("input", (30,)),
        (Population("b", (5,), WindowReadout(8)),),
        (Projection("input", "b", dense(random.normal(0, 0.3, (5, 30)))),),
        "b",
    )
    x = (random.random((40, 8, 30)) < random.random(30)).astype(np.uint8)
    wanted = made.run(x).spikes[:, -1]
    errors = []
    for calibration in (None, x):
        done = quantized(made, bits=3, calibration=calibration)
        found = done.network.run(x).spikes[:, -1] / done.quantized[0].scale
        errors.append(np.abs((found - wanted).mean(axis=0)).max())
    assert errors[1] < 0.01 * errors[0]


def test_a_tiny_threshold_of_changes_leaves_messages_their_width():
    made = Network(
        Input("input", (4,)),
        (Population("change", (3,), SigmaDelta(1e-7)), Population("out", (2,), Sigma())),
        (
            Projection("input", "change", dense(np.full((3, 4), 0.3))),
            Projection("change", "out", dense(np.full((2, 3), 0.5))),
        ),
        "out",
    )
    done = quantized(made)
    assert done.quantized[0].message == pytest.approx(64 * 2**8 / 0.3)


@pytest.mark.parametrize("digits", [6, 7])
def test_no_proof_is_worth_sums_that_are_cut_off(digits):
    """Weights of 8 bits are even: their sums are whole from an exponent of -1 on.

    With 8 digits the potentials of one layer have no room for it.
    """
    model, x = MODELS["chain"](), images("chain")
    made = snncompile.from_ann(model, x, "bistable_phase", digits)
    integers = Quantize()(Retime()(design(made, LOIHI2, made.input.present(x)))).network
    between = [p for p in integers.projections if p.source != integers.input.name]
    assert len(between) > 1
    assert all(p.synapses.exponent >= -1 for p in between)


def test_a_range_of_sources_makes_no_relays_of_neurons_with_other_weights():
    """Relays of a grid, whose weights are all 1, share a scale; these need one each."""
    ends, weight = np.arange(4), np.array([1, 0.3, 0.03, 0.003])
    wiring = SourceRange(Sparse(ends, ends, 4, 4), 0, 4)
    network = Network(
        Input("in", (4,)),
        (Population("h", (4,), IntegrateFire(0.5)),),
        (Projection("in", "h", Synapses(wiring, weight)),),
        "h",
    )
    program = snncompile.compile(network, chip="loihi2", prune=False)
    synapses, neuron = (
        program.network.projections[0].synapses,
        program.network.populations[0].neuron,
    )
    found = synapses.weight * 2.0**synapses.exponent / neuron.threshold
    np.testing.assert_allclose(found, weight / 0.5, rtol=0.01)
