"""Spikes times hops and the busiest link, by placement; one copy per (neuron, destination core).

    python benchmarks/mapping_traffic.py

Three ways to cut each network: "own cores", one population per core, is how other mappers fill a
chip: every piece of a layer has a core of its own, and with linear placement the cores are filled
row by row, as they do. "Shared cores" is ours with the fewest cores. "For traffic" is ours with
`objective="traffic"`: slices, cores and sites are chosen together with the spikes measured. The
last row of a group is placed without the rates and counted with them. Of few cores every placement
there is is tried: where the best one is reached only another cut can help.

Spikes are those of a recorded run of the reference: random weights, images of MNIST and CIFAR-10
(random ones where ../shared/data is missing). Beside them: every neuron spikes once per time step.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import large
import numpy as np
from exhaustive import MOST_CORES, least_hops
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.analysis.traffic import Load, Rates, count_flows, measure_load, measure_rates
from snncompile.passes.partition.partition import Partition, cut_for_traffic
from snncompile.passes.place.place import count_pulls, find_sites
from snncompile.passes.place.placements import PLACEMENTS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
IMAGES, STEPS = 8, 32
STRONGEST = 50
"""Bias of a white pixel: a spike every second time step."""


def mnist_rates(network: IntegerNetwork) -> Rates:
    """Return the rates measured with images as the biases of the first population."""
    silence = np.zeros((1, STEPS, 1), np.uint8)
    found: list[Rates] = []
    for image in _mnist():
        bias = np.rint(image.reshape(-1) * STRONGEST).astype(np.int64)
        pixels = replace(network.populations[0], neuron=IntegerCubaLif(4095, 0, 100, bias, 6))
        shown = replace(network, populations=(pixels, *network.populations[1:]))
        found.append(measure_rates(shown, silence))
    return {name: sum(r[name] for r in found) / len(found) for name in found[0]}


def _mnist() -> NDArray[np.float64]:
    """Return images of 28 x 28, 0..1."""
    path = SHARED / "mnist_test.npz"
    if not path.exists():
        return np.random.default_rng(0).random((IMAGES, 28, 28)) ** 4
    with np.load(path) as data:
        return np.asarray(data["x"][:IMAGES] / 255)


def cifar_rates(network: IntegerNetwork) -> Rates:
    """Return the rates measured with images whose pixels spike by chance, white ones always."""
    images = _cifar()
    drawn = np.random.default_rng(0).random((IMAGES, STEPS, *images.shape[1:]))
    return measure_rates(network, (drawn < images[:, None]).astype(np.uint8))


def _cifar() -> NDArray[np.float64]:
    """Return images of 3 x 32 x 32, 0..1."""
    path = SHARED / "cifar10_test_jpeg.npz"
    if not path.exists():
        return np.random.default_rng(0).random((IMAGES, 3, 32, 32)) ** 2
    from PIL import Image

    with np.load(path) as data:
        blob, offset = data["jpeg"].tobytes(), data["offset"]
    parts = [blob[offset[i] : offset[i + 1]] for i in range(IMAGES)]
    images = np.stack([np.asarray(Image.open(io.BytesIO(part))) for part in parts])
    return np.moveaxis(images, -1, 1) / 255


Measure = Callable[[IntegerNetwork], Rates]
NETWORKS: tuple[tuple[Callable[[], IntegerNetwork], Measure, str], ...] = (
    (large.mnist_cnn, mnist_rates, "loihi1"),
    (large.resnet20, cifar_rates, "loihi2"),
)
TOGETHER = "chosen together"
BASELINES = ("linear", "random", "greedy", "bisection")
LEFT = ("network", "slices", "placement")
RIGHT = ("cores", "spike hops", "below linear", "below linear, own cores", "busiest link")
UNIFORM = ("all spike: hops", "below linear", "below linear, own cores")


@dataclass(frozen=True)
class Placed:
    """What one placement does with the spikes measured, and if every neuron spikes."""

    measured: Load
    uniform: Load


@dataclass(frozen=True)
class Group:
    """One way to cut a network, placed in every way."""

    network: str
    slices: str
    cores: int
    placed: dict[str, Placed]
    least: float | None
    """Spike hops of the best of all placements, measured; None where there are too many."""


def main() -> None:
    """Print the tables."""
    table = Table(title="spikes times hops per time step, measured", title_justify="left")
    for column in (*LEFT, *RIGHT, *UNIFORM):
        table.add_column(column, justify="left" if column in LEFT else "right")
    found = []
    for make, measure, chip in NETWORKS:
        network = make()
        measured = measure(network)
        spikes = np.concatenate(list(measured.values()))
        data = "images of ../shared/data" if SHARED.exists() else "random images"
        rate = f"{spikes.mean():.3f} spikes per neuron and time step"
        print(f"{network.title}, random weights, {data}: {rate}")
        groups = _groups(network, chips.load_chip(chip), measured)
        for group in groups:
            _rows(table, group, groups[0])
        found.append(_verdict(groups))
        table.add_section()
    Console(width=230).print(table)
    print("\n".join(found))


def _groups(network: IntegerNetwork, chip: Chip, measured: Rates) -> tuple[Group, ...]:
    """Return the three ways to cut a network, each placed in every way."""
    design = Design(network, chip)
    own, shared = (Partition(share=share)(design).mapping for share in (False, True))
    together = cut_for_traffic(network, chip, measured)
    return (
        _group(network, chip, measured, "own cores", own),
        _group(network, chip, measured, "shared cores", shared),
        _group(network, chip, measured, "for traffic", together),
    )


def _group(
    network: IntegerNetwork, chip: Chip, measured: Rates, slices: str, mapping: Mapping
) -> Group:
    real = count_flows(network, chip, mapping, measured).drop_host()
    uniform = count_flows(network, chip, mapping, measure_rates(network, None)).drop_host()
    at = {name: find_sites(real, chip, name) for name in PLACEMENTS}
    at["annealed, rates unknown"] = find_sites(uniform, chip, "annealed")
    if mapping.sites:
        at[TOGETHER] = mapping.sites
    found = {
        name: Placed(measure_load(real, where), measure_load(uniform, where))
        for name, where in at.items()
    }
    least = None
    if mapping.cores <= MOST_CORES:
        known = min(placed.measured.hops for placed in found.values())
        least = least_hops(count_pulls(real), chip.mesh, known)
    return Group(f"{network.title}, {chip.name}", slices, mapping.cores, found, least)


def _rows(table: Table, group: Group, worst: Group) -> None:
    """Add one row per placement."""
    linear, own = group.placed["linear"], worst.placed["linear"]
    for name, placed in group.placed.items():
        real, uniform = placed.measured, placed.uniform
        table.add_row(
            group.network,
            group.slices,
            name,
            str(group.cores),
            f"{real.hops:,.0f}",
            f"{1 - real.hops / linear.measured.hops:.0%}",
            f"{1 - real.hops / own.measured.hops:.0%}",
            f"{real.busiest_link:,.0f}",
            f"{uniform.hops:,.0f}",
            f"{1 - uniform.hops / linear.uniform.hops:.0%}",
            f"{1 - uniform.hops / own.uniform.hops:.0%}",
        )


def _verdict(groups: tuple[Group, ...]) -> str:
    """Return how far the objective `traffic` is below every baseline, and what is proved."""
    *others, ours = groups
    mine = ours.placed[TOGETHER].measured
    below = [
        f"{1 - mine.hops / group.placed[name].measured.hops:.0%} below {name}, {group.slices}"
        for group in others
        for name in BASELINES
    ]
    proved = [
        f"no placement of the {group.cores} {group.slices} is below {group.least:,.0f}"
        for group in groups
        if group.least is not None
    ]
    links = min(placed.measured.busiest_link for g in others for placed in g.placed.values())
    return (
        f"{ours.network}, chosen together: {mine.hops:,.0f} spike hops, {'; '.join(below)};"
        f" busiest link {mine.busiest_link:,.0f}, of the others at least {links:,.0f}"
        + "".join(f"; {text}" for text in proved)
    )


if __name__ == "__main__":
    main()
