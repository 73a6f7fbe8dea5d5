"""Maximum pools as trained: what takes their place, on the chip's integers, in one run.

    python benchmarks/max_pooling.py lenet [--samples 1000]   # LeNet on MNIST, 98.45 %
    python benchmarks/max_pooling.py vgg [--samples 300]      # VGG-16's layout, CIFAR-10

"Tree" is what `signed` and `balance` do, "digits" what `bistable_phase` does. Beside them, with the
same weights: a spike wherever a window has one (an OR, what others do), average pools put in place
of the maximum pools, and SpikingJelly's ann2snn in floats, whose pools of spikes are an OR too.
Weights: see `trained_weights.py`; `--anew` trains again.
"""

from __future__ import annotations

import argparse
import copy
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import conversion_networks as networks
import numpy as np
import torch
from conversion import CALIBRATION, RECIPES, Case, integers, run, title
from conversion_small import trained
from torch import nn
from trained_weights import FACTS, SHIPPED, Training, load_or_train

from snncompile.conversion.ann import Ann, Layer, Maximum
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.convert import convert
from snncompile.conversion.max_trees import expand_maxima
from snncompile.conversion.method import Method, keep_rectifiers
from snncompile.conversion.phase_maxima import find_digit_maxima
from snncompile.conversion.signed import Signed
from snncompile.ir.graph import Projection
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution


@dataclass(frozen=True)
class Or(Balance):
    """A pool fires in each time step in which one of its window does, as in other converters."""

    name: ClassVar[str] = "balance"

    def prepare(self, ann: Ann, x: np.ndarray) -> Ann:
        """Return the network; pools stay."""
        ann = keep_rectifiers(ann, self.name)
        return expand_maxima(ann, x, find_digit_maxima(ann))

    def make_neuron(self, layer: Layer) -> IntegrateFire:
        """Return neurons of a pool that fire above half a spike and keep nothing."""
        if isinstance(layer.operation, Maximum):
            return IntegrateFire(np.asarray(0.5), np.asarray(0.0), "hard")
        return super().make_neuron(layer)

    def build_projections(self, ann: Ann, steps: int) -> tuple[Projection, ...]:
        """Return the projections; those to pools add the spikes of a window."""
        return tuple(_connect(ann))


def _connect(ann: Ann) -> Iterator[Projection]:
    for layer in ann.layers:
        for term in layer.terms:
            synapses = term.synapses
            if isinstance(layer.operation, Maximum):
                pool, shape = layer.operation.windows, layer.operation.shape
                wiring = Convolution(
                    shape, shape[0], pool.kernel, pool.stride, pool.padding, pool.dilation, shape[0]
                )
                synapses = Synapses(wiring, np.ones(wiring.weight_shape))
            yield Projection(term.source, layer.name, synapses)


ROWS: dict[str, list[tuple[str, Method, int]]] = {
    "lenet": [
        ("tree", Signed(), 8),
        ("tree", Signed(), 16),
        ("tree", Signed(), 32),
        ("tree", Balance(), 16),
        ("digits", BistablePhase(), 4),
        ("digits", BistablePhase(), 5),
        ("digits", BistablePhase(), 6),
        ("OR", Or(), 16),
        ("average", Signed(), 16),
    ],
    "vgg": [
        ("tree", Signed(), 32),
        ("digits", BistablePhase(), 5),
        ("OR", Or(), 32),
        ("average", Signed(), 32),
        ("tree", Signed(), 16),
        ("digits", BistablePhase(), 6),
    ],
}


def with_averages(model: nn.Module) -> nn.Module:
    """Return a copy with average pools in place of maximum pools."""
    changed = copy.deepcopy(model)
    for parent in list(changed.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride))
    return changed


