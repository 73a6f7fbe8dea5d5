"""From a trained rectified network and calibration data to a spiking network."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from snncompile.conversion.ann import Ann
from snncompile.conversion.auto import choose_conversion
from snncompile.conversion.auto_records import Budget
from snncompile.conversion.auto_time import Deadline
from snncompile.conversion.build import Conversion, build_conversion
from snncompile.conversion.capture import capture
from snncompile.conversion.fold_sums import fold_sums
from snncompile.conversion.library_neurons import check_library, use_library_neurons
from snncompile.conversion.method import Direct, Method
from snncompile.errors import InputError
from snncompile.ir.coding import Kind
from snncompile.ir.graph import Network, Say
from snncompile.ir.input import read_array
from snncompile.registry import load

ACTIVATIONS = 2**29
"""Most activations kept, over all neurons and samples, 4 bytes each; limits the samples."""
FEWEST = 4
"""Calibration samples used in any case."""


def from_ann(
    model: nn.Module,
    calibration: ArrayLike,
    method: str | Method = "signed",
    steps: int | None = None,
    *,
    coding: Kind | None = None,
    processes: Literal["any", "library"] = "any",
    budget: Budget | None = None,
    title: str | None = None,
    say: Say | None = None,
) -> Network:
    """Return a spiking network that classifies as a trained network does.

    Args:
        model: linear layers, convolutions, batch norms, average and maximum pools and rectifiers in
            any `nn.Module`, for "graded" and "sigma_delta" also other activations; or a program of
            `torch.export.export`.
        calibration: input of the model, shape (samples, *shape); 100 to 300 samples are enough,
            labels are not needed. Whole numbers from -255 to 255 are shown to the chip unchanged,
            so a model that starts with its normalization takes pixels; other numbers are rounded
            to 8 bits.
        method: a row of the registry's `conversions`, one of their records with its options, or
            "auto", which chooses method and steps within the budget.
        steps: time steps of every layer's window; the method's own if not given: 32, 8 digits for
            "bistable_phase", 1 for "graded" and "sigma_delta".
        coding: of the input; the method's own if not given.
        processes: "library" takes neurons that processes of Lava's own library compute: hard
            resets with "balance", rectifiers without an upper limit with "sigma_delta"; "graded"
            has its convolutions there, not its neurons. Compile with the same. A note names what
            has no process there.
        budget: limits for "auto".
        title: name of the network in reports.
        say: called with what is done and the share that is done, 0..1; with "auto" of the work or
            of the time, whichever is more.

    Raises:
        InputError: an argument is malformed, or nothing keeps to the budget.
        UnsupportedError: the model uses a layer, a function or a feature that is not known, or that
            the method has no neurons for.
        ImportMismatchError: the captured network's answers differ from the model's.
    """
    conversion = convert(
        model,
        calibration,
        method,
        steps,
        coding=coding,
        processes=processes,
        budget=budget,
        title=title,
        say=say,
    )
    return conversion.network


def convert(
    model: nn.Module,
    calibration: ArrayLike,
    method: str | Method = "signed",
    steps: int | None = None,
    *,
    coding: Kind | None = None,
    processes: Literal["any", "library"] = "any",
    budget: Budget | None = None,
    title: str | None = None,
    say: Say | None = None,
    deadline: Deadline | None = None,
) -> Conversion:
    """Return the network and its origin; see `from_ann`.

    With the method "auto" its `trials` are the candidates that were tried, of which
    `snncompile.report.trials.format_trials` makes a table. The deadline is that of the budget's
    seconds, from now on, unless one is given.
    """
    deadline = deadline or Deadline(budget.seconds if budget else None)
    say = say or (lambda text, share: None)
    say("reading the model", 0.0)
    if method == "auto" and coding is not None:
        raise InputError("auto chooses the coding with the method; leave out coding")
    if method != "auto" and budget is not None:
        raise InputError("a budget is for method='auto'; this method has its steps")
    if processes not in ("any", "library"):
        raise InputError(f"processes must be 'any' or 'library', got {processes!r}")
    if method == "auto" and processes == "library":
        raise InputError("auto chooses its neurons itself; leave out processes, or name a method")
    if processes == "library":
        check_library(find_method(method))
    x = check_calibration(calibration)
    ann = capture(model, x, title)
    if processes == "library":  # whose neurons read no sums of both signs in the same unit
        ann = fold_sums(ann)
    conversion = convert_captured(ann, x, method, steps, coding, budget, say, deadline)
    if processes == "any":
        return conversion
    return replace(conversion, network=use_library_neurons(conversion.network))


def convert_captured(
    ann: Ann,
    x: NDArray[np.float64],
    method: str | Method = "signed",
    steps: int | None = None,
    coding: Kind | None = None,
    budget: Budget | None = None,
    say: Say | None = None,
    deadline: Deadline | None = None,
) -> Conversion:
    """Return the conversion of a network that was captured with the checked samples x."""
    say = say or (lambda text, share: None)
    used = x[: max(FEWEST, ACTIVATIONS // ann.neurons)]
    if method == "auto":
        budget = budget or Budget()
        deadline = deadline or Deadline(budget.seconds)
        conversion = choose_conversion(ann, used, budget, deadline, say)
    else:
        chosen = find_method(method)
        window = chosen.default_steps if steps is None else steps
        conversion = build_conversion(ann, used, chosen, window, coding, say=say)
    if len(used) == len(x):
        return conversion
    note = f"convert: only {len(used)} of {len(x)} calibration samples used, for memory"
    notes = (*conversion.network.notes, note)
    return replace(conversion, network=replace(conversion.network, notes=notes))


def check_calibration(calibration: ArrayLike) -> NDArray[np.float64]:
    """Return the samples in float64.

    Raises:
        InputError: no samples, or values that are no finite numbers.
    """
    x = read_array(calibration)
    if x.dtype.kind not in "biuf" or x.ndim < 2 or x.size == 0:
        raise InputError(f"calibration has shape {x.shape}, expected numbers (samples, *shape)")
    if not np.isfinite(x).all():
        raise InputError("calibration holds values that are not finite")
    return x.astype(np.float64)


def find_method(method: str | Method) -> Method:
    """Return the method; one given by name has its default options.

    Raises:
        InputError: there is no such method.
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise InputError(f"method must be a name or a method, got {type(method).__name__}")
    named: Method = load("conversions", method)()
    return named


def add_bias_calibration(method: str | Method) -> Method:
    """Return the method with its biases calibrated.

    Raises:
        InputError: there is no such method, or it has no such option.
    """
    chosen = find_method(method)
    if not isinstance(chosen, Direct):
        raise InputError(f"{chosen.name} has no biases to calibrate; balance and signed have")
    return replace(chosen, calibrate_bias=True)  # type: ignore[type-var]


def set_messages(method: str | Method, bits: int | str | None, least: int | None) -> Method:
    """Return the method with other bits of a message, and another smallest change to send.

    Args:
        method: a record or a name.
        bits: a number, or "sums"; None: as they are.
        least: smallest change; None: as it is.

    Raises:
        InputError: there is no such method, or it has no such option, or not of this value.
    """
    chosen = find_method(method)
    given = {name: n for name, n in (("bits", bits), ("least", least)) if n is not None}
    missing = [name for name in given if not hasattr(chosen, name)]
    if missing:
        able = "sigma_delta has" if "least" in missing else "graded and sigma_delta have"
        raise InputError(f"{chosen.name} has no {missing[-1]} of its messages; {able}")
    try:
        return replace(chosen, **given)  # type: ignore[type-var]
    except ValueError as error:
        raise InputError(f"{chosen.name}: {error}") from None
