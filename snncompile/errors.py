"""Every error a user can meet, in one shape: where, the reason, the limit, and a remedy."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

E = TypeVar("E", bound="SnnCompileError")
LINE_LIMIT = 20
"""Obstacles that a message shows at most; the error holds all of them."""
LINE_LENGTH = 300
"""Characters of a whole message are fewer; remedies and obstacles beyond are left out."""
LIST_LENGTH = 80
"""Characters of a list within a message; what is beyond is counted."""


@dataclass(frozen=True)
class Obstacle:
    """One reason for a refusal."""

    message: str
    """The whole line."""
    where: str = ""
    """Population, layer or node; empty, like the other fields, where only the message names it."""
    resource: str = ""
    """The resource that is too small."""
    need: int | None = None
    """How much of it is needed."""
    limit: int | None = None
    """How much of it the chip has."""
    hint: str = ""
    """A remedy to try."""


class SnnCompileError(Exception):
    """Base of every error this package raises on purpose.

    The message is one line; with several obstacles it is their number and one line each, as many as
    `LINE_LENGTH` characters hold. `obstacles` holds all of them as records, at least one.
    """

    def __init__(self, message: str = "", obstacle: Obstacle | None = None) -> None:
        self.obstacles: tuple[Obstacle, ...] = (obstacle or Obstacle(message),)
        super().__init__(message)

    def __reduce__(self) -> Any:
        """Keep message and attributes when pickled or copied, whatever the constructor takes."""
        return _rebuild, (type(self), self.args, self.__dict__)

    failed_pass: str | None = None
    """Name of the pass that raised it; None where no pass did."""
    passes_run: tuple[str, ...] = ()
    """Names of the passes that ran before that one, in order."""

    @property
    def where_it_failed(self) -> str:
        """`in pass partition, after retime, quantize`; empty where no pass failed."""
        return format_pass_line(self.failed_pass, self.passes_run) if self.failed_pass else ""


class InputError(SnnCompileError):
    """A file, an array or an argument is wrong."""


class UnsupportedError(SnnCompileError):
    """The model uses an unknown feature, or one that the chip or backend lacks."""


class ProductSizeError(UnsupportedError):
    """Two linear maps in a row are too large as one projection."""


class ImportMismatchError(SnnCompileError):
    """The imported network does not spike like the model it came from."""


class QuantizeError(SnnCompileError):
    """No integer format of the chip can hold the network's numbers."""


class LossError(SnnCompileError):
    """The integers lose more than the limits allow, or it is not known whether; with `strict`."""


class FitError(SnnCompileError):
    """The network does not fit the chip.

    With several obstacles, the attributes are those of the first.
    """

    def __init__(self, *, where: str, resource: str, need: int, limit: int, hint: str) -> None:
        self.where, self.resource, self.need, self.limit = where, resource, need, limit
        self.hint = hint
        message = f"{where}: needs {need:,} {resource}, the chip allows {limit:,}; {hint}"
        super().__init__(message, Obstacle(message, where, resource, need, limit, hint))

    def add_hint(self, hint: str) -> Self:
        """Return the error with one more remedy, which is for all obstacles.

        Args:
            hint: several remedies have `; ` between them; those for which the line lacks room are
                left out, but for the first.
        """
        if len(self.obstacles) > 1:
            error = copy.copy(self)
            error.args = (_write_together(self.obstacles, hint),)
            return error
        room = LINE_LENGTH - len(str(self))
        return type(self)(
            where=self.where,
            resource=self.resource,
            need=self.need,
            limit=self.limit,
            hint="; ".join(text for text in (self.hint, _shorten_hint(hint, room)) if text),
        )


class MappingError(SnnCompileError):
    """A mapping or its tables do not match the network and the chip."""


class ContractError(SnnCompileError):
    """A pass lacks its requirements, or breaks its promise; the message names it."""

    @property
    def where_it_failed(self) -> str:
        """Empty: the message names the pass."""
        return ""


class BoundsWarning(UserWarning):
    """A bound of a Program no longer holds, in more time steps than it was compiled for."""


class PassMismatchError(SnnCompileError):
    """The network spikes otherwise after a pass than before it."""


class BackendError(SnnCompileError):
    """A backend is missing, hung, crashed or gave a wrong answer."""