def table(case: Case, rows: list[tuple[str, Method, int]]) -> None:
    """Print a row per method, and one per recipe and number of steps of ann2snn."""
    answers = case.answers()
    print(f"the model: {(answers == case.y).mean():.2%} of {len(case.y)} images")
    print(f"{'pool':8} {'method':28} {'steps':>5} {'accuracy':>8} {'agrees':>7} {'spikes':>9}")
    for pool, method, steps in rows:
        model = with_averages(case.model) if pool == "average" else case.model
        network = integers(
            convert(model, case.calibration, method, steps).network, case.calibration
        )
        result = run(network, case.x)
        cells = _score(result.predictions, case, answers)
        print(f"{pool:8} {title(method):28} {steps:5} {cells} {result.spikes:9,.0f}", flush=True)
    _ann2snn(case, answers, sorted({t for pool, _, t in rows if pool != "digits"}))


def _score(predictions: np.ndarray, case: Case, answers: np.ndarray) -> str:
    return f"{(predictions == case.y).mean():8.2%} {(predictions == answers).mean():7.2%}"


def _ann2snn(case: Case, answers: np.ndarray, steps: list[int]) -> None:
    """Print SpikingJelly's conversion, run in floats and without delays."""
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # it only downloads with it
    from spikingjelly.activation_based import ann2snn, functional

    images = torch.tensor(case.calibration).float().split(50)
    for name in ("99.9 %, channels, half", "99.9 %"):
        recipe = ann2snn.RateCodingRecipe([(batch, 0) for batch in images], **RECIPES[name])
        converted = ann2snn.Converter(recipe).convert(copy.deepcopy(case.model)).eval()
        predictions: dict[int, list[np.ndarray]] = {t: [] for t in steps}
        for batch in torch.tensor(case.x).float().split(100):
            functional.reset_net(converted)
            total = torch.zeros(len(batch), 10)
            with torch.no_grad():
                for step in range(1, max(steps) + 1):
                    total += converted(batch)
                    if step in predictions:
                        predictions[step].append(total.argmax(1).numpy())
        for t in steps:
            cells = _score(np.concatenate(predictions[t]), case, answers)
            print(f"{'OR':8} {'ann2snn, ' + name:28} {t:5} {cells}", flush=True)


def lenet(data: Path, samples: int | None) -> None:
    """Print the table of LeNet on MNIST."""
    x, y = networks.mnist(data, "train", 20_000)
    model = trained("lenet", networks.lenet, x, y, epochs=6)
    test = networks.mnist(data, "test", samples or 1000)
    table(Case(model, x[:CALIBRATION], *test), ROWS["lenet"])


def vgg(data: Path, samples: int | None) -> None:
    """Print the table of VGG-16's layout with a quarter of its channels, on CIFAR-10."""
    x, y = networks.jpeg(data, "train", 4_000)
    test = networks.jpeg(data, "test", samples or 300)
    table(Case(train_vgg(x, y), x[:CALIBRATION], *test), ROWS["vgg"])


def train_vgg(x: np.ndarray, y: np.ndarray) -> nn.Module:
    """Return the network with maximum pools; training starts at the weights of average pools."""
    model = networks.vgg(nn.MaxPool2d)
    training = Training(repr(model), len(x), 1, 1e-3, mirrored=True)

    def train(model: nn.Module) -> None:
        with np.load(SHIPPED / "vgg.npz", allow_pickle=False) as file:
            model.load_state_dict({k: torch.tensor(file[k]) for k in file.files if k != FACTS})
        model.to(memory_format=torch.channels_last)
        networks.train(model, x, y, training.epochs, training.rate, mirrored=True)
        model.to(memory_format=torch.contiguous_format)

    return load_or_train("vgg_max", model, training, train, anew="--anew" in sys.argv)


NETWORKS = {"lenet": lenet, "vgg": vgg}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, "all"], default="all")
    parser.add_argument("--samples", type=int, help="test images: 1000 for lenet, 300 for vgg")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--anew", action="store_true", help="train again; see trained_weights.py")
    given = parser.parse_args()
    for network in NETWORKS if "all" in given.networks else given.networks:
        NETWORKS[network](given.data, given.samples)
