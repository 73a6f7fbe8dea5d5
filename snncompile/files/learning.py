"""Learning rules and learning states as records and arrays of a network's file."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from snncompile.ir.learning_rule import TRACES, LearningRule
from snncompile.ir.learning_state import LearningState

Arrays = dict[str, NDArray[Any]]
ARRAYS = tuple(f.name for f in fields(LearningState) if f.name not in ("steps", "weight"))
"""Arrays of a state in the file; its weights are those of the projection."""


class LearningRecord(BaseModel):
    """How a projection learns, and where it stands; `LearningRule` checks the values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dw: str = ""
    dt: str = ""
    impulses: dict[str, float] = {}
    taus: dict[str, float] = {}
    epoch: int = 1
    seed: int = 1
    third_factor: tuple[tuple[str, str], ...] = ()
    sign: str = "mixed"
    limit: float | None = None
    steps: int | None = Field(None, ge=0)
    """Steps that were seen; None: it has not begun."""

    def make_rule(self) -> LearningRule:
        """Return the rule."""
        traces: dict[str, Any] = {
            f"{trace}_impulse": value for trace, value in self.impulses.items()
        }
        traces |= {f"{trace}_tau": value for trace, value in self.taus.items()}
        return LearningRule(
            self.dw,
            self.dt,
            epoch=self.epoch,
            seed=self.seed,
            third_factor=self.third_factor,
            sign=self.sign,  # type: ignore[arg-type]  # the rule checks it
            limit=self.limit,
            **traces,
        )


def record_learning(
    key: str, rule: LearningRule, state: LearningState | None, arrays: Arrays
) -> dict[str, Any]:
    """Return the record of a rule and its state; arrays of the state are added to `arrays`."""
    record: dict[str, Any] = {"dw": rule.dw, "dt": rule.dt}
    for name, read in (("impulses", rule.impulse), ("taus", rule.tau)):
        record[name] = {trace: read(trace) for trace in TRACES if read(trace)}
    record |= {"epoch": rule.epoch, "seed": rule.seed, "sign": rule.sign, "limit": rule.limit}
    record["third_factor"] = [list(pair) for pair in rule.third_factor]
    record["steps"] = None if state is None else state.steps
    if state is not None:
        arrays |= {f"{key}.learned.{name}": getattr(state, name) for name in ARRAYS}
    return record


def list_state_arrays(key: str, record: LearningRecord) -> set[str]:
    """Return the names of the arrays of a state."""
    return set() if record.steps is None else {f"{key}.learned.{name}" for name in ARRAYS}


def read_state(
    key: str, record: LearningRecord, weight: NDArray[Any], arrays: Arrays
) -> LearningState | None:
    """Return the state of a projection; None if it has not begun.

    Raises:
        KeyError: an array is missing.
    """
    if record.steps is None:
        return None
    values = {name: np.asarray(arrays[f"{key}.learned.{name}"]) for name in ARRAYS}
    return LearningState(weight=weight, steps=record.steps, **values)
