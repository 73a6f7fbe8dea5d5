"""Boards of several chips: where the chips stand, which borders messages cross, what it costs."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import TOY, apart, integer_chain

from snncompile.backends.energy.counts import make_chip_machine
from snncompile.backends.energy.mesh import DIRECTIONS, Grid, Mesh, Ways
from snncompile.errors import UnsupportedError
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.ir.mapping import Mapping, Site
from snncompile.neurons.cuba_lif import IntegerCubaLif

NANO = 1e-9

# Board, and its columns, rows and whether the chip file says so.
GRIDS = {
    "loihi1": (1, 1, True),
    "loihi1:nahuku": (8, 4, False),
    "loihi1:pohoiki-springs": (32, 24, False),
    "loihi2:kapoho-point": (4, 2, False),
    "loihi2:hala-point": (36, 32, False),
}


@pytest.mark.parametrize("name, wanted", GRIDS.items(), ids=GRIDS)
def test_where_the_chips_of_a_board_stand(name, wanted):
    grid = Grid.of(load_chip(name))
    assert (grid.columns, grid.rows, grid.known) == wanted


def board(chips: int, columns: int | None, rows: int | None) -> Chip:
    """Return toy, 2 x 1 tiles, on a board of so many chips."""
    data = TOY.model_dump(mode="json")
    counts = {"chips": chips, "columns": columns, "rows": rows}
    data["boards"] = {"some": {"title": "some"} | {name: chips_(n) for name, n in counts.items()}}
    return Chip.model_validate(data | {"board": "some"})


def chips_(value: int | None):
    evidence = "unknown" if value is None else "made up"
    return {"value": value, "unit": "chips", "evidence": evidence, "source": "made_up"}


@pytest.mark.parametrize(
    "chips, columns, rows, wanted",
    [
        (6, 2, 3, (2, 3, True)),
        (5, 3, 2, (3, 2, True)),
        (6, None, None, (3, 2, False)),
        (7, None, None, (7, 1, False)),
        (6, 3, None, (3, 2, False)),
    ],
)
def test_a_chip_file_says_how_chips_stand(chips, columns, rows, wanted):
    grid = Grid.of(board(chips, columns, rows))
    assert (grid.columns, grid.rows, grid.known) == wanted


@given(
    seed=st.integers(0, 10**6),
    grid=st.sampled_from([(1, 1), (2, 1), (1, 3), (3, 2)]),
    tiles=st.sampled_from([(1, 1), (2, 1), (3, 2)]),
)
def test_a_way_is_a_walk(seed, grid, tiles):
    """Along the row, then along the column; every border between tiles or chips is counted."""
    rng = np.random.default_rng(seed)
    size = np.array([grid[0] * tiles[0], grid[1] * tiles[1]])
    x, y = (rng.integers(0, n, 12) for n in size)
    mesh = Mesh(Grid(*grid, known=True), *tiles, x, y)
    source, target = rng.integers(0, 12, (2, 9))
    ways = Ways.of(mesh, source, target)
    columns, rows, across = mesh.count_crossings(source, target)
    for i, (a, b) in enumerate(zip(source, target, strict=True)):
        links = ways.links[ways.way[ways.start[i] : ways.start[i + 1]]]
        walked, names = walk(x[a], y[a], x[b], y[b])
        assert [mesh.name(link) for link in links] == names
        borders = [(p[0] // tiles[0], p[1] // tiles[1]) for p in walked]
        crossed = [p != q for p, q in pairwise(borders)]
        assert mesh.find_chip_links(links).tolist() == crossed
        assert (columns[i] + rows[i] + across[i], across[i]) == (len(names), sum(crossed))


def walk(x, y, end_x, end_y):
    """Return the tiles of a way, and the names of its links."""
    tiles, names = [(x, y)], []
    while (x, y) != (end_x, end_y):
        dx, dy = (np.sign(end_x - x), 0) if x != end_x else (0, np.sign(end_y - y))
        way = DIRECTIONS[[(1, 0), (-1, 0), (0, 1), (0, -1)].index((dx, dy))]
        names.append(f"link {x},{y} {way}")
        x, y = x + dx, y + dy
        tiles.append((x, y))
    return tiles, names


# Input of 2, then a (2 neurons, core 0), b (3, core 1), c (1, core 2), as in `test_energy.py`.
LAYERS = integer_chain(2, 2, 3, 1, neuron=IntegerCubaLif(4095, 0, 1))
X = np.array([[[1, 0], [0, 0], [1, 1]]])


def placed(chip: Chip, site: Site):
    """Return the layers on the chip: a and b on chip 0, c where it is said."""
    program = apart(LAYERS, chip=TOY)
    sites = (Site(0, 0, 0), Site(1, 0, 0), site)
    return dataclasses.replace(program, chip=chip, mapping=Mapping(program.mapping.slices, sites))


# Chip and tile column of c, on 2 x 2 chips of 2 x 1 tiles: borders within chips and between them.
PLACES = {
    "beside it": (1, 0, 1, 1),
    "the far tile beside it": (1, 1, 2, 1),
    "below it": (2, 0, 0, 1),
    "in the corner": (3, 0, 1, 2),
}


@pytest.mark.parametrize("chip, column, within, across", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("model", ["fast", "cycle"])
def test_borders_between_chips_are_counted_and_priced(chip, column, within, across, model):
    """b sends 6 spikes to c; a border between chips takes 50 ns, one between tiles 4."""
    program = placed(board(4, 2, 2), Site(2, column, 0, chip=chip))
    found = program.estimate(X, timing=model)
    rows = {(r.layer, r.event): r for r in found.rows}
    assert rows["b", "hop_east_west"].count == 6 * within
    assert rows["b", "hop_north_south"].count == 0
    crossing = rows["b", "chip_crossing"]
    price = TOY.costs["toy"].prices["chip_crossing"]
    assert (crossing.count, crossing.price_j) == (6 * across, price.energy_pj.value * 1e-12)
    assert found.assumed == ()
    if model == "fast":  # the third step: three messages, one after the other over each border
        assert found.by_step.seconds[0][2] == pytest.approx((500 + 3 * 50) * NANO)


def test_an_arrangement_that_is_not_public_is_said():
    found = placed(board(4, None, None), Site(2, 0, 0, chip=3)).estimate(X)
    assert found.assumed == ("2 x 2 chips, row by row: how they are arranged is not public",)
    assert placed(board(4, None, None), Site(2, 1, 0)).estimate(X).assumed == ()


def test_the_work_of_each_link_by_its_name():
    """c in the corner of 2 x 2 chips: east within the chip, across, then across to the south."""
    machine = make_chip_machine(placed(board(4, 2, 2), Site(2, 0, 0, chip=3)))
    names = [machine.mesh.name(link) for link in machine.ways.links]
    assert names == ["link 0,0 east", "link 1,0 east", "link 2,0 north"]
    assert machine.ways.joins_chips.tolist() == [False, True, True]


def test_sanafe_has_one_chip():
    program = placed(board(4, 2, 2), Site(2, 0, 0, chip=3))
    with pytest.raises(UnsupportedError) as error:
        program.estimate(X, account="sanafe")
    assert str(error.value) == ("network network: SANA-FE has one chip, the program takes 2")
