"""A Program as SANA-FE's files: `architecture.yaml`, and `network.yaml` with the mapping.

SANA-FE's files hold every synapse of a neuron in one hardware unit, no bias that begins with a
phase, no replay. Programs that need those run through its Python interface (`run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from snncompile.backends.energy.activity import Activity, record_sample
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.sanafe import architecture
from snncompile.backends.sanafe.network import Edges, Group, SanafeNetwork, translate
from snncompile.backends.sanafe.run import input_spike_trains, pad_sample
from snncompile.errors import UnsupportedError
from snncompile.files.replace import MARK, begins_with, replace_file
from snncompile.program import Program

FIRST_LINE = f"# {MARK}\n"


def write_sanafe(path: Path, program: Program, x: ArrayLike, *, costs: str | None = None) -> int:
    """Write both files to a folder; return the number of steps to run SANA-FE for.

    Args:
        path: folder to write to; each file is there in whole or not at all.
        program: on one chip, with neurons that SANA-FE can compute.
        x: spikes of one sample, shape (1, steps, *input.shape); they are part of the network.
        costs: cost set with SANA-FE's events.

    Raises:
        UnsupportedError: SANA-FE's files cannot hold it; the message names the population.
    """
    spikes, steps = pad_sample(program, x)
    activity = record_sample(program.network, spikes)
    network = translate(program)
    _check_writable(network)
    units = int(network.unit.max(initial=0)) + 1
    files = {
        "architecture.yaml": architecture.make_architecture(find_costs(program.chip, costs), units),
        "network.yaml": "".join(_make_lines(network, activity.cut(steps))),
    }
    for name, text in files.items():
        with replace_file(path / name, begins_with(FIRST_LINE)) as aside:
            aside.write_text(FIRST_LINE + text)
    return steps


def _check_writable(network: SanafeNetwork) -> None:
    for group in network.groups[1:]:
        why = group.replayed
        if group.bias is not None and group.bias.any() and group.phase > 0:
            why = "its biases begin in the first step"
        if len({e.synapse for e in network.edges if e.target == group.name}) > 1:
            why = "its neurons have synapses of one kind"
        if why:
            raise UnsupportedError(
                f"population {group.name}: cannot be written as a file for SANA-FE: {why}; run it"
                " through backends.sanafe.run"
            )


def _make_lines(network: SanafeNetwork, activity: Activity) -> Iterator[str]:
    yield "network:\n  name: snncompile\n  groups:\n"
    spike_trains = input_spike_trains(activity, network.groups[0].size)
    for group in network.groups:
        yield f"  - name: {group.name}\n    attributes: []\n    neurons:\n"
        for i in range(group.size):
            yield f"    - {i}: {{{_make_attributes(group, i, spike_trains)}}}\n"
    yield "  edges:\n"
    for edges in network.edges:
        yield from _make_edges(edges)
    yield "mappings:\n"
    synapse = {edges.target: edges.synapse for edges in network.edges}
    per_tile = network.machine.program.chip.mesh.cores_per_tile.whole or 1
    for group in network.groups:
        for i, core in enumerate(group.core):
            where = f"core: {core // per_tile}.{core % per_tile}"
            if group is network.groups[0]:
                units = f'soma: "{architecture.INPUT}[{network.unit[i]}]"'
            else:
                units = f"soma: {architecture.LIF}, synapse: {synapse.get(group.name, '')}"
            yield f"- {group.name}.{i}: {{{where}, {units}}}\n"


def _make_attributes(group: Group, i: int, spike_trains: list[list[bool]]) -> str:
    if group.bias is None:
        return f"spikes: [{', '.join(str(int(s)) for s in spike_trains[i])}]"
    values: dict[str, Any] = {
        name: value if isinstance(value, str) else float(np.broadcast_to(value, group.size)[i])
        for name, value in group.attributes.items()
    }
    values["bias"] = float(group.bias[i])
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _make_edges(edges: Edges) -> Iterator[str]:
    for pre, post, weight in zip(edges.pre, edges.post, edges.weight, strict=True):
        yield f"  - {edges.source}.{pre} -> {edges.target}.{post}: [weight: {weight}]\n"
