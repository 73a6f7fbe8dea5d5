"""Trained networks on a chip's integers: method x steps x (accuracy, agreement, spikes, energy).

    python benchmarks/conversion.py resnet [--samples 932] [--priced] [--methods signed balance]
    python benchmarks/conversion.py jpeg           # all 10,000 JPEG test images [--resume]
    python benchmarks/conversion.py spikingjelly   # the same network converted by ann2snn, one run
    python benchmarks/conversion.py mnist          # a CNN [--anew]
    python benchmarks/conversion.py graded         # one message per neuron, by the formula too
    python benchmarks/conversion.py stream         # changes of frames beside whole frames
    python benchmarks/conversion.py lava           # ten images of ResNet-20 on real Lava

Everything runs on Loihi 2's integers with 8-bit weights, and with one step of delay per layer.
"In all" counts these steps too: from the first step of the input to the answer.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import time
import types
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import conversion_graded as numbers
import conversion_networks as networks
import numpy as np
import torch
from torch import nn
from trained_weights import Training, load_or_train

import snncompile
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase, BistableRate
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches

CALIBRATION = 300
CHIP = "loihi2"
KEPT = Path(__file__).parents[1] / "build" / "conversion" / "answers"
PUBLISHED = """
published, float, no delays (CIFAR-10; the ANN differs)   T=4     8    16    32    64
QCFS ResNet-20, retrained, ANN 91.77                    83.75 89.55 91.62 92.24 92.35
RMP VGG-16, ANN 93.63                                                     60.30 90.35
light / advanced calibration, VGG-16, ANN 95.76                 93.30/93.65
Sengupta et al. ResNet-20: error 12.54 against 10.9; BSNN ResNet: CIFAR-10 95.16
"""
ROWS: list[tuple[Method, int]] = [
    (Balance(), 32),
    (Balance(), 64),
    (Balance(), 128),
    (Balance(calibrate_bias=True), 16),
    (Balance(calibrate_bias=True), 32),
    (Signed(), 8),
    (Signed(), 16),
    (Signed(), 32),
    (Signed(calibrate_bias=True), 8),
    (Signed(calibrate_bias=True), 16),
    (Signed(calibrate_bias=True), 32),
    (BistableRate(), 8),
    (BistablePhase(), 4),
    (BistablePhase(), 5),
    (BistablePhase(), 6),
    (BistablePhase(), 7),
]


@dataclass(frozen=True)
class Case:
    """A model, what it is calibrated on and what it is tested on."""

    model: nn.Module
    calibration: np.ndarray
    x: np.ndarray
    y: np.ndarray
    kept: Path | None = None
    """Where answers are kept, so that a run that was cut short goes on."""

    def answers(self) -> np.ndarray:
        """Return what the model answers on the test images."""
        with torch.no_grad():
            parts = torch.tensor(self.x).float().split(500)
            return torch.cat([self.model(part) for part in parts]).argmax(1).numpy()


@dataclass(frozen=True)
class Found:
    """What a network did on the test images."""

    predictions: np.ndarray
    spikes: float
    """Per image, of all populations; the mean of the first hundred images."""
    seconds: float


def integers(network: Any, x: np.ndarray, bits: int = 8) -> IntegerNetwork:
    """Return the network on the chip's integers, retimed."""
    shown = network.input.present(x[:8])
    made = Quantize(bits=bits)(Retime()(Design(network, chips.load_chip(CHIP), shown))).network
    assert isinstance(made, IntegerNetwork)
    return made


def run(
    network: IntegerNetwork, x: np.ndarray, batch: int = 100, kept: Path | None = None
) -> Found:
    """Run the images; count the spikes of the first hundred."""
    parts = [x[first : first + batch] for first in range(0, len(x), batch)]
    key = hashlib.sha256(pickle.dumps(network)).hexdigest() if kept else ""
    found, seconds = zip(*(_part(network, part, kept, key) for part in parts), strict=True)
    return Found(np.concatenate(found), _spikes(network, x[:batch]), sum(seconds))


def _part(
    network: IntegerNetwork, x: np.ndarray, kept: Path | None, key: str
) -> tuple[np.ndarray, float]:
    """Return the answers to some images, and the seconds that took when they were computed."""
    path = kept and kept / f"{hashlib.sha256(key.encode() + x.tobytes()).hexdigest()}.npz"
    if path and path.exists():
        with np.load(path) as file:
            return file["answers"], float(file["seconds"])
    start = time.perf_counter()
    answers = network.run(network.input.present(x)).prediction
    seconds = time.perf_counter() - start
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part.npz")
        np.savez(aside, answers=answers, seconds=seconds)
        aside.rename(path)
    return answers, seconds


