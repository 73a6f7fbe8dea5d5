"""Which neurons share a core, and where that core is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slice:
    """Neurons [start, stop) of one population, on one core."""

    population: str
    start: int
    stop: int
    core: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start

    def __str__(self) -> str:
        """`hidden[0:4] on core 1`."""
        return f"{self.population}[{self.start}:{self.stop}] on core {self.core}"


@dataclass(frozen=True)
class Site:
    """Where a core of the mapping is on the chip."""

    core: int
    tile_x: int
    tile_y: int


@dataclass(frozen=True)
class Mapping:
    """All slices and the site of each core in use; core numbers count from 0 without gaps."""

    slices: tuple[Slice, ...] = ()
    sites: tuple[Site, ...] = ()

    @property
    def cores(self) -> int:
        """Number of cores in use."""
        return len({s.core for s in self.slices})

    @property
    def chips(self) -> int:
        """Number of chips in use."""
        return 1 if self.slices else 0

    @property
    def tiles(self) -> int:
        """Number of tiles in use."""
        return len({(s.tile_x, s.tile_y) for s in self.sites})

    def of(self, population: str) -> tuple[Slice, ...]:
        """Return the slices of a population."""
        return tuple(s for s in self.slices if s.population == population)

    def __str__(self) -> str:
        """One line per slice: `hidden[0:4] on core 1 at tile 0,0`."""
        at = {site.core: f" at tile {site.tile_x},{site.tile_y}" for site in self.sites}
        return "".join(f"{s}{at.get(s.core, '')}\n" for s in self.slices)
