"""The estimator against SANA-FE's detailed model: the same networks, the same spikes, one run each.

    python benchmarks/estimator_vs_sanafe.py [--steps 200] [--network dense|convolution] [--linear]

Networks: three dense layers of 1024 neurons at about 10 % activity; two convolutions, 17,496
neurons with the input and 3.5 million synapses, at about 300 spikes per step; neurons on Loihi 1's
cores in their order.
Ours runs by our own rules (account `chip`: a queue per link, finite buffers, back-pressure) on the
cost set `sanafe`, SANA-FE by its own, so that the same spikes take other times on the chip.
"From activity": the functional simulation is left out on our side, SANA-FE has no such split.
`--linear` shows the cost per message from a thousand to ten million messages instead.

Each side runs in a process of its own, so that the memory is its own; SANA-FE takes up to 7 GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import snncompile
from snncompile.backends.energy.activity import (
    MOST_EVENTS,
    Activity,
    count_network_steps,
    record,
    record_sample,
)
from snncompile.backends.energy.costs import Costs, find_costs
from snncompile.backends.energy.counts import Machine, make_chip_machine, make_sanafe_machine
from snncompile.backends.energy.cycle import Times
from snncompile.backends.energy.estimate import Ledger
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.program import Program
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

COPY, NOISE, THRESHOLD = 200, 2, 100
"""A neuron fires when the neuron before it does: one strong synapse, all others are weak."""
RATES = {"dense": 0.1, "convolution": 0.018}


def dense() -> IntegerNetwork:
    """Return three dense layers of 1024."""
    rng = np.random.default_rng(0)
    synapses = []
    for _ in range(3):
        weight = rng.choice([-NOISE, NOISE], (1024, 1024))
        np.fill_diagonal(weight, COPY)
        synapses.append(integer_dense(weight, 0, 8))
    return chain(Input("input", (1024,)), [(1024,)] * 3, synapses)


def convolution() -> IntegerNetwork:
    """Return convolutions 4x27x27 -> 8x27x27 (5x5) -> 12x27x27 (7x7)."""
    rng = np.random.default_rng(0)
    shapes, kernels = [(4, 27, 27), (8, 27, 27), (12, 27, 27)], [5, 7]
    synapses = []
    for before, after, k in zip(shapes, shapes[1:], kernels, strict=False):
        wiring = Convolution(before, after[0], (k, k), (1, 1), (k // 2, k // 2), (1, 1))
        weight = rng.choice([-NOISE, NOISE], wiring.weight_shape)
        for channel in range(after[0]):
            weight[channel, channel % before[0], k // 2, k // 2] = COPY
        synapses.append(IntegerSynapses(wiring, weight, 0, 8))
    return chain(Input("input", shapes[0]), shapes[1:], synapses)


def chain(
    source: Input, shapes: list[tuple[int, ...]], synapses: list[IntegerSynapses]
) -> IntegerNetwork:
    """Return populations behind each other that fire on one strong spike and forget the rest."""
    names = [source.name, *(f"layer{i + 1}" for i in range(len(shapes)))]
    neuron = IntegerCubaLif(4095, 4095, THRESHOLD)
    return IntegerNetwork(
        source,
        tuple(
            Population(name, shape, neuron, i + 1)
            for i, (name, shape) in enumerate(zip(names[1:], shapes, strict=True))
        ),
        tuple(Projection(names[i], names[i + 1], s, 1) for i, s in enumerate(synapses)),
        names[-1],
    )


def on_cores(network: IntegerNetwork, most: int = 1024) -> Program:
    """Return a Program on Loihi 1 with `most` neurons per core, tile after tile, no limit checked.

    SANA-FE checks nothing but the number of neurons either.
    """
    one = chain(Input("input", (1,)), [(1,)], [integer_dense([[COPY]], 0, 8)])
    program = snncompile.compile(one, chip="loihi1")
    slices = []
    for p in network.populations:
        slices += [
            Slice.from_range(p, start, min(start + most, p.size), len(slices) + i)
            for i, start in enumerate(range(0, p.size, most))
        ]
    tiles = [divmod(core // 4, 4) for core in range(len(slices))]
    sites = tuple(Site(core, x, y) for core, (x, y) in enumerate(tiles))
    return dataclasses.replace(program, network=network, mapping=Mapping(tuple(slices), sites))


def spikes(network: IntegerNetwork, steps: int, rate: float) -> NDArray[np.uint8]:
    """Return random input of one sample."""
    shape = (1, steps, *network.input.shape)
    return (np.random.default_rng(1).random(shape) < rate).astype(np.uint8)


NETWORKS = {"dense": dense, "convolution": convolution}


def ours(name: str, steps: int) -> dict[str, Any]:
    """Time our side: set-up, functional simulation, both timings."""
    imported = gigabytes()
    network = NETWORKS[name]()
    program, x = on_cores(network), spikes(network, steps, RATES[name])
    costs = find_costs(program.chip, "sanafe")
    run: dict[str, Any] = {}
    estimates(make_chip_machine(program), costs, x[:, :2], {})  # loads what was compiled
    start = time.perf_counter()
    machine = make_chip_machine(program)
    assert machine.ways is machine.ways  # made on first use, kept
    run["setup"] = time.perf_counter() - start
    estimates(machine, costs, x, run)
    run |= {"gb": gigabytes(), "imported_gb": imported}
    return run


def estimates(machine: Machine, costs: Costs, x: NDArray[np.uint8], run: dict[str, Any]) -> None:
    """Run the network and both timings, piece of activity after piece; note the time of each."""
    network, spikes, seconds = machine.program.network, 0, Counter[str]()
    run["steps"] = count_network_steps(network, x.shape[1])
    ledgers = {m: Ledger(machine, costs, m, "chip", run["steps"]) for m in ("fast", "cycle")}
    start = time.perf_counter()

    def spent(what: str) -> None:
        nonlocal start
        seconds[what] += (now := time.perf_counter()) - start
        start = now

    for activity in record(network, x, updates=True):
        spikes += len(activity.neuron)
        spent("functional")
        for timing, ledger in ledgers.items():
            ledger.add(activity)
            spent(timing)
    for timing, ledger in ledgers.items():
        run[f"{timing}_s"] = ledger.close().latency_s
        spent(timing)
    run |= seconds | {"spikes": spikes / run["steps"]}


def gigabytes() -> float:
    """Return the largest memory this process has taken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def theirs(name: str, steps: int) -> dict[str, Any]:
    """Time SANA-FE: the network made through its API, loaded, run in its detailed model."""
    from snncompile.backends.sanafe.network import translate
    from snncompile.backends.sanafe.run import build_chip, import_sanafe

    network = NETWORKS[name]()
    program, x = on_cores(network), spikes(network, steps, RATES[name])
    activity = record_sample(network, x, updates=True)
    library, found = import_sanafe(), translate(program)
    start = time.perf_counter()
    chip, _ = build_chip(library, found, find_costs(program.chip, "sanafe"), activity)
    run: dict[str, Any] = {"setup": time.perf_counter() - start, "steps": activity.steps}
    start = time.perf_counter()
    done = chip.sim(activity.steps, timing_model="detailed", processing_threads=1)
    run["detailed"] = time.perf_counter() - start
    run["spikes"] = done["neurons_fired"] / activity.steps
    run["messages"] = done["packets_sent"] / activity.steps
    run["synaptic_ops"] = done["spikes"] / activity.steps
    run["detailed_s"] = done["sim_time"]
    run["gb"] = gigabytes()
    return run


