"""Optuna's record of a study: every finished trial with its parameters and values.

Only the driver writes it. Values are those of the objectives, in their order. A trial that does not
fit, or of which an objective is not known, is stored as pruned, with its reason: samplers take it
for worse than all others.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snncompile.errors import InputError
from snncompile.study.job import Outcome
from snncompile.study.points import Pick, Point, Values, choose_point
from snncompile.study.records import HIGHEST, Budgets, Range, Search, Study, list_limits
from snncompile.study.store import hash_value

DATABASE = "optuna.db"
KEY, POINT, DRIVER, STOPPED = "key", "point", "driver", "stopped"
"""Names of user attributes of a trial."""
SHOWN = ("fits", "reason", "cores", "accuracy", "agreement", "energy_j", "latency_s", "build")
"""Fields of an outcome that are user attributes, for optuna-dashboard."""


def name_study(study: Study) -> str:
    """Return the name of a study in the storage: its own, and a hash of what it varies."""
    return f"{study.name}-{hash_value(study.model_dump(mode='json'))[:8]}"


def locate_database(folder: Path, url: str | None) -> str:
    """Return the URL of Optuna's storage; SQLite in the study's folder if none is given."""
    return url or f"sqlite:///{folder.resolve() / DATABASE}"


class Trials:
    """The trials of a study in Optuna's storage."""

    def __init__(self, study: Study, url: str, driver: str = "driver") -> None:
        self.optuna = importlib.import_module("optuna")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.study, self.driver = study, driver
        directions = ["maximize" if o in HIGHEST else "minimize" for o in study.objectives]
        try:
            self.own = self.optuna.create_study(
                storage=url,
                study_name=name_study(study),
                directions=directions,
                load_if_exists=True,
            )
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"storage {url}: {_shorten(error)}") from None
        except Exception as error:  # Optuna's own and those of SQLAlchemy and each driver
            raise InputError(f"storage {url}: {_shorten(error)}") from None
        self.own.set_user_attr("snncompile", "sweep")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it may change
            self.own.set_metric_names(list(study.objectives))

    def list_keys(self) -> set[str]:
        """Return the names of the results that are stored."""
        return {t.user_attrs[KEY] for t in self._list_ended() if KEY in t.user_attrs}

    def list_ended(self) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Yield key, parameters and whether it was pruned, of the trials that are stored."""
        for trial in self._list_ended():
            if KEY in trial.user_attrs:
                pruned = trial.user_attrs.get(STOPPED, False)
                yield trial.user_attrs[KEY], trial.params, bool(pruned)

    def read_point(self, params: dict[str, Any]) -> Point:
        """Return the point of the parameters of a trial."""
        return choose_point(self.study, lambda name, values: params[name])

    def _list_ended(self) -> list[Any]:
        return [t for t in self.own.get_trials(deepcopy=False) if t.state.is_finished()]

    def add(self, point: Point, key: str, outcome: Outcome) -> None:
        """Store a trial of the grid."""
        values, state = self._rate(outcome)
        trial = self.optuna.trial.create_trial(
            state=state,
            params=dict(point.params),
            distributions=self._list_distributions(point),
            values=values,
            user_attrs=self._describe(point, key, outcome),
            constraints=measure_excess(self.study.budgets, outcome),
        )
        self.own.add_trial(trial)

    def _rate(self, outcome: Outcome) -> tuple[list[float] | None, Any]:
        """Return the values of the objectives and the state of a trial."""
        states = self.optuna.trial.TrialState
        values = [outcome.measure(o) for o in self.study.objectives]
        known = [value for value in values if value is not None]
        if not outcome.fits or len(known) < len(values):
            return None, states.PRUNED
        return known, states.COMPLETE

    def _describe(self, point: Point, key: str, outcome: Outcome) -> dict[str, Any]:
        record = outcome.model_dump(mode="json", include=set(SHOWN))
        return record | {KEY: key, POINT: str(point), DRIVER: self.driver}

    def _list_distributions(self, point: Point) -> dict[str, Any]:
        distributions: dict[str, Any] = {}
        values = dict(point.params)

        def pick(name: str, choices: Values) -> Any:
            distributions[name] = self._distribute(choices)
            return values[name]

        choose_point(self.study, pick)
        return distributions

    def _distribute(self, values: Values) -> Any:
        kinds = self.optuna.distributions
        if isinstance(values, Range):
            return kinds.IntDistribution(values.low, values.high, step=values.step)
        return kinds.CategoricalDistribution(values)

    def ask(self, search: Search) -> Iterator[tuple[Any, Point]]:
        """Yield the trials of the next generation, or of one that was interrupted.

        Each is chosen by a sampler with a seed of its own, from the trials of earlier generations:
        the same ones, whatever was killed. None is there once the study has all its trials.
        """
        own_trials = [t for t in self.own.get_trials(deepcopy=False) if self._is_mine(t)]
        ended = sum(t.state.is_finished() for t in own_trials)
        begin = ended // search.generation * search.generation
        for index in range(begin, min(begin + search.generation, search.trials)):
            if index < len(own_trials) and own_trials[index].state.is_finished():
                continue
            self.own.sampler = self._make_sampler(search, index)
            if index < len(own_trials):
                trial = self.optuna.trial.Trial(self.own, own_trials[index]._trial_id)
            else:
                trial = self.own.ask()
                trial.set_user_attr(DRIVER, self.driver)
            yield trial, choose_point(self.study, self._make_pick(trial))

    def _is_mine(self, trial: Any) -> bool:
        return bool(trial.user_attrs.get(DRIVER, self.driver) == self.driver)

    def _make_pick(self, trial: Any) -> Pick:
        def pick(name: str, values: Values) -> Any:
            if isinstance(values, Range):
                return trial.suggest_int(name, values.low, values.high, step=values.step)
            return trial.suggest_categorical(name, values)

        return pick

    def _make_sampler(self, search: Search, index: int) -> Any:
        samplers = self.optuna.samplers
        seed = (search.seed * 1_000_003 + index) % 2**32
        match search.sampler:
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=search.generation)
        return samplers.TPESampler(seed=seed, n_startup_trials=search.generation)

    def make_pruner(self, search: Search) -> Any:
        """Return the pruner of a search, None without one."""
        pruners = self.optuna.pruners
        match search.pruner:
            case "median":
                return pruners.MedianPruner(n_startup_trials=search.generation)
            case "percentile":
                return pruners.PercentilePruner(25.0, n_startup_trials=search.generation)
            case "halving":
                return pruners.SuccessiveHalvingPruner()
            case "hyperband":
                return pruners.HyperbandPruner(min_resource=min(search.rungs or (1,)))
        return None

    def tell(self, trial: Any, point: Point, key: str, outcome: Outcome, pruned: bool) -> None:
        """Store the outcome of a trial that was asked for."""
        values, state = self._rate(outcome)
        if pruned:
            values, state = None, self.optuna.trial.TrialState.PRUNED
        attributes = self._describe(point, key, outcome) | {STOPPED: pruned}
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one is there already, if this was interrupted
            for name, excess in measure_excess(self.study.budgets, outcome).items():
                trial.set_constraint(name, excess)
        self.own.tell(trial, values, state)

    def fail(self, trial: Any, reason: str) -> None:
        """Store that a trial has no result; it is not tried again."""
        trial.set_user_attr("reason", reason)
        self.own.tell(trial, state=self.optuna.trial.TrialState.FAIL)


def measure_excess(budgets: Budgets, outcome: Outcome) -> dict[str, float]:
    """Return how far a trial is beyond each budget, as a share of it; 1 where it is not known."""
    excess = {}
    for name, limit in list_limits(budgets):
        objective, _, side = name.rpartition("_")
        value = outcome.measure(objective)
        if value is None:
            excess[name] = 1.0
        else:
            over = limit - value if side == "above" else value - limit
            excess[name] = over / limit if limit else over
    return excess


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
