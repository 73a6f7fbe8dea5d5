"""What `auto` keeps to and what it tried: limits, and one record per candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isnan
from typing import Literal, get_args

from snncompile.errors import InputError

Aim = Literal["agreement", "steps", "spikes", "energy", "cores"]
"""What `auto` chooses by, within its limits: scores nearest the model's, or the least of a cost."""
AIMS: tuple[Aim, ...] = get_args(Aim)
LOSS = 0.02
"""Limit of the loss where a cost is the aim and the budget has no such limit."""


@dataclass(frozen=True)
class Budget:
    """Limits of a conversion, and what to choose by; None: no limit."""

    steps: int | None = None
    """Time steps from the first input to the answer, including one step per layer."""
    energy_j: float | None = None
    """Energy of one inference, by the estimator."""
    loss: float | None = None
    """Share of the calibration samples whose answer may differ from the model's."""
    chip: str = "loihi2"
    """Chip that the candidates are compiled for, and whose integers they run on."""
    seconds: float | None = None
    """Time for the search, reading the model included; then the best so far is taken."""
    aim: Aim | None = None
    """What to choose by. None: the fewest steps with a limit of the loss or without any limit, else
    the agreement."""

    def __post_init__(self) -> None:
        if self.aim is not None and self.aim not in AIMS:
            raise InputError(f"aim must be one of {', '.join(AIMS)}, got {self.aim!r}")
        if self.seconds is not None and not 0 < self.seconds < inf:
            raise InputError(f"the time must be some seconds, above 0, got {self.seconds:g}")
        limits = (self.steps, self.energy_j, self.loss)
        if any(limit is not None and isnan(limit) for limit in limits):
            raise InputError("a limit of steps, energy or loss must be a number, got nan")

    def settle(self) -> Budget:
        """Return the budget with an aim, and with a limit of the loss where a cost is the aim."""
        limits = (self.loss, self.steps, self.energy_j)
        free = self.loss is None and limits != (None, None, None)
        aim = self.aim or ("agreement" if free else "steps")
        loss = LOSS if self.loss is None and aim != "agreement" else self.loss
        return replace(self, aim=aim, loss=loss)

    def __str__(self) -> str:
        """The limits of what is chosen, if there are any, and the chip."""
        limits = (
            "" if self.steps is None else f"{self.steps} time steps",
            "" if self.energy_j is None else f"{self.energy_j:g} J",
            "" if self.loss is None else f"{self.loss:.1%} other answers",
        )
        return f"{', '.join(filter(None, limits))} on {self.chip}".lstrip()


@dataclass(frozen=True)
class Trial:
    """A candidate that was tried on the chip's integers; None: not measured, or not known."""

    method: str
    """Its label, with options: `graded 5 bits`."""
    steps: int | None = None
    """Time steps of a layer's window."""
    total_steps: int | None = None
    """Time steps from the first input to the answer, one of delay per layer included."""
    agreement: float | None = None
    """Share of answers that are the model's."""
    samples: int | None = None
    """Calibration samples whose answers were compared."""
    distance: float | None = None
    """1 - mean cosine between the scores of the answers and the model's, each without its mean."""
    spikes: float | None = None
    """Spikes, or messages, of all neurons per inference."""
    cores: int | None = None
    energy_j: float | None = None
    """Of an inference, by the estimator; what it lacks is in the conversion's notes."""
    reason: str = ""
    """Why it is not taken; empty for one that keeps to the budget."""
    taken: bool = False
    """Whether it is the conversion that `auto` chose."""

    @property
    def runs(self) -> bool:
        """Whether the chip takes it and its answers are known."""
        return self.agreement is not None

    def find_cost(self, aim: Aim) -> float:
        """Return what the aim makes small; infinity where it is not known."""
        costs = {
            "agreement": self.distance, "steps": self.total_steps, "spikes": self.spikes,
            "energy": self.energy_j, "cores": self.cores,
        }  # fmt: skip
        cost = costs[aim]
        return float("inf") if cost is None else float(cost)

    @property
    def loss(self) -> float:
        """Share of answers that differ from the model's; 1 where none is known."""
        return 1.0 if self.agreement is None else 1 - self.agreement

    def __str__(self) -> str:
        """One line: what it is and what it does."""
        if not self.runs:
            return f"{self.name}: {self.reason}"
        cores = "" if self.cores is None else f", {self.cores} core{'s' * (self.cores != 1)}"
        energy = "" if self.energy_j is None else f", {self.energy_j:.3g} J"
        return (
            f"{self.name}: {self.total_steps} time steps, {self.loss:.1%} other answers, scores"
            f" {self.distance:.2%} off, {self.spikes:,.0f} spikes{cores}{energy}"
            f"{', ' * bool(self.note)}{self.note}"
        )

    @property
    def excess(self) -> str:
        """What it does against the limits, or why it does not run, in few words."""
        if not self.runs:
            return f"{self.name}: {self.reason}"
        energy = "" if self.energy_j is None else f", {self.energy_j:.3g} J"
        return f"{self.name}: {self.loss:.1%} other answers{energy}"

    @property
    def note(self) -> str:
        """Whether it is taken, and what is said of it."""
        return ", ".join(filter(None, ("taken" * self.taken, self.reason)))

    @property
    def name(self) -> str:
        """Method and steps."""
        return self.method if self.steps is None else f"{self.method} {self.steps}"
