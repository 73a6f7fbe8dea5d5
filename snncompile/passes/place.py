"""Put the cores in use on the chip's mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from snncompile.ir.design import Design
from snncompile.ir.mapping import Site
from snncompile.passes.base import Pass


@dataclass(frozen=True)
class Place(Pass):
    """Fill the tiles row by row, in the order of the cores.

        cores 0..5, two cores per tile     ->      tile 0,0: 0 1   tile 1,0: 2 3   tile 2,0: 4 5

    Odd rows run backwards, so that cores that follow each other are never more than a hop apart.

    Requires: slices.
    Ensures: every core in use has a site of its own on the mesh.
    """

    name: ClassVar[str] = "place"

    def __call__(self, design: Design) -> Design:
        """Fill the sites of the mapping."""
        mesh = design.chip.mesh
        columns, per_tile = mesh.tile_columns.whole or 1, mesh.cores_per_tile.whole or 1
        sites = []
        for core in range(design.mapping.cores):
            row, column = divmod(core // per_tile, columns)
            sites.append(Site(core, columns - 1 - column if row % 2 else column, row))
        mapping = replace(design.mapping, sites=tuple(sites))
        return self.done(design, f"tiles in use: {mapping.tiles}", mapping=mapping)
