"""The search of `auto`: candidates are built, compiled, run and priced, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import Ann
from snncompile.conversion.auto_records import Budget, Trial
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase, BistableRate
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import (
    LINE_LENGTH,
    FitError,
    InputError,
    QuantizeError,
    SnnCompileError,
    UnsupportedError,
    list_briefly,
    list_reasons,
)
from snncompile.hwmodels import chips
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.base import Pass
from snncompile.passes.equal_neurons import find_equal_neuron
from snncompile.passes.pipeline import PassProgress, share_progress
from snncompile.reference.simulate import check_spikes, run_batches

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion
    from snncompile.program import Program

CANDIDATES: tuple[tuple[Method, tuple[int, ...]], ...] = (
    (GradedMessages(bits=8), (1,)),
    (GradedMessages(bits=6), (1,)),
    (GradedMessages(bits=5), (1,)),
    (GradedMessages(bits=4), (1,)),
    (BistablePhase(), (3, 4, 5, 6, 7, 8)),
    (Signed(calibrate_bias=True), (4, 8, 16, 24, 32, 48, 64, 96, 128)),
    (Balance(calibrate_bias=True), (8, 16, 32, 64, 128, 256)),
    (BistableRate(), (4, 8, 16)),
)
"""Candidates: each method with its steps, from few to many.

Of those with as many time steps in all the first one is tried first: the one with most bits. Biases
are calibrated, as without it the same steps and neurons only do worse.
"""
SAMPLES = 64
"""Samples on which the answers are compared."""
AT_ONCE = 16
"""Samples that run together: between them a limit of the time is looked at."""
BUILT = 128
"""Samples, evenly out of all, on which candidates are built; the chosen one is built on all."""
PRICED = 4
"""Samples whose activity gives spikes and energy."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate as it was built, and what came of it."""

    conversion: Conversion
    trial: Trial


class _OutOfTimeError(Exception):
    """The search has taken the time it may take."""


