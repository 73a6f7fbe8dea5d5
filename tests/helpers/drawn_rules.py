"""Random learning rules over everything that Lava has, and runs of them here and on Lava."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.backends.lava import environment
from snncompile.ir.learning_rule import TRACES, LearningRule
from snncompile.ir.products import WIDTH_LIMIT, WIDTHS
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.reference.learning.integer import IntegerLearner, begin_state

SCRIPT = Path(__file__).parent / "lava_learning.py"
POST = ("y1", "y2", "y3")


@dataclass(frozen=True, eq=False)
class Case:
    """Synapses that learn, and what they are shown."""

    rule: LearningRule
    sparse: bool
    shape: tuple[int, int]
    row: Any
    column: Any
    weight: Any
    pre: Any
    drive: Any
    third: Any
    neuron: dict[str, int]


def draw_factor(rng: np.random.Generator, sparse: bool) -> str:
    """Return one factor; Lava's LearningSparse cannot compute with w and t."""
    names = ["x1", "x2", "y1", "y2", "y3", "x1", "y1", "x0", "y0"]
    names += [] if sparse else ["w", "t"]
    name = str(rng.choice(names))
    if name in ("w", "t"):
        constant = 2 * int(rng.integers(-100, 100))
        text = f"{name} {constant:+d}" if rng.random() < 0.4 else name
        return f"sgn({text})" if rng.random() < 0.4 else f"({text})"
    if name in ("x0", "y0"):
        return name
    return f"({name} {int(rng.integers(-60, 60)):+d})" if rng.random() < 0.3 else name


def draw_sum(rng: np.random.Generator, sparse: bool, k: int) -> str:
    """Return a sum of one to three products."""
    products = []
    for _ in range(rng.integers(1, 4)):
        dependency = str(rng.choice(["x0", "y0", f"u{k}"]))
        factors = [draw_factor(rng, sparse) for _ in range(rng.integers(0, 4))]
        width = sum(next(w for v, w in WIDTHS.items() if v in f) for f in factors)
        while width > WIDTH_LIMIT:
            lost = factors.pop()
            width -= next(w for v, w in WIDTHS.items() if v in lost)
        scale = f"{int(rng.integers(-8, 8)) or 1}*2^{int(rng.integers(-7, 0))}"
        products.append("*".join([scale, dependency, *factors]))
    return " + ".join(products)


def draw_rule(rng: np.random.Generator, sparse: bool) -> LearningRule:
    """Return a random rule; a quarter have a third factor."""
    k, third = int(rng.integers(0, 4)), rng.random() < 0.25
    sums = {"dw": draw_sum(rng, sparse, k)}
    if rng.random() < 0.5:
        sums["dt"] = draw_sum(rng, sparse, k)
    traces = {}
    for trace in TRACES:
        if third and trace in POST:
            continue
        whole = rng.integers(0, 60)
        fraction = int(rng.integers(0, 256)) / 256 if rng.random() < 0.6 else 0.0
        traces[f"{trace}_impulse"] = float(whole + fraction)
        traces[f"{trace}_tau"] = float(rng.choice([0, 1, 2, 3.5, 8, 20, 100]))
    return LearningRule(
        **sums,
        **traces,
        epoch=int(rng.integers(1, 9)),
        seed=int(rng.integers(0, 2**31 - 5)),
        third_factor={trace: "other" for trace in POST} if third else (),
        sign="positive" if not sparse and rng.random() < 0.3 else "mixed",
    )


def draw_case(seed: int, sparse: bool, steps: int = 400, size: int = 12) -> Case:
    """Return a random rule between random neurons, with random spikes."""
    rng = np.random.default_rng(seed)
    rule = draw_rule(rng, sparse)
    shape = int(rng.integers(2, size)), int(rng.integers(2, size))
    row, column = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    if sparse:
        kept = rng.random(len(row)) < 0.6
        kept[0] = True
        row, column = row[kept], column[kept]
    low = 1 if rule.sign == "positive" or sparse else -250
    weight = rng.integers(low, 250, len(row))
    if sparse:
        weight *= rng.choice([-1, 1], len(row))
    return Case(
        rule,
        sparse,
        shape,
        row,
        column,
        weight if sparse else weight.reshape(shape),
        rng.random((steps, shape[1])) < rng.choice([0.1, 0.3, 0.6]),
        rng.random((steps, shape[0])) < rng.choice([0.1, 0.4]),
        rng.integers(-20, 140, (steps, 3, shape[0])),
        {"du": 2000, "dv": 300, "vth": int(rng.choice([60, 200, 500]))},
    )


def run_here(case: Case, every: int) -> dict[str, Any]:
    """Return weights, tags and traces after every `every` steps, and all spikes."""
    start = begin_state(case.weight, case.shape[1], case.shape[0])
    learner = IntegerLearner(case.rule, case.row, case.column, start)
    given = case.neuron
    neuron = IntegerCubaLif(given["du"], given["dv"], given["vth"])
    state = neuron.begin(np.zeros(case.shape[0], np.int64))
    read: dict[str, list[Any]] = {}
    spikes, arriving = [], np.zeros(case.shape[0], np.int64)
    for t in range(len(case.pre)):
        push = 64 * case.drive[t - 1] if t else 0
        state, fired = neuron.step(state, arriving + push)
        third = case.third[t] if case.rule.third_factor else None
        arriving = learner.step(case.pre[t], fired, third)
        spikes.append(fired)
        if (t + 1) % every == 0 or t + 1 == len(case.pre):
            values = {"weights": learner.weight, "tag_1": learner.tag}
            values |= {f"x{k + 1}": learner.pre[k] for k in range(2)}
            values |= {f"y{k + 1}": learner.post[k] for k in range(3)}
            for key, value in values.items():
                read.setdefault(key, []).append(value.copy())
    return {key: np.array(value) for key, value in read.items()} | {"spikes": np.array(spikes)}


def run_on_lava(cases: list[Case], folder: Path, every: int) -> list[dict[str, Any]]:
    """Return the same from real Lava, with the `seconds` that its steps took."""
    arrays: dict[str, Any] = {}
    records = {}
    for number, case in enumerate(cases):
        rule = case.rule
        values = {"dw": rule.dw or None, "dt": rule.dt or None}
        values |= {"t_epoch": rule.epoch, "rng_seed": rule.seed}
        for trace in TRACES:
            if not (rule.third_factor and trace in POST):
                values |= {f"{trace}_impulse": rule.impulse(trace), f"{trace}_tau": rule.tau(trace)}
        records[f"c{number}"] = {
            "rule": values,
            "third": bool(rule.third_factor),
            "positive": rule.sign == "positive",
            "sparse": case.sparse,
            "shape": case.shape,
            "neuron": case.neuron,
            "every": every,
        }
        for key in ("row", "column", "weight", "pre", "drive", "third"):
            arrays[f"c{number}.{key}"] = getattr(case, key)
    np.savez(folder / "cases.npz", cases=json.dumps(records), **arrays)
    command = [environment.locate_python(), "-E", "-s", SCRIPT, "cases.npz", "out.npz"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60 + 40 * len(cases)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    saved = np.load(folder / "out.npz", allow_pickle=False)
    results: list[dict[str, Any]] = [{} for _ in cases]
    for key in saved.files:
        name, _, field = key.partition(".")
        results[int(name[1:])][field] = saved[key]
    return results


def count_differences(ours: dict[str, Any], lavas: dict[str, Any]) -> int:
    """Return the numbers that differ in weights, tags, traces and spikes."""
    return sum(
        int(np.count_nonzero(ours[key].reshape(lavas[key].shape) != lavas[key])) for key in ours
    )
