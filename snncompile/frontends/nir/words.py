"""Assumptions about a NIR file from words of the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snncompile.errors import InputError
from snncompile.frontends.nir.assumptions import Choices


def parse_words(words: list[str]) -> dict[str, Any]:
    """Return arguments of `from_nir` from words like `reset=soft`, `dt=1e-3`, `reset:lif1=none`.

    Raises:
        InputError: there is no such argument, or its value is malformed.
    """
    result: dict[str, Any] = {}
    for word in words:
        name, is_, value = word.partition("=")
        key, _, node = name.partition(":")
        if not is_ or key not in WORDS or (node and key != "reset"):
            known = ", ".join(WORDS)
            raise InputError(f"{word!r}: expected NAME=VALUE or reset:NODE=VALUE; known: {known}")
        try:
            parsed = WORDS[key](value)
        except ValueError:
            raise InputError(f"{word!r}: {value!r} is not a value of {key}") from None
        if node:
            result.setdefault(key, {})[node] = parsed
        else:
            result[key] = parsed
    return result


def _parse_shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


WORDS: dict[str, Callable[[str], Any]] = {
    "origin": str,
    "dt": float,
    **dict.fromkeys(Choices, str),
    "spike_delay": int,
    "min_v": float,
    "loop_delay": int,
    "input_shape": _parse_shape,
}
"""Argument of `from_nir` -> its value from a word."""
