"""Slices of populations on cores, and the sites of the cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.tables import Tables

if TYPE_CHECKING:
    from snncompile.ir.graph import Population

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slice:
    """Some neurons of one population, on one core: a box, or neurons named one by one."""

    population: str
    shape: Shape
    """Axes of the box's population: its shape, or (size,) for a range of the flattened
    neurons; () where `members` names the neurons."""
    start: Shape
    """First neuron of the box, per axis."""
    stop: Shape
    """One past its last neuron, per axis."""
    core: int
    members: tuple[int, ...] = ()
    """Flattened neurons in rising order, where they are no box."""

    @classmethod
    def from_range(cls, population: Population, start: int, stop: int, core: int) -> Slice:
        """Return the flattened neurons [start, stop) of a population."""
        return cls(population.name, (population.size,), (start,), (stop,), core)

    @classmethod
    def from_neurons(cls, population: str, members: tuple[int, ...], core: int) -> Slice:
        """Return the neurons of a population that are named one by one, in rising order."""
        return cls(population, (), (), (), core, members)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.members) or prod(self.extent)

    @property
    def extent(self) -> Shape:
        """Length of the box per axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def neurons(self) -> NDArray[np.int64]:
        """Return the flattened neurons in C order of the box, shape (size,)."""
        if self.members:
            return np.array(self.members, np.int64)
        axes = np.ix_(*(np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True)))
        return np.ravel_multi_index(axes, self.shape).reshape(-1)

    def cut(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the slice's neurons, shape (size,), from those of all, (n,)."""
        if self.members:
            listed: NDArray[Any] = values[np.array(self.members)]
            return listed
        box = tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        values_in_box: NDArray[Any] = values.reshape(self.shape)[box]
        return values_in_box.reshape(-1)

    @property
    def where(self) -> str:
        """`hidden[0:4]`, `conv[0:16, 0:8, 4:8]` or `random[7 neurons]`."""
        if self.members:
            return f"{self.population}[{len(self.members)} neurons]"
        # Not strict: a message about a damaged file names the slice too.
        axes = (f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=False))
        return f"{self.population}[{', '.join(axes)}]"

    def __str__(self) -> str:
        """`hidden[0:4] on core 1`."""
        return f"{self.where} on core {self.core}"


@dataclass(frozen=True)
class Site:
    """Tile and chip of a core."""

    core: int
    tile_x: int
    tile_y: int
    chip: int = 0


@dataclass(frozen=True)
class Mapping:
    """All slices and the site of each core in use; core numbers count from 0 without gaps.

    A core holds one slice or more, in the order of `slices`; the neurons of a slice
    follow each other in C order of its box. The slices of a population hold each neuron once.
    """

    slices: tuple[Slice, ...] = ()
    sites: tuple[Site, ...] = ()
    tables: Tables = field(default_factory=Tables)
    """Tables of the cores, by number."""

    @cached_property
    def cores(self) -> int:
        """Number of cores in use."""
        return len({s.core for s in self.slices})

    @cached_property
    def chips(self) -> int:
        """Number of chips in use."""
        return len({s.chip for s in self.sites}) or bool(self.slices)

    @cached_property
    def tiles(self) -> int:
        """Number of tiles in use."""
        return len({(s.chip, s.tile_x, s.tile_y) for s in self.sites})

    @cached_property
    def chip_of(self) -> dict[int, int]:
        """The chip of each core."""
        return {site.core: site.chip for site in self.sites}

    @cached_property
    def by_population(self) -> dict[str, tuple[Slice, ...]]:
        """The slices of each population, in order."""
        by_name: dict[str, list[Slice]] = {}
        for s in self.slices:
            by_name.setdefault(s.population, []).append(s)
        return {name: tuple(slices) for name, slices in by_name.items()}

    @cached_property
    def by_core(self) -> dict[int, tuple[Slice, ...]]:
        """The slices of each core, in order; cores in rising order."""
        by_core: dict[int, list[Slice]] = {}
        for s in sorted(self.slices, key=lambda s: s.core):
            by_core.setdefault(s.core, []).append(s)
        return {core: tuple(slices) for core, slices in by_core.items()}

    def of(self, population: str) -> tuple[Slice, ...]:
        """Return the slices of a population."""
        return self.by_population.get(population, ())

    def cores_of(self, population: Population) -> NDArray[np.int32]:
        """Return the core of each neuron of a population in flattened C order, shape (n,)."""
        cores = np.full(population.size, -1, np.int32)
        for s in self.of(population.name):
            cores[s.neurons()] = s.core
        return cores

    def __str__(self) -> str:
        """One line per slice: `hidden[0:4] on core 1 at tile 0,0`."""
        at = {site.core: _describe_site(site, self.chips) for site in self.sites}
        return "".join(f"{s}{at.get(s.core, '')}\n" for s in self.slices)


def _describe_site(site: Site, chips: int) -> str:
    chip = f" of chip {site.chip}" if chips > 1 else ""
    return f" at tile {site.tile_x},{site.tile_y}{chip}"
