"""Find a chip by name or read it from a user's YAML file.

The message about a mistake has the file, the line, the field and the reason, in one line.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import ValidationError

from snncompile.hwmodels import plug_ins, sanafe
from snncompile.hwmodels.records import WITHOUT_VALUE
from snncompile.hwmodels.schema import PROBLEM, Chip

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Field = tuple[str, ...]
"""Path of a field in a chip file: keys and, in lists, positions."""

MAX_BYTES = 1 << 20
"""A chip file has some kilobytes; more is a mistake."""
MAX_EXTENDS = 5
"""Files that extend each other."""
MAX_DEPTH = 20
"""Mappings and lists inside each other; a chip file has 6."""

_FOLDER = Path(__file__).parent
_BOARD = re.compile(r"(?P<chip>.{2,}):(?P<board>[A-Za-z0-9_-]+)")
"""A chip and a board; one letter and a colon are a drive of Windows."""
_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of a chip file",
    "invalid_key": "is not a field of a chip file",
}


class ChipError(Exception):
    """There is no such chip, or its file is malformed. The message is one line."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)
        """Every mistake of the file, one line each."""


def list_names() -> tuple[str, ...]:
    """Return the names of the shipped chips and of those of other packages, sorted.

    Raises:
        ChipError: two packages have a chip of one name; the message names both.
    """
    return tuple(sorted(_owners()))


def _owners() -> dict[str, str | None]:
    """Return where each chip is defined: an entry point's value, None for shipped ones."""
    owners: dict[str, str | None] = {path.stem: None for path in _FOLDER.glob("*.yaml")}
    for name, value in plug_ins.list_rows(plug_ins.CHIPS):
        if name in owners:
            owner = owners[name] or "snncompile"
            raise ChipError(
                f"chips: {name!r} is defined by {owner} and by {value};"
                " uninstall one of the two packages"
            )
        owners[name] = value
    return owners


def load_chip(name_or_path: str | Path) -> Chip:
    """Return a chip by its name, shipped or of another package, or by its YAML file.

    A path ends in .yaml or .yml, or has a folder in it (`./mychip`). After either, `:board` names
    a system of several such chips (`loihi2:hala-point`), `:variant` another release of the chip's
    compiler (`loihi2:2022-09`), and both stand after each other (`loihi2:2022-09:hala-point`).

    Raises:
        ChipError: no such chip, file or board, or the file is not a complete chip.
    """
    match = _BOARD.fullmatch(name_or_path) if isinstance(name_or_path, str) else None
    if match:
        return _select_board(load_chip(match["chip"]), match["board"])
    if _is_path(name_or_path):
        return _read_chip(Path(name_or_path))
    owners = _owners()
    if name_or_path not in owners:
        raise ChipError(
            f"no chip called {str(name_or_path)!r}; known: {', '.join(sorted(owners))};"
            " or give the path of a YAML file"
        )
    owner = owners[name_or_path]
    return _load_shipped(name_or_path) if owner is None else _load_plug_in(name_or_path, owner)


@cache
def _load_shipped(name: str) -> Chip:
    return _read_chip(_FOLDER / f"{name}.yaml")


def _load_plug_in(name: str, value: str) -> Chip:
    """Return the chip of another package.

    Raises:
        ChipError: the package cannot be imported, or its chip is no chip of that name.
    """
    where = f"chip {name} of {value}"
    try:
        resource = resolve_name(value)
    except Exception as error:
        raise ChipError(_shorten(f"{where}: {type(error).__name__}: {error}")) from error
    if isinstance(resource, str | Path):
        resource = _read_chip(Path(resource))
    if not isinstance(resource, Chip):
        kind = type(resource).__name__
        raise ChipError(f"{where}: expected the path of a chip file or a Chip, got {kind}")
    if resource.name != name:
        raise ChipError(f"{where}: its file calls it {resource.name}; both names must be equal")
    return resource


def _select_board(chip: Chip, name: str) -> Chip:
    """Return the chip on a board, or a variant of it."""
    if name in chip.variants:
        return chip.select_variant(name)
    if name not in chip.boards:
        known = ", ".join(chip.boards) or "no boards"
        more = f"; variants: {', '.join(chip.variants)}" if chip.variants else ""
        raise ChipError(f"{chip.name} has no board called {name!r}; known: {known}{more}")
    return chip.model_copy(update={"board": name})


def _is_path(name_or_path: str | Path) -> bool:
    if isinstance(name_or_path, Path):
        return True
    separators = [separator for separator in ("/", os.sep, os.altsep) if separator]
    return name_or_path.endswith((".yaml", ".yml")) or any(s in name_or_path for s in separators)


def _read_chip(path: Path, above: tuple[Path, ...] = ()) -> Chip:
    text = _read_text(path)
    try:
        content, lines = _parse(path, text)
    except (yaml.YAMLError, ValueError) as error:
        raise ChipError(_shorten(f"{path}{_explain_yaml(error, text)}")) from error
    if not isinstance(content, dict):
        raise ChipError(f"{path} is not a chip file: it must be a mapping that starts with `name:`")
    if sanafe.TOP in content:
        content = _translate_sanafe(path, content)
    content = _extend(path, content, above)
    try:
        return Chip.model_validate(content)
    except ValidationError as error:
        problems = tuple(
            _shorten(f"{path}{_explain_problem(problem, lines)}")
            for problem in error.errors(include_url=False)
        )
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ChipError(problems[0] + more, problems) from error


