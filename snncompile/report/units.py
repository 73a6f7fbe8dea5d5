"""Numbers with units, as people read them."""

from __future__ import annotations


def format_joules(value: float) -> str:
    """Return `5.48 uJ`."""
    return format_scaled(value, "J")


def format_seconds(value: float) -> str:
    """Return `79.4 us`."""
    return format_scaled(value, "s")


def format_scaled(value: float, unit: str) -> str:
    """Return three digits with the unit's prefix, down to `p`."""
    for factor, prefix in ((1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value / 1e-12:.3g} p{unit}"
