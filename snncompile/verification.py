"""Compare the four runs of one network: source library, float network, integer reference, Lava.

The source library and the float network promise the same outputs, and so do the integer reference
and Lava. Float and integer differ by rounding; the loss is reported, not refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import Graph, Projection
from snncompile.ir.learning_state import name_weights
from snncompile.ir.reports import Proof
from snncompile.neurons.base import Neuron
from snncompile.notebook import format_line, format_rows

SpikeTrains = Mapping[str, NDArray[Any]]
"""Output of each population, shape (samples, steps, size)."""

PAIRS = (("library", "float", True), ("float", "integer", False), ("integer", "lava", True))
"""Two runs that are compared, and whether equal outputs are promised."""
TITLES = {
    "library": "the source library",
    "float": "the float network",
    "integer": "the reference",
    "lava": "Lava",
    "before": "the network before",
    "after": "the network after",
}
WEIGHTS = "weights "
"""Before the ends of a projection that learns, in place of a population."""
POTENTIAL_TOLERANCE = 1e-9
"""Largest difference of float potentials, relative to the largest one: float64 sums in another
order keep more digits than that."""


@dataclass(frozen=True)
class Difference:
    """One output that differs."""

    sample: int
    step: int
    """Own time step of the population."""
    population: str
    neuron: int
    first: str
    """The run; a key of `TITLES`."""
    first_value: float
    second: str
    second_value: float

    def __str__(self) -> str:
        """Sample, step and neuron at which the two runs differ, with both values."""
        if self.population.startswith(WEIGHTS):
            return (
                f"{self.population} after sample {self.sample}, synapse {self.neuron}:"
                f" {TITLES[self.first]} gives {self.first_value:.10g},"
                f" {TITLES[self.second]} {self.second_value:.10g}"
            )
        return (
            f"sample {self.sample}, step {self.step}, population {self.population}, neuron"
            f" {self.neuron}: {TITLES[self.first]} gives {self.first_value:.10g},"
            f" {TITLES[self.second]} {self.second_value:.10g}"
        )


@dataclass(frozen=True)
class Agreement:
    """Agreement of two runs on one population."""

    population: str
    outputs: int
    """Outputs compared: samples times steps times neurons."""
    differences: int | None
    """Outputs that differ; None for rounded potentials, which almost all do."""
    rate_error: float | None
    """Sum over neurons and samples of the difference of their rates (for a readout: of all
    potentials), over the sum of the rates of the first run; None where that is zero and the
    second is not."""

    @property
    def agreement(self) -> float | None:
        """Share of the outputs that are the same; None if they were not counted."""
        return None if self.differences is None else 1 - self.differences / self.outputs


@dataclass(frozen=True)
class Comparison:
    """Two runs of the network, population by population."""

    first: str
    second: str
    promised: bool
    """Whether equal outputs are promised."""
    rows: tuple[Agreement, ...] = ()
    difference: Difference | None = None
    """The earliest one."""
    missing: str = ""
    """Why no comparison was done; empty if it was."""

    @property
    def equal(self) -> bool:
        """Whether every output was compared and is the same."""
        return not self.missing and self.difference is None

    @property
    def broken(self) -> bool:
        """Whether outputs differ that are promised to be the same."""
        return self.promised and self.difference is not None

    def __str__(self) -> str:
        """One line: equal, the share and the first difference, or why no comparison was done."""
        names = f"{TITLES[self.first]} and {TITLES[self.second]}"
        if self.missing:
            return f"{names}: not compared, {self.missing}"
        if self.difference is None:
            return f"{names}: equal"
        counted = [(row.differences, row.outputs) for row in self.rows if row.differences]
        wrong = sum(differences for differences, _ in counted)
        share = wrong / sum(row.outputs for row in self.rows if row.differences is not None)
        why = "" if self.promised else " by rounding"
        return f"{names}: {share:.3%} of outputs differ{why}; first difference: {self.difference}"


@dataclass(frozen=True)
class Activity:
    """Activity of one population in the reference."""

    population: str
    neurons: int
    outputs: int
    """Outputs that are not zero: spikes, or potentials of a readout."""
    rate: float | None
    """Share of outputs that are spikes; None for a readout, like the next two."""
    dead: int | None
    """Neurons that never fire."""
    saturated: int | None
    """Neurons that fire in every time step."""


@dataclass(frozen=True, repr=False)
class Verification:
    """Activity of each population, and agreement of the runs."""

    samples: int
    steps: int
    activity: tuple[Activity, ...]
    comparisons: tuple[Comparison, ...]
    """One per entry of `PAIRS`."""
    proof: Proof | None = None
    """Bounds for the steps of these samples; None for networks, which have none."""

    @property
    def equal(self) -> bool:
        """Whether every checked promise is kept."""
        return not any(c.broken for c in self.comparisons)

    @property
    def first(self) -> Difference | None:
        """The first difference of the first promise that is broken."""
        return next((c.difference for c in self.comparisons if c.broken), None)

    def comparison(self, first: str, second: str) -> Comparison:
        """Return the comparison of two runs, `integer` and `lava` for example."""
        return next(c for c in self.comparisons if (c.first, c.second) == (first, second))

    def _list_facts(self) -> list[tuple[str, object]]:
        """Return what a short text shows of the verification."""
        pairs = [
            (f"{c.first}/{c.second}", "not compared" if c.missing else c.equal)
            for c in self.comparisons
        ]
        return [("samples", self.samples), ("steps", self.steps), ("equal", self.equal), *pairs]

    def __repr__(self) -> str:
        """One line."""
        return format_line("Verification", self._list_facts())

    def _repr_html_(self) -> str:
        lines = [(f"{c.first}, {c.second}", str(c)) for c in self.comparisons]
        return format_rows("Verification", [*self._list_facts()[:3], *lines])


def verify_runs(
    network: Graph,
    runs: Mapping[str, SpikeTrains],
    missing: Mapping[str, str],
    scales: Mapping[str, float],
) -> Verification:
    """Return the agreement of the runs.

    Args:
        network: the integer network; gives the order and phases of the populations.
        runs: outputs by run, `integer` at least. A population missing in a run, such as one
            that the compiler added, is not compared.
        missing: the reason for each missing run.
        scales: integer output per float output, of readouts and of neurons that send rounded
            values.
    """
    integer = runs["integer"]
    comparisons = []
    for first, second, promised in PAIRS:
        why = missing.get(first) or missing.get(second) or ""
        if why:
            comparisons.append(Comparison(first, second, promised, missing=why))
        else:
            comparisons.append(compare_runs(network, runs, (first, second, promised), scales))
    samples, steps = integer[network.output].shape[:2]
    activity = tuple(
        _summarize_activity(p.name, integer[p.name], p.neuron.spikes) for p in network.populations
    )
    return Verification(samples, steps, activity, tuple(comparisons))


def compare_runs(
    network: Graph,
    runs: Mapping[str, SpikeTrains],
    pair: tuple[str, str, bool],
    scales: Mapping[str, float],
) -> Comparison:
    """Return the agreement of two runs on the populations of both.

    Args:
        network: gives the order and phases of the populations.
        runs: outputs by run.
        pair: keys of `runs` and `TITLES`, and whether equal outputs are promised.
        scales: integer output per float output, of readouts and of neurons that send values.
    """
    first, second, promised = pair
    rows, differences = [], []
    for order, p in enumerate(network.populations):
        if p.name not in runs[first] or p.name not in runs[second]:
            continue
        a, b = runs[first][p.name], runs[second][p.name]
        if not promised and (not p.neuron.spikes or p.name in scales):
            rows.append(
                Agreement(p.name, a.size, None, _measure_gap(a, b / scales.get(p.name, 1.0)))
            )
            continue
        wrong = _find_differences(a, b)
        rows.append(
            Agreement(p.name, a.size, int(np.count_nonzero(wrong)), _compare_rates(a, b, p.neuron))
        )
        if rows[-1].differences:
            sample, step, neuron = (int(i) for i in np.argwhere(wrong)[0])
            values = first, a[sample, step, neuron].item(), second, b[sample, step, neuron].item()
            difference = Difference(sample, step, p.name, neuron, *values)
            differences.append(((sample, step + p.phase, order), difference))
    for projection in network.plastic if promised else ():
        name = name_weights(network.number(projection))
        if name in runs[first] and name in runs[second]:
            row, weight = _compare_weights(runs, (first, second), projection, name)
            rows.append(row)
            last = runs[first][network.output].shape
            differences += [((last[0], last[1], 0), weight)] if weight else []
    earliest = min(differences, key=lambda entry: entry[0])[1] if differences else None
    return Comparison(first, second, promised, tuple(rows), earliest)


def _compare_weights(
    runs: Mapping[str, SpikeTrains], pair: tuple[str, str], projection: Projection, name: str
) -> tuple[Agreement, Difference | None]:
    """Return the agreement of the weights that two runs learned, and the first that differs."""
    first, second = pair
    a, b = (np.asarray(runs[run][name]).ravel() for run in pair)
    where = f"{WEIGHTS}{projection.source} -> {projection.target}"
    wrong = np.flatnonzero(a != b)
    row = Agreement(where, a.size, len(wrong), _measure_gap(a, b))
    if not len(wrong):
        return row, None
    samples, steps = runs[first][projection.target].shape[:2]
    synapse = int(wrong[0])
    values = first, float(a[synapse]), second, float(b[synapse])
    return row, Difference(samples - 1, steps - 1, where, synapse, *values)


def _find_differences(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which outputs differ; two floats are equal if they are close enough."""
    if "f" not in (a.dtype.kind, b.dtype.kind):
        return np.asarray(a != b)
    return np.asarray(np.abs(a - b) > POTENTIAL_TOLERANCE * np.abs(a).max(initial=0))


def _compare_rates(a: NDArray[Any], b: NDArray[Any], neuron: Neuron) -> float | None:
    if not neuron.spikes:
        return _measure_gap(a, b)
    return _measure_gap(*(x.sum(axis=1, dtype=np.float64) for x in (a, b)))


def _measure_gap(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    total, gap = float(np.abs(a).sum()), float(np.abs(b - a).sum())
    return gap / total if total else None if gap else 0.0


def _summarize_activity(name: str, train: NDArray[Any], spikes: bool) -> Activity:
    fired = train != 0
    outputs = int(np.count_nonzero(fired))
    if not spikes:
        return Activity(name, train.shape[2], outputs, None, None, None)
    dead = int(np.count_nonzero(~fired.any(axis=(0, 1))))
    saturated = int(np.count_nonzero(fired.all(axis=(0, 1))))
    return Activity(name, train.shape[2], outputs, outputs / fired.size, dead, saturated)
