"""Numbers with units, as people read them."""

from __future__ import annotations

import re

UNKNOWN = "unknown"
PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
QUANTITY = re.compile(
    r"(?P<number>[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?)\s*(?P<prefix>[munp]?)(?P<unit>[Js])"
)


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


def parse_quantity(text: str, unit: str) -> float:
    """Return joules or seconds of `1mJ`, `20 uJ`, `5ms`.

    Raises:
        ValueError: the text is no such quantity.
    """
    match = QUANTITY.fullmatch(text.strip().replace("µ", "u").replace("μ", "u"))
    if match is None or match["unit"] != unit:
        raise ValueError(f"expected a number and a unit, such as 1m{unit} or 20u{unit}")
    return float(match["number"]) * PREFIXES[match["prefix"]]
