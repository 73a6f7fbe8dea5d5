"""Passes as text: `retime,quantize{bits=6 steps=10},prune`. Options are the pass's fields."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from snncompile.errors import InputError
from snncompile.passes.base import Pass
from snncompile.registry import load

QUOTED = r'"(?:[^"\\]|\\.)*"'
ENTRY = re.compile(rf'\s*([\w.-]+)\s*(?:\{{((?:{QUOTED}|[^"}}])*)\}})?\s*(?:,|$)')
"""A name, its options in braces if it has any, and the comma or end behind them."""
OPTION = re.compile(rf'\s*(\w+)=({QUOTED}|[^\s"{{}},]+)\s*(?:(?<=\s)|,|$)\s*')
"""A name, its value, and the space, comma or end behind them."""
PLAIN = re.compile(r'[^\s"{},=]+')
"""Text that needs no quotes."""
WORDS = {"none": None, "true": True, "false": False}
KINDS: dict[Any, str] = {int: "int", float: "float", bool: "bool", str: "str", NoneType: "none"}


def write_passes(passes: tuple[Pass, ...]) -> str:
    """Return the text of passes with every option; `read_passes` returns the same passes."""
    return ",".join(write_pass(a_pass) for a_pass in passes)


def write_pass(a_pass: Pass) -> str:
    """Return `quantize{bits=6 steps=none formats=chip}`."""
    values = [f"{f.name}={write_value(getattr(a_pass, f.name))}" for f in fields(a_pass)]
    return a_pass.name + (f"{{{' '.join(values)}}}" if values else "")


def write_value(value: Any) -> str:
    """Return the text of an option: `6`, `none`, `true`, `chip` or `"two words"`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    return value if PLAIN.fullmatch(value) and value not in WORDS else json.dumps(value)


def read_passes(text: str, known: tuple[Pass, ...] = ()) -> tuple[Pass, ...]:
    """Return the passes of a text.

    Args:
        text: names of the registry's `passes` with options, separated by commas.
        known: passes that give the options missing in the text; other passes use their defaults.

    Raises:
        InputError: the text cannot be read, or names an unknown pass or option.
    """
    start = {a_pass.name: a_pass for a_pass in reversed(known)}
    passes: list[Pass] = []
    position = 0
    while position < len(text) or not passes:
        entry = ENTRY.match(text, position)
        if entry is None:
            raise InputError(
                f"cannot read passes from {text[position:]!r} on; write names with options,"
                " separated by commas: retime,quantize{bits=6 steps=10},prune"
            )
        name, options = entry[1], entry[2] or ""
        a_pass = start[name] if name in start else load_pass(name)()
        passes.append(replace(a_pass, **_read_options(type(a_pass), options)))
        position = entry.end()
    return tuple(passes)


def name_type(hint: Any) -> str:
    """Return the type of an option in words: `int or none`, `chip or netx`."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(name_type(kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return KINDS.get(hint, str(hint))


def load_pass(name: str) -> type[Pass]:
    """Return the class of a pass of the registry.

    Raises:
        InputError: there is none, or what another package has there is no pass of that name.
    """
    kind = load("passes", name)
    if not isinstance(kind, type) or not issubclass(kind, Pass):
        raise InputError(f"passes: {name!r} is {kind!r}, which is no subclass of passes.base.Pass")
    if kind.name != name:
        raise InputError(f"passes: {name!r} calls itself {kind.name!r}; both names must be equal")
    return kind


def _read_options(kind: type[Pass], text: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    values: dict[str, Any] = {}
    position = 0
    while position < len(text):
        option = OPTION.match(text, position)
        if option is None:
            raise InputError(
                f"cannot read options of {kind.name} from {text[position:].strip()!r} on; write"
                " option=value, separated by spaces or commas"
            )
        name = option[1]
        if name not in known:
            have = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"pass {kind.name} has no option {name!r}; {have}")
        if name in values:
            raise InputError(f"pass {kind.name}: {name} is given twice")
        values[name] = _read_value(kind.name, name, option[2], hints[name])
        position = option.end()
    return values


def _read_value(a_pass: str, option: str, text: str, hint: Any) -> Any:
    """Return the value of an option, of its type."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        try:
            return _convert(text, kind)
        except (ValueError, KeyError):
            continue
    raise InputError(f"pass {a_pass}: {option} takes {name_type(hint)}, got {text}")


def _convert(text: str, kind: Any) -> Any:
    """Return the text as a value of a type; raise ValueError or KeyError if it is none."""
    if get_origin(kind) is Literal:
        return {write_value(value): value for value in get_args(kind)}[text]
    if kind in (NoneType, bool):
        word = WORDS[text]
        if isinstance(word, kind):
            return word
        raise ValueError
    if kind is str and text not in WORDS:
        return json.loads(text) if text.startswith('"') else text
    if kind in (int, float):
        return kind(text)
    raise ValueError
