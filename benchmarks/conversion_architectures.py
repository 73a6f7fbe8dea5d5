"""Small networks of the kinds that people train, converted by SpikingJelly's `ann2snn` and by ours.

    python benchmarks/conversion_architectures.py [--steps 16 32] [--only "max pool" "ReLU"]

The networks are those of `tests/helpers/architectures.py`, with drawn weights: inputs are normal
random numbers, 100 for calibration and 100 others to compare. A cell is the correlation of the
spiking network's answers with the module's, each answer less its mean over the inputs; where the
module ends in classes or shares, with a %, how often both have the same class. `ann2snn`
(thresholds per channel at 99.9 % of the largest value, potentials from half of them) computes in
floats, without delays. It "takes" a network if it converts it and none of its curves and rectifiers
is left as a number that no spike carries; what is left is named. Ours are Loihi 2's integers with
8-bit weights: `signed` with calibrated biases for networks of rectifiers, `graded` with 8 bits in
one step per layer for all.
"""

from __future__ import annotations

import argparse
import copy
import sys
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx, nn

import snncompile
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import SnnCompileError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from architectures import CONVERTS, SHAPE

RECIPE: dict[str, Any] = {"mode": "99.9%", "channel_wise": True, "half_threshold": True}
LINEAR = {"Conv1d", "Conv2d", "Linear", "BatchNorm2d", "InstanceNorm2d", "AvgPool2d"}
LINEAR |= {"AdaptiveAvgPool2d", "Flatten", "Embedding", "ParametrizedConv2d", "Dropout"}
SPIKES = {"IFNode", "HalfThresholdIFNode", "VoltageScaler", "ChannelVoltageScaler"}
POOLS = {"MaxPool2d", "AdaptiveMaxPool2d", "max_pool2d", "max_pool1d", "adaptive_max_pool2d"}
ENDS = {"softmax", "log_softmax", "Softmax", "Sigmoid", "sigmoid", "argmax"}
WIRING = {"add", "sub", "cat", "flatten", "mean", "getattr", "getitem", "interpolate", "permute"}
WIRING |= {"truediv", "transpose", "unsqueeze", "squeeze", "view", "reshape", "size", "chunk"}


def draw_inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs for calibration, and others to compare."""
    shape = (3, 16) if name == "maximum over time" else SHAPE
    x = np.random.default_rng(0).normal(size=(200, *shape))
    return x[:100], x[100:]


def score(found: np.ndarray, wanted: np.ndarray, name: str) -> str:
    """Return the cell of answers; see above."""
    if "at the end" in name:
        classes = [v.argmax(axis=1) if v.ndim > 1 else np.rint(v) for v in (found, wanted)]
        return f"{(classes[0] == classes[1]).mean():9.0%}"
    a, b = (values - values.mean(axis=0) for values in (found, wanted))
    return f"{(a * b).sum() / max(1e-12, np.sqrt((a * a).sum() * (b * b).sum())):9.4f}"


def list_numbers(model: nn.Module) -> list[str]:
    """Return what a converted network still computes in numbers, in the order of its calls."""
    graph = model.graph if isinstance(model, fx.GraphModule) else fx.symbolic_trace(model).graph
    parts, found = dict(model.named_modules()), []
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output", "get_attr")]
    for node in nodes:
        if node.op == "call_module":
            kind = type(parts[str(node.target)]).__name__
        else:
            kind = getattr(node.target, "__name__", str(node.target))
        last = node is nodes[-1]
        if kind not in LINEAR | SPIKES | POOLS | WIRING and not (last and kind in ENDS):
            found.append(kind)
    return found


def run_theirs(
    model: nn.Module, x: np.ndarray, test: np.ndarray, steps: list[int]
) -> list[np.ndarray]:
    """Return the answers after each number of steps."""
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # it only downloads with it
    from spikingjelly.activation_based import ann2snn, functional

    recipe = ann2snn.RateCodingRecipe([(torch.tensor(x).float(), 0)], **RECIPE)
    converted = ann2snn.Converter(recipe).convert(copy.deepcopy(model)).eval()
    left = list_numbers(converted)
    if left:
        raise ValueError(f"leaves {', '.join(dict.fromkeys(left))}")
    if not any(type(part).__name__.endswith("IFNode") for part in converted.modules()):
        raise ValueError("has no spiking neuron")
    functional.reset_net(converted)
    images, total, found = torch.tensor(test).float(), 0.0, []
    with torch.no_grad():
        for step in range(1, max(steps) + 1):
            total = total + converted(images).double().numpy()
            if step in steps:
                found.append(total / step)
    return found


def run_ours(
    make: Callable[[], Method], model: nn.Module, x: np.ndarray, test: np.ndarray, steps: list[int]
) -> list[np.ndarray]:
    """Return the answers of the integers after each number of steps."""
    found = []
    for t in steps:
        made = snncompile.from_ann(model, x, make(), t)
        shown = made.input.present(x[:8])
        program = snncompile.compile(made, chip="loihi2", calibration=shown, prune=False)
        found.append(program.run(made.input.present(test)).answer.astype(np.float64))
    return found


WAYS: dict[str, Callable[..., list[np.ndarray]]] = {
    "signed": partial(run_ours, partial(Signed, calibrate_bias=True)),
    "graded": partial(run_ours, GradedMessages),
    "ann2snn": run_theirs,
}


def attempt(function: Callable[[], list[Any]], wanted: np.ndarray, name: str) -> tuple[str, bool]:
    """Return the cells of a converter, or why it has none, and whether it took the network."""
    try:
        return "".join(score(found, wanted, name) for found in function()), True
    except SnnCompileError as error:
        return str(error).split(",")[0], False
    except Exception as error:  # another library's converter may raise anything
        return (str(error).splitlines() or [type(error).__name__])[0][:88], False


def main() -> None:
    """Convert all and print a row per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--only", nargs="+", choices=CONVERTS, default=list(CONVERTS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = {"signed": options.steps, "graded": [1], "ann2snn": options.steps}
    titles = {way: f"{way} T={'/'.join(map(str, steps))}" for way, steps in columns.items()}
    titles["graded"] = "graded"
    heads = (f"{titles[way]:{9 * len(steps)}}" for way, steps in columns.items())
    print(f"{'':38}", *heads, sep=" | ")
    taken = dict.fromkeys(WAYS, 0)
    for name in options.only:
        torch.manual_seed(1)
        model = CONVERTS[name][0]().eval()
        x, test = draw_inputs(name)
        with torch.no_grad():
            wanted = model(torch.tensor(test).float()).double().numpy()
        cells = []
        for way, convert in WAYS.items():
            function = partial(convert, model, x, test, columns[way])
            cell, took = attempt(function, wanted, name)
            taken[way] += took
            cells.append(f"{cell:{9 * len(columns[way])}}")
        print(f"{name:38}", *cells, sep=" | ", flush=True)
    print(f"taken of {len(options.only)}: " + ", ".join(f"{w} {n}" for w, n in taken.items()))


if __name__ == "__main__":
    main()
