"""Numbers of values, kept small: of a run of consecutive numbers only the first one is kept.

A trace remembers the numbers of what every layer reads in every time step. Nearly all are whole
outputs of another layer, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

SMALLEST = 2**14
"""Numbers from which on runs are looked for."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Numbers whose rows, along the first axis, are consecutive."""

    firsts: Tensor
    """The first number of each row."""
    length: int
    """Numbers of a row."""
    shape: tuple[int, ...]

    def list_all(self) -> Tensor:
        """Return the numbers."""
        return (self.firsts[:, None] + torch.arange(self.length)).reshape(self.shape)

    def pick(self, offsets: Tensor) -> Tensor:
        """Return the numbers at some places of the flattened ones."""
        return self.firsts[offsets // self.length] + offsets % self.length

    def pick_rows(self, rows: Tensor) -> Tensor:
        """Return rows, each flattened."""
        return self.firsts[rows][:, None] + torch.arange(self.length)


def shorten(numbers: Tensor) -> Tensor | Runs:
    """Return numbers as runs, if their rows are some; otherwise as they are."""
    if numbers.numel() < SMALLEST or numbers.ndim == 0:
        return numbers
    rows = numbers.reshape(len(numbers), -1)
    if bool((rows[:, 0] < 0).any()) or not bool((rows.diff(dim=1) == 1).all()):
        return numbers
    return Runs(rows[:, 0].clone(), rows.shape[1], tuple(numbers.shape))


class _Kept:
    """A field that keeps numbers as runs; they are a tensor for all who read it."""

    def __init__(self, name: str) -> None:
        self.key = f"_{name}"

    def __get__(self, record: Any, owner: type) -> Any:
        kept = record.__dict__[self.key]
        return kept.list_all() if isinstance(kept, Runs) else kept

    def __set__(self, record: Any, numbers: Tensor) -> None:
        record.__dict__[self.key] = shorten(numbers)


def keep_short(name: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator of a dataclass whose field of this name, a tensor of numbers, is kept
    small."""

    def decorate(record: type[T]) -> type[T]:
        setattr(record, name, _Kept(name))
        return record

    return decorate


def pick(record: object, name: str, offsets: Tensor) -> Tensor:
    """Return numbers at some places of a field, which is flattened."""
    kept = record.__dict__[f"_{name}"]
    picked: Tensor = kept.pick(offsets) if isinstance(kept, Runs) else kept.reshape(-1)[offsets]
    return picked


def pick_rows(record: object, name: str, rows: Tensor) -> Tensor:
    """Return rows of a field, each flattened."""
    kept = record.__dict__[f"_{name}"]
    picked: Tensor = kept.pick_rows(rows) if isinstance(kept, Runs) else kept[rows].flatten(1)
    return picked
