"""From a trained rectified network and calibration data to a spiking network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from snncompile.conversion.ann import INPUT, Ann, normalized
from snncompile.conversion.auto import Budget, automatic
from snncompile.conversion.bias import calibrated
from snncompile.conversion.capture import capture
from snncompile.conversion.method import Direct, Method
from snncompile.conversion.spike_trains import SpikeTrains
from snncompile.errors import InputError
from snncompile.ir.coding import Coding, Kind
from snncompile.ir.graph import Input, Network
from snncompile.neurons.base import Floats, Interval
from snncompile.registry import load

PIXEL = 255
"""Whole numbers up to here are shown as they are: pixels."""
LEVELS = 127
"""Levels per sign of an input that is no whole numbers: 8 bits."""
ACTIVATIONS = 2**29
"""Activations of all neurons for all calibration samples that are kept, 4 bytes each; no more
samples are used than that allows."""
FEWEST = 4
"""Calibration samples that are used in any case."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """A spiking network, and what it was made of."""

    network: Network
    ann: Ann
    method: Method
    steps: int
    """Of every layer's window."""
    scales: dict[str, Floats]
    """Per rectified layer what all its spikes together stand for; per channel, or one for all."""


def from_ann(
    model: nn.Module,
    calibration: ArrayLike,
    method: str | Method = "signed",
    steps: int = 32,
    *,
    coding: Kind | None = None,
    budget: Budget | None = None,
    title: str | None = None,
) -> Network:
    """Return a spiking network that classifies as a trained network of ReLUs does.

    Args:
        model: linear layers, convolutions, batch norms, average pools and ReLUs in any `nn.Module`.
        calibration: what the model sees, shape (samples, *shape); 100 to 300 samples are enough,
            labels are not needed. Whole numbers from -255 to 255 are shown to the chip as they are,
            so a model that starts with its normalization takes pixels; others are rounded to 8
            bits.
        method: a row of the registry's `conversions`, one of their records with its options, or
            "auto", which chooses method and steps within the budget.
        steps: time steps of every layer's window.
        coding: how the input is shown; the method's own if not given.
        budget: what "auto" keeps to.
        title: name of the network in reports.

    Raises:
        InputError: an argument is not what it should be, or nothing keeps to the budget.
        UnsupportedError: the model uses a layer, a function or a feature that is not known.
        ImportMismatchError: what was read out of the model does not compute what it does.
    """
    made = convert(model, calibration, method, steps, coding=coding, budget=budget, title=title)
    return made.network


