"""Encodings and axons of every slice: the cheapest that there is, and the checker follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, design, integer_chain, limited, random_integer_network

from snncompile.checker.core_limits import count_held
from snncompile.checker.mapping import check
from snncompile.cores.cheapest_encoding import choose_contents
from snncompile.cores.row_encoding import LOIHI1_ROWS, encode_rows, list_encodings
from snncompile.cores.rows_of_slice import build_rows
from snncompile.cores.usage import measure_usage
from snncompile.errors import FitError, MappingError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.sparse import Sparse

HARD = IntegerCubaLif(4095, 0, 1)


def mapped(network, chip=LOIHI1) -> Mapping:
    return Route()(Place("linear")(Partition()(design(network, chip)))).mapping


def fed(wiring, weight, bits: int = 8) -> IntegerNetwork:
    """Return one population that the host feeds through a wiring."""
    shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
    source = wiring.source_shape if isinstance(wiring, Convolution) else (wiring.sources,)
    return IntegerNetwork(
        Input("input", source),
        (Population("a", shape, HARD, 1),),
        (Projection("input", "a", IntegerSynapses(wiring, weight, 0, bits), 1),),
        "a",
    )


SIGNS = np.array([1, -1])
# Weights of one source to so many targets; words, format, weight bits, whether signs are shared.
# Bits of a row in one entry: 10 + 6 + targets * weight bits, without gaps.
ROWS = {
    "8 bits, both signs": (np.tile(2 * SIGNS, 10), 3, "dense1", 8, False),  # 176
    "all positive, 7 bits are stored as 8": (np.full(20, 2), 3, "dense1", 8, False),
    "multiples of 8 are stored in 6 bits": (np.tile(8 * SIGNS, 12), 3, "dense1", 6, False),  # 160
    "all positive, 5 bits of 6": (np.full(20, 8), 2, "dense1", 5, True),  # 116
    "all negative, 5 bits of 6": (np.full(20, -8), 2, "dense1", 5, True),
    "two stretches: 2 * 16 + 40 * 2 bits, not 16 + 40 * 3":
        (np.repeat(64 * SIGNS, 20), 2, "dense1", 2, True),  # 112, not 136
    "signs change all the time: 16 + 40 * 3 bits":
        (np.tile(64 * SIGNS, 20), 3, "dense1", 3, False),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_cheapest_row(case):
    weight, *wanted = ROWS[case]
    network = fed(Dense(len(weight), 1), weight[:, None])
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    (block,) = mapping.tables.memory
    assert [block.words, block.format, block.weight_bits, block.shared_sign] == wanted


def test_each_source_may_have_a_sign_of_its_own():
    """Excitatory and inhibitory sources, 2 bits for 40 targets: 16 + 80 bits, not 16 + 120."""
    weight = np.tile(np.repeat(64 * SIGNS, 20), (40, 1))
    network = fed(Dense(40, 40), weight)
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    (block,) = mapping.tables.memory
    assert (block.words, block.weight_bits, block.shared_sign) == (40 * 2, 2, True)
    (core,) = measure_usage(network, LOIHI1, mapping)
    assert core.used["synapse_formats"] == 2


WIRINGS = st.sampled_from(["dense", "sparse", "convolution", "groups"])


def wiring(kind: str, rng: np.random.Generator):
    if kind == "dense":
        return Dense(int(rng.integers(1, 90)), int(rng.integers(1, 9)))
    if kind == "sparse":
        synapses = np.argwhere(rng.random((70, 6)) < rng.random()).astype(np.int32)
        return Sparse(synapses[:, 0], synapses[:, 1], 70, 6)
    groups = 1 + (kind == "groups")
    side, kernel, pad = int(rng.integers(3, 7)), int(rng.integers(1, 4)), int(rng.integers(0, 2))
    return Convolution((2, side, side), 4, (kernel,) * 2, (1, 1), (pad,) * 2, (1, 1), groups)


def drawn(kind: str, seed: int) -> IntegerNetwork:
    rng = np.random.default_rng(seed)
    made = wiring(kind, rng)
    low = int(rng.choice([-4, -1, 0]))
    step = int(rng.choice([2, 8, 32, 64]))
    high = 4 if step == 64 else 5
    values = rng.integers(
        low if rng.random() < 0.7 else 0, min(high, 256 // step), made.weight_shape
    )
    return fed(made, values * step if seed % 3 else np.sort(values * step, axis=0))


@settings(max_examples=30)
@given(kind=WIRINGS, seed=st.integers(0, 10**6))
def test_no_legal_encoding_costs_less(kind, seed):
    network = drawn(kind, seed)
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    synapses = network.projections[0].synapses
    for block in mapping.tables.memory:
        if len([b for b in mapping.tables.memory if b.core == block.core]) > 1:
            continue  # blocks of a core share its few formats
        rows = build_rows(synapses, mapping.slices[block.slice])
        found = [encode_rows(rows, one, LOIHI1_ROWS) for one in list_encodings(rows.weight)]
        assert block.words == min(one.words for one in found)


def test_sources_of_one_slice_share_a_population_axon():
    """784 - 128 - 10 on one core: two input axons and two output entries of two each."""
    network = integer_chain(1, 784, 128, 10, neuron=HARD)
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    (core,) = measure_usage(network, LOIHI1, mapping)
    assert (core.used["axons_in"], core.used["axons_out"]) == (1 + 2, 2 * 2)
    assert mapping.tables.lines[:, 3].tolist() == [0, 2]
    rough = measure_usage(network, LOIHI1, mapping, exact=False)[0].used
    assert (rough["axons_in"], rough["axons_out"]) == (1 + 784 + 128, 784 + 128)


def test_sources_that_send_to_two_cores_have_axons_of_their_own():
    network = integer_chain(1, 20, 30, neuron=HARD)
    chip = limited(LOIHI1, compartments=20)
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    assert all(not axons.grouped for axons in mapping.tables.axons)
    assert {axons.count for axons in mapping.tables.axons if axons.source == "a"} == {20}


def test_rows_of_a_group_are_as_large_as_the_largest():
    """Rows of 1, 40 and 40 synapses: 1 + 6 + 6 words, or 18 for two input axons less."""
    target = np.concatenate([[0], np.arange(40), np.arange(40)]).astype(np.int32)
    source = np.repeat([0, 1, 2], [1, 40, 40]).astype(np.int32)
    first = Projection("input", "a", integer_dense(np.full((3, 1), 2), 0, 8), 1)
    synapses = IntegerSynapses(Sparse(target, source, 40, 3), np.full(81, -2), 0, 8)
    second = Projection("a", "b", synapses, 1)
    populations = (Population("a", (3,), HARD, 1), Population("b", (40,), HARD, 2))
    network = IntegerNetwork(Input("input", (1,)), populations, (first, second), "b")
    for words, grouped in ((16384, True), (14, False)):
        chip = limited(LOIHI1, synapse_words=words)
        mapping = mapped(network, chip)
        check(network, chip, mapping)
        block = next(b for b in mapping.tables.memory if b.projection == 1)
        axons = next(a for a in mapping.tables.axons if a.source == "a")
        assert (block.words, bool(axons.grouped)) == ((18, True) if grouped else (13, False))


def damaged(mapping: Mapping, kind: str, **changes) -> Mapping:
    """Return the mapping with the last block changed."""
    *before, last = getattr(mapping.tables, kind)
    tables = replace(mapping.tables, **{kind: (*before, replace(last, **changes))})
    return replace(mapping, tables=tables)


def behind(first, *wirings, seed: int = 0) -> IntegerNetwork:
    """Return neurons with a bias and, one behind the other, what hears them through wirings."""
    rng = np.random.default_rng(seed)
    populations = [Population("p0", first, IntegerCubaLif(4095, 0, 100, 50), 0)]
    projections = []
    for i, made in enumerate(wirings, 1):
        shape = made.target_shape if isinstance(made, Convolution) else (made.targets,)
        populations.append(Population(f"p{i}", shape, HARD, i))
        weight = 2 * rng.integers(-100, 100, made.weight_shape)
        synapses = IntegerSynapses(made, weight, 0, 8)
        projections.append(Projection(f"p{i - 1}", f"p{i}", synapses, 1))
    parts = (tuple(populations), tuple(projections))
    return IntegerNetwork(Input("input", (1,)), *parts, f"p{len(wirings)}")


def test_columns_of_a_convolution_share_population_axons():
    """6 x 2 sources, each with 2 or 3 targets in its column: 12 axons and 3 rows, or 2 and 6."""
    network = behind((1, 6, 2), Convolution((1, 6, 2), 1, (3, 1), (1, 1), (1, 0), (1, 1)))
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    (block,), (axons,) = mapping.tables.memory, mapping.tables.axons
    assert (block.words, block.columns, axons.count) == (6, True, 2)
    (core,) = measure_usage(network, LOIHI1, mapping)
    assert (core.used["axons_in"], core.used["axons_out"]) == (2, 4)
    tight = limited(LOIHI1, synapse_words=5)
    (block,) = mapped(network, tight).tables.memory
    assert (block.words, block.columns) == (3, False)
    with pytest.raises(MappingError) as error:
        check(network, LOIHI1, damaged(mapping, "memory", columns=False))
    assert str(error.value).endswith(
        "p0 -> p1 into p1[0:1, 0:6, 0:2] on core 0 has 6 words, needs 3"
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), cores=st.sampled_from([20, 60, 1024]))
def test_columns_are_counted_by_the_checker_too(seed, cores):
    rng = np.random.default_rng(seed)
    first = wiring("groups" if seed % 2 else "convolution", rng)
    second = Convolution(first.target_shape, 3, (2, 1), (1, 1), (1, 0), (1, 1))
    network = behind(first.source_shape, first, second, seed=seed)
    chip = limited(LOIHI1, compartments=cores)
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    held = count_held(network, chip, mapping)
    for found in measure_usage(network, chip, mapping):
        for resource, by_core in held.items():
            assert by_core[found.core] == found.used[resource], resource


SMALL = limited(LOIHI1, compartments=40, axons_in=90, synapse_words=300, cores=128)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_usage_and_checker_count_the_same_and_no_more_than_before(seed):
    network = random_integer_network(seed, wild=False)
    chip = SMALL.model_copy(update={"neurons": SMALL.neurons | {
        p.neuron.kind: SMALL.neurons["readout"] for p in network.populations}})  # fmt: skip
    try:
        mapping = mapped(network, chip)
    except FitError:
        return
    check(network, chip, mapping)
    held = count_held(network, chip, mapping)
    exact = measure_usage(network, chip, mapping)
    for found, rough in zip(exact, measure_usage(network, chip, mapping, exact=False), strict=True):
        for resource, by_core in held.items():
            assert by_core[found.core] == found.used[resource], resource
        assert found.used["axons_out"] <= rough.used["axons_out"]
        assert found.used["axons_in"] <= rough.used["axons_in"]


WRONG = [
    ("memory", {"weight_bits": 4}, "weights into b[0:20] do not fit 4 bits"),
    ("memory", {"weight_bits": 8}, "a -> b into b[0:20] on core 0 has 60 words, needs 90"),
    ("memory", {"shared_sign": False}, "weights into b[0:20] do not fit 5 bits"),
    ("axons", {"size": 2}, "core 0 has 2 axons from a"),
    ("axons", {"grouped": (1,), "size": 31}, "axons of core 0 from a cannot be shared"),
]


@pytest.mark.parametrize("kind, changes, message", WRONG)
def test_the_checker_refuses(kind, changes, message):
    network = integer_chain(1, 30, 20, neuron=HARD, weight=8)
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    with pytest.raises(MappingError) as error:
        check(network, LOIHI1, damaged(mapping, kind, **changes))
    assert str(error.value).endswith(message)


def test_choices_of_a_core_stay_within_its_formats():
    network = integer_chain(1, 100, 70, 50, 30, 20, 10, neuron=HARD)
    mapping = mapped(network)
    check(network, LOIHI1, mapping)
    for what in choose_contents(network, LOIHI1, mapping).values():
        assert what.used["synapse_formats"] <= 7


# Limits of rows; formats that each core uses, its longest row. 784 - 128 - 10.
ROW_LIMITS = [
    ({}, [(6, 103)]),
    ({"formats": 4}, [(4, 103)]),
    ({"formats": 3}, [(3, 103), (1, 2)]),
    ({"formats": 2}, [(2, 103), (2, 17), (1, 2)]),
    ({"formats": 1}, [(1, 15), (1, 2)]),
    ({"row_words": 103}, [(6, 103)]),
    ({"row_words": 102}, [(5, 52)]),
    ({"row_words": 17}, [(3, 17)]),
    ({"row_words": 5}, [(2, 5)]),
]


@pytest.mark.parametrize("limits, wanted", ROW_LIMITS)
def test_rows_and_formats_stay_within_the_limits(limits, wanted):
    """Slices of a core become one only where its longer rows are possible."""
    network, chip = integer_chain(1, 784, 128, 10, neuron=HARD), limited(LOIHI1, **limits)
    mapping = mapped(network, chip)
    check(network, chip, mapping)
    cores = measure_usage(network, chip, mapping)
    assert [(c.used["synapse_formats"], c.used["row_words"]) for c in cores] == wanted
    assert any(axons.grouped for axons in mapping.tables.axons)


def test_two_formats_are_used_where_there_are_two():
    weight = np.tile(np.repeat(64 * SIGNS, 20), (40, 1))
    network = fed(Dense(40, 40), weight)
    for formats, wanted in ((2, [(80, True)]), (1, [(40, False)] * 3)):
        chip = limited(LOIHI1, formats=formats)
        mapping = mapped(network, chip)
        check(network, chip, mapping)
        assert [(b.words, b.shared_sign) for b in mapping.tables.memory] == wanted
    one = fed(Dense(40, 1), weight[:1].T)  # signs apart are two formats: 2 words, else 3
    for formats, words in ((2, 2), (1, 3)):
        (block,) = mapped(one, limited(LOIHI1, formats=formats)).tables.memory
        assert block.words == words


LONG = [
    ({"row_words": 102}, "input -> a into a[0:784] has a row of 103 words, at most 102"),
    ({"formats": 1}, "core 0 has 2 synapse formats of 1"),
]


@pytest.mark.parametrize("limits, message", LONG)
def test_the_checker_refuses_rows_and_formats_beyond_the_limits(limits, message):
    network = integer_chain(1, 784, 128, 10, neuron=HARD)
    with pytest.raises(MappingError) as error:
        check(network, limited(LOIHI1, **limits), mapped(network))
    assert str(error.value).startswith(f"the mapping is wrong: {message}")
