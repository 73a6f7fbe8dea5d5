"""The loss of a Program: how far its integers part from the floats they were made of."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from snncompile.ir.reports import Report

NOT_RUN = "pass measure did not run"
NOT_TRIED = "not tried: the samples take long on a network of this size"
FREQUENT = 5
"""Spikes of a neuron on all samples, from which its silence is no chance: where 5 are expected,
none come with a probability of exp(-5) = 0.7 %, if they come independently of each other."""


class PopulationLoss(Report):
    """Loss of one population: its outputs in the float network and in the integer network.

    Both run whole, from the same input: a population has the loss of those before it, too.
    """

    population: str
    neurons: int
    different: float | None
    """Share of the outputs (samples * steps * neurons) that differ, 0..1. None for a potential and
    for values that are rounded: nearly all of them differ a little."""
    rate_error: float | None
    """Sum over neurons and samples of the difference of their rates, over the sum of their rates in
    the float network; 0 or more, no unit. A rate is the sum of the outputs of a sample over its
    steps. For potentials and rounded values the sums are over every output, in the unit of the
    float network. None: the float network sends nothing at all here, the integers do."""
    fired: int | None
    """Neurons that fire in the float network, in any sample; None for potentials."""
    fired_integer: int | None
    """Neurons that fire in the integer network; None for potentials."""
    frequent: int | None
    """Neurons that fire at least `FREQUENT` times in the float network; None for potentials."""
    silenced: int | None
    """Neurons of `frequent` that never fire in the integer network; None for potentials."""

    @property
    def silent(self) -> bool:
        """Whether the population fires in the float network and not in the integer network."""
        return bool(self.fired) and self.fired_integer == 0

    @property
    def silenced_share(self) -> float | None:
        """Share of `frequent` that is silenced; None without such neurons."""
        if not self.frequent or self.silenced is None:
            return None
        return self.silenced / self.frequent


class AnswerLoss(Report):
    """Loss of the answers: `Result.prediction`, the neuron with the largest sum over the steps."""

    different: int = Field(ge=0)
    """Samples whose answers differ."""
    samples: int = Field(ge=1)

    @model_validator(mode="after")
    def _is_a_share(self) -> Self:
        if self.different > self.samples:
            raise ValueError(f"{self.different} of {self.samples} answers cannot differ")
        return self

    @property
    def share(self) -> float:
        """Share of the answers that differ, 0..1."""
        return self.different / self.samples

    @property
    def standard_error(self) -> float:
        """Standard error of the share; above 0 even where no answer differs.

        The standard deviation of the share of all inputs, given the count, if every share is
        equally likely before: that of a beta distribution with parameters different + 1 and
        samples - different + 1 (Bayes, 1763). For many samples it is sqrt(p (1 - p) / n).
        """
        n = self.samples
        p = (self.different + 1) / (n + 2)
        return float((p * (1 - p) / (n + 3)) ** 0.5)

    def __str__(self) -> str:
        """`6 of 256 answers differ (2.34% +- 1.01%)`."""
        share = f"{self.share:.2%} +- {self.standard_error:.2%}"
        return f"{self.different:,} of {self.samples:,} answers differ ({share})"


class Loss(Report):
    """How far the integers part from the floats; without `measured` nothing is known of it."""

    status: Literal["measured", "exact", "unknown"] = "unknown"
    """exact: the network came as integers, so nothing was rounded."""
    reason: str = NOT_RUN
    """Why it was not measured; empty if it was."""
    samples: int | None = None
    """Samples of the calibration data that ran; None if none did, like the next three."""
    available: int | None = None
    """Samples in the calibration data, from which those were taken evenly."""
    steps: int | None = None
    """Time steps of a sample."""
    answers: AnswerLoss | None = None
    """None also where the output is a single neuron, which gives no answer."""
    one_scale: AnswerLoss | None = None
    """Answers with one scale per population, where more of them rest on an assumption on the chip;
    None elsewhere."""
    no_one_scale: str = ""
    """Why there are no integers with one scale per population, or `NOT_TRIED`; empty where there
    are some."""
    populations: tuple[PopulationLoss, ...] = ()
    """In the order of the network; empty if it was not measured."""

    @model_validator(mode="after")
    def _holds_what_was_measured(self) -> Self:
        counts = (self.samples, self.available, self.steps)
        if self.status == "measured" and (None in counts or not self.populations):
            raise ValueError("measured, but without samples, steps or populations")
        return self

    def __str__(self) -> str:
        """One line: the answers and the largest rate error, or why nothing is known."""
        if self.status == "unknown":
            return f"the loss is unknown: {self.reason}"
        if self.status == "exact":
            return f"nothing is lost: {self.reason}"
        answers = str(self.answers) if self.answers else "one output neuron gives no answer"
        return (
            f"floats and integers on {self.samples:,} of {self.available:,} samples,"
            f" {self.steps:,} steps: {answers}; {self._describe_rates()}"
            f"{self._describe_one_scale()}"
        )

    def _describe_one_scale(self) -> str:
        if self.no_one_scale == NOT_TRIED:
            return "; one scale per population was not tried, on a network of this size"
        if self.no_one_scale:
            return "; with one scale per population it has no integers"
        return f"; with one scale per population {self.one_scale}" if self.one_scale else ""

    def _describe_rates(self) -> str:
        """Return the population with the largest rate error, in words."""
        worst = max(self.populations, key=lambda row: _order(row.rate_error))
        size = "from none" if worst.rate_error is None else f"{worst.rate_error:.2%}"
        return f"largest rate error {size} in {worst.population}"


OLDER = Loss(reason="an older snncompile compiled the network, which did not measure it")
"""Loss of a Program that was saved before there was a loss."""
EXACT = Loss(status="exact", reason="the network came as integers")
"""Loss of a network that nothing was rounded of."""


def _order(rate_error: float | None) -> float:
    return float("inf") if rate_error is None else rate_error
