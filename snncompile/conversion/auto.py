"""Choose method and steps on the calibration data, within a budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import InputError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion

CANDIDATES: tuple[tuple[Method, tuple[int, ...]], ...] = (
    (BistablePhase(), (3, 4, 5, 6, 7, 8)),
    (Signed(calibrate_bias=True), (4, 8, 16, 24, 32, 48, 64, 96, 128)),
    (Balance(calibrate_bias=True), (8, 16, 32, 64, 128, 256)),
)
"""What is tried: each method with its steps, from few to many."""
SAMPLES = 64
"""On which the answers are compared."""
PRICED = 4
"""Samples whose activity an energy is estimated with."""
LOSS = 0.02
"""What is asked for where the budget says nothing."""


@dataclass(frozen=True)
class Budget:
    """What a conversion may cost; None: no limit."""

    steps: int | None = None
    """Time steps from the first input to the answer, with the one step that each layer takes."""
    energy_j: float | None = None
    """Of one inference, as the estimator has it; the network is compiled for that."""
    loss: float | None = None
    """Share of the calibration samples whose answer may be another than the model's."""
    chip: str = "loihi2"
    """On whose integers the answers are compared."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """One candidate on the chip's integers."""

    made: Conversion
    loss: float
    """Share of answers that are not the model's."""
    distance: float
    """1 - mean cosine between the scores of the answers and the model's, each without its mean."""
    energy_j: float | None
    in_all: int

    def __str__(self) -> str:
        energy = "" if self.energy_j is None else f", {self.energy_j:.3g} J"
        return (
            f"{self.made.method.name} {self.made.steps}: {self.in_all} time steps,"
            f" {self.loss:.1%} other answers, scores {self.distance:.2%} off{energy}"
        )


def automatic(ann: Ann, x: NDArray[np.float64], budget: Budget) -> Conversion:
    """Return the conversion that suits the budget; its notes say what was tried.

    With a loss, the fewest time steps that keep to everything; LOSS, if nothing at all is asked
    for. Without one, the scores nearest the model's that the time steps and the energy buy: of each
    method the most steps that keep to them. Every candidate runs on the chip's integers.

    Raises:
        InputError: nothing keeps to the budget; the message has what was tried. Or the chip lacks
            the neurons of every candidate.
    """
    if budget.loss is None and budget.steps is None and budget.energy_j is None:
        budget = replace(budget, loss=LOSS)
    trials = _Trials(ann, x, budget)
    found = trials.nearest() if budget.loss is None else trials.soonest(budget.loss)
    if found is None:
        tried = "; ".join(trials.notes) or "nothing, all take more steps"
        raise InputError(f"nothing keeps to {budget}; tried {tried}")
    notes = tuple(f"convert: auto tried {one}" for one in trials.notes)
    network = replace(found.made.network, notes=notes + found.made.network.notes)
    return replace(found.made, network=network)


class _Trials:
    """Makes candidates and runs them, and keeps what is to be said of it."""

    def __init__(self, ann: Ann, x: NDArray[np.float64], budget: Budget) -> None:
        """Start with no trial."""
        self.ann, self.x, self.budget = ann, x, budget
        self.chip = chips.load(budget.chip)
        self.known = [(m, many) for m, many in CANDIDATES if self._has_neurons(m, many[0])]
        if not self.known:
            raise InputError(
                f"no conversion runs on {self.chip.name}: it takes window_readout and one of"
                " integrate_fire/soft, signed_integrate_fire and phase_fire, and there are"
                f" {', '.join(self.chip.neurons)}"
            )
        self.activations = ann.activations(x)
        self.depth = max(ann.levels().values())
        self.notes: list[str] = []

    def soonest(self, loss: float) -> _Trial | None:
        """Return the candidate of the fewest time steps that keeps to everything."""
        ordered = sorted(self._candidates(), key=lambda row: self._in_all(*row))
        for method, steps in ordered:
            made = self._made(method, steps)
            trial = self._run(made, energy_j=None)
            if trial.loss <= loss and self.budget.energy_j is not None:
                trial = replace(trial, energy_j=self._energy(made))
            self.notes.append(str(trial))
            if trial.loss <= loss and self._pays(trial.energy_j):
                return trial
        return None

    def nearest(self) -> _Trial | None:
        """Return the candidate whose scores are nearest the model's, of those that are paid for."""
        trials = []
        for method, _ in self.known:
            mine = [steps for other, steps in self._candidates() if other is method]
            for steps in reversed(mine):
                made = self._made(method, steps)
                energy = None if self.budget.energy_j is None else self._energy(made)
                if self._pays(energy):
                    trials.append(self._run(made, energy))
                    self.notes.append(str(trials[-1]))
                    break
                self.notes.append(f"{method.name} {steps}: {energy:.3g} J")
        return min(trials, key=lambda trial: trial.distance, default=None)

    def _has_neurons(self, method: Method, steps: int) -> bool:
        kinds = {p.neuron.kind for p in method.populations(self.ann, steps)}
        return kinds <= set(self.chip.neurons)

    def _candidates(self) -> Iterator[tuple[Method, int]]:
        """Yield methods and steps for which the budget has the time steps."""
        for method, many in self.known:
            for steps in many:
                limit = self.budget.steps
                if limit is None or self._in_all(method, steps) <= limit:
                    yield method, steps

    def _in_all(self, method: Method, steps: int) -> int:
        return method.plan(self.ann, steps).steps + self.depth

    def _pays(self, energy: float | None) -> bool:
        return self.budget.energy_j is None or energy is None or energy <= self.budget.energy_j

    def _made(self, method: Method, steps: int) -> Conversion:
        from snncompile.conversion.build import spiking

        return spiking(self.ann, self.x, method, steps, activations=self.activations)

    def _run(self, made: Conversion, energy_j: float | None) -> _Trial:
        last = self.activations[self.ann.layers[-1].name][:SAMPLES].flatten(1)
        answers, scores = _answers(made, self.x[:SAMPLES], self.chip)
        loss = float((answers != last.argmax(dim=1).numpy()).mean())
        in_all = self._in_all(made.method, made.steps)
        return _Trial(made, loss, _distance(scores, last), energy_j, in_all)

    def _energy(self, made: Conversion) -> float:
        from snncompile.compiler import compile

        shown = made.network.input.present(self.x[:PRICED])
        program = compile(made.network, chip=self.budget.chip, calibration=shown)
        return float(program.estimate(shown).energy_j)


def _answers(
    made: Conversion, x: NDArray[np.float64], chip: Chip
) -> tuple[NDArray[np.int64], Floats]:
    """Return the answers on the chip's integers, and their scores (samples, classes)."""
    shown = made.network.input.present(x)
    design = Quantize()(Retime()(Design(made.network, chip, shown[:PRICED])))
    assert isinstance(design.network, IntegerNetwork)
    result = design.network.run(shown)
    return result.prediction, result.spikes.sum(axis=1, dtype=np.float64).reshape(len(x), -1)


def _distance(scores: Floats, wanted: Tensor) -> float:
    mine, theirs = (a - a.mean(axis=1, keepdims=True) for a in (scores, wanted.double().numpy()))
    size = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (mine * theirs).sum(axis=1) / np.where(size > 0, size, 1.0)
    return float(1 - cosines.mean())
