"""What quantize says it assumes, and what it promises about the network it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, alone, chain, changed, formatted, limited, quantized

from snncompile.errors import QuantizeError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.accumulate import Accumulate
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout
from snncompile.neurons.refractory_lif import RefractoryLif
from snncompile.neurons.sigma_delta import SigmaDelta
from snncompile.passes.quantize import quantize as quantize_module
from snncompile.passes.quantize.describe import _describe_rule, _describe_sharing, describe_errors
from snncompile.passes.quantize.quantize import (
    Quantize,
    _differ_in_group,
    _refuse_coarse,
    _restate_scale,
    _rests_on_assumption,
    _run_calibration,
    _sends_spikes,
    _simplify,
)
from snncompile.passes.quantize.rounding import round_weights
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

LIF = CubaLif(1.0, 0.1, 1.0)
W2, W1 = np.ones((2, 2)), np.ones((1, 1, 1, 1))
UNEVEN = alone(IntegrateFire(1.0, 0.0), 2, [[1.0], [0.1]])
EVEN = alone(IntegrateFire(1.0, 0.0), 2, [[1.0], [1.0]])
ASSUMPTION = (
    "; scales per neuron assume enough threshold profiles, a number not published for loihi2:"
    " scales=population needs one per population"
)


def say(network, chip, **options) -> str:
    return quantized(network, chip, **options).log[-1]


def test_several_scales_on_a_chip_of_unknown_profiles_are_an_assumption():
    """One population with several is enough."""
    assert say(UNEVEN, LOIHI2).endswith(ASSUMPTION)
    both = chain(1, 2, 2)
    uneven = replace(both.projections[0].synapses, weight=np.array([[1.0], [0.1]]))
    both = changed(both, projection=0, synapses=uneven)
    assert [report.scales for report in quantized(both, LOIHI2).quantized] == [2, 1]
    assert say(both, LOIHI2).endswith(ASSUMPTION)


@pytest.mark.parametrize(
    "network, chip, scales",
    [(UNEVEN, LOIHI2, "population"), (EVEN, LOIHI2, "neuron"), (UNEVEN, LOIHI1, "neuron")],
)
def test_one_scale_or_known_profiles_assume_nothing(network, chip, scales):
    assert "assume" not in say(network, chip, scales=scales)
    assert quantized(network, chip, scales=scales).one_scale is None


def test_promises_integers_and_that_names_phases_and_delays_stay():
    before = Quantize()(quantized(chain(1, 2, 2), TOY))
    promise = "that names, phases and delays stay as they were"
    network = before.network
    assert Quantize().ensures(before, before) == ""
    assert Quantize().ensures(before, replace(before, network=chain(1, 2, 2))) == (
        "an integer network"
    )
    phases = [p.phase + 1 for p in network.populations]
    later = replace(
        network,
        populations=tuple(
            replace(p, phase=phase) for p, phase in zip(network.populations, phases, strict=True)
        ),
        projections=(
            replace(network.projections[0], delay=network.projections[0].delay + 1),
            *network.projections[1:],
        ),
    )
    assert Quantize().ensures(before, replace(before, network=later)) == promise
    other = replace(network, title="another")
    assert Quantize().ensures(before, replace(before, network=other)) == ""


# Group of each neuron, thresholds; whether one group has several.
GROUPS = [
    ([0, 0, 1], [1.0, 1.0, 2.0], False),
    ([0, 0, 1], [1.0, 2.0, 2.0], True),
    ([0, 1, 1], [3.0, 2.0, 1.0], True),
    ([1, 0, 1], 0.5, False),
]


@pytest.mark.parametrize("groups, threshold, differ", GROUPS)
def test_thresholds_differ_within_a_group(groups, threshold, differ):
    population = alone(IntegrateFire(threshold, 0.0), 3, np.ones((3, 1))).populations[0]
    assert _differ_in_group(population, np.array(groups)) is differ


def report(**fields) -> QuantizedLayer:
    given = {"population": "a", "weight_error": 0.01, "worst_neuron": 7, "largest_neuron": 5}
    given |= {"median_error": None, "worst_error": None, "alone_error": None, "scales": 1}
    return QuantizedLayer.model_construct(**(given | fields))


SHARED = "; neurons of a have a median of {}, each by its own weights alone {} (largest weight: 5)"
# Median error of neurons, the one by their own weights alone; what is said.
SHARING = [
    (None, None, ""),
    (0.02, 0.01, ""),
    (0.025, 0.01, SHARED.format("2.50%", "1.00%")),
    (0.0009, 0.0, ""),
    (0.001, 0.0, SHARED.format("0.10%", "0.00%")),
    (0.001, None, SHARED.format("0.10%", "0.00%")),
]


@pytest.mark.parametrize("median, alone, text", SHARING)
def test_a_bit_or_more_lost_to_others_is_said(median, alone, text):
    assert _describe_sharing(report(median_error=median, alone_error=alone)) == text


def test_errors_are_those_of_the_worst_layer_and_neuron():
    assert describe_errors(()) == ""
    lost = report(median_error=0.025, alone_error=0.01, worst_error=0.03)
    worse = report(population="b", weight_error=0.02, worst_error=0.04, worst_neuron=2)
    text = ", largest weight error of a layer 2.00%; of the neurons median 2.50%, worst 4.00% (b 2)"
    shared = SHARED.format("2.50%", "1.00%")
    assert describe_errors((report(), lost, worse)) == text + shared
    assert describe_errors((worse, lost, report(), lost)) == text + shared + shared


def test_the_error_of_a_learning_rule_is_said():
    text = "; rule of a: largest error of a factor 1.25%"
    assert _describe_rule(report(rule_error=0.0125)) == text
    assert _describe_rule(report(rule_error=0.0)) == "; rule of a: largest error of a factor 0.00%"
    assert _describe_rule(report(rule_error=None)) == ""
    lost = report(median_error=0.025, alone_error=0.01, worst_error=0.03, rule_error=0.0125)
    assert describe_errors((lost,)).endswith(f"(largest weight: 5){text}")


@pytest.mark.parametrize("name", ["formats", "scales"])
def test_the_default_of_an_option_is_one_of_its_choices(name):
    assert getattr(Quantize(), name) in get_args(get_type_hints(Quantize)[name])


# Threshold profiles of the chip; scales of two channels of two neurons with four thresholds.
@pytest.mark.parametrize("profiles, scales", [(None, 2), (5, 2), (4, 2), (3, 1)])
def test_channels_have_scales_of_their_own_if_every_neuron_may_have_a_threshold(profiles, scales):
    wiring = Convolution((1, 2), 2, (1,), (1,), (0,), (1,))
    synapses = Synapses(wiring, np.array([1.0, 0.25]).reshape(wiring.weight_shape))
    neuron = IntegrateFire(np.array([1.0, 2.0, 3.0, 4.0]), 0.0)
    network = Network(
        Input("input", (1, 2)),
        (Population("a", (2, 2), neuron),),
        (Projection("input", "a", synapses),),
        "a",
    )
    chip = limited(LOIHI1, threshold_profiles=profiles)
    (layer,) = quantized(network, chip).quantized
    assert layer.scales == scales


# Chip, scales of its populations; whether enough profiles are assumed.
RESTS = [("loihi2", [2], True), ("loihi2", [1, 2], True), ("loihi2", [1, 1], False)]
RESTS += [("loihi1", [2], False), ("odin", [2], False), ("loihi2", [], False)]


@pytest.mark.parametrize("chip, scales, assumed", RESTS)
def test_profiles_are_assumed_where_their_number_is_unknown(chip, scales, assumed):
    reports = tuple(report(scales=number) for number in scales)
    assert _rests_on_assumption(reports, load_chip(chip)) is assumed


def test_equal_scales_are_one_number():
    assert _simplify(np.array([2.0, 2.0, 2.0])).shape == _simplify(np.array([2.0])).shape == ()
    assert _simplify(np.array([2.0, 3.0])).tolist() == [2.0, 3.0]
    assert _simplify(np.array([2.0, 2.0])) == 2


# Neuron; whether it fires above a threshold and sends plain spikes.
SENDS = [
    (IntegrateFire(1.0, 0.0), True),
    (SigmaDelta(1.0), False),
    (Readout(0.5, 0.5), False),
    (Accumulate(), False),
]


@pytest.mark.parametrize("neuron, sends", SENDS, ids=lambda value: getattr(value, "kind", ""))
def test_neurons_that_send_plain_spikes(neuron, sends):
    assert _sends_spikes(alone(neuron).populations[0]) is sends


PIXELS = Convolution((1, 2, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1))
ONE_PROFILE = limited(LOIHI1, threshold_profiles=1)
# Weights of their own, or one kernel; thresholds; chip; options; group of each neuron.
GROUPS = {
    "weights of their own": (dense(W2), 1.0, LOIHI2, {}, [0, 1]),
    "one scale per channel": (dense(W2), 1.0, LOIHI2, {"scales": "channel"}, None),
    "one scale": (dense(W2), 1.0, LOIHI2, {"scales": "population"}, None),
    "a file without exponents": (dense(W2), 1.0, LOIHI2, {"formats": "netx"}, None),
    "Lava's own processes": (dense(W2), 1.0, LOIHI2, {"processes": "library"}, None),
    "one profile": (dense(W2), [1.0, 2.0], ONE_PROFILE, {}, [0, 1]),
    "a kernel": (Synapses(PIXELS, W1), 1.0, LOIHI2, {}, [0, 0]),
    "a kernel per channel": (Synapses(PIXELS, W1), 1.0, LOIHI2, {"scales": "channel"}, [0, 0]),
    "a kernel, one profile": (Synapses(PIXELS, W1), 1.0, ONE_PROFILE, {}, [0, 0]),
    "thresholds, one profile": (Synapses(PIXELS, W1), [1.0, 2.0], ONE_PROFILE, {}, None),
    "thresholds, many profiles": (Synapses(PIXELS, W1), [1.0, 2.0], LOIHI1, {}, [0, 0]),
}


@pytest.mark.parametrize("case", GROUPS)
def test_neurons_that_share_a_scale(case):
    synapses, threshold, chip, options, wanted = GROUPS[case]
    population = Population("a", (synapses.wiring.targets,), IntegrateFire(threshold, 0.0))
    network = Network(
        Input("input", (2,)), (population,), (Projection("input", "a", synapses),), "a"
    )
    found = Quantize(**options)._choose_groups(network, population, chip)
    assert (found if found is None else found.tolist()) == wanted


def test_one_projection_that_learns_among_others_takes_one_scale():
    network = changed(chain(1, 2), "a", neuron=IntegrateFire(1.0, 0.0))
    (fixed,) = network.projections
    learns = replace(fixed, delay=2, rule=LearningRule("x1*y0", x1_impulse=16, x1_tau=4))
    for projections, wanted in (((fixed,), [0, 1]), ((fixed, learns), None)):
        made = replace(network, projections=projections)
        found = Quantize()._choose_groups(made, made.populations[0], LOIHI1)
        assert (found if found is None else found.tolist()) == wanted


class Careless(IntegrateFire):
    """Makes integers of a bias that no chip has, as a neuron of another package may."""

    def quantize(self, scale, formats):
        return replace(super().quantize(scale, formats), bias_mantissa=np.asarray(1 << 20))


def test_integers_of_a_neuron_that_does_not_check_them_are_refused():
    with pytest.raises(QuantizeError) as error:
        quantized(alone(Careless(1.0)), LOIHI1)
    assert str(error.value) == (
        "population a: bias_mantissa 1048576 is outside -4095..4095 of loihi1"
    )


def test_a_number_that_no_scale_brings_into_range_is_refused():
    with pytest.raises(QuantizeError) as error:
        quantized(alone(RefractoryLif(1.0, 0.0, 1.0, 63.0)), LOIHI1)
    assert str(error.value) == "population a: refractory 63 is outside 0..62 of loihi1"


@pytest.mark.parametrize("neuron, by_inputs", [(IntegrateFire(1.0), True), (LIF, False)])
def test_few_bits_are_rounded_by_what_arrives_where_sums_add_up(neuron, by_inputs, monkeypatch):
    """Without a leak the sum of all steps counts, so that rounding can make up for itself."""
    population = Population("a", (1, 2, 1), neuron)
    projection = Projection("input", "a", Synapses(PIXELS, 0.3 * W1))
    network = Network(Input("input", (1, 2, 1)), (population,), (projection,), "a")
    seen = []

    def note(p, scale, exponent, bits, spike_trains):
        seen.append(spike_trains is not None)
        return round_weights(p, scale, exponent, bits, spike_trains)

    monkeypatch.setattr(quantize_module, "round_weights", note)
    quantized(network, LOIHI2, np.ones((3, 4, 1, 2, 1), np.uint8), bits=3)
    assert seen == [by_inputs]


# Thresholds that the weights ask for, those that the chip has; whether it is refused.
COARSE = [
    ([1.0] * 4, [2.5, 2.5, 2.5, 1.0], True),
    ([1.0] * 4, [2.5, 2.5, 1.0, 1.0], False),
    ([1.0] * 4, [2.0] * 4, False),
    ([0.1] * 4, [0.25] * 4, True),
    (1.0, 2.5, True),
]


@pytest.mark.parametrize("old, new, refused", COARSE)
def test_most_thresholds_far_below_the_smallest_are_refused(old, new, refused):
    population = alone(IntegrateFire(old, 0.0), 4, np.ones((4, 1))).populations[0]
    if not refused:
        _refuse_coarse(population, IntegrateFire(new, 0.0), TOY)
        return
    with pytest.raises(QuantizeError) as error:
        _refuse_coarse(population, IntegrateFire(new, 0.0), TOY)
    assert str(error.value) == (
        "population a: most thresholds are less than half of the smallest one of toy beside"
        " weights of this size; raise the thresholds, or make the largest weights smaller"
    )


def test_quantize_refuses_thresholds_far_below_the_smallest():
    with pytest.raises(QuantizeError) as error:
        quantized(alone(IntegrateFire(1e-5, 0.0), 3, np.ones((3, 1))), LOIHI1)
    assert str(error.value) == (
        "population a: most thresholds are less than half of the smallest one of loihi1 beside"
        " weights of this size; raise the thresholds, or make the largest weights smaller"
    )


# Outputs that may be kept, of 2 inputs and 3 neurons in 3 steps; samples that are run of 8.
@pytest.mark.parametrize("outputs, samples", [(1, 2), (60, 4), (74, 4), (75, 5), (1 << 26, 8)])
def test_calibration_keeps_so_many_outputs(outputs, samples, monkeypatch):
    monkeypatch.setattr(quantize_module, "CALIBRATION_OUTPUTS", outputs)
    x = np.ones((8, 3, 2), np.uint8)
    trains = _run_calibration(chain(2, 3), x)
    assert {name: train.shape[0] for name, train in trains.items()} == dict.fromkeys(
        trains, samples
    )


def test_calibration_takes_256_samples():
    assert _run_calibration(chain(1, 1), None) is None
    trains = _run_calibration(chain(1, 1), np.ones((300, 1, 1), np.uint8))
    assert trains["a"].shape[0] == 256


def test_a_scale_is_restated_in_the_networks_own_unit():
    old = report(scale=8.0)
    assert _restate_scale(old, {"b": 4.0}) is old
    new = _restate_scale(old, {"a": 4.0})
    assert (new.scale, new.message) == (2.0, (1 << SPIKE_EXPONENT) / 4.0)


def test_integers_stay_and_are_checked():
    done = quantized(EVEN, TOY)
    again = Quantize()(done)
    assert again.network is done.network
    assert again.log[-1] == "quantize: already integers; all numbers are in the chip's ranges"
    with pytest.raises(QuantizeError) as error:
        Quantize()(replace(done, chip=formatted(TOY, weight_bits=[4])))
    assert str(error.value) == ("projection input -> a: 8-bit weights are not among (4,) of toy")


def test_projections_between_the_same_populations_keep_their_order():
    two = chain(1, 2, delay=1)
    weights = [np.array([[1.0], [0.5]]), np.array([[-0.5], [1.0]])]
    two = changed(
        two,
        projections=tuple(
            replace(
                two.projections[0],
                delay=delay,
                synapses=replace(two.projections[0].synapses, weight=weight),
            )
            for delay, weight in zip((2, 1), weights, strict=True)
        ),
    )
    network = quantized(two, LOIHI2).network
    assert [p.delay for p in network.projections] == [2, 1]
    assert [p.synapses.weight[0, 0] > 0 for p in network.projections] == [True, False]


def test_the_log_names_the_bits_and_those_of_shortcuts():
    assert say(EVEN, TOY).startswith("quantize: 8-bit weights, largest weight error of a layer 0.")
    assert say(EVEN, TOY, bits=4).startswith("quantize: 4-bit weights, largest")
