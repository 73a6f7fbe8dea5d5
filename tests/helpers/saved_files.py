"""Write small files of today's format, which later versions have to read.

    PYTHONPATH=tests/helpers python tests/helpers/saved_files.py tests/saved/VERSION

writes networks and Programs, spikes for them, and what they send; see `tests/saved/README.md`.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import drawn_neurons
import numpy as np
from networks import ranged_network

import snncompile
from snncompile import registry
from snncompile.files.npz import write_npz
from snncompile.files.spikes import Spikes, write_spikes
from snncompile.ir.coding import Coding
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.readout import Readout
from snncompile.program import Program
from snncompile.reference.backend import spike_trains
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

OWN_CHIP = "own_chip.yaml"
FLOATS = {
    "current_decay": 0.5,
    "potential_decay": 0.25,
    "threshold": 1.0,
    "threshold_decay": 0.125,
    "threshold_step": 0.5,
    "negative_threshold": -1.0,
    "refractory": 2.0,
    "window": 4.0,
    "sin_decay": 0.25,
    "cos_decay": 0.75,
}
"""Parameters without a default."""
OWN = (
    ("name: toy", "name: own"),
    ("compartments: {value: 4,", "compartments: {value: 16,"),
    ("axons_in: {value: 8,", "axons_in: {value: 24,"),
    ("threshold_profiles: {value: 2,", "threshold_profiles: {value: 8,"),
)
"""What the own chip says, where the toy chip says something else."""


def every_float_neuron() -> Network:
    """Return a network with each neuron of the registry, two of each, fed by the input."""
    rng = np.random.default_rng(1)
    populations, projections = [], []
    for name in registry.list_names("neurons"):
        kind = registry.load("neurons", name)
        values = {key: FLOATS[key] for key in kind.__dataclass_fields__ if key in FLOATS}
        populations.append(Population(name, (2,), kind(**values)))
        for port in kind.ports or (None,):
            weight = np.round(rng.normal(1, 1, (2, 3)), 3)
            projections.append(Projection("input", name, dense(weight), port=port))
    return Network(
        Input("input", (3,)), tuple(populations), tuple(projections), "cuba_lif",
        title="every neuron", notes=("a note",),
    )  # fmt: skip


def every_integer_neuron() -> IntegerNetwork:
    """Return a network with each integer neuron and reset, two of each, fed by the input."""
    rng = np.random.default_rng(2)
    populations, projections = [], []
    for kind in drawn_neurons.KINDS:
        name = kind.strip("/").replace("/", "_")
        neuron = drawn_neurons.neuron(rng, kind, 2, wild=False)
        populations.append(Population(name, (2,), neuron, 1))
        for port in neuron.ports or (None,):
            synapses = integer_dense(2 * rng.integers(-40, 120, (2, 3)), 0, 8)
            projections.append(Projection("input", name, synapses, 1, port))
    inputs = Input("input", (3,), Interval(-2, 3))
    return IntegerNetwork(inputs, tuple(populations), tuple(projections), "cuba_lif_hard")


def image_network() -> Network:
    """Return a network with a coding, a convolution, a loop, a scale and a readout.

    One hidden neuron never fires, so that a Program of it keeps fewer.
    """
    rng = np.random.default_rng(3)
    image = Convolution((1, 4, 4), 2, (3, 3), (2, 2), (1, 1), (1, 1))
    loop = Sparse([0, 3, 5], [1, 2, 4], 8, 8)
    scale = np.append(rng.uniform(0.5, 1, 7), -1.0)
    bias = np.append(np.full(7, 0.125), 0.0)
    neuron = CubaLif(0.5, 0.25, np.linspace(0.5, 1.5, 8), bias, "soft")
    return Network(
        Input("input", (1, 4, 4), coding=Coding("rate", 1.0, 4, 6)),
        (
            Population("image", (2, 2, 2), replace(neuron, threshold=np.full(8, 0.5))),
            Population("hidden", (8,), neuron),
            Population("answer", (2,), Readout(1.0, 0.0)),
        ),
        (
            Projection("input", "image", Synapses(image, rng.normal(0.2, 0.5, image.weight_shape))),
            Projection("image", "hidden", Synapses(Scale(8, True), scale)),
            Projection("hidden", "hidden", Synapses(loop, np.asarray([0.5, -0.5, 0.25])), 2),
            Projection("hidden", "answer", dense(rng.normal(0, 1, (2, 8)))),
        ),
        "answer",
        title="image",
    )  # fmt: skip


def own_chip() -> str:
    """Return the text of a chip file: the toy chip with more room, under a name of its own."""
    path = Path(snncompile.hwmodels.chips.__file__).parent / "toy.yaml"
    lines = [line.partition("  #")[0].rstrip() for line in path.read_text().splitlines()]
    text = "\n".join(line for line in lines if line and not line.startswith("#")) + "\n"
    for before, after in OWN:
        text = text.replace(before, after, 1)
    return text


def write(folder: Path) -> None:
    """Write everything anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    (folder / OWN_CHIP).write_text(own_chip())
    image = image_network()
    shown = rng.integers(0, 2, (3, 6, 1, 4, 4)).astype(np.uint8)
    own = snncompile.compile(image, chip=folder / OWN_CHIP, calibration=shown)
    ranged = snncompile.compile(ranged_network(), chip="loihi1", steps=9)
    graded = rng.integers(-2, 4, (2, 9, 3)).astype(np.int8)
    ones = rng.integers(0, 2, (2, 9, 3)).astype(np.uint8)
    ranges = rng.integers(0, 2, (2, 9, 4, 3, 3)).astype(np.uint8)
    _write(folder / "float_neurons", every_float_neuron(), ones)
    _write(folder / "integer_neurons", every_integer_neuron(), graded)
    _write(folder / "image", image, shown)
    _write(folder / "program_own_chip", own, shown)
    _write(folder / "program_loihi1", ranged, ranges)


def _write(path: Path, saved: Network | IntegerNetwork | Program, x: np.ndarray) -> None:
    saved.save(path)
    network = saved.network if isinstance(saved, Program) else saved
    write_spikes(path.with_name(f"{path.name}_x.npz"), Spikes(x, np.arange(len(x))))
    write_npz(path.with_name(f"{path.name}_sends.npz"), spike_trains(network, x), compress=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