def _extend(path: Path, content: dict[str, Any], above: tuple[Path, ...]) -> dict[str, Any]:
    """Return the fields of the chip that `extends` names, with those of the file over them.

    Sections are merged field by field; a number is replaced whole, with its evidence and source.
    """
    if "extends" not in content:
        return content
    name = content["extends"]
    own = {key: value for key, value in content.items() if key != "extends"}
    if not isinstance(name, str) or not name:
        raise ChipError(f"{path}: extends: expected the name or the file of a chip, got {name!r}")
    if len(above) >= MAX_EXTENDS:
        raise ChipError(f"{path}: extends: more than {MAX_EXTENDS} files extend each other")
    if _is_path(name):
        file = path.parent / name
        if file.resolve() in (*above, path.resolve()):
            raise ChipError(f"{path}: extends: {name} extends itself in a circle")
        base = _read_chip(file, (*above, path.resolve()))
    else:
        try:
            base = load_chip(name)
        except ChipError as error:
            raise ChipError(_shorten(f"{path}: extends: {error}")) from None
    return _merge(base.model_dump(mode="json"), own)


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        old = base.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value) if both and "evidence" not in old else value  # type: ignore[arg-type, operator]
    return merged


def _translate_sanafe(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    formats = load_chip("loihi1").formats.model_dump(mode="json")
    for number in formats.values():
        if isinstance(number, dict):
            known = number["evidence"] not in WITHOUT_VALUE
            number |= {"source": "loihi1"} | ({"evidence": "assumed"} if known else {})
    try:
        exponents = {"weight_exponent_evidence": "assumed", "weight_exponent_source": "loihi1"}
        return sanafe.make_chip_fields(content, formats | exponents)
    except sanafe.ArchitectureError as error:
        raise ChipError(_shorten(f"{path} (SANA-FE): {error}")) from None


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ChipError(f"no file {path}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ChipError(f"{path} is larger than 1 MiB; a chip file has some kilobytes")
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChipError(f"{path} is not a text file in UTF-8") from error
    except OSError as error:
        raise ChipError(f"cannot read {path}: {error.strerror}") from error


def _parse(path: Path, text: str) -> tuple[Any, dict[Field, int]]:
    """Return the content and the line of every field."""
    _check_events(path, text)
    lines: dict[Field, int] = {}
    for location, line in _walk_fields(yaml.compose(text, Loader=yaml.SafeLoader), ()):
        if location in lines:
            where = f"{path} line {line}: {'.'.join(location)}"
            raise ChipError(_shorten(f"{where}: is already given in line {lines[location]}"))
        lines[location] = line
    return yaml.safe_load(text), lines


def _check_events(path: Path, text: str) -> None:
    """Refuse YAML that no chip needs: aliases and depth (they blow up), tags (they can crash)."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{path} line {_get_line(event)}"
        if getattr(event, "anchor", None):
            raise ChipError(f"{where}: anchors (&) and aliases (*) are not allowed")
        if getattr(event, "tag", None):
            raise ChipError(f"{where}: tags (!) are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ChipError(f"{where}: nested more than {MAX_DEPTH} deep")


def _walk_fields(node: yaml.Node | None, location: Field) -> Iterator[tuple[Field, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            yield inner, _get_line(key)
            yield from _walk_fields(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*location, str(index))
            yield inner, _get_line(value)
            yield from _walk_fields(value, inner)


def _get_line(event: Any) -> int:
    """Return the line of a YAML node or event, counted from 1."""
    return int(event.start_mark.line) + 1


def _explain_yaml(error: Exception, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f" line {error.problem_mark.line + 1}: {error.problem or error.context}"
    if isinstance(error, yaml.reader.ReaderError):
        return f" line {text.count(chr(10), 0, error.position) + 1}: {error.reason}"
    return f": {error}"


def _explain_problem(problem: ErrorDetails, lines: dict[Field, int]) -> str:
    inside = problem.get("ctx", {}).get("location", ())
    location = tuple(str(key) for key in (*problem["loc"], *inside) if key != "[key]")
    line = _find_line(location, lines)
    where = f" line {line}" if line else ""
    field = f" {'.'.join(location)}:" if location else ""
    return f"{where}:{field} {_explain(problem)}{_suggest(problem, location)}"


def _suggest(problem: ErrorDetails, location: Field) -> str:
    """Return the nearest field, where a field is not known."""
    if problem["type"] not in ("extra_forbidden", "invalid_key") or not location:
        return ""
    near = get_close_matches(location[-1], list_fields(location[:-1]), 1, 0.7)
    return f"; did you mean {near[0]}?" if near else ""


def list_fields(location: Field) -> list[str]:
    """Return the fields that a chip file may have in a section; none if there is no such."""
    model: Any = Chip
    for key in location:
        fields = getattr(model, "model_fields", None)
        annotation = fields[key].annotation if fields and key in fields else model
        model = _find_record(annotation)
    return list(getattr(model, "model_fields", {}))


def _find_record(annotation: Any) -> Any:
    """Return the record inside of an annotation such as `dict[str, Board]` or `Rows | None`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(_find_record, get_args(annotation))), None)


def _find_line(location: Field, lines: dict[Field, int]) -> int | None:
    """Return the line of a field, or of the innermost field around it in the file."""
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location)


def _explain(problem: ErrorDetails) -> str:
    if problem["type"] in _REASONS:
        return _REASONS[problem["type"]]
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    reason = problem["msg"][0].lower() + problem["msg"][1:]
    if isinstance(problem["input"], dict | list) or problem["type"] == PROBLEM:
        return reason
    return f"{reason}, got {reprlib.repr(problem['input'])}"


def _shorten(text: str) -> str:
    """Return the text on one line, shortened to 500 characters."""
    text = " ".join(text.split())
    return text if len(text) <= 500 else f"{text[:497]}..."
