"""What `auto` keeps to and what it tried: limits, and one record per candidate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Limits of a conversion; None: no limit."""

    steps: int | None = None
    """Time steps from the first input to the answer, including one step per layer."""
    energy_j: float | None = None
    """Energy of one inference, by the estimator."""
    loss: float | None = None
    """Share of the calibration samples whose answer may differ from the model's."""
    chip: str = "loihi2"
    """Chip that the candidates are compiled for, and whose integers they run on."""
    seconds: float | None = None
    """Time for the search; then the best so far is taken."""

    def __str__(self) -> str:
        """The limits of what is chosen, and the chip."""
        limits = (
            "" if self.steps is None else f"{self.steps} time steps",
            "" if self.energy_j is None else f"{self.energy_j:g} J",
            "" if self.loss is None else f"{self.loss:.1%} other answers",
        )
        return f"{', '.join(filter(None, limits))} on {self.chip}"


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
