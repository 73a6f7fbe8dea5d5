"""A trial as it goes to a worker, and its result: JSON values, no code."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from snncompile.study.store import dump, hash_value


class Job(BaseModel):
    """All that the result of a trial depends on; inputs are named by their hashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    """Of the compiler."""
    network: str
    """Folder below `networks/`."""
    chip: dict[str, Any]
    """The whole chip file, with boards and prices."""
    options: dict[str, Any]
    """Of `compile`, those that are given."""
    calibration: str | None
    """File below `data/`."""
    calibrated: int
    data: str | None
    """File below `data/`; None: only compiled."""
    answers: str | None
    """File below `data/` with the model's own answers; None: no agreement."""
    samples: int | None
    """Samples that are run, from the first; None for all."""
    priced: int | None
    """Samples whose activity gives energy and latency; None: neither."""
    timing: str
    costs: str | None

    @property
    def key(self) -> str:
        """Hash of the inputs and options: the name of the result."""
        return hash_value(self.model_dump(mode="json"))

    @property
    def build(self) -> str:
        """Hash of what the Program depends on: its folder below `builds/`."""
        names = {"version", "network", "chip", "options", "calibration", "calibrated"}
        return hash_value(self.model_dump(mode="json", include=names))


class Outcome(BaseModel):
    """The result of a trial. What is not known is None, never 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fits: bool
    reason: str = ""
    """Why it does not fit, or why energy and latency are not known."""
    cores: int | None = None
    chips: int | None = None
    samples: int | None = None
    """Samples that were run."""
    accuracy: float | None = None
    agreement: float | None = None
    """Share of answers that are those of the model."""
    energy_j: float | None = None
    latency_s: float | None = None
    missing: tuple[str, ...] = ()
    """What energy and latency lack."""
    answer_loss: float | None = None
    """Share of calibration samples on which integers answer otherwise than floats."""
    warnings: tuple[str, ...] = ()
    build: str | None = None
    """Folder of the Program below `builds/`."""

    def write(self) -> str:
        """Return the result as JSON text, the same for equal results."""
        return dump(self.model_dump(mode="json"))

    @classmethod
    def read(cls, text: str) -> Outcome:
        """Return the result of a JSON text."""
        return cls.model_validate(json.loads(text))

    def measure(self, objective: str) -> float | None:
        """Return the value of an objective; None: not known."""
        names = {"energy": "energy_j", "latency": "latency_s"}
        value = getattr(self, names.get(objective, objective))
        return None if value is None else float(value)

    def lacks(self, objective: str) -> bool:
        """Whether a sum lacks prices or times, and is therefore a lower bound."""
        begins = {"energy": "energy of", "latency": "time of"}.get(objective)
        return begins is not None and any(name.startswith(begins) for name in self.missing)