def apart(side: str, name: str, steps: int) -> dict[str, Any]:
    """Run one side in a process of its own and return its figures."""
    command = [sys.executable, __file__, "--side", side, "--network", name, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, steps: int) -> None:
    """Print one network's table."""
    we, they = apart("ours", name, steps), apart("theirs", name, steps)
    per_step = they["detailed"] / they["steps"]
    print(f"\n{name}: {we['spikes']:.0f} spikes, {they['messages']:.0f} messages,"
          f" {they['synaptic_ops']:,.0f} synaptic ops per step; {we['steps']} steps")  # fmt: skip
    print(f"{'':44} {'seconds':>9} {'steps/s':>12} {'ratio':>8}")
    rows = [("SANA-FE, detailed, running", they["detailed"], they["steps"])]
    for timing in ("fast", "cycle"):
        rows.append((f"{timing}, from activity", we[timing], we["steps"]))
        both = we[timing] + we["functional"]
        rows.append((f"{timing}, functional simulation included", both, we["steps"]))
    for label, seconds, count in rows:
        ratio = per_step / (seconds / count)
        print(f"{label:44} {seconds:9.4f} {count / seconds:12,.0f} {ratio:7.1f} x")
    print(f"{'set-up, SANA-FE / ours':44} {they['setup']:9.2f} / {we['setup']:.3f} s"
          f" {they['setup'] / we['setup']:11.0f} x")  # fmt: skip
    print(f"{'memory, SANA-FE / ours':44} {they['gb']:9.2f} / {we['gb']:.2f} GB"
          f" {they['gb'] / we['gb']:10.1f} x")  # fmt: skip
    own = we["gb"] - we["imported_gb"]
    print(f"{'memory of ours beyond its imports':44} {own:16.2f} GB {they['gb'] / own:9.1f} x")
    print(f"{'simulated time, SANA-FE / fast / cycle':44} {they['detailed_s'] * 1e6:9.1f} /"
          f" {we['fast_s'] * 1e6:.1f} / {we['cycle_s'] * 1e6:.1f} us")  # fmt: skip