def convert(
    model: nn.Module,
    calibration: ArrayLike,
    method: str | Method = "signed",
    steps: int = 32,
    *,
    coding: Kind | None = None,
    budget: Budget | None = None,
    title: str | None = None,
) -> Conversion:
    """Return the network with what it was made of; see `from_ann`."""
    if method == "auto" and coding is not None:
        raise InputError("auto chooses the coding with the method; leave out coding")
    if method != "auto" and budget is not None:
        raise InputError("a budget is what method='auto' keeps to; this method has its steps")
    x = check_calibration(calibration)
    ann = capture(model, x, title)
    used = x[: max(FEWEST, ACTIVATIONS // ann.neurons)]
    if method == "auto":
        made = automatic(ann, used, budget or Budget())
    else:
        made = spiking(ann, used, method_of(method), steps, coding)
    if len(used) == len(x):
        return made
    note = f"convert: only {len(used)} of {len(x)} calibration samples used, for memory"
    notes = (*made.network.notes, note)
    return replace(made, network=replace(made.network, notes=notes))


def check_calibration(calibration: ArrayLike) -> NDArray[np.float64]:
    """Return the samples in float64.

    Raises:
        InputError: no samples, or values that are no finite numbers.
    """
    x = np.asarray(calibration)
    if x.dtype.kind not in "biuf" or x.ndim < 2 or x.size == 0:
        raise InputError(f"calibration has shape {x.shape}, expected numbers (samples, *shape)")
    if not np.isfinite(x).all():
        raise InputError("calibration holds values that are not finite")
    return x.astype(np.float64)


def method_of(method: str | Method) -> Method:
    """Return the method, with its usual options if it is given by name.

    Raises:
        InputError: there is no such method.
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise InputError(f"method must be a name or a method, got {type(method).__name__}")
    made: Method = load("conversions", method)()
    return made


def with_calibrated_bias(method: str | Method) -> Method:
    """Return the method with its biases calibrated.

    Raises:
        InputError: there is no such method, or it has no such option.
    """
    made = method_of(method)
    if not isinstance(made, Direct):
        raise InputError(f"{made.name} has no biases to calibrate; balance and signed have")
    return replace(made, calibrate_bias=True)  # type: ignore[type-var]


def spiking(
    ann: Ann,
    x: NDArray[np.float64],
    method: Method,
    steps: int,
    coding: Kind | None = None,
    activations: dict[str, Tensor] | None = None,
) -> Conversion:
    """Return the conversion of a network that was read already.

    Args:
        ann: the network.
        x: calibration samples.
        method: what to make of it.
        steps: of every layer's window.
        coding: how the input is shown.
        activations: of the calibration samples, if they are known.
    """
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    kind = method.codings[0] if coding is None else coding
    if kind not in method.codings:
        known = ", ".join(method.codings)
        raise InputError(f"{method.name} cannot read {kind!r} input; choose from {known}")
    found = ann.activations(x) if activations is None else activations
    scales = method.scales.all(ann, found, method.levels(steps))
    plan, (unit, payload) = method.plan(ann, steps), _input(x, kind)
    factor = unit * method.input_factor(kind, plan.shown)
    notes = (
        f"convert: {method}, {steps} steps per layer, {plan.steps} in all",
        f"convert: input is shown as {kind}, a payload of 1 is {unit:g}",
    )

    def build(scales: dict[str, Floats]) -> Network:
        scaled = normalized(ann, scales, factor)
        return Network(
            Input(INPUT, ann.shape, payload, Coding(kind, unit, plan.shown, plan.steps)),
            method.populations(scaled, plan.shown),
            method.projections(scaled, plan.shown),
            ann.layers[-1].name,
            title=ann.title,
            notes=notes,
        )

    if isinstance(method.scales, SpikeTrains):
        if not isinstance(method, Direct):
            raise InputError(
                f"{method.name} has a window per layer; spike trains balance layers that share one,"
                " as those of balance and signed do"
            )
        scales = method.scales.measured(build, ann.rectified, scales, x)
    network = build(scales)
    if getattr(method, "calibrate_bias", False):
        rates = _rates(ann, found, scales)
        network = calibrated(network, ann.layers, rates, x)
    return Conversion(network, ann, method, steps, scales)


def _rates(
    ann: Ann, activations: dict[str, Tensor], scales: dict[str, Floats]
) -> dict[str, Tensor]:
    """Return the activations in units of the scales, 0..1; those of the last layer as they are."""
    rates = {ann.layers[-1].name: activations[ann.layers[-1].name]}
    for layer in ann.rectified:
        unit = torch.tensor(layer.per_neuron(scales[layer.name])).reshape(layer.shape)
        rates[layer.name] = (activations[layer.name] / unit).clamp(0, 1).float()
    return rates


def _input(x: NDArray[np.float64], coding: Kind) -> tuple[float, Interval]:
    """Return what a payload of 1 stands for, and the payload."""
    largest = float(np.abs(x).max()) or 1.0
    low = -1 if x.min() < 0 else 0
    if coding != "constant":
        return largest, Interval(low, 1)
    if largest <= PIXEL and not (x % 1).any():
        return 1.0, Interval(low * PIXEL, PIXEL)
    return largest / LEVELS, Interval(low * LEVELS, LEVELS)
