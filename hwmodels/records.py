"""Numbers of a chip file with unit, evidence and source: the base of all its records.

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
"""Evidence for a number.

primary: read in an original artefact (source, log, data sheet); quoted: a text that quotes the
original; derived: computed from such numbers; fitted: chosen so that the estimate meets a measured
result, which the source names; assumed: a declared stand-in; made up: a chip for tests; unknown:
not public, the value is null; no limit: the chip has no such limit, the value is null too.
"""
WITHOUT_VALUE = ("unknown", "no limit")

Location = tuple[int | str, ...]
"""Path of a field in a record: names and, in lists, positions."""

PROBLEM = "chip_problem"
"""Type of the errors of `make_problem`."""


def make_problem(location: Location, reason: str) -> PydanticCustomError:
    """Return an error at an inner field, which a plain ValueError cannot name."""
    return PydanticCustomError(PROBLEM, "{reason}", {"location": location, "reason": reason})


def list_names(names: Iterable[str]) -> str:
    """Return names with commas between, within 120 characters: `a, b, ...`."""
    whole = ", ".join(names)
    return whole if len(whole) <= 120 else f"{whole[:120].rpartition(', ')[0]}, ..."


class Record(BaseModel):
    """A section of a chip file; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(Record):
    """One number about hardware, with its evidence."""

    value: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str
    """A key of `Chip.sources`."""
    low: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Lowest of several measurements; None: no spread is known."""
    high: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Highest of them."""

    @model_validator(mode="after")
    def _ends_surround_value(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high come together")
        if self.low is None or self.high is None:
            return self
        if self.value is None or not self.low <= self.value <= self.high:
            raise ValueError("the value must lie between low and high")
        return self

    @property
    def has_ends(self) -> bool:
        """Whether a spread is known."""
        return self.low is not None

    def at_end(self, end: Literal["low", "high"]) -> Self:
        """Return the number with its lowest or highest value; itself where no spread is known."""
        value = getattr(self, end)
        if value is None:
            return self
        return self.model_copy(update={"value": value, "low": None, "high": None})

    @model_validator(mode="after")
    def _unknown_is_null(self) -> Self:
        if (self.value is None) != (self.evidence in WITHOUT_VALUE):
            raise ValueError("a number is null exactly when its evidence is unknown or no limit")
        return self

    @property
    def whole(self) -> int | None:
        """The value as an integer; None if unknown."""
        return None if self.value is None else int(self.value)


def _check_whole(number: Number) -> Number:
    if number.value is not None and number.value != int(number.value):
        raise ValueError(f"must be a whole number, got {number.value:g}")
    return number


def _check_at_least_one(number: Number) -> Number:
    if number.value == 0:
        raise ValueError("must be at least 1; a number nobody published is null")
    return number


def _check_known(number: Number) -> Number:
    if number.value is None:
        raise ValueError("must be known")
    return number


def _require_unit(unit: str) -> AfterValidator:
    def check(number: Number) -> Number:
        if number.unit != unit:
            raise ValueError(f"the unit must be {unit}, got {number.unit!r}")
        return number

    return AfterValidator(check)


Whole = Annotated[Number, AfterValidator(_check_whole)]
Count = Annotated[Number, AfterValidator(_check_whole), AfterValidator(_check_at_least_one)]
Known = Annotated[Count, AfterValidator(_check_known)]
KnownWhole = Annotated[Whole, AfterValidator(_check_known)]
Picojoules = Annotated[Number, _require_unit("pJ")]
Nanoseconds = Annotated[Number, _require_unit("ns")]
Watts = Annotated[Number, _require_unit("W")]
Cycles = Annotated[Number, _require_unit("cycles")]
WattsPerMegahertz = Annotated[Number, _require_unit("W/MHz")]
Share = Annotated[Number, _require_unit("1")]


class Choices(Record):
    """Several numbers: the choices of a parameter, or one for each core of a chip."""

    values: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str


def list_numbers(record: BaseModel) -> list[Number | Choices]:
    """Return every sourced number in a record, in the order of its fields."""
    return [number for _, number in walk_numbers(record, ())]


def walk_numbers(value: Any, location: Location) -> Iterator[tuple[Location, Number | Choices]]:
    """Yield (location, number) of every sourced number in a record or a value inside one."""
    if isinstance(value, Number | Choices):
        yield location, value
        return
    for name, inner in _list_inside(value):
        yield from walk_numbers(inner, (*location, name))


def _list_inside(value: Any) -> Iterable[tuple[int | str, Any]]:
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, tuple) else ()