def linear() -> None:
    """Print the cost per message of both timings for ever more messages, and fitted exponents."""
    network = chain(Input("input", (1024,)), [(4096,)] * 2, [
        integer_dense(np.full(shape, NOISE), 0, 8) for shape in ((4096, 1024), (4096, 4096))
    ])  # fmt: skip
    program = on_cores(network, most=256)
    machine, costs = make_sanafe_machine(program), find_costs(program.chip, "sanafe")
    axons, times = np.diff(machine.routes.axon_start), Times.of(machine, costs)
    print(f"{'messages':>12} {'steps':>7} {'fast':>14} {'cycle':>14}")
    points = []
    for messages in (10**3, 10**4, 10**5, 10**6, 10**7):
        steps = max(1, messages // 10**3)
        runs = range(3 if messages < 10**6 else 1)
        found = {}
        for timing in ("fast", "cycle"):
            ledgers = [Ledger(machine, costs, timing, "chip", steps) for _ in runs]
            found[timing] = np.inf
            for ledger in ledgers:
                ledger.times = times
                seconds, count = 0.0, 0
                for activity in noise(axons, steps, messages):
                    start = time.perf_counter()
                    ledger.add(activity)
                    seconds += time.perf_counter() - start
                    count += int(axons[activity.neuron].sum())
                found[timing] = min(found[timing], seconds)
        points.append((count, *found.values()))
        each = [seconds / count * 1e9 for seconds in found.values()]
        print(f"{count:12,} {steps:7} {each[0]:8.1f} ns each {each[1]:8.1f} ns each")
    exponents = np.polyfit(np.log(points)[:, 0], np.log(points)[:, 1:], 1)[0]
    large = np.polyfit(np.log(points)[2:, 0], np.log(points)[2:, 1:], 1)[0]
    print("fitted: time ~ messages to the power of"
          f" {exponents[0]:.3f} (fast) and {exponents[1]:.3f} (cycle);"
          f" from 10^5 on {large[0]:.3f} and {large[1]:.3f}")  # fmt: skip


def noise(axons: NDArray[np.int64], steps: int, messages: int) -> Iterator[Activity]:
    """Yield about so many messages of random neurons with axons, in pieces as `record` does."""
    rng = np.random.default_rng(0)
    sending = np.flatnonzero(axons)
    each = max(1, round(messages / steps / axons[sending].mean()))
    most = MOST_EVENTS // len(axons)
    for first in range(0, steps, most):
        count = min(most, steps - first)
        neuron = np.sort([rng.choice(sending, each, replace=False) for _ in range(count)], axis=1)
        start = np.arange(count + 1) * each
        status = np.zeros((count, len(axons)), np.uint8)
        neurons = neuron.ravel().astype(np.int32)
        yield Activity(1, count, start, neurons, status, first_step=first)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--network", choices=NETWORKS)
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = ours if options.side == "ours" else theirs
        print(json.dumps(side(options.network, options.steps)))
    elif options.linear:
        linear()
    else:
        for name in [options.network] if options.network else NETWORKS:
            compare(name, options.steps)


if __name__ == "__main__":
    main()