def _spikes(network: IntegerNetwork, x: np.ndarray) -> float:
    shown = check_spikes(network, network.input.present(x))
    spiking = [p.name for p in network.populations if p.neuron.spikes]
    return sum(
        int(torch.count_nonzero(train)) / len(x)
        for spike_trains in run_batches(network, shown, keep=spiking)
        for train in spike_trains.values()
    )


def table(case: Case, rows: list[tuple[Method, int]], *, priced: bool) -> None:
    """Print a row per method; `priced`: compile for the chip, with cores and energy."""
    answers = case.answers()
    print(f"the model: {(answers == case.y).mean():.2%} of {len(case.y)} images")
    print(
        f"{'method':28} {'steps':>5} {'in all':>6} {'accuracy':>8} {'agrees':>7} {'spikes':>9}"
        f" {'cores':>5} {'energy':>9} {'convert':>8} {'run':>7}"
    )
    for method, steps in rows:
        print(_row(case, method, steps, answers, priced=priced), flush=True)


def _row(case: Case, method: Method, steps: int, answers: np.ndarray, *, priced: bool) -> str:
    start = time.perf_counter()
    made = convert(case.model, case.calibration, method, steps)
    converting = time.perf_counter() - start
    network = integers(made.network, case.calibration)
    found = run(network, case.x, kept=case.kept)
    accuracy = (found.predictions == case.y).mean()
    agrees = (found.predictions == answers).mean()
    in_all = network.input.coding.steps + network.phase(network.output)
    cores, energy = _priced(made.network, case.calibration) if priced else ("", "")
    return (
        f"{title(method):28} {steps:5} {in_all:6} {accuracy:8.2%} {agrees:7.2%}"
        f" {found.spikes:9,.0f} {cores:>5} {energy:>9} {converting:6.1f} s {found.seconds:5.1f} s"
    )


def title(method: Method) -> str:
    """Return the method's name in a table."""
    return method.name + (", biases" if getattr(method, "calibrate_bias", False) else "")


def _priced(network: Any, x: np.ndarray) -> tuple[str, str]:
    """Return cores and energy of an image, or why there are none."""
    shown = network.input.present(x[:2])
    try:
        program = snncompile.compile(network, chip=CHIP, calibration=shown)
        energy = program.estimate(shown).energy_j
        cores = str(program.mapping.cores)
        return cores, "unknown" if energy is None else f"{energy * 1e6:.1f} uJ"
    except snncompile.SnnCompileError as error:
        print(f"  no cores and energy: {error}")
        return "", ""


Rows = list[tuple[Method, int]]


def chosen(rows: Rows, methods: list[str] | None) -> Rows:
    """Return the rows of these methods; all if none are named."""
    return [row for row in rows if not methods or row[0].name in methods]


def resnet(
    data: Path, samples: int, *, methods: list[str] | None = None, priced: bool = False
) -> None:
    """Print the table of ResNet-20 beside published rows; compiling it for prices takes long."""
    print(f"ResNet-20, {CALIBRATION} calibration images, lossless test images")
    table(_resnet(data, samples), chosen(ROWS, methods), priced=priced)
    print(PUBLISHED)


def _resnet(data: Path, samples: int) -> Case:
    x, y = networks.lossless(data, "test")
    calibration, _ = networks.lossless(data, "train")
    return Case(networks.resnet(data), calibration[:CALIBRATION], x[:samples], y[:samples])


def jpeg(
    data: Path, samples: int, *, methods: list[str] | None = None, kept: Path | None = None
) -> None:
    """Print the best methods on all test images."""
    x, y = networks.jpeg(data, "test", 10_000 if samples == 932 else samples)
    calibration, _ = networks.lossless(data, "train")
    case = Case(networks.resnet(data), calibration[:CALIBRATION], x, y, kept)
    print("ResNet-20, JPEG test images")
    rows: Rows = [(Signed(calibrate_bias=True), 32), (BistablePhase(), 6), (BistablePhase(), 7)]
    table(case, chosen(rows, methods), priced=False)


