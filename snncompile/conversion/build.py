"""Build the spiking network of a method from a captured ANN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import INPUT, Ann, normalize
from snncompile.conversion.auto_records import Trial
from snncompile.conversion.bias import calibrate_biases
from snncompile.conversion.depth import describe_depth
from snncompile.conversion.method import Direct, Method
from snncompile.conversion.spike_trains import SpikeTrains
from snncompile.errors import InputError
from snncompile.ir.coding import Coding, Kind
from snncompile.ir.graph import Input, Network, Say
from snncompile.neurons.base import Interval

PIXEL = 255
"""Whole numbers up to this are shown unchanged: pixels."""
LEVELS = 127
"""Levels per sign of an input of other numbers: 8 bits."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """A spiking network and its origin."""

    network: Network
    ann: Ann
    """As the method has prepared it: a layer per population that is no relay."""
    method: Method
    steps: int
    """Time steps of every layer's window."""
    scales: dict[str, Floats]
    """Rectified layer -> activation of all its spikes together, per channel, or one for all."""
    trials: tuple[Trial, ...] = ()
    """What `auto` tried."""
    stopped: str = ""
    """Why `auto` ended before it was done, if it did."""


def build_conversion(
    ann: Ann,
    x: NDArray[np.float64],
    method: Method,
    steps: int,
    coding: Kind | None = None,
    activations: dict[str, Tensor] | None = None,
    say: Say = lambda text, share: None,
) -> Conversion:
    """Return the conversion of a captured network.

    Args:
        ann: the network, as captured.
        x: calibration samples.
        method: of conversion.
        steps: time steps of every layer's window.
        coding: of the input.
        activations: of the calibration samples, of a network that the method has prepared; None:
            it is prepared here.
        say: called with what is done, and the share that is done, roughly.
    """
    _check_steps(method, steps)
    kind = method.codings[0] if coding is None else coding
    if kind not in method.codings:
        known = ", ".join(method.codings)
        raise InputError(f"{method.name} cannot read {kind!r} input; choose from {known}")
    if activations is None:
        say("preparing layers", 0.2)
        ann = method.prepare(ann, x)
    say("running the model", 0.3)
    values = ann.compute_activations(x) if activations is None else activations
    say("choosing scales", 0.5)
    unit, payload = _choose_input(x, kind)
    ann = method.choose_messages(ann, values, unit, payload)
    scales = method.choose_scales(ann, values, method.count_levels(steps))
    plan = method.plan(ann, steps)
    factor = method.find_input_weight(kind, unit, plan.shown)
    notes = (
        f"convert: {method}, {steps} steps per layer, {plan.steps} in all",
        f"convert: input is shown as {kind}, a payload of 1 is {unit:g}",
        *describe_depth(ann, method, steps),
    )

    def build(scales: dict[str, Floats]) -> Network:
        units = {layer.name: scales[layer.name] / method.find_top(layer) for layer in ann.rectified}
        scaled = normalize(ann, units, factor)
        network = Network(
            Input(INPUT, ann.shape, payload, Coding(kind, unit, plan.shown, plan.steps)),
            method.build_populations(scaled, plan.shown),
            method.build_projections(scaled, plan.shown),
            ann.layers[-1].name,
            title=ann.title,
            notes=notes,
        )
        return method.finish_network(network)

    if isinstance(method.scales, SpikeTrains):
        if not isinstance(method, Direct):
            raise InputError(
                f"{method.name} has a window per layer; spike trains balance layers that share one,"
                " as those of balance and signed do"
            )
        say("balancing spike trains", 0.6)
        scales = method.scales.measure(build, ann.rectified, scales, x)
    say("building the network", 0.7)
    network = build(scales)
    if getattr(method, "calibrate_bias", False):
        say("calibrating biases", 0.8)
        rates = _scale_to_rates(ann, values, scales)
        network = calibrate_biases(network, ann.layers, rates, x, say)
    return Conversion(network, ann, method, steps, scales)


def _check_steps(method: Method, steps: int) -> None:
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    if method.longest_window is not None and steps > method.longest_window:
        if method.longest_window == 1:
            raise InputError(
                f"{method.name} takes one step per layer, got {steps}; leave out steps"
            )
        raise InputError(
            f"{method.name} sends a binary digit per step, at most {method.longest_window} of them,"
            f" got {steps} steps; {method.default_steps} are the default"
        )


def _scale_to_rates(
    ann: Ann, activations: dict[str, Tensor], scales: dict[str, Floats]
) -> dict[str, Tensor]:
    """Return the activations in units of the scales, 0..1; those of the last layer as they are."""
    rates = {ann.layers[-1].name: activations[ann.layers[-1].name]}
    for layer in ann.rectified:
        unit = torch.tensor(layer.spread_per_neuron(scales[layer.name])).reshape(layer.shape)
        rates[layer.name] = (activations[layer.name] / unit).clamp(0, 1).float()
    return rates


def _choose_input(x: NDArray[np.float64], coding: Kind) -> tuple[float, Interval]:
    """Return the input value of a payload of 1, and the payload's range."""
    largest = float(np.abs(x).max()) or 1.0
    low = -1 if x.min() < 0 else 0
    if coding not in ("constant", "analog"):
        return largest, Interval(low, 1)
    if largest <= PIXEL and not (x % 1).any():
        return 1.0, Interval(low * PIXEL, PIXEL)
    return largest / LEVELS, Interval(low * LEVELS, LEVELS)
