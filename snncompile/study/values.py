"""Values of a study's keys: a list, a single one, or a range of whole numbers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)


class Record(BaseModel):
    """A section of a study file; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Text = Annotated[str, Field(strict=True, min_length=1)]
Count = Annotated[int, Field(strict=True, ge=1)]


def _wrap(value: Any) -> Any:
    """Return a list of a single value."""
    return value if isinstance(value, list | tuple) else [value]


def _check_several(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("the list is empty; give at least one value")
    for value in values:
        if values.count(value) > 1:
            name = getattr(value, "label", None) or getattr(value, "method", value)
            raise ValueError(f"{name} is there twice")
    return values


Several = BeforeValidator(_wrap), AfterValidator(_check_several)


class Range(Record):
    """Numbers from `low` to `high` in steps."""

    low: Annotated[int, Field(strict=True)]
    high: Annotated[int, Field(strict=True)]
    step: Count = 1

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high must be above low, got {self.low} to {self.high}")
        if (self.high - self.low) % self.step:
            raise ValueError(f"{self.high} is not {self.low} plus a multiple of {self.step}")
        return self


def _check_scalar(value: Any) -> Any:
    if not isinstance(value, int | float | str):
        raise ValueError(f"expected a number, a word, true or false, got {type(value).__name__}")
    return value


def _name_kind(value: Any) -> str:
    return "range" if isinstance(value, dict | Range) else "list"


def _check_counts(values: Range) -> Range:
    if values.low < 1:
        raise ValueError(f"low must be at least 1, got {values.low}")
    return values


def _check_bits(values: Range) -> Range:
    if values.high > 32:
        raise ValueError(f"high must be at most 32, got {values.high}")
    return _check_counts(values)


Scalar = Annotated[Any, AfterValidator(_check_scalar)]
Values = Annotated[
    Annotated[tuple[Scalar, ...], *Several, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(_name_kind),
]
"""A list of values, one value, or a range of whole numbers."""
Steps = Annotated[
    Annotated[tuple[Count, ...], *Several, Tag("list")]
    | Annotated[Range, AfterValidator(_check_counts), Tag("range")],
    Discriminator(_name_kind),
]
Bit = Annotated[int, Field(strict=True, ge=1, le=32)]
Bits = Annotated[
    Annotated[tuple[Bit, ...], *Several, Tag("list")]
    | Annotated[Range, AfterValidator(_check_bits), Tag("range")],
    Discriminator(_name_kind),
]
KINDS = ("list", "range")
"""Names that pydantic puts into the path of a mistake, and that no file has."""


def count_values(values: tuple[Any, ...] | Range | None) -> int:
    """Return how many values there are to try; 1 where the key is not given."""
    if values is None:
        return 1
    if isinstance(values, Range):
        return (values.high - values.low) // values.step + 1
    return len(values)


def list_values(values: tuple[Any, ...] | Range) -> tuple[Any, ...]:
    """Return every value."""
    if isinstance(values, Range):
        return tuple(range(values.low, values.high + 1, values.step))
    return values
