"""The mesh of tiles: who is how far from whom, and which links a message takes.

A message goes along its row first, then along its column (XY routing). A link is one direction of
one border between two tiles; chips stand side by side, so a border between chips is a link, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.backends.energy.layout import Layout
from snncompile.hwmodels.schema import Chip

Ints = NDArray[np.int64]

EAST, WEST, NORTH, SOUTH = range(4)
DIRECTIONS = ("east", "west", "north", "south")


@dataclass(frozen=True, eq=False)
class Mesh:
    """All chips in use as one grid, and where each core stands on it."""

    columns: int
    """Columns of one chip."""
    width: int
    """Columns of all chips."""
    height: int
    x: Ints
    """Column of each core."""
    y: Ints

    @classmethod
    def of(cls, chip: Chip, layout: Layout) -> Mesh:
        """Return the grid of the chips that a layout uses."""
        columns, rows = chip.mesh.tile_columns.whole or 1, chip.mesh.tile_rows.whole or 1
        x = np.array([site.chip * columns + site.tile_x for site in layout.sites])
        y = np.array([site.tile_y for site in layout.sites])
        chips = 1 + max((site.chip for site in layout.sites), default=0)
        return cls(columns, chips * columns, rows, x, y)

    @property
    def links(self) -> int:
        """Number of links, those of the rim that lead nowhere included."""
        return self.width * self.height * len(DIRECTIONS)

    def crossings(self) -> NDArray[np.bool_]:
        """Return for each link whether it joins two chips."""
        x = np.arange(self.links) // 4 % self.width
        way = np.arange(self.links) % 4
        last, first = x % self.columns == self.columns - 1, x % self.columns == 0
        found: NDArray[np.bool_] = ((way == EAST) & last) | ((way == WEST) & first)
        return found

    def service_ns(
        self, east_west: float, north_south: float, crossing: float
    ) -> NDArray[np.float64]:
        """Return how long each link takes for a message."""
        upright = np.arange(self.links) % 4 >= NORTH
        return np.where(self.crossings(), crossing, np.where(upright, north_south, east_west))

    def path(self, source: int, target: int) -> list[int]:
        """Return the links between two cores, in order."""
        x, y, end_x, end_y = self.x[source], self.y[source], self.x[target], self.y[target]
        found = []
        while x != end_x:
            step = 1 if x < end_x else -1
            found.append(int((y * self.width + x) * 4 + (EAST if step > 0 else WEST)))
            x += step
        while y != end_y:
            step = 1 if y < end_y else -1
            found.append(int((y * self.width + x) * 4 + (NORTH if step > 0 else SOUTH)))
            y += step
        return found

    def incidence(self, sources: NDArray[np.int32], targets: NDArray[np.int32]) -> csr_array:
        """Return which links each pair of cores takes, shape (pairs, links)."""
        paths = [self.path(a, b) for a, b in zip(sources, targets, strict=True)]
        ends = np.cumsum([0, *map(len, paths)])
        links = np.array([link for path in paths for link in path], np.int32)
        return csr_array((np.ones(len(links)), links, ends), shape=(len(paths), self.links))

    def name(self, link: int) -> str:
        """Return `link 2,0 east`: the tile a link leaves, counted over all chips, and its way."""
        tile = link // 4
        return f"link {tile % self.width},{tile // self.width} {DIRECTIONS[link % 4]}"
