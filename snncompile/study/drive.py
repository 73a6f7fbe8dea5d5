"""Run a study: make jobs, hand them to the engine, store their results, go on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snncompile.errors import InputError
from snncompile.study.engine import (
    Engine,
    EngineOnDemand,
    Failure,
    Work,
    check_scheduler,
    import_dask,
)
from snncompile.study.front import Best, Front, Row, find_front
from snncompile.study.inputs import Inputs, Task
from snncompile.study.job import Outcome
from snncompile.study.points import Point, list_points
from snncompile.study.records import Search, Study
from snncompile.study.store import Store, hash_value
from snncompile.study.trial import run_trial
from snncompile.study.trials import Trials, explain_storage, locate_database


@dataclass(frozen=True)
class News:
    """How far a sweep is."""

    done: int
    total: int
    seconds_left: float | None
    """None before the first trial of this run has ended."""
    best: Row | None
    """By the first objective, of the trials that keep the budgets."""
    dashboard: str | None = None
    """Address of Dask's dashboard."""
    threads: int | None = None
    """Of all workers when the first trial began, each for one trial; None before that."""


Tell = Callable[[News], None]


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: its front, and where everything is."""

    front: Front
    folder: Path
    failures: tuple[tuple[str, str], ...] = ()
    """Point and reason of trials without a result."""
    ran: int = 0
    """Results that were not there before; a trial that may be pruned has one per rung."""
    repeated: int = 0
    """Trials of a search that chose a point which another one had chosen."""
    storage: str = ""
    """URL of Optuna's storage."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every trial with a result, in the order of the study."""
        return self.front.rows

    @property
    def best(self) -> Row | None:
        """The best trial by the first objective, of those that keep the budgets."""
        return self.front.best

    def find_build(self, row: Row) -> Path | None:
        """Return the folder of a trial's Program; None where it does not fit."""
        build = row.outcome.build
        return None if build is None else self.folder / "builds" / build

    def read_log(self) -> list[dict[str, Any]]:
        """Return what the workers noted: when each trial began and ended, and its seconds."""
        return Store(self.folder).read_log()

    def __repr__(self) -> str:
        """One line."""
        return f"<sweep of {len(self.rows)} trials, {len(self.front.front)} on the front>"


class Driver:
    """Runs one study in one folder."""

    def __init__(
        self,
        study: Study,
        store: Store,
        engine: Engine | EngineOnDemand,
        trials: Trials,
        inputs: Inputs,
        tell: Tell,
    ) -> None:
        self.study, self.store, self.engine = study, store, engine
        self.trials, self.inputs, self.tell = trials, inputs, tell
        self.rows: dict[str, Row] = {}
        """Trials with a result, by their point."""
        self.failures: list[tuple[str, str]] = []
        self.ran = 0
        self.begun = time.monotonic()
        self.total = 0
        self.done = self.ended = 0
        """Trials that are done, and those of them that had to run."""
        self.threads: int | None = None
        self.best = Best(study)

    def run_grid(self) -> None:
        """Run every point that has no result yet."""
        points = list(list_points(self.study))
        self.total = len(points)
        stored = self.trials.list_stored()
        tasks = (self.inputs.make_task(point) for point in points)
        for task, outcome in self._run(tasks):
            self.ended = self.ran
            if not isinstance(outcome, Failure):
                self._keep(task.point, task.key, outcome)
                if (task.key, str(task.point)) not in stored:
                    self._store(task, outcome)
            self._count()
        self.rows = {str(p): self.rows[str(p)] for p in points if str(p) in self.rows}

    def _store(self, task: Task, outcome: Outcome) -> None:
        """Store a trial of the grid, unless another driver has stored it meanwhile."""
        with self.store.lock("storage"):
            if (task.key, str(task.point)) not in self.trials.list_stored():
                self.trials.add(task.point, task.key, outcome)

    def run_search(self, search: Search) -> None:
        """Run generation after generation until the study has all its trials.

        Raises:
            InputError: another driver of this name runs in the folder.
        """
        self.total = search.trials
        with self.store.claim(f"driver-{hash_value(self.trials.driver)}") as is_free:
            if not is_free:
                raise InputError(
                    f"{self.store.folder}: a driver called {self.trials.driver!r} runs this search"
                    " now; wait for it, or give this one a name: --driver NAME"
                )
            self._read_earlier()
            while asked := list(self.trials.ask(search)):
                self._run_generation(search, asked)

    def _read_earlier(self) -> None:
        """Take the trials that are in the storage already; run those without a result again."""
        lost: dict[tuple[str, int | None, bool], Point] = {}
        for trial in self.trials.list_ended():
            text = self.store.read_result(trial.key)
            if text is None:
                lost[str(trial.point), trial.samples, trial.pruned] = trial.point
            else:
                self._keep(trial.point, trial.key, Outcome.read(text), trial.pruned)
        self.done = self.trials.count_own()
        for point in self.trials.list_failed():
            lost.setdefault((str(point), None, False), point)
        for (_, samples, pruned), point in lost.items():
            self._rerun(point, samples if pruned else None, pruned)
        self._announce()

    def _rerun(self, point: Point, samples: int | None, pruned: bool) -> None:
        """Run a trial that has ended, but of which there is no result."""
        for task, outcome in self._run(iter([self.inputs.make_task(point, samples)])):
            if not isinstance(outcome, Failure):
                self._keep(point, task.key, outcome, pruned)
                self.trials.add_again(point, task.key, outcome)

    def _run_generation(self, search: Search, asked: list[tuple[Any, Point]]) -> None:
        """Run trials on more and more samples; those that are pruned stop early."""
        live = dict(asked)
        pruner = self.trials.make_pruner(search)
        for samples in (*(search.rungs or ()), None):
            results = self._run_rung(live, samples)
            ended = []
            for trial, point in live.items():
                task, outcome = results[str(point)]
                if isinstance(outcome, Failure):
                    self.trials.fail(trial, outcome.reason)
                    self.ended += 1
                    self._count()
                elif samples is None or not outcome.fits:
                    self._end(trial, task, outcome, pruned=False)
                elif self._is_pruned(trial, outcome, pruner):
                    self._end(trial, task, outcome, pruned=True)
                else:
                    continue
                ended.append(trial)
            for trial in ended:
                del live[trial]

    def _run_rung(
        self, live: Mapping[Any, Point], samples: int | None
    ) -> dict[str, tuple[Task, Outcome | Failure]]:
        points = {str(point): point for point in live.values()}
        tasks = (self.inputs.make_task(point, samples) for point in points.values())
        return {str(task.point): (task, outcome) for task, outcome in self._run(tasks)}

    def _is_pruned(self, trial: Any, outcome: Outcome, pruner: Any) -> bool:
        value = outcome.measure(self.study.objectives[0])
        if value is None or outcome.samples is None:
            return False
        trial.report(value, outcome.samples)
        frozen = self.trials.own._storage.get_trial(trial._trial_id)
        return bool(pruner.prune(self.trials.own, frozen))

    def _end(self, trial: Any, task: Task, outcome: Outcome, pruned: bool) -> None:
        self._keep(task.point, task.key, outcome, pruned)
        self.trials.tell(trial, task.point, task.key, outcome, pruned)
        self.ended += 1
        self._count()

    def _keep(self, point: Point, key: str, outcome: Outcome, pruned: bool = False) -> None:
        """Keep a result; a point that was pruned in one trial and not in another was not."""
        if not pruned or str(point) not in self.rows:
            row = self.rows[str(point)] = Row(point, key, outcome, pruned)
            self.best.take(row)

    def _count(self) -> None:
        self.done += 1
        self._announce()

    def _announce(self) -> None:
        """Tell how far the sweep is."""
        seconds = time.monotonic() - self.begun
        left = seconds / self.ended * max(0, self.total - self.done) if self.ended else None
        dashboard = self.engine.dashboard
        self.tell(News(self.done, self.total, left, self.best.row, dashboard, self.threads))

    def open_engine(self) -> None:
        """Note that the first trial of this run begins, and tell where the workers are."""
        self.begun = time.monotonic()
        self.threads = self.engine.threads
        self._announce()

    def _run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | Failure]]:
        """Yield tasks with their outcomes: stored ones, and those that workers compute."""
        pending = _Pending(self.store)
        for key, text in self.engine.run(run_trial, pending.list_work(tasks)):
            yield from pending.take_ready()
            self.ran += 1
            for task, outcome in pending.settle(key, text):
                if isinstance(outcome, Failure):
                    self.failures.append((str(task.point), outcome.reason))
                yield task, outcome
        yield from pending.take_ready()


