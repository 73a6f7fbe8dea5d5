"""Sparse populations are cut by graph: shuffled blocks are found, and nothing gets worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, TOY, changed, integer_chain, limited

import snncompile
from snncompile.checker.mapping import check
from snncompile.cores.usage import measure_usage
from snncompile.ir.graph import Projection
from snncompile.ir.mapping import Mapping
from snncompile.passes.partition import neuron_order
from snncompile.passes.partition.partition import cut_network
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.sparse import Sparse


def sparse(joined) -> IntegerSynapses:
    """Return a synapse of weight 2 wherever the matrix (target, source) is not zero."""
    target, source = np.nonzero(joined)
    wiring = Sparse(target, source, *joined.shape)
    return IntegerSynapses(wiring, np.full(len(target), 2), 0, 8)


def shuffled_blocks(count: int, size: int, seed: int = 0):
    """Return blocks with all synapses inside and none between, neurons in no order."""
    random = np.random.default_rng(seed)
    blocks = np.kron(np.eye(count), np.ones((size, size)))
    neurons = count * size
    return blocks[random.permutation(neurons)][:, random.permutation(neurons)]


def network(joined, recurrent: bool = False):
    targets, sources = joined.shape
    made = changed(integer_chain(sources, targets), projection=0, synapses=sparse(joined))
    if recurrent:
        loop = Projection("a", "a", sparse(joined), 1)
        made = changed(made, projections=(*made.projections, loop))
    return made


def in_ranges(monkeypatch, made, chip) -> tuple[int, int]:
    with monkeypatch.context() as patched:
        patched.setattr(neuron_order, "MOST_SYNAPSES", 0)
        return cost(made, chip, cut_network(made, chip))


def cost(made, chip, slices) -> tuple[int, int]:
    """Return the cores and the input axons."""
    mapping = Mapping(slices)
    return mapping.cores, sum(u.used["axons_in"] for u in measure_usage(made, chip, mapping))


# Chip, blocks, size; cores and input axons of shuffled blocks.
BLOCKS = {
    "toy": (limited(TOY, cores=30), 6, 4, (6, 24)),
    "loihi1": (limited(LOIHI1, compartments=60, axons_in=70), 8, 20, (3, 160)),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_shuffled_blocks_are_found(monkeypatch, case):
    """Each source is heard by one core, the one that holds its block."""
    chip, count, size, wanted = BLOCKS[case]
    made = network(shuffled_blocks(count, size))
    cores, axons = in_ranges(monkeypatch, made, chip)
    assert cost(made, chip, cut_network(made, chip)) == wanted
    assert wanted[0] < cores
    assert wanted[1] < axons
    assert cut_network(made, chip) == cut_network(made, chip)


def test_recurrent_blocks(monkeypatch):
    """Input and loop have blocks of their own; the tables are right."""
    chip = limited(LOIHI1, compartments=60, axons_in=150)
    made = network(shuffled_blocks(8, 20), recurrent=True)
    program = snncompile.compile(made, chip=chip, prune=False)
    check(program.network, chip, program.mapping)
    assert any(s.members for s in program.mapping.slices)
    cores, axons = in_ranges(monkeypatch, made, chip)
    found = cost(made, chip, cut_network(made, chip))
    assert found[0] < cores
    assert found[1] < axons


def test_what_is_in_order_stays_in_ranges():
    joined = np.kron(np.eye(6), np.ones((4, 4)))
    assert not any(s.members for s in cut_network(network(joined), limited(TOY, cores=30)))


@given(seed=st.integers(0, 10**6), share=st.floats(0.02, 0.3), recurrent=st.booleans())
@settings(max_examples=15)
def test_random_networks_take_no_more_than_in_ranges(seed, share, recurrent):
    joined = np.random.default_rng(seed).random((40, 40)) < share
    made = network(joined, recurrent)
    chip = limited(LOIHI1, compartments=12, axons_in=60, cores=99)
    slices = cut_network(made, chip)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(neuron_order, "MOST_SYNAPSES", 0)
        ranges = cut_network(made, chip)
    assert cost(made, chip, slices) <= cost(made, chip, ranges)
    program = snncompile.compile(made, chip=chip, prune=False)
    check(program.network, chip, program.mapping)


def test_a_program_of_listed_neurons_is_read_back(tmp_path):
    """Slices and axons that name their neurons one by one, and every table with them."""
    chip = limited(LOIHI1, compartments=60, axons_in=150)
    program = snncompile.compile(
        network(shuffled_blocks(8, 20), recurrent=True), chip=chip, prune=False
    )
    assert any(s.members for s in program.mapping.slices)
    assert any(block.region.members for block in program.mapping.tables.axons)
    program.save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    assert again.mapping.slices == program.mapping.slices
    assert again.mapping.sites == program.mapping.sites
    assert again.mapping.tables.memory == program.mapping.tables.memory
    assert again.mapping.tables.axons == program.mapping.tables.axons
    assert np.array_equal(again.mapping.tables.lines, program.mapping.tables.lines)
    check(again.network, chip, again.mapping)
    x = (np.random.default_rng(0).random((2, 5, 160)) < 0.3).astype(np.uint8)
    assert np.array_equal(again.run(x).spikes, program.run(x).spikes)
