"""Place: tiles row by row, to and fro."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from emulated_networks import draw_network
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI1, TOY, changed, design, integer_chain, limited

import snncompile
from snncompile.hwmodels.schema import Chip
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.analysis.traffic import count_flows, measure_load, measure_rates
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place, find_sites
from snncompile.synapses.dense import integer_dense


def meshed(columns: int, rows: int, per_tile: int) -> Chip:
    """Return toy with another mesh and one neuron per core."""
    data = TOY.model_dump(mode="json")
    mesh, core = data["mesh"], data["core"]
    mesh["tile_columns"]["value"], mesh["tile_rows"]["value"] = columns, rows
    mesh["cores_per_tile"]["value"] = per_tile
    mesh["cores"]["value"] = columns * rows * per_tile
    core["compartments"]["value"] = 1
    data["costs"]["toy"]["barrier"][-1]["tiles"] = 1000
    return Chip.model_validate(data)


def placed(chip, cores: int, placement: str = "linear"):
    return Place(placement)(Partition()(design(integer_chain(1, cores), chip)))


def test_text(golden):
    """Three columns, two cores per tile: row 0 runs east, row 1 back west."""
    done = placed(meshed(3, 3, 2), 13)
    golden(f"{done.mapping}\n{done.log[-1]}\n")


def test_toy_is_two_tiles():
    done = placed(meshed(2, 1, 2), 4)
    assert [(s.core, s.tile_x, s.tile_y) for s in done.mapping.sites] == [
        (0, 0, 0),
        (1, 0, 0),
        (2, 1, 0),
        (3, 1, 0),
    ]
    assert (done.mapping.cores, done.mapping.tiles, done.mapping.chips) == (4, 2, 1)


@given(
    columns=st.integers(1, 4),
    rows=st.integers(1, 4),
    per_tile=st.integers(1, 3),
    share=st.floats(0.01, 1),
)
def test_every_core_has_a_place_beside_the_last(columns, rows, per_tile, share):
    chip = meshed(columns, rows, per_tile)
    cores = max(1, int(share * columns * rows * per_tile))
    sites = placed(chip, cores).mapping.sites
    assert [s.core for s in sites] == list(range(cores))
    tiles = [(s.tile_x, s.tile_y) for s in sites]
    assert all(0 <= x < columns and 0 <= y < rows for x, y in tiles)
    assert all(tiles.count(tile) <= per_tile for tile in tiles)
    assert len(set(tiles)) == -(-cores // per_tile)
    steps = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(tiles)]
    assert all(step <= 1 for step in steps)


@pytest.mark.parametrize("cores, tiles", [(1, 1), (4, 1), (5, 2), (32, 8), (33, 9), (128, 32)])
def test_loihi1_has_four_cores_per_tile_and_eight_columns(cores, tiles):
    mapping = placed(LOIHI1, 1024 * cores).mapping
    assert (mapping.cores, mapping.tiles) == (cores, tiles)
    assert max(s.tile_x for s in mapping.sites) == min(tiles, 8) - 1
    assert max(s.tile_y for s in mapping.sites) == (tiles - 1) // 8


ONE_SPEAKS = np.zeros((2, 8, 6), np.uint8)
"""Spikes of six inputs of which the last one alone fires, every second time step."""
ONE_SPEAKS[:, ::2, 5] = 1


def one_to_one(size: int):
    """Return input -> a -> b: each input fires its own neuron of a, each of a reaches all of b."""
    network = integer_chain(size, size, size, neuron=IntegerCubaLif(4095, 4095, 1))
    return changed(network, projection=0, synapses=integer_dense(2 * np.eye(size), 0, 8))


def test_rates_of_the_calibration_data_change_the_placement():
    """One neuron sends to six cores: with room around it 4 are next to it and 2 beyond."""
    network, chip = one_to_one(6), meshed(4, 3, 1)
    blind = Place()(Partition()(design(network, chip)))
    told = Place()(Partition()(design(network, chip, ONE_SPEAKS)))
    assert blind.mapping.slices == told.mapping.slices
    assert blind.mapping.sites != told.mapping.sites
    measured = count_flows(network, chip, told.mapping, measure_rates(network, ONE_SPEAKS))
    assert measured.from_host.tolist() == [0.5] * 6 + [0] * 6  # zeros are synapses, too
    hops = {name: measure_load(measured, d.mapping.sites).hops for name, d in
            (("told", told), ("blind", blind))}  # fmt: skip
    assert hops["told"] < hops["blind"]
    assert f"{hops['told']:.1f} spike hops" in told.log[-1]
    between = measured.drop_host()
    assert between.total == 6 * 0.5
    sites = find_sites(between, chip, "annealed")
    assert measure_load(between, sites).hops == (4 * 1 + 2 * 2) * 0.5


def test_rates_are_spikes_per_time_step_of_each_neuron():
    network = one_to_one(6)
    measured = measure_rates(network, ONE_SPEAKS)
    assert measured["a"].tolist() == [0, 0, 0, 0, 0, 0.5]
    assert measured["b"].tolist() == [0.5] * 6
    assert measured["input"].tolist() == [0, 0, 0, 0, 0, 0.5]
    assert measure_rates(network, None)["a"].tolist() == [1] * 6


def test_cores_with_much_input_are_near_the_host():
    """Two neurons, of which one hears 8 inputs, the other that one: tile 0,0 and its neighbour."""
    network, chip = integer_chain(8, 1, 1), meshed(5, 4, 1)
    for placement in ("greedy", "annealed"):
        first, second = Place(placement)(Partition()(design(network, chip))).mapping.sites
        assert (first.tile_x, first.tile_y) == (0, 0)
        assert second.tile_x + second.tile_y == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("placement", ["random", "annealed"])
def test_hops_are_those_of_the_estimator(placement, seed):
    """Spikes between cores and from the host, for the data that are run."""
    rng = np.random.default_rng(seed)
    network, chip = draw_network(rng), limited(LOIHI1, compartments=3)
    x = (rng.random((4, 9, *network.input.shape)) < 0.4).astype(np.uint8)
    program = snncompile.compile(network, chip=chip, calibration=x, placement=placement)
    measured = measure_rates(program.network, x)
    flows = count_flows(program.network, chip, program.mapping, measured)
    assert flows.from_host.any()
    load = measure_load(flows, program.mapping.sites)
    rows = program.estimate(x).rows
    hops = sum(row.count for row in rows if row.event in ("hop_east_west", "hop_north_south"))
    assert hops / x.shape[1] == pytest.approx(load.hops)
    assert f" {load.hops:,.1f} spike hops" in "\n".join(program.log)
