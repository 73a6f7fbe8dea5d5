"""Programs out of the whole pipeline: every simulator, the source and real Lava agree.

1,000 programs of one seed: every spike and state, in every time step, of the plain and the compiled
simulator; plain Python for a sample; the float records where their arithmetic is exact; for an
integer source its own spikes, which no pass may change. 200 of them run on real Lava.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import plain
import pytest
import torch
from drawn_programs import (
    METHODS,
    ORIGINS,
    TOGETHER,
    Case,
    draw_case,
    draw_input,
    join,
    origin_of,
    restate_as_floats,
)
from lava_states import reference_with_states, run_with_states

from snncompile import registry
from snncompile.ir.graph import IntegerNetwork
from snncompile.reference.simulate import check_spikes, run_batches

SEED = 14
"""Of the programs; program i of this seed is always the same."""
CHUNK = 50
SHORT = 6, 2
"""Time steps and samples that plain Python runs."""


def cases_of(group: int, count: int = TOGETHER) -> list[Case]:
    return [draw_case(SEED, group * TOGETHER + i) for i in range(count)]


def run_all(network, x, fast: bool):
    """Return the outputs of every population and its states, step by step, as one table."""
    table: dict[tuple[str, str | int], list[torch.Tensor]] = {}

    def watch(name, step, state) -> None:
        table.setdefault((name, step), []).append(torch.stack(state).clone())

    for batch in run_batches(network, check_spikes(network, x), fast=fast, watch=watch):
        for name, train in batch.items():
            table.setdefault((name, "output"), []).append(train)
    return table


def compare_ways(case: Case) -> list[str]:
    """Compare the plain simulator with the compiled one."""
    slow, fast = (run_all(case.program.network, case.x, fast=way) for way in (False, True))
    assert slow.keys() == fast.keys()
    return [
        f"compiled: {name} {what}"
        for (name, what), parts in slow.items()
        if not all(torch.equal(a, b) for a, b in zip(parts, fast[name, what], strict=True))
    ]


def compare_source(case: Case) -> list[str]:
    """Compare with an integer source: retiming, pruning, splits and cuts change no spike."""
    if not isinstance(case.source, IntegerNetwork):
        return []
    same = np.array_equal(case.program.run(case.x).spikes, case.source.run(case.x).spikes)
    return [] if same else ["the source has other spikes"]


def compare_floats(case: Case) -> list[str] | None:
    """Compare with the float records of the same numbers; None where they are not exact."""
    floats = restate_as_floats(case.program.network)
    if floats is None or not all(bound.holds for bound in case.program.bounds):  # it may wrap
        return None
    integers = run_all(case.program.network, case.x, fast=False)
    (batch,) = run_batches(floats, check_spikes(floats, case.x), fast=False)
    return [
        f"floats: {p.name}"
        for p in floats.populations
        if not torch.equal(batch[p.name].double(), integers[p.name, "output"][0].double())
    ]


def compare_plain(case: Case) -> list[str]:
    """Compare a few steps with plain Python."""
    steps, samples = SHORT
    x = case.x[:samples, :steps]
    (batch,) = run_batches(case.program.network, check_spikes(case.program.network, x))
    return [
        f"plain Python: {name}, sample {sample}"
        for sample, outputs in enumerate(plain.simulate(case.program.network, x))
        for name, output in outputs.items()
        if not (batch[name][sample].numpy().reshape(output.shape) == output).all()
    ]


def list_mismatches(case: Case, seen: Counter[str] | None = None) -> list[str]:
    floats = compare_floats(case)
    if seen is not None:
        seen.update(list_features(case))
        seen["floats are exact"] += floats is not None
    return compare_ways(case) + compare_source(case) + (floats or []) + compare_plain(case)


FEATURES = (
    *ORIGINS,
    *METHODS,
    *("delay relays", "sums of parts", "a range of sources", "pruned", "several slices"),
    *("several populations on a core", "over 100 samples", "100 steps", "floats are exact"),
    *("readout", "numbers as spikes", "loop", "8 bits", "fewer bits", "spikes at the output"),
)


def list_features(case: Case) -> set[str]:
    """Return what a Program has and went through."""
    network, mapping = case.program.network, case.program.mapping
    log = "\n".join(case.program.log)
    wirings = [p.synapses.wiring.kind for p in network.projections]
    order = [network.input.name, *(p.name for p in network.populations)]
    per_core = Counter(core for _, core in {(s.population, s.core) for s in mapping.slices})
    slices = Counter(s.population for s in mapping.slices)
    conditions = {
        "delay relays": any("_relay" in name or "_delay" in name for name in order),
        "sums of parts": any(p.neuron.name == "accumulate" for p in network.populations),
        "a range of sources": any(kind == "source_range" for kind in wirings),
        "pruned": "prune: dropped" in log,
        "several slices": max(slices.values()) > 1,
        "several populations on a core": max(per_core.values()) > 1,
        "over 100 samples": len(case.x) > 100,
        "100 steps": case.x.shape[1] >= 100,
        "readout": not network.population(network.output).neuron.spikes,
        "numbers as spikes": any(p.neuron.payload.high > 1 for p in network.populations),
        "loop": any(order.index(p.source) >= order.index(p.target) for p in network.projections),
        "8 bits": any(p.synapses.bits == 8 for p in network.projections),
        "fewer bits": any(p.synapses.bits < 8 for p in network.projections),
        "spikes at the output": bool(case.program.run(case.x).spikes.any()),
    }
    methods = {m for m in METHODS if f"convert: {registry.load('conversions', m).__name__}(" in log}
    return {name for name, holds in conditions.items() if holds} | methods


SAMPLE = (*range(18), 21)
"""Groups of `make test`: every origin in every frame, every method, delay relays.

