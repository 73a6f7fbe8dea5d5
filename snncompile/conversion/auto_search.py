"""The search of `auto`: candidates are built, compiled, run and priced, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann
from snncompile.conversion.auto_candidates import Candidates, find_candidates
from snncompile.conversion.auto_records import Budget, Trial
from snncompile.conversion.auto_time import Deadline, SearchProgress, TimeOverError
from snncompile.conversion.method import Method
from snncompile.errors import (
    LINE_LENGTH,
    FitError,
    InputError,
    QuantizeError,
    SnnCompileError,
    UnsupportedError,
    list_reasons,
)
from snncompile.hwmodels import chips
from snncompile.ir.graph import IntegerNetwork, Say
from snncompile.options import Options
from snncompile.passes.partition.partition import Partition, PartitionQuickly
from snncompile.passes.pipeline import Pipeline
from snncompile.reference.simulate import check_spikes, run_batches

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion
    from snncompile.program import Program

SAMPLES, CHECKED = 64, 256
"""Samples on which the answers are compared, and those of a candidate that may keep to the limit of
the loss: on the first ones it is beyond it by two standard errors at most. Samples on which
candidates are not built come first."""
AT_ONCE = 16, 1024
"""Samples that run together, and samples times time steps."""
BUILT = 128
"""Samples, evenly out of all, on which candidates are built; the chosen one is built on all."""
PRICED = 4
"""Samples whose activity gives spikes and energy."""
PASSES = Pipeline(
    tuple(
        PartitionQuickly() if a_pass.name == Partition.name else a_pass
        for a_pass in Pipeline.default(Options()).passes
    )
)
"""The passes of `compile`."""
BUILD, COMPILE = 0.4, 0.7
"""Shares of a candidate's time after which it is built, and compiled; roughly."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate as it was built, and what came of it."""

    conversion: Conversion
    trial: Trial
    unfit: bool = False
    """Whether it needs more of the chip than there is, whatever the number of steps."""


