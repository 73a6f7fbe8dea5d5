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
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import LINE_LENGTH, InputError, UnsupportedError, list_briefly, list_reasons
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.options import Options
from snncompile.passes.equal_neurons import begin_design, find_equal_neuron
from snncompile.passes.pipeline import PassProgress, Pipeline, share_progress

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion

CANDIDATES: tuple[tuple[Method, tuple[int, ...]], ...] = (
    (GradedMessages(), (1,)),
    (BistablePhase(), (3, 4, 5, 6, 7, 8)),
    (Signed(calibrate_bias=True), (4, 8, 16, 24, 32, 48, 64, 96, 128)),
    (Balance(calibrate_bias=True), (8, 16, 32, 64, 128, 256)),
)
"""Candidates: each method with its steps, from few to many.

Graded messages have the most bits, as fewer bits take as many steps.
"""
SAMPLES = 64
"""Samples on which the answers are compared."""
BUILT = 128
"""Samples, evenly out of all, on which candidates are built; the chosen one is built on all."""
PRICED = 4
"""Samples whose activity gives the energy."""
TO_INTEGERS = Pipeline.default(Options()).until("measure")
"""The passes that make integers of a candidate."""
LOSS = 0.02
"""Limit of the loss where the budget sets none."""


def list_candidates() -> tuple[tuple[Method, tuple[int, ...]], ...]:
    """Return the candidates of "auto", each method with its steps; a sweep tries them all."""
    return CANDIDATES


@dataclass(frozen=True)
class Budget:
    """Limits of a conversion; None: no limit."""

    steps: int | None = None
    """Time steps from the first input to the answer, including one step per layer."""
    energy_j: float | None = None
    """Energy of one inference, by the estimator; the network is compiled for it."""
    loss: float | None = None
    """Share of the calibration samples whose answer may differ from the model's."""
    chip: str = "loihi2"
    """Chip whose integers the candidates run on."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """One candidate on the chip's integers."""

    conversion: Conversion
    loss: float
    """Share of answers that differ from the model's."""
    distance: float
    """1 - mean cosine between the scores of the answers and the model's, each without its mean."""
    energy_j: float | None
    total_steps: int

    def __str__(self) -> str:
        energy = "" if self.energy_j is None else f", {self.energy_j:.3g} J"
        return (
            f"{self.conversion.method.name} {self.conversion.steps}: {self.total_steps} time steps,"
            f" {self.loss:.1%} other answers, scores {self.distance:.2%} off{energy}"
        )


def choose_conversion(
    ann: Ann, x: NDArray[np.float64], budget: Budget, progress: PassProgress | None = None
) -> Conversion:
    """Return the conversion that suits the budget; its notes list the candidates tried.

    With a limit of the loss (LOSS, if the budget is empty): the fewest time steps within all
    limits. Without: the scores nearest the model's within the limits of time steps and energy, from
    the most steps of each method within them. Every candidate runs on the chip's integers.

    Raises:
        InputError: nothing keeps to the budget; the message lists the candidates. Or the chip lacks
            the neurons of every candidate.
        UnsupportedError: no candidate whose neurons the chip has takes the network.
    """
    if budget.loss is None and budget.steps is None and budget.energy_j is None:
        budget = replace(budget, loss=LOSS)
    trials = _Trials(ann, x, budget, progress)
    best = trials.find_nearest() if budget.loss is None else trials.find_fastest(budget.loss)
    if best is None:
        text = f"nothing keeps to {budget}; tried "
        tried = list_reasons(trials.notes, LINE_LENGTH - len(text) - 1)
        raise InputError(f"{text}{tried or 'nothing, all take more steps'}")
    best = trials.rebuild(best)
    notes = tuple(f"convert: auto tried {note}" for note in trials.notes)
    if trials.unpriced:
        notes += (f"convert: these energies are without {', '.join(trials.unpriced)}",)
    network = replace(best.conversion.network, notes=notes + best.conversion.network.notes)
    return replace(best.conversion, network=network)


