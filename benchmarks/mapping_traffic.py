"""Spikes times hops and the busiest link, by placement; one copy per (neuron, destination core).

    python benchmarks/mapping_traffic.py

"Own cores", one population per core, is how other mappers fill a chip: every piece of a layer has a
core of its own. Spikes are those of a recorded run of the reference: random weights, images of
MNIST and CIFAR-10 (random ones where ../shared/data is missing). Beside them: every neuron spikes
once per time step. The last row of a group is placed without the rates and counted with them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import large
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from snncompile.hwmodels import load as chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition import Partition
from snncompile.passes.place import sites
from snncompile.passes.placements import PLACEMENTS
from snncompile.passes.traffic import Load, Rates, flows, load, rates

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
        found.append(rates(shown, silence))
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
    return rates(network, (drawn < images[:, None]).astype(np.uint8))


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
LEFT = ("network", "chip", "slices", "placement")
RIGHT = ("cores", "spike hops", "below linear", "below linear, own cores", "busiest link")
UNIFORM = ("all spike: hops", "below linear", "below linear, own cores")


@dataclass(frozen=True)
class Placed:
    """What one placement does with the spikes measured, and if every neuron spikes."""

    measured: Load
    uniform: Load


def main() -> None:
    """Print the table."""
    table = Table(title="spikes times hops per time step, measured", title_justify="left")
    for column in (*LEFT, *RIGHT, *UNIFORM):
        table.add_column(column, justify="left" if column in LEFT else "right")
    for make, measure, chip in NETWORKS:
        network = make()
        measured = measure(network)
        spikes = np.concatenate(list(measured.values()))
        images = "images of ../shared/data" if SHARED.exists() else "random images"
        print(f"{network.title}, {images}: {spikes.mean():.3f} spikes per neuron and time step")
        worst = _rows(table, network, chip, measured, share=False, reference=None)
        _rows(table, network, chip, measured, share=True, reference=worst)
        table.add_section()
    Console(width=220).print(table)


def _rows(
    table: Table,
    network: IntegerNetwork,
    chip_name: str,
    measured: Rates,
    *,
    share: bool,
    reference: Placed | None,
) -> Placed:
    """Add one row per placement; return the linear one."""
    found, cores = _placements(network, chip_name, measured, share)
    linear = found["linear"]
    worst = reference or linear
    for name, placed in found.items():
        real, uniform = placed.measured, placed.uniform
        table.add_row(
            network.title,
            chip_name,
            "shared cores" if share else "own cores",
            name,
            str(cores),
            f"{real.hops:,.0f}",
            f"{1 - real.hops / linear.measured.hops:.0%}",
            f"{1 - real.hops / worst.measured.hops:.0%}",
            f"{real.busiest_link:,.0f}",
            f"{uniform.hops:,.0f}",
            f"{1 - uniform.hops / linear.uniform.hops:.0%}",
            f"{1 - uniform.hops / worst.uniform.hops:.0%}",
        )
    return linear


def _placements(
    network: IntegerNetwork, chip_name: str, measured: Rates, share: bool
) -> tuple[dict[str, Placed], int]:
    """Return what each placement does, and the number of cores."""
    chip = chips.load(chip_name)
    mapping = Partition(share=share)(Design(network, chip)).mapping
    real = flows(network, chip, mapping, measured)
    uniform = flows(network, chip, mapping, rates(network, None))
    at = {name: sites(real, chip, name) for name in PLACEMENTS}
    at["annealed, rates unknown"] = sites(uniform, chip, "annealed")
    found = {name: Placed(load(real, where), load(uniform, where)) for name, where in at.items()}
    return found, mapping.cores


if __name__ == "__main__":
    main()