class _Pending:
    """Tasks that wait for a result, and those that have one already."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.waiting: dict[str, list[Task]] = {}
        """By the name of the result; several points may have the same inputs."""
        self.ready: list[tuple[Task, Outcome]] = []

    def list_work(self, tasks: Iterator[Task]) -> Iterator[Work]:
        """Yield the jobs of those tasks that have no result, each once."""
        for task in tasks:
            text = self.store.read_result(task.key)
            if task.job is None:
                assert task.outcome is not None
                self.ready.append((task, task.outcome))
            elif text is not None:
                self.ready.append((task, Outcome.read(text)))
            elif task.key in self.waiting:
                self.waiting[task.key].append(task)
            else:
                self.waiting[task.key] = [task]
                job = json.dumps(task.job.model_dump(mode="json"))
                yield task.key, (str(self.store.folder.resolve()), job)

    def take_ready(self) -> Iterator[tuple[Task, Outcome]]:
        """Yield the tasks that had a result."""
        while self.ready:
            yield self.ready.pop(0)

    def settle(self, key: str, text: str | Failure) -> Iterator[tuple[Task, Outcome | Failure]]:
        """Yield the tasks of a result that came."""
        for task in self.waiting.pop(key):
            yield task, text if isinstance(text, Failure) else Outcome.read(text)


def run_study(
    study: Study,
    folder: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    storage: str | None = None,
    driver: str = "driver",
    given: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Sweep:
    """Return the finished sweep of a study; see `snncompile.sweep`."""
    import_dask()
    if scheduler is not None:
        check_scheduler(scheduler)
    url = locate_database(folder, storage)
    store = Store(folder)
    inputs = Inputs(study, store, given)
    inputs.check()
    store.create(study.model_dump(mode="json"))
    trials = Trials(study, url, inputs.hash_all(), driver)
    with ExitStack() as stack, explain_storage(url):
        options = {"scheduler": scheduler, "workers": workers, "threads": threads}
        engine = EngineOnDemand(stack, lambda: run.open_engine(), **options)
        run = Driver(study, store, engine, trials, inputs, tell or _ignore)
        if study.search is None:
            run.run_grid()
        else:
            run.run_search(study.search)
    front = find_front(study, list(run.rows.values()))
    repeated = 0 if study.search is None else trials.count_repeated()
    return Sweep(front, folder, tuple(run.failures), run.ran, repeated, url)


def _ignore(news: News) -> None:
    """Say nothing."""