One program of each."""


def test_a_sample_agrees_everywhere_and_has_everything():
    seen: Counter[str] = Counter()
    for group in SAMPLE:
        (case,) = cases_of(group, 1)
        seen[origin_of(group)] += 1
        assert list_mismatches(case, seen) == [], f"program {group * TOGETHER} of seed {SEED}"
    assert [feature for feature in FEATURES if not seen[feature]] == []


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(1000 // CHUNK))
def test_a_thousand_programs_agree_everywhere(chunk):
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        assert list_mismatches(draw_case(SEED, number)) == [], f"program {number} of seed {SEED}"


def compare_with_lava(group: int, count: int = TOGETHER) -> list[str]:
    """Return where Lava differs; programs of a group share one start of it."""
    cases = cases_of(group, count)
    joined, x = join(cases), cases[0].x[:SHOWN]
    computed, kept = run_with_states(joined, x)
    expected, states = reference_with_states(joined, x)
    assert kept.keys() == states.keys()
    return [
        f"{name}: sample {place[0]}, step {place[1]}, neuron {place[2]}"
        for found, wanted in ((computed, expected), (kept, states))
        for name in wanted
        for place in np.argwhere(found[name] != wanted[name])[:1]
    ]


SHOWN = 20
"""Samples that Lava is shown: 2,000 steps at most."""


@pytest.mark.lava
@pytest.mark.parametrize("group", [0, 1, 2])
def test_lava_agrees_on_a_sample(lava, group):
    assert compare_with_lava(group, 2) == []


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.very_slow
@pytest.mark.parametrize("group", range(200 // TOGETHER))
def test_lava_agrees_on_two_hundred_programs(lava, group):
    assert compare_with_lava(group) == []


def test_programs_of_a_group_share_their_input():
    for group in range(3):
        first, second = cases_of(group, 2)
        assert np.array_equal(first.x, second.x)
        assert np.array_equal(first.x, draw_input(SEED, group))
        assert first.program.network.input.shape == second.program.network.input.shape
