"""Read a study from YAML: all mistakes at once, each with its line and the nearest right word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from snncompile.errors import InputError, Obstacle, raise_together
from snncompile.study.check_study import list_problems
from snncompile.study.records import Study
from snncompile.study.values import KINDS

MAX_BYTES = 1 << 20
"""A study file has some kilobytes; more is a mistake."""
Location = tuple[str, ...]


def read_study(path: str | Path) -> Study:
    """Return the study of a YAML file.

    Raises:
        InputError: the file cannot be read, or is no complete study; it lists every mistake, with
            `obstacles` as records.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise InputError(f"{path}: is a device or a pipe, expected a study file")
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is larger than 1 MiB; a study file has some kilobytes")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file in UTF-8") from None
    content, lines = _parse(path, text)
    return _validate(content, file.resolve().parent, str(path), lines)


def make_study(content: Mapping[str, Any], folder: Path | None = None) -> Study:
    """Return the study of a mapping, with paths relative to a folder (the current one).

    Raises:
        InputError: as of `read_study`, without lines.
    """
    return _validate(dict(content), folder or Path.cwd(), "study", {})


def _validate(content: Any, folder: Path, where: str, lines: dict[Location, int]) -> Study:
    try:
        study = Study.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        problems = [
            text
            for problem in error.errors(include_url=False)
            for text in _describe(problem, where, lines)
        ]
        _refuse(problems)
    _refuse(
        f"{_locate(location, where, lines)}{reason}" for location, reason in list_problems(study)
    )
    return study


def _refuse(problems: Iterable[str]) -> None:
    raise_together([InputError(text, Obstacle(text)) for text in dict.fromkeys(problems)])


def _locate(location: Location, where: str, lines: dict[Location, int]) -> str:
    """Return `study.yaml line 3: bits: `."""
    line = _find_line(location, lines)
    begin = f"{where} line {line}: " if line else f"{where}: "
    return f"{begin}{'.'.join(location)}: " if location else begin


def _parse(path: str | Path, text: str) -> tuple[Any, dict[Location, int]]:
    """Return the content and the line of every field."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                line = event.start_mark.line + 1  # type: ignore[union-attr]
                raise InputError(f"{path} line {line}: anchors, aliases and tags are not allowed")
        content = yaml.safe_load(text)
        walked = list(_walk_lines(yaml.compose(text, Loader=yaml.SafeLoader), ()))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(f"{path}{line}: {reason}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no study; it must be a mapping with `models:` and `chips:`")
    lines: dict[Location, int] = {}
    for location, line_number in walked:
        if location in lines:
            name, first = ".".join(location), lines[location]
            raise InputError(
                f"{path} line {line_number}: {name}: is there twice, first on line {first}"
            )
        lines[location] = line_number
    return content, lines


def _walk_lines(node: Any, location: Location) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _walk_lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*location, str(index))
            yield inner, value.start_mark.line + 1
            yield from _walk_lines(value, inner)


def _describe(problem: ErrorDetails, where: str, lines: dict[Location, int]) -> Iterator[str]:
    """Yield one line per mistake."""
    shown = tuple(str(key) for key in problem["loc"] if key not in (*KINDS, "[key]"))
    begin = _locate(shown, where, lines)
    for reason in _explain(problem).split("\n"):
        yield f"{begin}{reason}{_suggest(problem)}"


def _find_line(location: Location, lines: dict[Location, int]) -> int | None:
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location)


def _explain(problem: ErrorDetails) -> str:
    reason = f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
    got = f", got {_shorten(problem['input'])}"
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a key of a study"
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping{got}"
        case "literal_error":
            return f"{reason}{got}"
    return reason if isinstance(problem["input"], dict | list) else f"{reason}{got}"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _suggest(problem: ErrorDetails) -> str:
    """Return the nearest key or word, where one is not known."""
    if problem["type"] == "extra_forbidden":
        *section, key = (str(k) for k in problem["loc"])
        near = get_close_matches(key, _list_keys(tuple(section)), 1, 0.6)
    elif problem["type"] == "literal_error":
        words = str(problem.get("ctx", {}).get("expected", "")).replace("'", "")
        known = words.replace(" or ", ", ").split(", ")
        near = get_close_matches(str(problem["input"]), known, 1, 0.5)
    else:
        near = []
    return f"; did you mean {near[0]}?" if near else ""


def _list_keys(location: Location) -> list[str]:
    """Return the keys that a section may have."""
    record: Any = Study
    for key in location:
        fields = getattr(record, "model_fields", {})
        record = _find_record(fields[key].annotation) if key in fields else record
    return list(getattr(record, "model_fields", {}))


def _find_record(annotation: Any) -> Any:
    """Return the record inside of an annotation such as `dict[str, ModelChoice]`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(_find_record, get_args(annotation))), None)