RECIPES: dict[str, dict[str, Any]] = {
    "99.9 %, channels, half": {"mode": "99.9%", "channel_wise": True, "half_threshold": True},
    "99.9 %": {"mode": "99.9%"},
    "1/2": {"mode": 0.5},
    "maximum": {},
}
"""Options of ann2snn: thresholds per channel and potentials that start at half of them; a
percentile; a share of the maximum; its default."""
STEPS = (8, 16, 32, 64, 128)
COMPARED: list[Method] = [Signed(calibrate_bias=True), Balance(), BistablePhase()]


def spikingjelly(data: Path, samples: int) -> None:
    """Compare with ann2snn, the same images and steps: its floats and our integers.

    A bistable layer's window is its number of digits, so there all time steps are counted, those of
    the delays too: as many digits as T steps in all allow, from 3 on.
    """
    case = _resnet(data, samples)
    answers = case.answers()
    print(f"{len(case.x)} images, the model: {(answers == case.y).mean():.2%}")
    print(f"{'accuracy (agrees)':30}" + "".join(f"{f'T={t}':>17}" for t in STEPS) + "  seconds")
    ours = [_ours(case, answers, method) for method in COMPARED]
    theirs = []
    for name, options in RECIPES.items():
        converted = _converted(data, case.calibration, options)
        start = time.perf_counter()
        found = _stepped(converted, case.x)
        theirs.append(_compared(f"ann2snn, {name}", found, case, answers, start))
    for t, mine, other in zip(STEPS, np.max(ours, axis=0), np.max(theirs, axis=0), strict=True):
        accuracy, agrees = 100 * (mine - other)
        print(
            f"T={t}: best of ours - best of ann2snn: {accuracy:+.2f} points, agrees {agrees:+.2f}"
        )


def _ours(case: Case, answers: np.ndarray, method: Method) -> np.ndarray:
    """Return accuracy and agreement for each of STEPS; see `spikingjelly`."""
    found: list[np.ndarray | None] = []
    seconds = 0.0
    for t in STEPS:
        steps = _digits(case, method, t) if isinstance(method, BistablePhase) else t
        if steps < 3:
            found.append(None)
            continue
        made = convert(case.model, case.calibration, method, steps).network
        one = run(integers(made, case.calibration), case.x, kept=case.kept)
        found.append(one.predictions)
        seconds = one.seconds
    start = time.perf_counter() - seconds
    return _compared(f"{title(method)}, integers", found, case, answers, start)


def _digits(case: Case, method: Method, most: int) -> int:
    """Return how many digits take at most so many time steps in all."""
    ann = capture(case.model, case.calibration.astype(np.float64))
    depth = max(ann.find_depths().values())
    return max(d for d in range(9) if method.plan(ann, d).steps + depth <= most or not d)


def _compared(
    name: str, found: list[np.ndarray | None], case: Case, answers: np.ndarray, start: float
) -> np.ndarray:
    """Print and return the accuracies and agreements, (steps, 2); 0 where there are none."""
    rows = [
        (0.0, 0.0) if p is None else ((p == case.y).mean(), (p == answers).mean()) for p in found
    ]
    cells = (f"{accuracy:8.2%} ({agrees:.2%})" if agrees else "-" for accuracy, agrees in rows)
    seconds = time.perf_counter() - start
    print(f"{name:30}" + "".join(f"{cell:>17}" for cell in cells) + f"  {seconds:.1f}", flush=True)
    return np.array(rows)


def _converted(data: Path, calibration: np.ndarray, options: dict[str, Any]) -> nn.Module:
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # it only downloads with it
    from spikingjelly.activation_based import ann2snn

    images = torch.tensor(calibration).float().split(50)
    recipe = ann2snn.RateCodingRecipe([(part, 0) for part in images], **options)
    model = networks.resnet(data)
    for block in (part for part in model.modules() if isinstance(part, networks.Block)):
        if isinstance(block.shortcut, networks.Padded):  # it knows no padding
            block.shortcut = block.shortcut.convolution()
    converted: nn.Module = ann2snn.Converter(recipe).convert(model)
    return converted


def _stepped(model: nn.Module, x: np.ndarray) -> list[np.ndarray]:
    """Return the answers after each of STEPS, in one run."""
    found: list[list[np.ndarray]] = [[] for _ in STEPS]
    with torch.no_grad():
        for part in torch.tensor(x).float().split(100):
            for module in model.modules():
                if hasattr(module, "reset"):
                    module.reset()
            total = torch.zeros(len(part), 10)
            for step in range(STEPS[-1]):
                total += model(part)
                if step + 1 in STEPS:
                    found[STEPS.index(step + 1)].append(total.argmax(1).numpy())
    return [np.concatenate(parts) for parts in found]