class Search:
    """Builds candidates, runs them, and keeps the results."""

    def __init__(
        self, ann: Ann, x: NDArray[np.float64], budget: Budget, progress: PassProgress | None
    ) -> None:
        """Start with no trial."""
        self.begun = time.perf_counter()
        self.ann, self.x, self.budget = ann, x[:: max(1, len(x) // BUILT)][:BUILT], budget
        self.all_x = x
        self.all_progress = self.progress = progress
        """Callbacks of all candidates together, and of the one that runs."""
        self.chip = chips.load_chip(budget.chip)
        self.tried: list[_Tried] = []
        self.refused: list[Trial] = []
        """Methods that do not take the network."""
        self.after: list[Trial] = []
        """The chosen one once more, built on all samples."""
        self.count = 0
        """Candidates that there are."""
        self.prepared: dict[str, Ann] = {}
        """The network as each method takes it, by its label."""
        self.known = self._find_known()
        self.activations = {
            name: own.compute_activations(self.x) for name, own in self.prepared.items()
        }
        self.unpriced: tuple[str, ...] = ()
        """Events without a price, which the energies of the trials lack."""

    def list_trials(self) -> tuple[Trial, ...]:
        """Return a row for each candidate so far."""
        return (*self.refused, *(tried.trial for tried in self.tried), *self.after)

    def run(self) -> tuple[_Tried | None, str]:
        """Return the best candidate, None if none keeps to the budget, and why it ended early."""
        loss = self.budget.loss
        try:
            best = self.find_nearest() if loss is None else self.find_fastest(loss)
        except (_OutOfTimeError, KeyboardInterrupt) as event:
            best = self.find_best_so_far()
            if best is None and isinstance(event, KeyboardInterrupt):
                raise
            return best, self.describe_stop(event)
        return best and self.rebuild(best), ""

    def describe_failure(self, stop: str) -> str:
        """Return why there is no candidate, and what each of them does."""
        text = f"nothing keeps to {self.budget}"
        if stop:
            return f"{text}, {stop}; give more seconds"
        lines = [trial.excess for trial in self.list_trials()]
        tried = list_reasons(lines, LINE_LENGTH - len(text) - len("; tried ") - 1)
        return f"{text}; tried {tried or 'nothing, all take more steps'}"

    def find_fastest(self, loss: float) -> _Tried | None:
        """Return the candidate of the fewest time steps within all limits."""
        ordered = sorted(self._walk_candidates(), key=lambda row: self._count_steps(*row))
        self.count = len(ordered)
        for number, (method, steps) in enumerate(ordered):
            self.progress = self._share_progress(number, len(ordered))
            tried = self._try(method, steps, loss)
            if not tried.trial.reason:
                return tried
        return None

    def find_nearest(self) -> _Tried | None:
        """Return the affordable candidate whose scores are nearest the model's."""
        self.count = sum(1 for _ in self._walk_candidates())
        for number, (method, _) in enumerate(self.known):
            self.progress = self._share_progress(number, len(self.known))
            own_steps = [steps for other, steps in self._walk_candidates() if other is method]
            for steps in reversed(own_steps):
                if not self._try(method, steps, None).trial.reason:
                    break
        kept = (tried for tried in self.tried if not tried.trial.reason)
        return min(kept, key=lambda tried: tried.trial.distance or 0.0, default=None)

    def find_best_so_far(self) -> _Tried | None:
        """Return the candidate with the fewest other answers of those the chip can run."""
        able = [t for t in self.tried if t.trial.runs and self._is_affordable(t.trial)]
        return min(able, key=lambda tried: (tried.trial.loss, tried.trial.distance), default=None)

    def describe_stop(self, event: BaseException) -> str:
        """Return why the search ended, after how many candidates, and what is beyond a limit."""
        why = "interrupted" if isinstance(event, KeyboardInterrupt) else "the time is over"
        text = f"{why} after {len(self.tried)} of {self.count} candidates"
        best, limit = self.find_best_so_far(), self.budget.loss
        if best is not None and limit is not None and best.trial.loss > limit:
            text += f": {best.trial.loss:.1%} other answers, the limit is {limit:.1%}"
        return text

    def rebuild(self, best: _Tried) -> _Tried:
        """Return the candidate built on all samples, if it keeps to the limit of the loss too.

        It stays as it is where the time is too short.
        """
        if len(self.all_x) == len(self.x):
            return best
        from snncompile.conversion.build import build_conversion

        self.progress = share_progress(self.all_progress, len(self.tried), 1 + len(self.tried))
        method, steps = best.conversion.method, best.conversion.steps
        try:
            whole = build_conversion(self.ann, self.all_x, method, steps, say=self._tell)
            tried = self._measure(whole, None)
        except _OutOfTimeError:
            return best
        name = f"built on all {len(self.all_x):,} samples"
        worst = max(best.trial.loss, self.budget.loss or 0.0)
        better = tried.trial.runs and (self.budget.loss is None or tried.trial.loss <= worst)
        reason = ", ".join(filter(None, (name, tried.trial.reason)))
        tried = replace(tried, trial=replace(tried.trial, reason=reason))
        self.after.append(tried.trial)
        return tried if better else best

    def _check_time(self) -> None:
        limit = self.budget.seconds
        if limit is not None and time.perf_counter() - self.begun > limit:
            raise _OutOfTimeError

    def _tell(self, text: str, share: float) -> None:
        """Called by what is built; only the time matters."""
        self._check_time()

    def _tell_pass(self, a_pass: Pass, share: float) -> None:
        """Called by the passes of a candidate."""
        self._check_time()
        if self.progress is not None:
            self.progress(a_pass, share)

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
                self.refused.append(Trial(method.label, reason=str(error)))
                continue
            if all(find_equal_neuron(p.neuron, self.chip) for p in populations):
                self.prepared[method.label] = prepared
                known.append((method, many))
            else:
                missing.append(method.name)
        missing = list(dict.fromkeys(missing))
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
        ann = self.prepared[method.label]
        return method.plan(ann, steps).steps + max(ann.find_depths().values())

    def _is_affordable(self, trial: Trial) -> bool:
        limit = self.budget.energy_j
        return limit is None or trial.energy_j is None or trial.energy_j <= limit

    def _try(self, method: Method, steps: int, loss: float | None) -> _Tried:
        from snncompile.conversion.build import build_conversion

        self._check_time()
        ann, activations = self.prepared[method.label], self.activations[method.label]
        conversion = build_conversion(
            ann, self.x, method, steps, activations=activations, say=self._tell
        )
        self.tried.append(self._measure(conversion, loss))
        return self.tried[-1]

    def _measure(self, conversion: Conversion, loss: float | None) -> _Tried:
        """Return a candidate, compiled, run and priced."""
        from snncompile.compiler import compile

        method, steps = conversion.method, conversion.steps
        trial = Trial(method.label, steps, self._count_steps(method, steps))
        shown = conversion.network.input.present(self.x[:SAMPLES])
        try:
            program = compile(
                conversion.network, chip=self.chip, calibration=shown[:PRICED],
                progress=self._tell_pass,
            )  # fmt: skip
        except (FitError, QuantizeError, UnsupportedError) as error:
            return _Tried(conversion, replace(trial, reason=_shorten(error)))
        results = []
        for first in range(0, len(shown), AT_ONCE):
            self._check_time()
            results.append(program.run(shown[first : first + AT_ONCE]))
        answers = np.concatenate([r.prediction for r in results])
        scores = np.concatenate([r.spikes.sum(axis=1, dtype=np.float64) for r in results])
        last = self.activations[method.label][self.ann.layers[-1].name][:SAMPLES].flatten(1)
        trial = replace(
            trial,
            agreement=float((answers == last.argmax(dim=1).numpy()).mean()),
            distance=_measure_distance(scores.reshape(len(scores), -1), last),
            spikes=count_spikes(program.network, shown[:PRICED]),
            cores=program.mapping.cores,
            energy_j=self._estimate_energy(program, shown[:PRICED]),
        )
        return _Tried(conversion, replace(trial, reason=self._find_excess(trial, loss)))

    def _find_excess(self, trial: Trial, loss: float | None) -> str:
        """Return which limit a candidate exceeds; empty if none."""
        if loss is not None and trial.loss > loss:
            return f"above {loss:.1%} other answers"
        return "" if self._is_affordable(trial) else f"above {self.budget.energy_j:g} J"

    def _estimate_energy(self, program: Program, shown: NDArray[Any]) -> float | None:
        estimate = program.estimate(shown)
        if estimate.energy_j is None and self.budget.energy_j is not None:
            raise InputError(
                f"{self.budget.chip}: a limit of the energy needs prices, and cost set"
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
    return " ".join(first.split())


def _measure_distance(scores: Floats, wanted: Tensor) -> float:
    own, model = (a - a.mean(axis=1, keepdims=True) for a in (scores, wanted.double().numpy()))
    size = np.linalg.norm(own, axis=1) * np.linalg.norm(model, axis=1)
    cosines = (own * model).sum(axis=1) / np.where(size > 0, size, 1.0)
    return float(1 - cosines.mean())
