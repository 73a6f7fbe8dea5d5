"""PilotNet LIF of lava-dl as it was recorded on Loihi 2: its own weights, input silent, 74 cores.

The synaptic operations of the estimator stand beside those that the chip counted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

import snncompile
from snncompile.backends.energy.activity import Activity, record_sample
from snncompile.backends.energy.counts import count_events, make_chip_machine
from snncompile.backends.energy.events import COLUMN, EVENTS
from snncompile.frontends.netx.from_netx import from_netx
from snncompile.ir.graph import Input
from snncompile.program import Program

STEPS = 16
"""Time steps of an image: the network starts anew after them."""
RECORDED = {
    "layer_1": (0, 0),
    "layer_2": (131_010, 131_300),
    "layer_3": (150_710, 151_050),
    "layer_4": (52_581, 52_900),
    "layer_5": (51_112, 51_000),
}
"""Synaptic operations per step on the busiest core of a layer: those of the .net's integers without
zero weights, counted by hand, and the recorded activity plot, read to +-430. Source of both:
lava-dl, pilotnet_snn/benchmark.ipynb."""
STEP_TIMES = (107, 181, 125, 201)
"""Recorded times of a step in us, which repeat in this order. Source: the same notebook."""
CYCLE = 4


@cache
def read(path: Path) -> tuple[Program, Activity]:
    """Return the Program, and the activity of 16 steps in which image follows image.

    Args:
        path: lava-dl's tutorials/lava/lib/dl/netx/pilotnet_snn/network.net.
    """
    network = from_netx(path)
    silent = tuple(p for p in network.projections if p.source != network.input.name)
    network = replace(network, input=Input("host", (1,)), projections=silent)
    program = snncompile.compile(
        network, chip="loihi2:2022-09", partitioner="intel", steps=STEPS, prune=False
    )
    whole = record_sample(program.network, np.zeros((1, STEPS, 1), np.uint8))
    return program, fold(whole, STEPS)


def fold(activity: Activity, steps: int) -> Activity:
    """Return the steps of images that follow each other, of the activity of one image."""
    start, status = activity.step_start, activity.status
    neurons = [
        np.sort(np.concatenate([activity.neuron[start[t] : start[t + 1]] for t in same]))
        for same in (range(s, activity.steps, steps) for s in range(steps))
    ]
    ends = np.cumsum([0, *map(len, neurons)])
    padding = np.zeros((-len(status) % steps, status.shape[1]), np.uint8)
    together = np.concatenate([status, padding]).reshape(-1, steps, status.shape[1])
    return Activity(1, steps, ends, np.concatenate(neurons), together.max(axis=0))


def count_busiest(path: Path) -> dict[str, np.ndarray]:
    """Return the synaptic operations of each layer's busiest core, of each step: {layer: (16,)}.

    The busiest is the core with the most of all steps.
    """
    program, activity = read(path)
    machine = make_chip_machine(program)
    counts = count_events(machine, activity).events
    columns = [COLUMN[event] for event in EVENTS if event.startswith("synaptic_op")]
    operations = counts[..., columns].sum(axis=-1)
    busiest = {}
    for layer in RECORDED:
        parts = [i for i, part in enumerate(machine.layout.parts) if part.layer == layer]
        of_layer = operations[:, parts]
        busiest[layer] = of_layer[:, of_layer.sum(axis=0).argmax()]
    return busiest


def show(path: Path) -> None:
    """Print operations of the busiest cores beside the recorded ones."""
    program, _ = read(path)
    print(f"{path.name}, {program.mapping.cores} cores (recorded: 74), {STEPS} steps per image")
    print("synaptic operations per step on the busiest core of each layer:")
    print(f"{'':10} {'ours':>12} {'by hand':>12} {'recorded':>12}")
    for layer, operations in count_busiest(path).items():
        by_hand, plot = RECORDED[layer]
        print(f"{layer:10} {operations.mean():12,.1f} {by_hand:12,} {plot:12,}")
    steady = count_busiest(path)["layer_3"][-CYCLE:]
    print(f"layer_3, its last {CYCLE} steps: {', '.join(f'{n:,}' for n in steady)}; recorded times"
          f" of the steps, which repeat: {', '.join(map(str, STEP_TIMES))} us\n")  # fmt: skip
