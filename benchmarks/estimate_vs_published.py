"""Our estimates beside published measurements: what is assumed, both numbers, their ratio.

    python benchmarks/estimate_vs_published.py [--case pilotnet|s4d|qp|mlp|cnn|mobilenet|braille]
    python benchmarks/estimate_vs_published.py --table [--quick]           # all cases, one table
    python benchmarks/estimate_vs_published.py ... --pilotnet network.net  # and its own spikes

`network.net` is that of lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn: its weights and biases,
cut as Intel's compiler cut it, run with a silent input as it was. Else in every step every neuron
of a layer fires at random with the same probability: that of the run where it is known, else three
probabilities. Every potential counts as written. Cores hold equal shares of their layer: ranges of
its columns, or of its neurons where it has no columns. Models and cost sets as `snncompile
estimate` has them; no constant is tuned here.
The set `measured` of Loihi 2 *is* fitted: its energies to the dynamic energy of PilotNet with
random spikes at its rates (with its own it has more), its time of a synaptic operation to the times
of PilotNet's steps; held out are PilotNet's total, S4D and QP.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pilotnet_run
import torch
from published_measurements import CASES, Case, dense, network

import snncompile
from snncompile.backends.energy.activity import Activity, from_spike_trains
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.counts import make_chip_machine
from snncompile.backends.energy.estimate import Estimate, Ledger
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.program import Program

FIGURES: dict[str, Callable[[Estimate], float]] = {
    "us per step": lambda e: e.latency_s / e.steps * 1e6,
    "ms per inference": lambda e: e.latency_s * 1e3,
    "mJ dynamic": lambda e: e.dynamic_j * 1e3,
    "mJ total": lambda e: e.energy_j * 1e3,
}
"""Figures that are compared."""
MOST_STEPS = 32
Run = tuple[Program, Activity]
"""A Program, and the activity of steps in which all its populations run."""


def program_of(case: Case) -> Program:
    """Return the Program with the published number of cores; no limit is checked."""
    tiny = network([(1,), (1,)], [dense(1, 1)])
    program = snncompile.compile(tiny, chip=case.chip, prune=False)
    whole, slices = put_zeros(case.network(), case.used), []
    for p, count in zip(whole.populations, case.cores, strict=True):
        slices += shares(p, count, len(slices))
    mesh = program.chip.mesh
    columns, per_tile = mesh.tile_columns.whole or 1, mesh.cores_per_tile.whole or 1
    sites = []
    on_chip = mesh.cores.whole or len(slices)
    for core in range(len(slices)):
        chip, place = divmod(core, on_chip)
        y, x = divmod(place // per_tile, columns)
        sites.append(Site(core, columns - 1 - x if y % 2 else x, y, chip))
    mapping = Mapping(tuple(slices), tuple(sites), len({site.chip for site in sites}))
    return dataclasses.replace(program, network=whole, mapping=mapping)


def put_zeros(whole: IntegerNetwork, used: tuple[float, ...]) -> IntegerNetwork:
    """Return the network with weights of which only a share, drawn at random, is not zero."""
    rng = np.random.default_rng(0)
    projections = []
    for i, p in enumerate(whole.projections):
        share = used[i] if i < len(used) else 1.0
        weight = 2 * (rng.random(p.synapses.wiring.weight_shape) < share)
        synapses = dataclasses.replace(p.synapses, weight=weight)
        projections.append(dataclasses.replace(p, synapses=synapses))
    return dataclasses.replace(whole, projections=tuple(projections))


def shares(p: Population, count: int, core: int) -> list[Slice]:
    """Return equal shares of the last axis."""
    length = p.shape[-1] if len(p.shape) > 1 else p.size
    shape = p.shape if len(p.shape) > 1 else (p.size,)
    ends = [length * i // count for i in range(count + 1)]
    rest = shape[:-1]
    return [
        Slice(p.name, shape, (*(0 for _ in rest), a), (*rest, b), core + i)
        for i, (a, b) in enumerate(pairwise(ends))
    ]


def random_activity(whole: IntegerNetwork, steps: int, rate: float | tuple[float, ...]) -> Activity:
    """Return one sample in which every neuron fires at random."""
    rates = rate if isinstance(rate, tuple) else (rate,) * len(whole.populations)
    random = torch.Generator().manual_seed(0)
    spike_trains = {"host": torch.zeros((1, steps, 1), dtype=torch.bool)}
    for p, own in zip(whole.populations, rates, strict=True):
        spike_trains[p.name] = torch.rand((1, steps, p.size), generator=random) < own
    charged = {p.name: torch.ones((1, steps, p.size), dtype=torch.uint8) for p in whole.populations}
    return from_spike_trains(whole, spike_trains, charged)


def estimate(run: Run, timing: str, costs: str, steps: int) -> Estimate:
    """Return the estimate of one inference from its steady steps."""
    program, activity = run
    chosen = find_costs(program.chip, costs)
    ledger = Ledger(make_chip_machine(program), chosen, timing, "chip", activity.steps)
    ledger.add(activity)
    found = ledger.close()
    factor = steps / activity.steps
    assert found.latency_s is not None, f"{costs} has no times"
    rows = tuple(
        dataclasses.replace(row, count=None if row.count is None else row.count * factor)
        for row in found.rows
    )
    return dataclasses.replace(found, rows=rows, steps=steps, latency_s=found.latency_s * factor)


def steady(whole: IntegerNetwork, rate: float | tuple[float, ...], steps: int) -> Activity:
    """Return the activity of steps in which all populations run."""
    last = max(p.phase for p in whole.populations)
    activity = random_activity(whole, steps + last, rate)
    start = activity.step_start[last : last + steps + 1]
    part = slice(last, last + steps)
    neuron = activity.neuron[start[0] : start[-1]]
    return Activity(1, steps, start - start[0], neuron, activity.status[part])


def show(case: Case, quick: bool, path: Path | None) -> None:
    """Print one case."""
    program = program_of(case)
    neurons = sum(p.size for p in program.network.populations)
    print(
        f"\n{case.title}\n{neurons:,} neurons on {program.mapping.cores} cores, {case.steps} steps"
    )
    print(f"assumed: {case.assumed}")
    print(f"{'cost set':16} {'timing':6} {'activity':>8}", end="")
    print("".join(f" {name:>26}" for name in FIGURES))
    runs = list_runs(case, program, quick)
    runs += [(pilotnet_run.read(path), "its own")] if path and case is CASES["pilotnet"] else []
    missing: dict[str, None] = {}
    for costs in case.sets:
        for timing in ("fast", "cycle"):
            for run, label in runs:
                found = estimate(run, timing, costs, case.steps)
                missing |= dict.fromkeys(found.missing)
                print(f"{costs:16} {timing:6} {label:>8}", end="")
                print("".join(f" {compared(case, name, found):>26}" for name in FIGURES))
    measured = (format_span(*case.measured[n]) if n in case.measured else "-" for n in FIGURES)
    print(f"{'measured':16} {'':6} {'':>8}{''.join(f' {value:>26}' for value in measured)}")
    if missing:
        print(f"missing in ours: {', '.join(missing)}")


def list_runs(case: Case, program: Program, quick: bool) -> list[tuple[Run, str]]:
    """Return the program with each activity of a case, and how the activity is called."""
    steps = min(case.steps, 4 if quick else MOST_STEPS)
    return [
        (
            (program, steady(program.network, rate, steps)),
            "known" if isinstance(rate, tuple) else f"{rate:.0%}",
        )
        for rate in case.activities
    ]


def tabulate(names: list[str], quick: bool, path: Path | None) -> None:
    """Print one row per measured figure, by the first cost set of each case, and what ours lack."""
    lacking = []
    print("| | | measured | ours | ratio |\n|---|---|---|---|---|")
    for case in (CASES[name] for name in names):
        runs = [run for run, _ in list_runs(case, program_of(case), quick)]
        if path and case is CASES["pilotnet"]:
            runs = [pilotnet_run.read(path)]
        found = [estimate(run, case.timing, case.sets[0], case.steps) for run in runs]
        for name, (low, high) in case.measured.items():
            values = [FIGURES[name](one) for one in found]
            ours, ratio = (min(values), max(values)), (min(values) / high, max(values) / low)
            how = "fitted" if name in case.fitted else "held out"
            title = f"{case.title.partition(' (')[0]}, {name} ({case.timing})"
            print(f"| {title} | {how} | {format_span(low, high)} | {format_span(*ours, '.3g')} |"
                  f" {format_span(*ratio, '.2f')} |", flush=True)  # fmt: skip
        untimed = list(dict.fromkeys(event for one in found for event in one.untimed))
        if untimed:
            lacking.append(f"{case.title.partition(' (')[0]}: ours lacks {', '.join(untimed)}")
    print("", *lacking, sep="\n")


def compared(case: Case, name: str, found: Estimate) -> str:
    """Return `12.3 (0.5 to 0.6 x)`: ours and its ratio to the measured figures."""
    value = FIGURES[name](found)
    if name not in case.measured:
        return f"{value:.4g}"
    low, high = case.measured[name]
    return f"{value:.4g} ({format_span(value / high, value / low, '.2f')} x)"


def format_span(low: float, high: float, form: str = ".4g") -> str:
    """Return `0.5 to 0.6`, or one number where both are written alike."""
    ends = [format(end, form) for end in (low, high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def main() -> None:
    """Print all cases or one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--quick", action="store_true", help="4 steps of each instead of up to 32")
    parser.add_argument("--table", action="store_true", help="one row per measured figure")
    parser.add_argument("--pilotnet", type=Path, help="PilotNet LIF's own network.net, of lava-dl")
    options = parser.parse_args()
    names = [options.case] if options.case else list(CASES)
    if options.pilotnet and "pilotnet" in names:
        pilotnet_run.show(options.pilotnet)
    if options.table:
        tabulate(names, options.quick, options.pilotnet)
        return
    for name in names:
        show(CASES[name], options.quick, options.pilotnet)


if __name__ == "__main__":
    main()
