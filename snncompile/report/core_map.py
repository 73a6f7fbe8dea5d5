"""A map of the cores as text, one letter per core."""

from __future__ import annotations

from collections import Counter
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any

from snncompile.ir.mapping import Mapping, Site

if TYPE_CHECKING:
    from snncompile.program import Program

SIGNS = ascii_letters + digits
EMPTY = "."


def draw_cores(program: Program) -> str:
    """Return the meshes of all chips in use, chip by chip, and the legend of the letters.

    A tile shows its cores side by side, a core the letter of its largest population.
    """
    mapping = program.mapping
    largest = _find_largest_populations(mapping)
    names = [p.name for p in program.network.populations]
    sign = {name: SIGNS[i % len(SIGNS)] for i, name in enumerate(names)}
    mesh = program.chip.mesh
    width, per_tile = mesh.tile_columns.whole or 1, mesh.cores_per_tile.whole or 1
    lines: list[str] = []
    for chip in sorted({site.chip for site in mapping.sites}):
        sites = [site for site in mapping.sites if site.chip == chip]
        lines.append(f"chip {chip}: {len(sites)} of {mesh.cores.whole} cores")
        lines += _draw_chip(
            sites, width, per_tile, {core: sign[name] for core, name in largest.items()}
        )
    lines += _write_legend(mapping, names, sign)
    return "\n".join(lines) + "\n"


def serialize_cores(program: Program) -> dict[str, Any]:
    """Return the map of the cores as JSON values: mesh, and place and slices of every core."""
    mesh, by_core = program.chip.mesh, program.mapping.by_core
    return {
        "chips": program.mapping.chips,
        "tile_columns": mesh.tile_columns.whole,
        "tile_rows": mesh.tile_rows.whole,
        "cores_per_tile": mesh.cores_per_tile.whole,
        "cores": [
            {
                "core": site.core,
                "chip": site.chip,
                "tile_x": site.tile_x,
                "tile_y": site.tile_y,
                "slices": [s.where for s in by_core.get(site.core, ())],
            }
            for site in program.mapping.sites
        ],
    }


def _find_largest_populations(mapping: Mapping) -> dict[int, str]:
    """Return the population with the largest share of each core; the first of equals."""
    largest = {}
    for core, slices in mapping.by_core.items():
        neurons: Counter[str] = Counter()
        for s in slices:
            neurons[s.population] += s.size
        largest[core] = neurons.most_common(1)[0][0]
    return largest


def _draw_chip(sites: list[Site], width: int, per_tile: int, sign: dict[int, str]) -> list[str]:
    tiles: dict[tuple[int, int], str] = {}
    for site in sorted(sites, key=lambda site: site.core):
        at = (site.tile_x, site.tile_y)
        tiles[at] = tiles.get(at, "") + sign[site.core]
    rows = max(y for _, y in tiles) + 1
    return [
        "  " + " ".join(tiles.get((x, y), "").ljust(per_tile, EMPTY) for x in range(width))
        for y in range(rows)
    ]


def _write_legend(mapping: Mapping, names: list[str], sign: dict[str, str]) -> list[str]:
    lines = []
    for name in names:
        cores = len({s.core for s in mapping.of(name)})
        lines.append(f"{sign[name]} {name} on {cores} core{'s' * (cores > 1)}")
    shared = sum(len({s.population for s in slices}) > 1 for slices in mapping.by_core.values())
    if shared:
        lines.append(f"{shared} of {mapping.cores} cores hold several populations")
    return lines
