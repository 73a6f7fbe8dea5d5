"""Which trials are on the front: none is better in one objective and as good in all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.study.job import Outcome
from snncompile.study.points import Point
from snncompile.study.records import HIGHEST, Budgets, Study, list_limits


@dataclass(frozen=True)
class Row:
    """A finished trial."""

    point: Point
    key: str
    outcome: Outcome
    pruned: bool = False
    """Stopped on few samples, as it was worse than others."""


@dataclass(frozen=True)
class Front:
    """The trials of a study, and those on the front."""

    study: Study
    rows: tuple[Row, ...]
    """In the order of the study."""
    front: tuple[Row, ...]
    """From the best of the first objective on; where models are separate, model after model."""
    kept: bool
    """Whether the front is of trials that keep the budgets; if none does, it is of all."""

    @property
    def best(self) -> Row | None:
        """The best trial by the first objective, of those that keep the budgets."""
        return self.front[0] if self.front and self.kept else None

    def count(self, state: str) -> int:
        """Return how many trials fit, are misfits or were pruned."""
        states = {
            "fits": lambda row: row.outcome.fits and not row.pruned,
            "misfits": lambda row: not row.outcome.fits,
            "pruned": lambda row: row.pruned,
        }
        return sum(map(states[state], self.rows))


def find_front(study: Study, rows: Sequence[Row]) -> Front:
    """Return the front of some trials.

    A trial without a value of an objective is not ranked. Trials of which an energy or a latency
    lacks prices are, by what is known.
    """
    ranked = [row for row in rows if is_ranked(study, row)]
    within = [row for row in ranked if keeps_budgets(study.budgets, row.outcome) is not False]
    front: list[Row] = []
    for name in study.models if study.separate else ("",):
        pool = [row for row in within or ranked if name in ("", row.point.model)]
        rivals = list({row.key: row for row in reversed(pool)}.values())[::-1]
        front += sorted(_drop_beaten(study, rivals), key=lambda row: _orient(study, row.outcome))
    return Front(study, tuple(rows), tuple(front), bool(within))


class Best:
    """The best trial so far by the first objective, of those that keep the budgets."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.row: Row | None = None
        self.rank: tuple[float, ...] = ()

    def take(self, row: Row) -> None:
        """Take one more trial; the front's `best` is the same row or an equal one."""
        study = self.study
        if not is_ranked(study, row) or keeps_budgets(study.budgets, row.outcome) is False:
            return
        model = list(study.models).index(row.point.model) if study.separate else 0
        rank = (model, *_orient(study, row.outcome))
        if self.row is None or rank < self.rank:
            self.row, self.rank = row, rank


def is_ranked(study: Study, row: Row) -> bool:
    """Whether a trial fits, ran to its end, and has a value of each objective."""
    known = all(row.outcome.measure(o) is not None for o in study.objectives)
    return row.outcome.fits and not row.pruned and known


def keeps_budgets(budgets: Budgets, outcome: Outcome) -> bool | None:
    """Return whether a trial keeps every budget; None: by a sum that lacks prices or times.

    A value that is not known keeps no budget.
    """
    answers = [_keeps(name, limit, outcome) for name, limit in list_limits(budgets)]
    if not outcome.fits or False in answers:
        return False
    return None if None in answers else True


def _keeps(name: str, limit: float, outcome: Outcome) -> bool | None:
    objective, _, side = name.rpartition("_")
    value = outcome.measure(objective)
    if value is None:
        return False
    if side == "above":
        return value >= limit
    if objective == "cores":
        return value <= limit
    if value >= limit:
        return False
    return None if outcome.lacks(objective) else True


def _orient(study: Study, outcome: Outcome) -> tuple[float, ...]:
    """Return the values of the objectives, less being better."""
    values: list[Any] = [outcome.measure(o) for o in study.objectives]
    return tuple(-v if o in HIGHEST else v for o, v in zip(study.objectives, values, strict=True))


def _drop_beaten(study: Study, rows: Sequence[Row]) -> list[Row]:
    """Return the trials that no other one beats."""
    values = np.array([_orient(study, row.outcome) for row in rows])
    return [
        row
        for row, own in zip(rows, values, strict=True)
        if not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()
    ]