def _shorten_hint(hint: str, room: int) -> str:
    """Return the first remedies of a hint within a number of characters, at least one."""
    first, *others = hint.split("; ")
    for text in others:
        if len(first) + len(text) + 4 > room:
            break
        first = f"{first}; {text}"
    return first


def list_briefly(names: Sequence[str], room: int = LIST_LENGTH, between: str = ", ") -> str:
    """Return names with commas between; those beyond the room are counted: `a, b and 7 more`."""
    whole = between.join(names)
    if len(whole) <= room:
        return whole
    fits = (len(between.join(names[: n + 1])) <= room - 15 for n in range(len(names)))
    count = max(1, sum(fits))
    return f"{between.join(names[:count])} and {len(names) - count:,} more"


def list_reasons(reasons: Sequence[str], room: int) -> str:
    """Return reasons with semicolons between, long ones cut; those beyond the room are counted."""
    each = room if len(reasons) == 1 else room - 15
    return list_briefly([cut_text(reason, each) for reason in reasons], room, "; ")


def cut_text(text: str, room: int) -> str:
    """Return a text that is not longer than the room, cut behind a word: `a long ...`."""
    if len(text) <= room:
        return text
    start = text[: max(room - 4, 1)]
    return f"{start.rpartition(' ')[0] or start} ..."


def raise_together(errors: Iterable[SnnCompileError]) -> None:
    """Raise errors of one class as one, or a single one as it is; return if there is none."""
    collected = tuple(errors)
    if len(collected) == 1:
        raise collected[0]
    if collected:
        raise join_errors(collected)


def join_errors(errors: tuple[E, ...]) -> E:
    """Return several errors of one class as one, with the number and one line each."""
    joined = copy.copy(errors[0])
    joined.obstacles = tuple(obstacle for error in errors for obstacle in error.obstacles)
    joined.args = (_write_together(joined.obstacles),)
    return joined


def _write_together(obstacles: Sequence[Obstacle], remedy: str = "") -> str:
    """Return the number of obstacles, a line each and a remedy for all, within `LINE_LENGTH`.

    Obstacles for which there is no room are counted and named. The first one is shown, with the
    first remedy of its own and of all, and cut if it must be.
    """
    head = f"{len(obstacles):,} things stand in the way:"
    first, *others = _write_lines(obstacles[:LINE_LIMIT])
    hint = obstacles[0].hint
    brief = first.removesuffix(hint) + _shorten_hint(hint, 0) if hint else first
    for start, end in (
        (first, remedy),
        (first, _shorten_hint(remedy, 0)),
        (brief, _shorten_hint(remedy, 0)),
    ):
        tail = f"\nto try: {end}" if end else ""
        for count in range(len(others), -1, -1):
            more = _name_more(obstacles[count + 1 :])
            text = "\n".join([head, start, *others[:count], *more]) + tail
            if len(text) < LINE_LENGTH:
                return text
    room = len(brief) + LINE_LENGTH - len(text)
    return text.replace(brief, cut_text(brief, max(room, 24)), 1)


def _write_lines(obstacles: Sequence[Obstacle]) -> list[str]:
    """Return a line for each obstacle; a hint that an earlier one has is not repeated."""
    lines, hints = [], set[str]()
    for obstacle in obstacles:
        known = obstacle.hint in hints
        hints.add(obstacle.hint)
        message = obstacle.message
        lines.append("  " + (message.removesuffix(f"; {obstacle.hint}") if known else message))
    return lines


def _name_more(obstacles: Sequence[Obstacle]) -> list[str]:
    """Return the line about the obstacles that are not shown, and where a reader has them."""
    if not obstacles:
        return []
    names = list_briefly(list(dict.fromkeys(o.where for o in obstacles if o.where)), 60)
    places = f", at {names}" if names else ""
    return [f"  and {len(obstacles):,} more{places} (all: .obstacles, --json)"]


def _rebuild(
    kind: type[SnnCompileError], args: tuple[Any, ...], values: dict[str, Any]
) -> SnnCompileError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(values)
    return error


def format_pass_line(failed: str, ran: tuple[str, ...]) -> str:
    """Return `in pass partition, after retime, quantize` or `in pass retime, the first`."""
    return f"in pass {failed}, " + (f"after {', '.join(ran)}" if ran else "the first")
