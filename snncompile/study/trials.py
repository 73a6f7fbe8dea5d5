"""Optuna's record of a study: every finished trial with its parameters and values.

Only the driver writes it. Values are those of the objectives, in their order. A trial that does not
fit, or of which an objective is not known, is stored as pruned, with its reason: samplers take it
for worse than all others.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snncompile.errors import InputError
from snncompile.study.job import Outcome
from snncompile.study.points import Pick, Point, Values, choose_point
from snncompile.study.records import HIGHEST, Budgets, Search, Study, list_limits
from snncompile.study.store import hash_value
from snncompile.study.values import Range

DATABASE = "optuna.db"
KEY, POINT, DRIVER, STOPPED, AGAIN = "key", "point", "driver", "stopped", "again"
"""Names of user attributes of a trial."""
SHOWN = (
    "fits", "reason", "cores", "samples", "accuracy", "agreement", "energy_j", "latency_s", "build",
)  # fmt: skip
"""Fields of an outcome that are user attributes, for optuna-dashboard."""


def name_study(study: Study, inputs: str) -> str:
    """Return the name of a study in the storage: its own, and a hash of what it varies and reads.

    Args:
        study: the study.
        inputs: hash of the content of its models, data and chips.
    """
    return f"{study.name}-{hash_value([study.model_dump(mode='json'), inputs])[:8]}"


def locate_database(folder: Path, url: str | None) -> str:
    """Return the URL of Optuna's storage; SQLite in the study's folder if none is given.

    Raises:
        InputError: the name of the folder cannot be part of a URL.
    """
    path = folder.resolve() / DATABASE
    if url is None and "?" in str(path):
        raise InputError(
            f"{folder}: a ? in its path ends the URL of a SQLite file; choose another folder, or"
            " give --storage"
        )
    return url or f"sqlite:///{path}"


@dataclass(frozen=True)
class Ended:
    """A trial that is stored."""

    key: str
    """Name of its result."""
    point: Point
    pruned: bool
    """Whether it was stopped on few samples."""
    samples: int | None
    """That were run."""


class Trials:
    """The trials of a study in Optuna's storage."""

    def __init__(self, study: Study, url: str, inputs: str, driver: str = "driver") -> None:
        """Open the storage.

        Args:
            study: the study.
            url: of the storage.
            inputs: hash of the content of its models, data and chips.
            driver: name of this driver.

        Raises:
            InputError: the storage cannot be opened.
        """
        self.optuna = importlib.import_module("optuna")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.study, self.driver = study, driver
        directions = ["maximize" if o in HIGHEST else "minimize" for o in study.objectives]
        try:
            self.own = self.optuna.create_study(
                storage=url,
                study_name=name_study(study, inputs),
                directions=directions,
                load_if_exists=True,
            )
        except Exception as error:  # Optuna's own and those of SQLAlchemy and each driver
            raise InputError(f"storage {hide_password(url)}: {_shorten(error)}") from None
        self.own.set_user_attr("snncompile", "sweep")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it may change
            self.own.set_metric_names(list(study.objectives))

    def list_stored(self) -> set[tuple[str, str]]:
        """Return the name of the result and the point of each trial that is stored."""
        ended = (trial.user_attrs for trial in self._list_ended())
        return {(values[KEY], values[POINT]) for values in ended if KEY in values}

    def list_ended(self) -> Iterator[Ended]:
        """Yield the trials that are stored and have a result."""
        for trial in self._list_ended():
            values = trial.user_attrs
            if KEY in values:
                yield Ended(
                    values[KEY], self._read_point(trial), bool(values.get(STOPPED, False)),
                    values.get("samples"),
                )  # fmt: skip

    def count_own(self) -> int:
        """Return how many trials that this driver asked for have ended."""
        return sum(map(self._is_mine, self._list_ended()))

    def count_repeated(self) -> int:
        """Return how many of this driver's trials chose a point that an earlier one had chosen."""
        own = [str(self._read_point(t)) for t in self._list_ended() if self._is_mine(t)]
        return len(own) - len(set(own))

    def list_failed(self) -> list[Point]:
        """Return the points of this driver's trials without a result."""
        got = {point for _, point in self.list_stored()}
        failed = [t for t in self._list_ended() if KEY not in t.user_attrs and self._is_mine(t)]
        return [point for point in map(self._read_point, failed) if str(point) not in got]

    def _read_point(self, trial: Any) -> Point:
        return choose_point(self.study, lambda name, values: trial.params[name])

    def _list_ended(self) -> list[Any]:
        return [t for t in self.own.get_trials(deepcopy=False) if t.state.is_finished()]

    def add_again(self, point: Point, key: str, outcome: Outcome) -> None:
        """Store a trial of a search that had no result, beside the one that failed."""
        if (key, str(point)) not in self.list_stored():
            self.add(point, key, outcome, again=True)

    def add(self, point: Point, key: str, outcome: Outcome, *, again: bool = False) -> None:
        """Store a trial of the grid."""
        values, state = self._rate(outcome)
        trial = self.optuna.trial.create_trial(
            state=state,
            params=dict(point.params),
            distributions=self._list_distributions(point),
            values=values,
            user_attrs=self._describe(point, key, outcome) | ({AGAIN: True} if again else {}),
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
        """Whether it is a trial that this driver asked for, and not one that was run again."""
        values = trial.user_attrs
        return bool(values.get(DRIVER, self.driver) == self.driver and AGAIN not in values)

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
        """Store that a trial has no result; when the search goes on, its point is run again."""
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


@contextmanager
def explain_storage(url: str) -> Iterator[None]:
    """Turn an error of Optuna's storage into one line; results are in the study's folder already.

    Raises:
        InputError: in place of the error.
    """
    optuna = importlib.import_module("optuna")
    database = importlib.import_module("sqlalchemy.exc")
    try:
        yield
    except (optuna.exceptions.OptunaError, database.SQLAlchemyError) as error:
        raise InputError(
            f"storage {hide_password(url)}: {_shorten(error)}; results so far are kept: give the"
            " same command again"
        ) from None


def hide_password(url: str) -> str:
    """Return the URL of a storage without the password that it may hold."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
