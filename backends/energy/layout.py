"""Numbers of all neurons of a program, their parts, cores and sites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints32
from snncompile.backends.energy.result import Part
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import FitError
from snncompile.ir.mapping import Site
from snncompile.program import Program


@dataclass(frozen=True, eq=False)
class Layout:
    """Neurons are numbered in one row: the input first, then the populations in their order.

    On a core they are worked through in this order, too. The input stands on cores of its own
    behind those in use: on one, the host, or where the input is mapped like a population.
    """

    names: tuple[str, ...]
    first: dict[str, int]
    """Number of the first neuron of the input and of each population."""
    size: int
    """Neurons in all, those of the input included."""
    inputs: int
    """Neurons of the input; the others follow."""
    parts: tuple[Part, ...]
    """Sorted by core, then in the order of the populations."""
    part_of: Ints32
    """Part of each neuron, shape (size,)."""
    core_of: Ints32
    """Core of each neuron, shape (size,)."""
    each: Ints32
    """Compartments per neuron of each part; 0 for input neurons."""
    sites: tuple[Site, ...]
    """Of each core, those of the input included."""
    host: int | None
    """The host's core; None where the input is mapped."""
    order: NDArray[np.int64]
    """Neurons in the order in which the cores work through them, core after core."""
    core_start: NDArray[np.int64]
    """Where each core's neurons begin in `order`, and the end; shape (cores + 1,)."""

    @property
    def cores(self) -> int:
        """Number of cores, those of the input included."""
        return len(self.sites)

    @cached_property
    def runs(self) -> tuple[NDArray[np.int64], Ints32]:
        """Neurons of one part that follow each other: where each run begins, the end; its part."""
        changes = np.flatnonzero(np.diff(self.part_of)) + 1
        start = np.concatenate([[0], changes, [self.size]])
        return start, self.part_of[start[:-1]]

    @cached_property
    def part_core(self) -> Ints32:
        """Core of each part."""
        return np.array([slice_.core for slice_ in self.parts], np.int32)

    @cached_property
    def part_size(self) -> Ints32:
        """Neurons of each part."""
        return np.bincount(self.part_of, minlength=len(self.parts)).astype(np.int32)

    def find_neurons(self, name: str) -> slice:
        """Return the numbers of the neurons of a population or of the input."""
        following = [start for start in self.first.values() if start > self.first[name]]
        return slice(self.first[name], min(following, default=self.size))


def make_host_layout(program: Program) -> Layout:
    """Return the layout of a program whose input comes from the host."""
    cores = len(program.mapping.sites)
    inputs = np.full(program.network.input.size, cores, np.int32)
    return _make_layout(program, inputs, (Site(cores, 0, 0),), host=cores)


def make_mapped_layout(program: Program, capacity: int) -> Layout:
    """Return the layout of a program whose input neurons take cores like a population.

    They take the first free cores, `capacity` neurons each, tile after tile, column by column.

    Raises:
        FitError: not enough cores are free.
    """
    mesh = program.chip.mesh
    rows, per_tile = mesh.tile_rows.whole or 1, mesh.cores_per_tile.whole or 1
    tiles = (mesh.tile_columns.whole or 1) * rows
    held = [0] * tiles
    for site in program.mapping.sites:
        held[site.tile_x * rows + site.tile_y] += 1
    free = [tile for tile in range(tiles) for _ in range(per_tile - held[tile])]
    size, cores = program.network.input.size, len(program.mapping.sites)
    need = -(-size // capacity)
    if need > len(free):
        raise FitError(
            where="input",
            resource="cores beside those in use",
            need=need,
            limit=len(free),
            hint="account sanafe maps the input to cores; take account chip",
        )
    taken = free[:need]
    sites = tuple(Site(cores + i, tile // rows, tile % rows) for i, tile in enumerate(taken))
    inputs = (cores + np.arange(size) // capacity).astype(np.int32)
    return _make_layout(program, inputs, sites, host=None)


def _make_layout(
    program: Program, inputs: Ints32, input_sites: tuple[Site, ...], host: int | None
) -> Layout:
    network, mapping = program.network, program.mapping
    names = (network.input.name, *(p.name for p in network.populations))
    cores = [inputs, *(mapping.cores_of(p) for p in network.populations)]
    sizes = [len(c) for c in cores]
    starts = np.cumsum([0, *sizes])
    core_of = np.concatenate(cores)
    layer_of = np.repeat(np.arange(len(names)), sizes)
    keys, part_of = np.unique(core_of.astype(np.int64) * len(names) + layer_of, return_inverse=True)
    parts = tuple(Part(names[key % len(names)], int(key // len(names))) for key in keys)
    per_neuron = {
        p.name: count_compartments_per_neuron(program.chip, p) for p in network.populations
    }
    sites = (*sorted(mapping.sites, key=lambda site: site.core), *input_sites)
    return Layout(
        names=names,
        first=dict(zip(names, starts[:-1].tolist(), strict=True)),
        size=int(starts[-1]),
        inputs=sizes[0],
        parts=parts,
        part_of=part_of.astype(np.int32),
        core_of=core_of,
        each=np.array([per_neuron.get(slice_.layer, 0) for slice_ in parts], np.int32),
        sites=sites,
        host=host,
        order=np.argsort(core_of, kind="stable"),
        core_start=np.searchsorted(np.sort(core_of), np.arange(len(sites) + 1)),
    )
