"""Ranges of the parameters that several integer neurons share, in the number formats of a chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncompile.neurons.convert import read_limit

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

Range = tuple[int, int]
"""Lowest and highest value of a parameter, both included."""


def list_shared_ranges(formats: Formats) -> dict[str, Range]:
    """Return the range of each parameter whose name several neurons share.

    Time steps (`window`, `start`, `most` and so on) are missing: no chip states a limit for them.
    """
    decay = (1 << (formats.decay_bits.whole or 0)) - 1  # 0 where neurons do not decay
    width = formats.state_bits.whole or 32
    state = (1 << (width - 1)) - 1
    mantissa, bias = read_limit(formats.threshold_mantissa), read_limit(formats.bias_mantissa)
    return {
        "current_decay": (0, decay),
        "potential_decay": (0, decay),
        "threshold": (0, mantissa),
        "threshold_decay": (0, decay),
        "threshold_step": (0, mantissa),
        "negative_threshold": (-mantissa, 0),
        "refractory": (0, read_limit(formats.refractory)),
        "bias_mantissa": (-bias, bias),
        "bias_exponent": (0, read_limit(formats.bias_exponent)),
        "initial": (-state, state),
        "sin_decay": (-decay - 1, decay + 1),
        "cos_decay": (-decay - 1, decay + 1),
        "threshold_level": (0, state),
        "bias_level": (-state, state),
        "state_exponent": (0, width),
        "input_exponent": (0, width),
        "lowest": (-state, 0),
    }
