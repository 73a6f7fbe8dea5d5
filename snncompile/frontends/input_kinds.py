"""What a network is shown: spikes, counts, signed events or analog values, from a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import InputError
from snncompile.frontends.host_biases import check_images
from snncompile.ir.coding import Coding
from snncompile.ir.input import LARGEST_PAYLOAD, Input, Kind, find_kind, is_whole, measure_rounding
from snncompile.neurons.base import BINARY, Interval

BITS = 8
"""Bits of an analog value where none are given, the sign included."""
MOST_BITS = 16
PIXEL = 255
"""Analog values that are whole multiples of 1/255 are 8-bit pixels, and lose nothing."""
EXPECTED = {"spikes": "0 or 1", "polarity": "-1, 0 or 1", "counts": "whole numbers"}

InputKind = Literal["auto", "biases"] | Kind
KINDS = (*get_args(Kind), "biases")


def choose_input(
    source: Input,
    x: Floats,
    kind: InputKind = "auto",
    bits: int | None = None,
    value_range: Sequence[float] | None = None,
) -> tuple[Input, str]:
    """Return the input with what its lines carry, and a note that says it; empty for spikes.

    Args:
        source: gives name and shape.
        x: the sample, shape (samples, steps, *shape), finite.
        kind: of input; "auto" takes the narrowest that holds the sample.
        bits: of an analog value; 8 if not given.
        value_range: lowest and highest value there will be, of counts and analog values; those of
            the sample if not given.

    Raises:
        InputError: the sample is of another kind, or bits or range make no sense.
    """
    if kind not in ("auto", *KINDS):
        raise InputError(f"no input {kind!r}; known: auto, {', '.join(KINDS)}")
    if kind == "biases":
        _refuse_options(bits, value_range)
        check_images(x)
        return source, ""
    chosen = _choose_kind(x, kind, bits, value_range)
    low, high = _choose_range(x, value_range)
    if chosen == "spikes":
        return source, ""
    if chosen == "polarity":
        return replace(source, payload=Interval(-1, 1)), "input: signed events, -1, 0 or 1"
    if chosen == "counts":
        return _count(source, low, high)
    return _round(source, x, (low, high), BITS if bits is None else bits)


def _choose_kind(
    x: Floats, kind: InputKind, bits: int | None, value_range: Sequence[float] | None
) -> Kind:
    """Return the kind; refuse a sample or options of another one."""
    narrowest = find_kind(x)
    chosen: Kind = narrowest if kind in ("auto", "biases") else kind  # type: ignore[assignment]
    if kind == "auto" and value_range is not None and narrowest != "analog":
        chosen = "counts"
    if kind == "auto" and bits is not None:
        chosen = "analog"
    _check_kind(x, chosen, narrowest)
    if bits is not None and chosen != "analog":
        raise InputError(f"input_bits are for analog values, the input is {chosen}")
    if value_range is not None and chosen not in ("counts", "analog"):
        raise InputError(f"input_range is for counts and analog values, the input is {chosen}")
    return chosen


def _refuse_options(bits: int | None, value_range: Sequence[float] | None) -> None:
    if bits is not None or value_range is not None:
        raise InputError("input_bits and input_range are for messages, the input is biases")


def _check_kind(x: Floats, kind: Kind, narrowest: Kind) -> None:
    """Refuse a sample that is not of the kind."""
    fits = {
        "spikes": narrowest == "spikes",
        "polarity": narrowest in ("spikes", "polarity"),
        "counts": narrowest in ("spikes", "polarity", "counts"),
    }
    if not fits.get(kind, True):
        raise InputError(
            f"sample holds values from {x.min():g} to {x.max():g}, expected {EXPECTED[kind]} for"
            f' input="{kind}"; leave input out, or give input="{narrowest}"'
        )


def _choose_range(x: Floats, value_range: Sequence[float] | None) -> tuple[float, float]:
    """Return lowest and highest value; refuse a range without the sample."""
    least, greatest = float(x.min()), float(x.max())
    if value_range is None:
        return least, greatest
    try:
        low, high = (float(end) for end in value_range)
    except (TypeError, ValueError):
        raise InputError(f"input_range must be two numbers, got {value_range!r}") from None
    if not (np.isfinite([low, high]).all() and low <= least and greatest <= high):
        raise InputError(
            f"input_range {low:g} to {high:g} leaves out the sample, {least:g} to {greatest:g}"
        )
    return low, high


def _count(source: Input, low: float, high: float) -> tuple[Input, str]:
    """Return the input with the smallest number of bits that holds the counts."""
    largest = int(max(-low, high, 1))
    top = min((1 << largest.bit_length()) - 1, LARGEST_PAYLOAD)
    if not is_whole(np.array([low, high])) or largest > LARGEST_PAYLOAD:
        raise InputError(
            f"counts from {low:g} to {high:g} must be whole and within +-{LARGEST_PAYLOAD:,};"
            ' give input="analog"'
        )
    payload = Interval(-top if low < 0 else 0, top)
    note = f"input: whole numbers from {low:g} to {high:g}, sent as {payload.low} to {top}"
    return (source if payload == BINARY else replace(source, payload=payload)), note


def _round(source: Input, x: Floats, ends: tuple[float, float], bits: int) -> tuple[Input, str]:
    """Return the input that rounds analog values, and a note with the loss on the sample."""
    signed = ends[0] < 0
    if not 1 + signed <= bits <= MOST_BITS:
        raise InputError(f"input_bits must be between {1 + signed} and {MOST_BITS}, got {bits}")
    top = (1 << bits - signed) - 1
    largest = max(-ends[0], ends[1]) or 1.0
    unit = max(largest / top, float(np.finfo(np.float64).tiny))
    if top == PIXEL and largest <= 1 and np.abs(x * PIXEL - np.rint(x * PIXEL)).max() < 1e-4:
        unit = 1 / PIXEL
    steps = x.shape[1] if x.shape[1] > 1 and (x == x[:, :1]).all() else 1
    payload = Interval(-top if signed else 0, top)
    rounded = replace(source, payload=payload, coding=Coding("analog", unit, steps, steps))
    return rounded, (
        f"input: analog values from {ends[0]:g} to {ends[1]:g} are rounded to {bits} bits, a"
        f" payload of 1 is {unit:.6g}; {describe_rounding(rounded, x)}"
    )


def describe_rounding(source: Input, x: Floats) -> str:
    """Return the loss of rounding as text, over all samples."""
    changes, spreads = zip(*measure_rounding(source, x), strict=True)
    spread = float(np.mean(spreads))
    change = float(np.mean(changes))
    if spread == 0:
        return f"rounding changes the values by {change:.2g} on average"
    return f"rounding changes the values by {change / spread:.2%} of their spread on average"
