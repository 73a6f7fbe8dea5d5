"""Float parameters to the chip's integers: round, check the range, name the number outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.arrays import Array, Floats, Ints
from snncompile.errors import QuantizeError
from snncompile.neurons.fixed import DECAY_ONE, STATE_LIMIT

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats, Number


def check_share(name: str, value: Floats) -> None:
    """Refuse a decay outside 0..1."""
    if not ((value >= 0) & (value <= 1)).all():
        raise ValueError(f"{name} must be between 0 and 1, got {_first(value, 0, 1):g}")


def check_positive(name: str, value: Floats | Ints) -> None:
    """Refuse a number that is not above zero."""
    if not (value > 0).all():
        raise ValueError(f"{name} must be positive, got {value.min():g}")


def check_not_positive(name: str, value: Floats | Ints) -> None:
    """Refuse a number above zero."""
    if not (value <= 0).all():
        raise ValueError(f"{name} must not be positive, got {value.max():g}")


def check_not_negative(name: str, value: Floats | Ints) -> None:
    """Refuse a number below zero."""
    if not (value >= 0).all():
        raise ValueError(f"{name} must not be negative, got {value.min():g}")


def check_steps(name: str, value: Floats | Ints, lowest: int = 0) -> None:
    """Refuse a number of time steps that is not whole, or too small."""
    if not ((value >= lowest) & (value % 1 == 0)).all():
        wrong = value[(value < lowest) | (value % 1 != 0)].flat[0] if value.ndim else value[()]
        raise ValueError(f"{name} must be a whole number from {lowest}, got {wrong:g}")


def check_exponent(name: str, value: Ints) -> None:
    """Refuse an exponent that shifts the wrong way, or out of 64 bits."""
    if not ((value >= 0) & (value <= 31)).all():
        raise ValueError(f"{name} must be between 0 and 31, got {_first(value, 0, 31)}")


def round_decay(share: Floats, formats: Formats, offset: int = 0) -> Ints:
    """Return the nearest integer decay out of 4096, less `offset`, within the chip's bits.

    A share of 0 with offset 1 becomes 1/4096 and a share of 1 with offset 0 becomes 4095/4096:
    the nearest a 12-bit number gets; the report states the difference.
    """
    highest = (1 << read_limit(formats.decay_bits)) - 1
    return np.clip(np.rint(share * DECAY_ONE).astype(np.int64) - offset, 0, highest)


def round_threshold(value: Floats, formats: Formats) -> Ints:
    """Return the mantissa: `value` / 2^6, rounded.

    Raises:
        QuantizeError: below 1 or above the chip's largest mantissa.
    """
    mantissa = np.rint(value / 64).astype(np.int64)
    highest = read_limit(formats.threshold_mantissa)
    if mantissa.min() < 1 or mantissa.max() > highest:
        worst = mantissa.min() if mantissa.min() < 1 else mantissa.max()
        raise QuantizeError(f"threshold mantissa {worst} is outside 1..{highest}")
    return mantissa


def round_mantissa(name: str, value: Floats, formats: Formats, sign: int = 1) -> Ints:
    """Return `value` / 2^6, rounded, of a number that is 0 or of the given sign.

    Raises:
        QuantizeError: beyond the chip's largest mantissa of a threshold.
    """
    mantissa = np.rint(value / 64).astype(np.int64)
    highest = read_limit(formats.threshold_mantissa)
    if np.abs(mantissa).max() > highest:
        worst = mantissa.flat[np.abs(mantissa).argmax()]
        low, high = sorted((0, sign * highest))
        raise QuantizeError(f"{name} mantissa {worst} is outside {low}..{high}")
    return mantissa


def round_turn(share: Floats, formats: Formats) -> Ints:
    """Return the nearest integer factor out of 4096 of a rotation, within the chip's bits."""
    highest = (1 << read_limit(formats.decay_bits)) - 1
    return np.clip(np.rint(share * DECAY_ONE).astype(np.int64), -highest, highest)


def round_level(name: str, value: Floats, lowest: int = 1 - STATE_LIMIT) -> Ints:
    """Return a threshold or bias in the unit of the potential itself, rounded.

    Raises:
        QuantizeError: below `lowest`, or beyond the width of a potential.
    """
    rounded = np.rint(value)
    if rounded.min() < lowest or np.abs(rounded).max() >= STATE_LIMIT:
        worst = rounded.min() if rounded.min() < lowest else rounded.flat[np.abs(rounded).argmax()]
        raise QuantizeError(f"{name} level {worst:.0f} is outside {lowest}..{STATE_LIMIT - 1}")
    return rounded.astype(np.int64)


def round_refractory(value: Floats, formats: Formats) -> Ints:
    """Return a refractory period in time steps.

    Raises:
        QuantizeError: longer than the chip can wait.
    """
    highest = read_limit(formats.refractory)
    if value.max() > highest:
        raise QuantizeError(f"refractory {value.max():g} is outside 0..{highest}")
    return value.astype(np.int64)


def round_bias(value: Floats, formats: Formats) -> tuple[Ints, Ints]:
    """Return mantissa and exponent, for each neuron the smallest exponent that fits.

    Raises:
        QuantizeError: no exponent of the chip is large enough.
    """
    largest, highest = read_limit(formats.bias_mantissa), read_limit(formats.bias_exponent)
    exponent = np.zeros(np.shape(value), np.int64)
    for _ in range(highest):
        exponent += np.abs(np.rint(value / 2.0**exponent)) > largest
    mantissa = np.rint(value / 2.0**exponent).astype(np.int64)
    if np.abs(mantissa).max() > largest:
        worst = float(np.abs(value).max())
        raise QuantizeError(f"bias {worst:.0f} is above {largest} * 2^{highest}")
    if exponent.size and (exponent == exponent.flat[0]).all():
        return mantissa, np.asarray(exponent.flat[0])
    return mantissa, exponent


def round_initial(value: Floats) -> Ints:
    """Return an initial potential, rounded.

    Raises:
        QuantizeError: beyond the width of a potential.
    """
    rounded = np.rint(value)
    if np.abs(rounded).max() >= STATE_LIMIT:
        worst = rounded.flat[np.abs(rounded).argmax()]
        raise QuantizeError(f"initial {worst:.0f} is outside +-{STATE_LIMIT - 1}")
    return rounded.astype(np.int64)


def read_limit(number: Number) -> int:
    """Return a limit of the number formats as an integer; the formats have no unknown ones."""
    if number.whole is None:
        raise QuantizeError(f"the chip file gives no value for a number format ({number.source})")
    return number.whole


def _first(value: Array, low: float, high: float) -> Any:
    return value[(value < low) | (value > high)].flat[0] if value.ndim else value[()]
