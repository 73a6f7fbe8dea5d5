"""Drives of neuron layers: spikes of layers and of the input, through linear maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Shape = tuple[int, ...]

INPUT = "the input"
"""Name of the sample in messages."""


@dataclass(frozen=True)
class Source:
    """The spikes of a neuron layer, or the input."""

    path: str | None
    """None: the input."""
    delay: int = 0
    """Time steps between the spikes and their arrival; before that nothing arrives."""

    def __str__(self) -> str:
        name = self.path or INPUT
        return f"{name} of {_describe_delay(self.delay)}" if self.delay else name


@dataclass(frozen=True)
class Zero:
    """Zeros made in forward."""

    def __str__(self) -> str:
        return "zeros"


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers that each sample gets in each time step."""

    values: Tensor
    """In float64, shape (n,)."""

    def __eq__(self, other: object) -> bool:
        """Whether both are the same numbers."""
        return isinstance(other, Constant) and torch.equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(tuple(self.values.tolist()))

    def __str__(self) -> str:
        first = self.values.flatten()[0]
        same = bool((self.values == first).all())
        return f"{float(first):g}" if same else "constants"


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
class Selection:
    """Values picked from a drive: value target[i] is factor[i] * value source[i] of the drive."""

    of: Drive
    size: int
    """Number of values of `of`."""
    source: Tensor
    target: Tensor
    factor: Tensor

    def __eq__(self, other: object) -> bool:
        """Whether both pick the same values of the same drive."""
        return isinstance(other, Selection) and self.of == other.of and self.picks_same(other)

    def picks_same(self, other: Selection) -> bool:
        """Whether both pick the same values of their drives."""
        pairs = (
            (self.source, other.source),
            (self.target, other.target),
            (self.factor, other.factor),
        )
        return all(torch.equal(first, second) for first, second in pairs)

    def __hash__(self) -> int:
        return hash((self.of, self.size))


@dataclass(frozen=True)
class Gather:
    """Values picked from drives and put side by side."""

    selections: tuple[Selection, ...]
    size: int

    def __str__(self) -> str:
        return f"[{', '.join(str(selection.of) for selection in self.selections)}]"


Drive = Source | Zero | Constant | Through | Plus | Scaled | Gather


def walk(drive: Drive) -> Iterator[Source | Through]:
    """Yield the sources and linear layers of a drive."""
    if isinstance(drive, Source | Through):
        yield drive
    for inner in _list_inner(drive):
        yield from walk(inner)


def change_inner(drive: Drive, change: Callable[[Drive], Drive]) -> Drive:
    """Return a drive with `change` applied to the drives that it is made of."""
    if isinstance(drive, Plus):
        return Plus(tuple(map(change, drive.terms)))
    if isinstance(drive, Gather):
        return replace(
            drive, selections=tuple(replace(p, of=change(p.of)) for p in drive.selections)
        )
    if isinstance(drive, Through | Scaled):
        return replace(drive, of=change(drive.of))
    return drive


def holds_zeros(drive: Drive) -> bool:
    """Return whether a drive is computed from zeros made in forward."""
    return isinstance(drive, Zero) or any(map(holds_zeros, _list_inner(drive)))


def _list_inner(drive: Drive) -> tuple[Drive, ...]:
    if isinstance(drive, Plus):
        return drive.terms
    if isinstance(drive, Gather):
        return tuple(selection.of for selection in drive.selections)
    return (drive.of,) if isinstance(drive, Through | Scaled) else ()


@dataclass(frozen=True)
class Starts:
    """What is known of the layers in the first time steps."""

    has_bias: Callable[[str], bool]
    """Path of a linear layer -> whether it adds something of its own."""
    find_late: Callable[[str], int]
    """Path of a neuron layer -> time steps by which its first output is late, zeros before."""


def is_same_in_step(step: int, drive: Drive, step_drive: Drive, starts: Starts) -> bool:
    """Return whether the drive of a layer in one time step is its drive in all of them.

    Args:
        step: the time step.
        drive: in all time steps.
        step_drive: in this one; before anything arrives it may hold zeros, or leave terms out.
        starts: what is known of layers before anything arrives.
    """
    if isinstance(drive, Zero | Source | Constant):
        return drive == step_drive or (_is_silent(step, drive, starts) and step_drive == Zero())
    if isinstance(drive, Plus):
        return _is_same_sum(step, drive, step_drive, starts)
    if isinstance(drive, Gather):
        return _is_same_gather(step, drive, step_drive, starts)
    if type(step_drive) is not type(drive):
        return step_drive == Zero() and _is_silent(step, drive, starts)
    assert isinstance(step_drive, Through | Scaled)
    own = drive.path if isinstance(drive, Through) else drive.factor
    other = step_drive.path if isinstance(step_drive, Through) else step_drive.factor
    return own == other and is_same_in_step(step, drive.of, step_drive.of, starts)


def _is_same_sum(step: int, drive: Plus, step_drive: Drive, starts: Starts) -> bool:
    terms = step_drive.terms if isinstance(step_drive, Plus) else (step_drive,)
    if len(terms) == len(drive.terms):
        pairs = zip(drive.terms, terms, strict=True)
        if all(is_same_in_step(step, first, second, starts) for first, second in pairs):
            return True
    expected = [term for term in drive.terms if not _is_silent(step, term, starts)]
    given = [term for term in terms if term != Zero()]
    if len(expected) != len(given):
        return False
    pairs = zip(expected, given, strict=True)
    return all(is_same_in_step(step, first, second, starts) for first, second in pairs)


def _is_same_gather(step: int, drive: Gather, step_drive: Drive, starts: Starts) -> bool:
    expected = [
        selection for selection in drive.selections if not _is_silent(step, selection.of, starts)
    ]
    if step_drive == Zero():
        return not expected
    if not isinstance(step_drive, Gather):
        return False
    given = step_drive.selections if len(step_drive.selections) == len(expected) else ()
    if len(step_drive.selections) == len(drive.selections):
        expected, given = list(drive.selections), step_drive.selections
    return len(expected) == len(given) and all(
        first.picks_same(second) and is_same_in_step(step, first.of, second.of, starts)
        for first, second in zip(expected, given, strict=True)
    )


def _is_silent(step: int, drive: Drive, starts: Starts) -> bool:
    """Return whether nothing of a drive can have arrived until a time step."""
    if isinstance(drive, Source):
        late = 0 if drive.path is None else starts.find_late(drive.path)
        return drive.delay + late > step
    if isinstance(drive, Constant):
        return False
    if isinstance(drive, Through) and starts.has_bias(drive.path):
        return False
    return all(_is_silent(step, inner, starts) for inner in _list_inner(drive))


def _describe_delay(delay: int) -> str:
    return "one step ago" if delay == 1 else f"{delay} steps ago"
