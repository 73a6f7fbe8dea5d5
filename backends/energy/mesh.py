"""The mesh of tiles: distances between cores, and links of a message.

A message goes along its row first, then along its column (XY routing). A link is one direction of
one border between two tiles. Chips stand on their board in columns and rows, numbered row by row,
and their meshes join where they meet: a border between chips is a link, too. If a chip file has no
arrangement of a board's chips, the most square one is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.arrays import Ints
from snncompile.backends.energy.layout import Layout
from snncompile.hwmodels.schema import Chip

Cores = NDArray[np.integer[Any]]

EAST, WEST, NORTH, SOUTH = range(4)
DIRECTIONS = ("east", "west", "north", "south")


@dataclass(frozen=True)
class Grid:
    """Arrangement of the chips of a board."""

    columns: int
    rows: int
    known: bool
    """Whether the chip file has the arrangement."""

    @classmethod
    def of(cls, chip: Chip, least: int = 1) -> Grid:
        """Return the grid of a chip's board, for at least so many chips."""
        chips = max(chip.chips, least)
        if chip.board is not None and chips == chip.chips:
            board = chip.boards[chip.board]
            if board.columns.whole and board.rows.whole:
                return cls(board.columns.whole, board.rows.whole, known=True)
        rows = next(n for n in range(math.isqrt(chips), 0, -1) if chips % n == 0)
        return cls(chips // rows, rows, known=chips == 1)


@dataclass(frozen=True, eq=False)
class Mesh:
    """All chips of a board as one grid of tiles, and the position of each core."""

    grid: Grid
    columns: int
    """Columns of tiles of one chip."""
    rows: int
    x: Ints
    """Column of each core, counted over all chips."""
    y: Ints
    """Row of each core, counted over all chips."""

    @classmethod
    def of(cls, chip: Chip, layout: Layout) -> Mesh:
        """Return the grid on which a layout stands."""
        columns, rows = chip.mesh.tile_columns.whole or 1, chip.mesh.tile_rows.whole or 1
        number = np.array([site.chip for site in layout.sites])
        grid = Grid.of(chip, 1 + int(number.max(initial=0)))
        down, across = np.divmod(number, grid.columns)
        x = across * columns + np.array([site.tile_x for site in layout.sites])
        y = down * rows + np.array([site.tile_y for site in layout.sites])
        return cls(grid, columns, rows, x, y)

    @property
    def assumed(self) -> str | None:
        """The assumption about the arrangement of the chips; None: no assumption."""
        if self.grid.known:
            return None
        return (
            f"{self.grid.columns} x {self.grid.rows} chips, row by row: how they are arranged is"
            " not public"
        )

    @property
    def width(self) -> int:
        """Columns of tiles of all chips."""
        return self.grid.columns * self.columns

    @property
    def links(self) -> int:
        """Number of links, those of the rim that lead nowhere included."""
        return self.width * self.grid.rows * self.rows * len(DIRECTIONS)

    def count_crossings(self, sources: Cores, targets: Cores) -> tuple[Ints, Ints, Ints]:
        """Return the borders that messages between cores cross.

        Between columns of a chip, between rows of a chip, and between chips; shape (pairs,) each.
        """
        x, y = (np.stack([at[sources], at[targets]]) for at in (self.x, self.y))
        columns, rows = np.abs(x[0] - x[1]), np.abs(y[0] - y[1])
        east_west = np.abs(x[0] // self.columns - x[1] // self.columns)
        north_south = np.abs(y[0] // self.rows - y[1] // self.rows)
        return columns - east_west, rows - north_south, east_west + north_south

    def find_chip_links(self, links: Ints) -> NDArray[np.bool_]:
        """Return for each link whether it joins two chips."""
        tile, way = np.divmod(links, 4)
        x, y = tile % self.width % self.columns, tile // self.width % self.rows
        border = np.choose(way, [x == self.columns - 1, x == 0, y == self.rows - 1, y == 0])
        joins: NDArray[np.bool_] = np.asarray(border, np.bool_)
        return joins

    def find_paths(self, sources: Cores, targets: Cores) -> tuple[Ints, Ints]:
        """Return the links between pairs of cores, in order: where each begins, and all of them."""
        x, y = self.x[sources], self.y[sources]
        right, down = self.x[targets] - x, self.y[targets] - y
        hops = np.abs(right) + np.abs(down)
        start = np.concatenate([[0], np.cumsum(hops)])
        pair = np.repeat(np.arange(len(hops)), hops)
        done = np.arange(start[-1]) - start[pair]
        columns = np.minimum(done, np.abs(right)[pair])
        x_now = x[pair] + np.sign(right)[pair] * columns
        y_now = y[pair] + np.sign(down)[pair] * (done - columns)
        flat = np.where(right[pair] > 0, EAST, WEST)
        upright = np.where(down[pair] > 0, NORTH, SOUTH)
        way = np.where(done < np.abs(right)[pair], flat, upright)
        return start, (y_now * self.width + x_now) * 4 + way

    def name(self, link: int) -> str:
        """Return `link 2,0 east`: the tile a link leaves, counted over all chips, and its way."""
        tile = link // 4
        return f"link {tile % self.width},{tile // self.width} {DIRECTIONS[link % 4]}"


@dataclass(frozen=True, eq=False)
class Ways:
    """The links that messages take between the pairs of `Routes`."""

    links: Ints
    """Numbers of the links that any pair takes, in rising order."""
    start: Ints
    """Index of each pair's first link in `way`, and the end."""
    way: Ints
    """Indices into `links`."""
    joins_chips: NDArray[np.bool_]
    """Whether each link joins two chips."""

    @classmethod
    def of(cls, mesh: Mesh, sources: Cores, targets: Cores) -> Ways:
        """Return the ways between pairs of cores."""
        start, path = mesh.find_paths(sources, targets)
        links, way = np.unique(path, return_inverse=True)
        return cls(links, start, way, mesh.find_chip_links(links))

    @property
    def upright(self) -> NDArray[np.bool_]:
        """Whether each link goes along a column."""
        is_upright: NDArray[np.bool_] = self.links % 4 >= NORTH
        return is_upright

    @cached_property
    def incidence(self) -> csr_array:
        """The links of each pair, shape (pairs, links)."""
        shape = len(self.start) - 1, len(self.links)
        return csr_array((np.ones(len(self.way)), self.way, self.start), shape=shape)