def mnist(data: Path, samples: int, *, anew: bool = False) -> None:
    """Print the table of a CNN that was trained as here; see `trained_weights.py`."""
    x, y = networks.mnist(data, "train", 8000)
    test = networks.mnist(data, "test", 2000)
    torch.manual_seed(0)
    model = networks.cnn()

    def train(model: nn.Module) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums in the same order, whatever number of threads there is
        networks.train(model, x, y, epochs=4)
        torch.set_num_threads(threads)

    training = Training(repr(model), len(x), 4, 3e-3, mirrored=False)
    load_or_train("mnist_cnn", model, training, train, anew=anew)
    case = Case(model, x[:CALIBRATION], *test)
    print("MNIST, a CNN trained on 8,000 images, weights of benchmarks/weights")
    rows = [(Balance(), t) for t in (8, 16, 32, 64)] + [(Signed(), t) for t in (4, 8, 16, 32)]
    table(case, [*rows, (BistableRate(), 16), (BistablePhase(), 4)], priced=True)


def graded(data: Path, samples: int) -> None:
    """Print agreement by bits of a message, and the outputs that differ from the formula."""
    case = _resnet(data, samples)
    print("ResNet-20, one step per layer; agrees within one standard error of (percent points)")
    table(case, [(GradedMessages(bits=bits), 1) for bits in numbers.BITS], priced=True)
    answers = case.answers()
    for bits in numbers.BITS:
        made = convert(case.model, case.calibration, GradedMessages(bits=bits))
        network = integers(made.network, case.calibration)
        agrees = float((run(network, case.x).predictions == answers).mean())
        error = 100 * (agrees * (1 - agrees) / len(case.x)) ** 0.5
        differ, outputs = numbers.count_differences(network, case.x)
        print(
            f"{bits} bits: +-{error:.2f}; {differ} of {outputs:,} outputs differ from the formula"
        )


def stream(data: Path, samples: int) -> None:
    """Print messages per frame of graded messages and of their changes."""
    case = _resnet(data, min(samples, 32))
    numbers.stream(case.model, case.calibration, case.x)


def lava(data: Path, samples: int) -> None:
    """Compare ten images on Lava with the reference, every spike of every population."""
    case = _resnet(data, 10)
    for method, steps in (("signed", 8), ("graded", 1)):
        _compare_with_lava(case, method, steps)


def _compare_with_lava(case: Case, method: str, steps: int) -> None:
    from snncompile.backends.lava.run import spike_trains

    made = integers(convert(case.model, case.calibration, method, steps).network, case.calibration)
    shown = check_spikes(made, made.input.present(case.x))
    start = time.perf_counter()
    found = spike_trains(made, shown, timeout_s=3000)
    seconds = time.perf_counter() - start
    (wanted,) = run_batches(made, shown)
    different = sum(int((found[p.name] != wanted[p.name].numpy()).sum()) for p in made.populations)
    outputs = sum(found[p.name].size for p in made.populations)
    print(f"Lava, 10 images, {method}, {steps} steps, {seconds:.0f} s:", end=" ")
    print(f"{different} of {outputs:,} outputs differ")


PARTS = {
    "resnet": resnet,
    "jpeg": jpeg,
    "spikingjelly": spikingjelly,
    "mnist": mnist,
    "graded": graded,
    "stream": stream,
    "lava": lava,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--samples", type=int, default=932)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--methods", nargs="*", help="only these rows of resnet and jpeg")
    parser.add_argument("--resume", action="store_true", help="jpeg goes on where it was cut short")
    parser.add_argument("--priced", action="store_true", help="cores and energy of ResNet-20 too")
    parser.add_argument(
        "--anew", action="store_true", help="mnist: train again; see trained_weights.py"
    )
    given = parser.parse_args()
    PARTS["mnist"] = partial(mnist, anew=given.anew)
    PARTS["resnet"] = partial(resnet, methods=given.methods, priced=given.priced)
    PARTS["jpeg"] = partial(jpeg, methods=given.methods, kept=KEPT if given.resume else None)
    for part in PARTS if "all" in given.parts else given.parts:
        PARTS[part](given.data, given.samples)
