"""From a trained rectified network and calibration data to a spiking network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from snncompile.conversion.auto import Budget, automatic
from snncompile.conversion.build import Conversion, spiking
from snncompile.conversion.capture import capture
from snncompile.conversion.method import Direct, Method
from snncompile.errors import InputError
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Network
from snncompile.registry import load

ACTIVATIONS = 2**29
"""Activations of all neurons for all calibration samples that are kept, 4 bytes each; no more
samples are used than that allows."""
FEWEST = 4
"""Calibration samples that are used in any case."""


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
