"""What drives a neuron layer: spikes of layers and of the input, through linear maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]

INPUT = "the input"
"""What messages call the sample."""


@dataclass(frozen=True)
class Source:
    """The spikes of a neuron layer, or the input."""

    path: str | None
    """None: the input."""
    delay: int = 0
    """Time steps between the spikes and their arrival; before that nothing arrives."""

    def __str__(self) -> str:
        name = self.path or INPUT
        return f"{name} of {_steps_ago(self.delay)}" if self.delay else name


@dataclass(frozen=True)
class Zero:
    """Zeros made in forward."""

    def __str__(self) -> str:
        return "zeros"


@dataclass(frozen=True)
class Through:
    """A linear layer applied to a drive."""

    path: str
    of: Drive
    shape: Shape
    """Shape of one sample of the drive."""

    def __str__(self) -> str:
        return f"{self.path}({self.of})"


@dataclass(frozen=True)
class Plus:
    """A sum of drives."""

    terms: tuple[Drive, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))


@dataclass(frozen=True)
class Scaled:
    """A drive times a number."""

    of: Drive
    factor: float

    def __str__(self) -> str:
        return f"{self.factor:g} * ({self.of})"


@dataclass(frozen=True, eq=False)
class Part:
    """Values of a drive that go to places of another: target[i] gets factor[i] * source[i]."""

    of: Drive
    size: int
    """Number of values of `of`."""
    source: Tensor
    target: Tensor
    factor: Tensor

    def __eq__(self, other: object) -> bool:
        """Whether both pick the same values of the same drive."""
        return isinstance(other, Part) and self.of == other.of and self.same_places(other)

    def same_places(self, other: Part) -> bool:
        """Whether both pick the same places, whatever the drives are."""
        pairs = (
            (self.source, other.source),
            (self.target, other.target),
            (self.factor, other.factor),
        )
        return all(torch.equal(one, two) for one, two in pairs)

    def __hash__(self) -> int:
        return hash((self.of, self.size))


@dataclass(frozen=True)
class Gather:
    """Values picked from drives and put side by side."""

    parts: tuple[Part, ...]
    size: int

    def __str__(self) -> str:
        return f"[{', '.join(str(part.of) for part in self.parts)}]"


Drive = Source | Zero | Through | Plus | Scaled | Gather


def walk(drive: Drive) -> Iterator[Source | Through]:
    """Yield the sources and linear layers of a drive."""
    if isinstance(drive, Source | Through):
        yield drive
    for inner in _inner(drive):
        yield from walk(inner)


def changed(drive: Drive, change: Callable[[Drive], Drive]) -> Drive:
    """Return a drive with what it is made of changed."""
    if isinstance(drive, Plus):
        return Plus(tuple(map(change, drive.terms)))
    if isinstance(drive, Gather):
        return replace(drive, parts=tuple(replace(p, of=change(p.of)) for p in drive.parts))
    if isinstance(drive, Through | Scaled):
        return replace(drive, of=change(drive.of))
    return drive


def holds_zeros(drive: Drive) -> bool:
    """Return whether a drive is computed from zeros made in forward."""
    return isinstance(drive, Zero) or any(map(holds_zeros, _inner(drive)))


def _inner(drive: Drive) -> tuple[Drive, ...]:
    if isinstance(drive, Plus):
        return drive.terms
    if isinstance(drive, Gather):
        return tuple(part.of for part in drive.parts)
    return (drive.of,) if isinstance(drive, Through | Scaled) else ()


def same_in(step: int, drive: Drive, found: Drive, biased: Any) -> bool:
    """Return whether what drives a layer in a time step is what drives it in all of them.

    Args:
        step: the time step.
        drive: in all time steps.
        found: in this one; where nothing has arrived yet it may hold zeros, or leave terms out.
        biased: function that tells whether a linear layer, by path, brings something of its own.
    """
    if isinstance(drive, Zero | Source):
        return drive == found or (_silent(step, drive, biased) and found == Zero())
    if isinstance(drive, Plus):
        return _same_sum(step, drive, found, biased)
    if isinstance(drive, Gather):
        return _same_parts(step, drive, found, biased)
    if type(found) is not type(drive):
        return found == Zero() and _silent(step, drive, biased)
    assert isinstance(found, Through | Scaled)
    here = drive.path == found.path if isinstance(drive, Through) else drive.factor == found.factor  # type: ignore[union-attr]
    return here and same_in(step, drive.of, found.of, biased)


def _same_sum(step: int, drive: Plus, found: Drive, biased: Any) -> bool:
    terms = found.terms if isinstance(found, Plus) else (found,)
    if len(terms) == len(drive.terms):
        pairs = zip(drive.terms, terms, strict=True)
        if all(same_in(step, one, other, biased) for one, other in pairs):
            return True
    mine = [term for term in drive.terms if not _silent(step, term, biased)]
    theirs = [term for term in terms if term != Zero()]
    if len(mine) != len(theirs):
        return False
    pairs = zip(mine, theirs, strict=True)
    return all(same_in(step, one, other, biased) for one, other in pairs)


def _same_parts(step: int, drive: Gather, found: Drive, biased: Any) -> bool:
    mine = [part for part in drive.parts if not _silent(step, part.of, biased)]
    if found == Zero():
        return not mine
    if not isinstance(found, Gather):
        return False
    theirs = found.parts if len(found.parts) == len(mine) else ()
    if len(found.parts) == len(drive.parts):
        mine, theirs = list(drive.parts), found.parts
    return len(mine) == len(theirs) and all(
        one.same_places(other) and same_in(step, one.of, other.of, biased)
        for one, other in zip(mine, theirs, strict=True)
    )


def _silent(step: int, drive: Drive, biased: Any) -> bool:
    """Return whether a drive cannot have brought anything until a time step."""
    if isinstance(drive, Source):
        return drive.delay > step
    if isinstance(drive, Through) and biased(drive.path):
        return False
    return all(_silent(step, inner, biased) for inner in _inner(drive))


def _steps_ago(delay: int) -> str:
    return "one step ago" if delay == 1 else f"{delay} steps ago"
