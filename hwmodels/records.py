"""What every part of a chip file is made of: numbers with unit, evidence and source.

A number nobody published is `{value: null, unit: ..., evidence: unknown, source: ...}`: unknown is
never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Evidence = Literal[
    "primary", "quoted", "derived", "fitted", "assumed", "made up", "unknown", "no limit"
]
"""How we know a number.

primary: read in an original artefact (source, log, data sheet); quoted: a text that quotes the
original; derived: computed from such numbers; fitted: chosen so that the estimate meets a measured
result, which the source names; assumed: a stand-in, said so; made up: a chip for tests; unknown:
not public, the value is null; no limit: the chip has no such limit, the value is null too.
"""
WITHOUT_VALUE = ("unknown", "no limit")

Location = tuple[int | str, ...]
"""Where a field stands in a record: names and, in lists, positions."""

PROBLEM = "chip_problem"
"""Type of the errors that `problem` makes."""


def problem(location: Location, reason: str) -> PydanticCustomError:
    """Return an error at a field further inside, which a plain ValueError cannot name."""
    return PydanticCustomError(PROBLEM, "{reason}", {"location": location, "reason": reason})


class Record(BaseModel):
    """A part of a chip file; a field it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(Record):
    """One number about hardware, and why we believe it."""

    value: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str
    """A key of `Chip.sources`."""

    @model_validator(mode="after")
    def _unknown_is_null(self) -> Self:
        if (self.value is None) != (self.evidence in WITHOUT_VALUE):
            raise ValueError("a number is null exactly when its evidence is unknown or no limit")
        return self

    @property
    def whole(self) -> int | None:
        """The value as an integer; None if unknown."""
        return None if self.value is None else int(self.value)


def _whole(number: Number) -> Number:
    if number.value is not None and number.value != int(number.value):
        raise ValueError(f"must be a whole number, got {number.value:g}")
    return number


def _at_least_one(number: Number) -> Number:
    if number.value == 0:
        raise ValueError("must be at least 1; a number nobody published is null")
    return number


def _known(number: Number) -> Number:
    if number.value is None:
        raise ValueError("must be known")
    return number


def _in_unit(unit: str) -> AfterValidator:
    def check(number: Number) -> Number:
        if number.unit != unit:
            raise ValueError(f"the unit must be {unit}, got {number.unit!r}")
        return number

    return AfterValidator(check)


Whole = Annotated[Number, AfterValidator(_whole)]
Count = Annotated[Number, AfterValidator(_whole), AfterValidator(_at_least_one)]
Known = Annotated[Count, AfterValidator(_known)]
KnownWhole = Annotated[Whole, AfterValidator(_known)]
Picojoules = Annotated[Number, _in_unit("pJ")]
Nanoseconds = Annotated[Number, _in_unit("ns")]
Watts = Annotated[Number, _in_unit("W")]
Cycles = Annotated[Number, _in_unit("cycles")]
WattsPerMegahertz = Annotated[Number, _in_unit("W/MHz")]
Share = Annotated[Number, _in_unit("1")]


class Choices(Record):
    """Several numbers: those that one can take, or one for each core of a chip."""

    values: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str


def numbers(record: BaseModel) -> list[Number | Choices]:
    """Return every sourced number in a record, in the order of its fields."""
    return [number for _, number in located(record, ())]


def located(part: Any, location: Location) -> Iterator[tuple[Location, Number | Choices]]:
    """Yield every sourced number in a part of a record with its place."""
    if isinstance(part, Number | Choices):
        yield location, part
        return
    for name, value in _inside(part):
        yield from located(value, (*location, name))


def _inside(part: Any) -> Iterable[tuple[int | str, Any]]:
    if isinstance(part, BaseModel):
        return part
    if isinstance(part, dict):
        return part.items()
    return enumerate(part) if isinstance(part, tuple) else ()
