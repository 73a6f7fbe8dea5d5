"""A chip with other numbers in some fields, as a study varies them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from snncompile.hwmodels.chips import list_fields
from snncompile.hwmodels.schema import Chip

SOURCE = "study"
"""Key of `Chip.sources` for numbers that a study sets."""


def change_chip(chip: Chip, fields: Mapping[str, Any]) -> Chip:
    """Return the chip with other values; a number keeps its unit and is assumed, by the study.

    Args:
        chip: the chip to start from.
        fields: path of a field, such as `core.synapse_words`, or several with commas between, and
            the value.

    Raises:
        ValueError: there is no such field, or it cannot have that value.
    """
    if not fields:
        return chip
    content = chip.model_dump(mode="json")
    content["sources"] = content["sources"] | {SOURCE: "varied by a study"}
    for path, value in fields.items():
        for name in split_path(path):
            _set_field(content, tuple(name.split(".")), name, value)
    try:
        changed = Chip.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or ", ".join(fields)
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
    return changed.model_copy(update={"board": chip.board})


def split_path(path: str) -> list[str]:
    """Return the fields that have one value together."""
    return path.replace(" ", "").split(",")


def _set_field(content: dict[str, Any], keys: tuple[str, ...], path: str, value: Any) -> None:
    *sections, last = keys
    section: Any = content
    for depth, key in enumerate(sections):
        if not isinstance(section, dict) or not isinstance(section.get(key), dict):
            raise ValueError(_explain_unknown(path, keys[:depth], key))
        section = section[key]
    if not isinstance(section, dict) or last not in section:
        raise ValueError(_explain_unknown(path, tuple(sections), last))
    old = section[last]
    known = old.get("value") if isinstance(old, dict) else old
    if isinstance(value, bool) and isinstance(known, int | float) and not isinstance(known, bool):
        raise ValueError(f"fields.{path}: expected a number, got {str(value).lower()}")
    if isinstance(old, dict):
        if not {"unit", "evidence"} <= old.keys():
            raise ValueError(f"fields.{path}: is a section; name a number in it")
        old = old | {"value": value, "evidence": "assumed", "source": SOURCE}
        section[last] = {k: v for k, v in old.items() if k not in ("low", "high")}
    else:
        section[last] = value


def _explain_unknown(path: str, before: tuple[str, ...], key: str) -> str:
    known = list_fields(before)
    near = get_close_matches(key, known, 1, 0.6)
    if near:
        right = ".".join((*before, near[0], *path.split(".")[len(before) + 1 :]))
        return f"fields.{path}: is not a field of this chip; did you mean {right}?"
    return f"fields.{path}: is not a field of this chip; known here: {', '.join(known)}"


def check_fields(chip: Chip, fields: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse fields or values that the chip cannot have, each value tried alone.

    Raises:
        ValueError: lists every mistake.
    """
    names = [name for path in fields for name in split_path(path)]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"fields.{name}: is set twice" for name in twice]
    for path, values in fields.items():
        for value in values:
            try:
                change_chip(chip, {path: value})
            except ValueError as error:
                problems.append(str(error))
    if problems:
        raise ValueError("; ".join(dict.fromkeys(problems)))
