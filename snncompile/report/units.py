"""Numbers with units, as people read them."""

from __future__ import annotations

UNKNOWN = "unknown"


def format_joules(value: float | None) -> str:
    """Return `5.48 uJ`, or `unknown`."""
    return format_scaled(value, "J")


def format_seconds(value: float | None) -> str:
    """Return `79.4 us`, or `unknown`."""
    return format_scaled(value, "s")


def format_scaled(value: float | None, unit: str) -> str:
    """Return three digits with the unit's prefix, down to `p`; None is `unknown`."""
    if value is None:
        return UNKNOWN
    for factor, prefix in ((1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value / 1e-12:.3g} p{unit}"


def name_events(events: tuple[str, ...]) -> str:
    """Return the names of events in words: `barrier sync, host input and host output`."""
    words = [event.replace("_", " ") for event in events]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