class _Trials:
    """Builds candidates, runs them, and notes the results."""

    def __init__(
        self, ann: Ann, x: NDArray[np.float64], budget: Budget, progress: PassProgress | None
    ) -> None:
        """Start with no trial."""
        self.ann, self.x, self.budget = ann, x[:: max(1, len(x) // BUILT)][:BUILT], budget
        self.all_x = x
        self.all_progress = self.progress = progress
        """Callbacks of all candidates together, and of the one that runs."""
        self.chip = chips.load_chip(budget.chip)
        self.notes: list[str] = []
        self.prepared: dict[str, Ann] = {}
        """The network as each method takes it, by its name."""
        self.known = self._find_known()
        self.activations = {
            name: own.compute_activations(self.x) for name, own in self.prepared.items()
        }
        self.unpriced: tuple[str, ...] = ()
        """Events without a price, which the energies of the trials lack."""

    def find_fastest(self, loss: float) -> _Trial | None:
        """Return the candidate of the fewest time steps within all limits."""
        ordered = sorted(self._walk_candidates(), key=lambda row: self._count_steps(*row))
        for number, (method, steps) in enumerate(ordered):
            self.progress = self._share_progress(number, len(ordered))
            conversion = self._build(method, steps)
            trial = self._run(conversion, energy_j=None)
            if trial.loss <= loss and self.budget.energy_j is not None:
                trial = replace(trial, energy_j=self._estimate_energy(conversion))
            self.notes.append(str(trial))
            if trial.loss <= loss and self._is_affordable(trial.energy_j):
                return trial
        return None

    def find_nearest(self) -> _Trial | None:
        """Return the affordable candidate whose scores are nearest the model's."""
        trials = []
        for number, (method, _) in enumerate(self.known):
            self.progress = self._share_progress(number, len(self.known))
            own_steps = [steps for other, steps in self._walk_candidates() if other is method]
            for steps in reversed(own_steps):
                conversion = self._build(method, steps)
                energy = None if self.budget.energy_j is None else self._estimate_energy(conversion)
                if self._is_affordable(energy):
                    trials.append(self._run(conversion, energy))
                    self.notes.append(str(trials[-1]))
                    break
                self.notes.append(f"{method.name} {steps}: {energy:.3g} J")
        return min(trials, key=lambda trial: trial.distance, default=None)

    def rebuild(self, best: _Trial) -> _Trial:
        """Return the candidate built on all samples, if it keeps to the limit of the loss too."""
        if len(self.all_x) == len(self.x):
            return best
        from snncompile.conversion.build import build_conversion

        self.progress = share_progress(self.all_progress, len(self.notes), 1 + len(self.notes))
        method, steps = best.conversion.method, best.conversion.steps
        whole = build_conversion(self.ann, self.all_x, method, steps)
        trial = self._run(whole, best.energy_j)
        self.notes.append(f"{trial}, built on all {len(self.all_x):,} samples")
        better = self.budget.loss is None or trial.loss <= max(self.budget.loss, best.loss)
        return trial if better else best

    def _share_progress(self, number: int, count: int) -> PassProgress | None:
        """Return the callback of one candidate; the last share is for building on all samples."""
        return share_progress(self.all_progress, number, count + (len(self.all_x) > len(self.x)))

    def _find_known(self) -> list[tuple[Method, tuple[int, ...]]]:
        """Return the candidates that take the network and whose neurons the chip has."""
        known, refusals, missing = [], list[UnsupportedError](), list[str]()
        for method, many in CANDIDATES:
            try:
                prepared = method.prepare(self.ann, self.all_x)
                populations = method.build_populations(prepared, many[0])
            except UnsupportedError as error:
                refusals.append(error)
                self.notes.append(f"{method.name}: {error}")
                continue
            if all(find_equal_neuron(p.neuron, self.chip) for p in populations):
                self.prepared[method.name] = prepared
                known.append((method, many))
            else:
                missing.append(method.name)
        if not known and refusals:
            lacks = f"; {self.chip.name} has no neurons of {', '.join(missing)}" if missing else ""
            raise UnsupportedError(f"{refusals[0]}{lacks}")
        if not known:
            raise InputError(
                f"no conversion runs on {self.chip.name}: it takes window_readout and one of"
                " integrate_fire/soft, signed_integrate_fire, phase_fire and graded/scaled, and"
                f" there are {list_briefly(list(self.chip.neurons), 120)}"
            )
        return known

    def _walk_candidates(self) -> Iterator[tuple[Method, int]]:
        """Yield methods and steps within the budget's time steps."""
        for method, many in self.known:
            for steps in many:
                limit = self.budget.steps
                if limit is None or self._count_steps(method, steps) <= limit:
                    yield method, steps

    def _count_steps(self, method: Method, steps: int) -> int:
        ann = self.prepared[method.name]
        return method.plan(ann, steps).steps + max(ann.find_depths().values())

    def _is_affordable(self, energy: float | None) -> bool:
        return self.budget.energy_j is None or energy is None or energy <= self.budget.energy_j

    def _build(self, method: Method, steps: int) -> Conversion:
        from snncompile.conversion.build import build_conversion

        ann, activations = self.prepared[method.name], self.activations[method.name]
        return build_conversion(ann, self.x, method, steps, activations=activations)

    def _run(self, conversion: Conversion, energy_j: float | None) -> _Trial:
        name, activations = self.ann.layers[-1].name, self.activations[conversion.method.name]
        last = activations[name][:SAMPLES].flatten(1)
        answers, scores = _run_integers(conversion, self.x[:SAMPLES], self.chip, self.progress)
        loss = float((answers != last.argmax(dim=1).numpy()).mean())
        total_steps = self._count_steps(conversion.method, conversion.steps)
        return _Trial(conversion, loss, _measure_distance(scores, last), energy_j, total_steps)

    def _estimate_energy(self, conversion: Conversion) -> float:
        from snncompile.compiler import compile

        shown = conversion.network.input.present(self.x[:PRICED])
        program = compile(
            conversion.network, chip=self.budget.chip, calibration=shown, progress=self.progress
        )
        estimate = program.estimate(shown)
        if estimate.energy_j is None:
            raise InputError(
                f"{self.budget.chip}: a limit of the energy needs prices, and cost set"
                f" {estimate.costs} has no energy of {', '.join(estimate.unpriced)}; take another"
                " chip or a limit of the time steps"
            )
        self.unpriced = tuple(sorted({*self.unpriced, *estimate.unpriced}))
        return estimate.energy_j


def _run_integers(
    conversion: Conversion, x: NDArray[np.float64], chip: Chip, progress: PassProgress | None
) -> tuple[NDArray[np.int64], Floats]:
    """Return the answers on the chip's integers, and their scores (samples, classes)."""
    shown = conversion.network.input.present(x)
    design = TO_INTEGERS.run(begin_design(conversion.network, chip, shown[:PRICED]), progress)
    assert isinstance(design.network, IntegerNetwork)
    result = design.network.run(shown)
    return result.prediction, result.spikes.sum(axis=1, dtype=np.float64).reshape(len(x), -1)


def _measure_distance(scores: Floats, wanted: Tensor) -> float:
    own, model = (a - a.mean(axis=1, keepdims=True) for a in (scores, wanted.double().numpy()))
    size = np.linalg.norm(own, axis=1) * np.linalg.norm(model, axis=1)
    cosines = (own * model).sum(axis=1) / np.where(size > 0, size, 1.0)
    return float(1 - cosines.mean())
