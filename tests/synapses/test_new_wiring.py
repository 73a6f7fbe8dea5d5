"""A wiring that offers its matrix alone is taken everywhere, as the `Sparse` of its matrix is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
import torch
from banded import Banded, banded, install, unroll_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, design, limited, spikes

import snncompile
from snncompile.backends.lava.emit import emit
from snncompile.backends.netx.write import list_layers
from snncompile.backends.nir.write import make_graph
from snncompile.backends.sanafe.run import run as run_sanafe
from snncompile.checker.mapping import check
from snncompile.errors import InputError, MappingError
from snncompile.hwmodels import chips
from snncompile.ir.delays import split_by_delay
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.prune.prune import Prune
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.split_fan_in.split_fan_in import Accumulate
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.base import IntegerSynapses, Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import unroll_synapses

SEEDS = st.integers(0, 10**6)
KERNELS = Convolution((2, 10), 3, (3,), (1,), (1,), (1,))


def wirings(seed: int) -> list[tuple[str, str, Wiring, int]]:
    """Return (source, target, wiring, own delay): bands beside others, and in a loop."""
    return [
        ("input", "a", banded(24, 20, 5, seed), 0),
        ("a", "b", banded(30, 24, 4, seed + 1), 0),
        ("input", "b", KERNELS, 1),
        ("b", "b", banded(30, 30, 3, seed + 2), 2),
        ("b", "c", Dense(6, 30), 0),
        ("a", "c", SourceRange(banded(6, 18, 7, seed + 3), 4, 24), 0),
        ("c", "c", Scale(6), 2),
    ]


def floats(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    projections = [
        Projection(s, t, Synapses(w, rng.normal(0.2, 0.5, w.weight_shape)), delay)
        for s, t, w, delay in wirings(seed)
        if not isinstance(w, SourceRange)  # of integer networks alone
    ]
    populations = (
        Population("a", (24,), CubaLif(0.6, 0.2, 0.7)),
        Population("b", (3, 10), IntegrateFire(1.1, 0.02, "soft")),
        Population("c", (6,), CubaLif(1.0, 0.1, 0.9)),
    )
    return Network(Input("input", (2, 10)), populations, tuple(projections), "c")


def integers(seed: int) -> IntegerNetwork:
    rng = np.random.default_rng(seed)
    phases = {"input": 0, "a": 1, "b": 2, "c": 3}
    projections = []
    for s, t, w, delay in wirings(seed):
        weight = rng.integers(-60, 100, w.weight_shape) * 2
        apart = phases[t] - phases[s] + delay
        projections.append(Projection(s, t, IntegerSynapses(w, weight, -1, 8), max(apart, 1)))
    populations = (
        Population("a", (24,), IntegerCubaLif(3000, 500, 60), 1),
        Population("b", (3, 10), IntegerIntegrateFire(90), 2),
        Population("c", (6,), IntegerCubaLif(4095, 100, 150), 3),
    )
    return IntegerNetwork(Input("input", (2, 10)), populations, tuple(projections), "c")


def listed(network):
    """Return the network with a `Sparse` for each wiring that is no other one."""
    projections = tuple(
        replace(p, synapses=unroll_synapses(p.synapses))
        if isinstance(p.synapses.wiring.plain, Banded)
        else p
        for p in network.projections
    )
    return replace(network, projections=projections)


def sums(network) -> list:
    """Return what projections do, without the form of their wirings."""
    ours = []
    for p in network.projections:
        matrix = p.synapses.wiring.matrix(p.synapses.weight)
        matrix.sort_indices()
        parts = matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()
        numbers = (p.synapses.exponent, p.synapses.bits) if hasattr(p.synapses, "bits") else ()
        ours.append((p.source, p.target, p.delay, *numbers, matrix.shape, *parts))
    return ours


def neurons(network) -> list[str]:
    return [str(p) for p in network.populations]


@settings(max_examples=30)
@given(seed=SEEDS)
def test_its_matrix_is_that_of_its_synapses(seed):
    for _, _, wiring, _ in wirings(seed):
        weight = np.random.default_rng(seed).normal(size=wiring.weight_shape)
        each = unroll_synapses(Synapses(wiring, weight))
        wanted = wiring.matrix(weight).toarray()
        assert (each.wiring.matrix(each.weight).toarray() == wanted).all()
        assert (each.wiring.fan_in == wiring.fan_in).all()
        assert each.wiring.synapses == wiring.synapses


@settings(max_examples=15)
@given(seed=SEEDS)
def test_floats_and_integers_run_the_same(seed):
    for network in (floats(seed), integers(seed)):
        x = check_spikes(network, spikes(network, 3, 7, seed))
        ours, wanted = (next(iter(run_batches(n, x))) for n in (network, listed(network)))
        for name, train in wanted.items():
            assert torch.equal(ours[name], train), name


@settings(max_examples=15)
@given(seed=SEEDS)
def test_compiled_and_plain_run_the_same(seed):
    network = integers(seed)
    x = check_spikes(network, spikes(network, 3, 7, seed))
    fast, plain = (next(iter(run_batches(network, x, fast=way))) for way in (True, False))
    for name, train in plain.items():
        assert torch.equal(fast[name], train), name


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2], ids=["loihi1", "loihi2"])
def test_the_same_integers(chip, bits):
    """With one scale; with more, bands that share a weight share a scale, and a `Sparse` none."""
    network = floats(3)
    x = spikes(network, 6, 8)
    ours, wanted = (
        Quantize(bits, scales="population")(design(n, chip, x)) for n in (network, listed(network))
    )
    assert sums(ours.network) == sums(wanted.network)
    assert neurons(ours.network) == neurons(wanted.network)
    for left, other in zip(ours.quantized, wanted.quantized, strict=True):
        # a weight that is shared counts once
        left_out = {"weight_error"}
        assert left.model_dump(exclude=left_out) == other.model_dump(exclude=left_out)
        assert 0 < left.weight_error < 0.2
    kinds = [p.synapses.wiring.kind for p in ours.network.projections]
    assert kinds == ["banded", "banded", "convolution", "banded", "dense", "scale"]


def test_the_same_bounds():
    assert prove_bounds(integers(1), LOIHI2, 9) == prove_bounds(listed(integers(1)), LOIHI2, 9)


def weak(network, population: str, neurons):
    """Return the network with thresholds of some neurons that they never reach."""
    populations = []
    for p in network.populations:
        if p.name == population:
            threshold = np.full(p.size, int(p.neuron.threshold))
            threshold[neurons] = 130_000
            p = replace(p, neuron=replace(p.neuron, threshold=threshold))
        populations.append(p)
    return replace(network, populations=tuple(populations))


def test_the_same_neurons_are_pruned():
    network = weak(integers(5), "a", [0, 7, 8, 23])
    weight = network.projections[3].synapses.weight.copy()
    weight[1, 1] = 0
    synapses = replace(network.projections[3].synapses, weight=weight)
    projections = list(network.projections)
    projections[3] = replace(projections[3], synapses=synapses)
    network = replace(network, projections=tuple(projections))
    ours, wanted = (Prune()(design(n, LOIHI2)) for n in (network, listed(network)))
    assert ours.log == wanted.log
    assert "4 of 24 neurons of a" in ours.log[-1]
    assert sums(ours.network) == sums(wanted.network)
    assert neurons(ours.network) == neurons(wanted.network)


def test_what_is_not_pruned_stays_what_it_is():
    network = integers(5)
    done = Prune()(design(network, LOIHI2))
    assert done.network is network or str(done.network) == str(network)
    assert done.log[-1] == "prune: nothing is dead"


def test_the_same_relays():
    chip = limited(LOIHI2, axons_in=6, cores=120)
    network = integers(2)
    ours, wanted = (Accumulate()(design(n, chip)) for n in (network, listed(network)))
    assert ours.log == wanted.log
    assert "relay neurons" in ours.log[-1]
    assert sums(ours.network) == sums(wanted.network)
    assert neurons(ours.network) == neurons(wanted.network)


def small() -> IntegerNetwork:
    """Return bands alone, with neurons and weights that every chip has."""
    rng = np.random.default_rng(0)
    first, second = banded(12, 16, 4), banded(5, 12, 6, 1)
    neuron = IntegerIntegrateFire(6, reset="soft")
    return IntegerNetwork(
        Input("input", (16,)),
        (Population("a", (12,), neuron, 1), Population("b", (5,), neuron, 2)),
        (
            Projection("input", "a", IntegerSynapses(first, _units(rng, first), -6, 3), 1),
            Projection("a", "b", IntegerSynapses(second, _units(rng, second), -6, 3), 1),
        ),
        "b",
    )


def _units(rng, wiring):
    return rng.integers(-1, 4, wiring.weight_shape) * 64


ALL = {name: chips.load_chip(name) for name in chips.list_names()}


@dataclass(frozen=True)
class Outcome:
    """What became of a network on a chip, or the message of its refusal."""

    message: str | None = None
    program: snncompile.Program | None = None


def outcome(network, chip) -> Outcome:
    try:
        return Outcome(program=snncompile.compile(network, chip=chip, prune=False))
    except snncompile.errors.SnnCompileError as error:
        return Outcome(message=str(error))


@pytest.mark.parametrize("chip", ALL)
def test_every_chip_holds_the_same(chip):
    """Compiled, which the checker accepts; or refused in the same words, but for the kind."""
    ours, wanted = (outcome(n, chip) for n in (small(), listed(small())))
    if wanted.program is None:
        assert ours.message is not None
        assert ours.message.replace("banded", "sparse") == wanted.message
        return
    assert ours.program is not None, ours.message
    assert ours.program.usage() == wanted.program.usage()
    assert str(ours.program.mapping) == str(wanted.program.mapping)
    assert ours.program.mapping.tables == wanted.program.mapping.tables


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_the_same_slices_where_cores_are_small(name):
    sources = 60 if name == "loihi2" else 40  # there every core has an axon of every source
    chip = limited(ALL[name], compartments=9, axons_in=sources, synapse_words=80, cores=120)
    ours, wanted = (outcome(n, chip) for n in (integers(4), listed(integers(4))))
    assert ours.program is not None, ours.message
    assert ours.program.mapping.cores > 5
    assert ours.program.mapping == wanted.program.mapping
    assert ours.program.log == wanted.program.log


def test_the_checker_wants_every_row():
    """Rows of bands are neither shared nor stored by columns, whatever a table says."""
    program = outcome(integers(4), LOIHI1).program
    mapping = program.mapping
    assert mapping.tables.memory[0].words > 4
    for words in range(1, mapping.tables.memory[0].words):
        with pytest.raises(MappingError, match=f"has {words} words, needs"):
            check_with(program, words=words, shared_sign=True)
    with pytest.raises(MappingError, match="words of core 0 shares rows that differ"):
        check_with(program, shared=True)
    with pytest.raises(MappingError, match="words of core 0 has columns that share no rows"):
        check_with(program, columns=True)


def check_with(program, **changes) -> None:
    """Check a mapping whose first block of memory is another one."""
    tables = program.mapping.tables
    memory = (replace(tables.memory[0], **changes), *tables.memory[1:])
    mapping = replace(program.mapping, tables=replace(tables, memory=memory))
    check(program.network, program.chip, mapping)


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_the_same_estimate(name):
    ours, wanted = (outcome(n, ALL[name]).program for n in (integers(4), listed(integers(4))))
    x = spikes(integers(4), 2, 6)
    for model in ("fast", "cycle"):
        left, other = (str(asdict(program.estimate(x, timing=model))) for program in (ours, wanted))
        assert left == other
        assert "synaptic" in left


def test_sanafe_counts_the_same():
    ours, wanted = (outcome(n, LOIHI1).program for n in (small(), listed(small())))
    x = spikes(small(), 1, 6)
    left, other = (run_sanafe(program, x, costs="sanafe") for program in (ours, wanted))
    assert left.synaptic_ops.tolist() == other.synaptic_ops.tolist()
    assert left.synaptic_ops.sum() > 0
    assert left.energy_j.tolist() == other.energy_j.tolist()


def test_lava_gets_the_same_text():
    network = integers(4)
    ours, wanted = (emit(n) for n in (network, listed(network)))
    assert ours.texts == wanted.texts
    assert ours.arrays.keys() == wanted.arrays.keys()
    for name, array in wanted.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


def test_a_net_file_has_the_same_layers():
    network = small()
    hard = tuple(replace(p, neuron=IntegerCubaLif(4095, 0, 5)) for p in network.populations)
    plain = tuple(replace(p, synapses=replace(p.synapses, exponent=0)) for p in network.projections)
    network = replace(network, populations=hard, projections=plain)
    same_tree(list_layers(network), list_layers(listed(network)))


def test_a_nir_file_has_the_same_nodes():
    network = Network(
        Input("input", (20,)),
        (Population("a", (24,), CubaLif(1.0, 0.0, 0.7, reset="soft")),),
        (Projection("input", "a", Synapses(banded(24, 20, 5), np.arange(10.0).reshape(2, 5))),),
        "a",
    )
    same_tree(make_graph(network, 1e-3), make_graph(listed(network), 1e-3))


def same_tree(left, other) -> None:
    """Compare dictionaries and lists of arrays."""
    assert type(left) is type(other)
    if isinstance(left, dict | list):
        assert len(left) == len(other)
        for key in left if isinstance(left, dict) else range(len(left)):
            same_tree(left[key], other[key])
    else:
        assert np.array_equal(left, other)


def test_a_network_and_a_program_are_read_back(tmp_path, monkeypatch):
    install(monkeypatch)
    network = integers(6)
    network.save(tmp_path / "network")
    again = snncompile.load(tmp_path / "network")
    assert str(again) == str(network)
    assert sums(again) == sums(network)
    assert again.projections[0].synapses.wiring.kind == "banded"
    program = snncompile.compile(network, chip="loihi2")
    program.save(tmp_path / "program")
    again = snncompile.load(tmp_path / "program")
    assert str(again) == str(program)
    assert again.mapping == program.mapping


def test_a_file_needs_the_package_of_its_wiring(tmp_path):
    path = tmp_path / "network"
    integers(6).save(path)
    with pytest.raises(InputError) as error:
        snncompile.load(path)
    known = "convolution, dense, scale, source_range, sparse, transposed_convolution"
    assert str(error.value) == f"{path}: no wiring called 'banded'; known: {known}"


def test_as_text():
    assert "projection a -> b banded 30x24 weight=[" in str(integers(0))
    assert "projection a -> c banded 6x18 from 4:22 of 24 weight=[" in str(integers(0))


def test_delays_per_synapse_are_the_same():
    for left, other in zip(integers(0).projections, listed(integers(0)).projections, strict=True):
        size = left.synapses.wiring.targets, left.synapses.wiring.sources
        delays = np.random.default_rng(0).integers(0, 3, size)
        ours, wanted = (split_by_delay(p, delays) for p in (left, other))
        assert [p.delay for p in ours] == [p.delay for p in wanted]
        for a, b in zip(ours, wanted, strict=True):
            assert (unroll_weights(a.synapses) == unroll_weights(b.synapses)).all()