class Search:
    """Builds candidates, runs them, and keeps the results."""

    def __init__(
        self, ann: Ann, x: NDArray[np.float64], budget: Budget, deadline: Deadline, say: Say
    ) -> None:
        """Start with no trial; the budget is settled."""
        built = np.arange(len(x))[:: max(1, len(x) // BUILT)][:BUILT]
        others = np.setdiff1d(np.arange(len(x)), built)
        self.ann, self.budget = ann, budget
        self.all_x, self.x = x, x[built]
        """Calibration samples, and those on which candidates are built."""
        self.checked = x[np.concatenate((others, built))[:CHECKED]]
        """Those on which answers are compared."""
        self.wanted = torch.empty(0)
        """The model's scores for them, shape (samples, answers)."""
        self.deadline = deadline
        self.progress = SearchProgress(deadline, say)
        self.chip = chips.load_chip(budget.chip)
        self.candidates = Candidates((), {}, ())
        self.activations: dict[int, dict[str, Tensor]] = {}
        """Of the networks as methods take them, by their `id`."""
        self.tried: list[_Tried] = []
        self.after: list[Trial] = []
        """The chosen one once more, built on all samples."""
        self.count = 0
        """Candidates that there are."""
        self.unpriced: tuple[str, ...] = ()
        """Events without a price, which the energies of the trials lack."""

    def list_trials(self) -> tuple[Trial, ...]:
        """Return a row for each candidate so far."""
        return (*self.candidates.refused, *(tried.trial for tried in self.tried), *self.after)

    def run(self) -> tuple[_Tried | None, str]:
        """Return the best candidate, None if none keeps to the budget, and why it ended early."""
        try:
            with self.deadline.interrupt():
                self._find_candidates()
                self._try_candidates()
                best = self.find_best()
                return best and self.rebuild(best), ""
        except KeyboardInterrupt as event:
            best = self.find_best() or self.find_nearest_able()
            if best is None and not isinstance(event, TimeOverError):
                raise
            return best, self.describe_stop(event)

    def describe_failure(self, stop: str) -> str:
        """Return why there is no candidate, and what each of them does."""
        limits = str(self.budget)
        text = f"nothing {'runs' if limits.startswith('on ') else 'keeps to'} {limits}"
        lines = [trial.excess for trial in self.list_trials()]
        if stop and not self.tried:
            return f"{text}, {stop}; give more seconds"
        text += f", {stop}; give more seconds" if stop else ""
        tried = list_reasons(lines, LINE_LENGTH - len(text) - len("; tried ") - 1)
        return f"{text}; tried {tried or 'nothing, all take more steps'}"

    def find_best(self) -> _Tried | None:
        """Return the candidate within all limits that is best by the aim, the first of equals."""
        aim = self.budget.aim
        assert aim is not None
        kept = (tried for tried in self.tried if not tried.trial.reason)
        return min(kept, key=lambda tried: tried.trial.find_cost(aim), default=None)

    def find_nearest_able(self) -> _Tried | None:
        """Return the candidate with the fewest other answers of those the chip can run."""
        able = [t for t in self.tried if t.trial.runs and self._is_affordable(t.trial)]
        return min(able, key=lambda tried: (tried.trial.loss, tried.trial.distance), default=None)

    def describe_stop(self, event: BaseException) -> str:
        """Return why the search ended, after how many candidates, and what is beyond a limit."""
        why = "the time is over" if isinstance(event, TimeOverError) else "interrupted"
        if not self.count:
            return f"{why} before the first candidate"
        text = f"{why} after {len(self.tried)} of {self.count} candidates"
        best, limit = self.find_best() or self.find_nearest_able(), self.budget.loss
        if best is not None and limit is not None and best.trial.loss > limit:
            text += f": {best.trial.loss:.1%} other answers, the limit is {limit:.1%}"
        return text

    def rebuild(self, best: _Tried) -> _Tried:
        """Return the candidate built on all samples, if it keeps to the limit of the loss too.

        It stays as it is where the time is too short, or the user interrupts.
        """
        if len(self.all_x) == len(self.x):
            return best
        from snncompile.conversion.build import build_conversion

        method, steps = best.conversion.method, best.conversion.steps
        name = f"built on all {len(self.all_x):,} samples"
        try:
            self.progress.begin(f"{best.trial.name} {name}", best.trial.total_steps or 0)
            whole = build_conversion(self.ann, self.all_x, method, steps, say=self._tell_building)
            tried = self._measure(whole)
        except KeyboardInterrupt:
            return best
        worst = max(best.trial.loss, self.budget.loss or 0.0)
        better = tried.trial.runs and (self.budget.loss is None or tried.trial.loss <= worst)
        reason = ", ".join(filter(None, (name, tried.trial.reason)))
        tried = replace(tried, trial=replace(tried.trial, reason=reason))
        self.after.append(tried.trial)
        return tried if better else best

    def _find_candidates(self) -> None:
        say = self.progress.describe
        self.candidates = find_candidates(self.ann, self.all_x, self.chip, say)
        rows = [*self._walk()]
        # For the agreement each method is tried once, but where an energy is exceeded.
        longest = self.budget.aim == "agreement"
        self.count = len({method.label for method, _ in rows}) if longest else len(rows)
        self.progress.describe("running the model", 1.0)
        scores = self.ann.compute_activations(self.checked)[self.ann.layers[-1].name]
        self.wanted = scores.flatten(1)

    def _try_candidates(self) -> None:
        """Try what the aim asks for."""
        if self.budget.aim == "agreement":
            self._try_longest()
            return
        waiting = sorted(self._walk(), key=lambda row: self.candidates.count_steps(*row))
        while waiting:
            method, steps = waiting.pop(0)
            tried = self._try(method, steps, waiting)
            if not tried.trial.reason and self.budget.aim == "steps":
                return
            if tried.unfit or not tried.trial.reason:
                # More steps take as many cores, and only cost more.
                waiting = [row for row in waiting if row[0] is not method]

    def _try_longest(self) -> None:
        """Try each method with its longest window, with fewer steps while limits are exceeded."""
        rows = [*self._walk()]
        methods = [method for method, _ in self.candidates.methods]
        for number, method in enumerate(methods):
            later = [
                max((row for row in rows if row[0] is other), key=lambda row: row[1])
                for other in methods[number + 1 :]
                if any(row[0] is other for row in rows)
            ]
            for steps in sorted((s for other, s in rows if other is method), reverse=True):
                tried = self._try(method, steps, later)
                if tried.unfit or not tried.trial.reason:
                    break

    def _walk(self) -> Iterator[tuple[Method, int]]:
        return self.candidates.walk(self.budget.steps)

    def _is_affordable(self, trial: Trial) -> bool:
        limit = self.budget.energy_j
        return limit is None or trial.energy_j is None or trial.energy_j <= limit

    def _tell_building(self, text: str, share: float) -> None:
        self.progress.tell(text, BUILD * share)

    def _try(self, method: Method, steps: int, waiting: list[tuple[Method, int]]) -> _Tried:
        """Build and measure a candidate.

        Args:
            method: of it.
            steps: of a layer's window.
            waiting: candidates that come later, which progress counts.
        """
        from snncompile.conversion.build import build_conversion

        self.deadline.check()
        count = self.candidates.count_steps
        self.progress.wait_for([count(*row) for row in waiting])
        self.progress.begin(Trial(method.label, steps).name, count(method, steps))
        ann = self.candidates.prepared[method.label]
        conversion = build_conversion(
            ann, self.x, method, steps, activations=self._activate(ann), say=self._tell_building
        )
        self.tried.append(self._measure(conversion))
        return self.tried[-1]

    def _activate(self, ann: Ann) -> dict[str, Tensor]:
        """Return the activations of the calibration samples, computed once per network."""
        if id(ann) not in self.activations:
            self.progress.tell("running the model", 0.0)
            self.activations[id(ann)] = ann.compute_activations(self.x)
        return self.activations[id(ann)]

    def _measure(self, conversion: Conversion) -> _Tried:
        """Return a candidate, compiled, run and priced."""
        from snncompile.compiler import compile

        method, steps = conversion.method, conversion.steps
        trial = Trial(method.label, steps, self.candidates.count_steps(method, steps))
        shown = conversion.network.input.present(self.x[:PRICED])
        try:
            program = compile(
                conversion.network,
                chip=self.chip,
                calibration=shown,
                passes=PASSES,
                progress=lambda a_pass, share: self.progress.tell(
                    a_pass.name, BUILD + (COMPILE - BUILD) * share
                ),
            )
        except (FitError, QuantizeError, UnsupportedError) as error:
            trial = replace(trial, reason=_shorten(error))
            return _Tried(conversion, trial, unfit=isinstance(error, FitError))
        trial = replace(
            self._compare(trial, program),
            spikes=count_spikes(program.network, shown),
            cores=program.mapping.cores,
            energy_j=self._estimate_energy(program, shown),
        )
        return _Tried(conversion, replace(trial, reason=self._find_excess(trial)))

    def _compare(self, trial: Trial, program: Program) -> Trial:
        """Return the trial with its agreement and distance; see `CHECKED`."""
        first, rest = self.checked[:SAMPLES], self.checked[SAMPLES:]
        scores = self._run(program, first)
        trial = self._compare_scores(trial, scores)
        limit = self.budget.loss
        if limit is None or not len(rest):
            return trial
        if trial.loss > limit + 2 * (max(limit, 0.0) / len(first)) ** 0.5:
            return trial
        return self._compare_scores(trial, np.concatenate((scores, self._run(program, rest))))

    def _compare_scores(self, trial: Trial, scores: Floats) -> Trial:
        wanted = self.wanted[: len(scores)]
        same = scores.argmax(axis=1) == wanted.argmax(dim=1).numpy()
        return replace(
            trial,
            agreement=float(same.mean()),
            distance=_measure_distance(scores, wanted),
            samples=len(scores),
        )

    def _run(self, program: Program, x: NDArray[np.float64]) -> Floats:
        """Return the scores of the answers, shape (samples, answers)."""
        shown = program.network.input.present(x)
        at_once = max(1, min(AT_ONCE[0], AT_ONCE[1] // shown.shape[1]))
        scores = []
        for first in range(0, len(shown), at_once):
            self.progress.tell("running", COMPILE + (1 - COMPILE) * first / len(shown))
            answer = program.run(shown[first : first + at_once]).answer
            scores.append(answer.reshape(len(answer), -1).astype(np.float64))
        return np.concatenate(scores)

    def _find_excess(self, trial: Trial) -> str:
        """Return which limit a candidate exceeds; empty if none."""
        loss = self.budget.loss
        if loss is not None and trial.loss > loss:
            return f"above {loss:.1%} other answers"
        return "" if self._is_affordable(trial) else f"above {self.budget.energy_j:g} J"

    def _estimate_energy(self, program: Program, shown: NDArray[Any]) -> float | None:
        estimate = program.estimate(shown)
        wanted = self.budget.aim == "energy" or self.budget.energy_j is not None
        if estimate.energy_j is None and wanted:
            limited = self.budget.energy_j is not None
            asked = "a limit of the energy" if limited else "the aim energy"
            raise InputError(
                f"{self.budget.chip}: {asked} needs prices, and cost set"
                f" {estimate.costs} has no energy of {', '.join(estimate.unpriced)}; take another"
                " chip or a limit of the time steps"
            )
        if estimate.energy_j is not None:
            self.unpriced = tuple(sorted({*self.unpriced, *estimate.unpriced}))
        return estimate.energy_j


def count_spikes(network: IntegerNetwork, shown: NDArray[Any]) -> float:
    """Return the spikes or messages of all neurons per sample; those of the input do not count."""
    sending = [p.name for p in network.populations if p.neuron.spikes]
    return sum(
        int(torch.count_nonzero(train)) / len(shown)
        for trains in run_batches(network, check_spikes(network, shown), keep=sending)
        for train in trains.values()
    )


def _shorten(error: SnnCompileError) -> str:
    """Return the first obstacle in one line."""
    first = error.obstacles[0].message if error.obstacles else str(error)
    return " ".join(first.split()).rstrip(" ;")


def _measure_distance(scores: Floats, wanted: Tensor) -> float:
    own, model = (a - a.mean(axis=1, keepdims=True) for a in (scores, wanted.double().numpy()))
    size = np.linalg.norm(own, axis=1) * np.linalg.norm(model, axis=1)
    cosines = (own * model).sum(axis=1) / np.where(size > 0, size, 1.0)
    return float(1 - cosines.mean())
