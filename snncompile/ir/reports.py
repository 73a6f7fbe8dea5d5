"""Results of passes and analyses; stored in a Program and shown to the user."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from snncompile.neurons.base import Effect


class Report(BaseModel):
    """Base of the results: frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QuantizedLayer(Report):
    """Errors of the integers of one population against its floats."""

    population: str
    scale: float
    """Integer u, v and threshold * 2^6 per unit of the float network; the median of several."""
    scales: int = 1
    """Number of different scales: one, one per channel, or one per neuron."""
    message: float | None = None
    """Integer sent for an output of 1.0 of neurons that send values; None: spikes, and Programs
    saved before it was kept."""
    clip: float
    """Largest kept weight as a share of the largest weight; larger ones are cut."""
    weight_error: float
    """Root mean square of the weight differences over that of the weights, of the whole layer."""
    median_error: float | None = None
    """The same of each neuron (each channel, where a kernel is shared); the median of these. None
    in Programs saved before it was measured, as `worst_error`."""
    worst_error: float | None = None
    """The largest of these."""
    worst_neuron: int | None = None
    """The neuron, or the first of the channel, with the largest."""
    alone_error: float | None = None
    """The median if each neuron's own weights gave its scale: the rest is what shared scales, and
    biases and sums that need smaller ones, cost."""
    largest_neuron: int | None = None
    """The neuron, or the first of the channel, with the largest weight: it costs the others most
    where they share its scale."""
    parameter_error: dict[str, float]
    """Largest error of each parameter over all neurons: of decays as it is, of others over the
    neuron's threshold (over the largest value of the parameter, where there is no threshold)."""
    output_error: float | None
    """Share of output spikes that differ on the calibration data, given equal input spikes (for a
    readout the root mean square error over that of the potential); None without such data."""
    rule_error: float | None = None
    """Largest relative error of a factor m * 2^e of the rules by which its synapses learn, and of
    their constants beside weights; None where none learn."""


EARLIER: dict[str, Effect] = {
    "u": "wraps",
    "v": "saturates",
    "real": "saturates",
    "imag": "saturates",
}
"""Effects in Programs that were saved before a bound named its own; others overflow."""


class Bound(Report):
    """Range of one quantity of one population, and whether its width holds it."""

    population: str
    quantity: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The accumulator, or a quantity that the neuron bounds: a state, or its input current."""
    low: float | None
    high: float | None
    """Extremes over all neurons, inputs and time steps; None: without limit."""
    limit: int | None
    """Largest magnitude its width holds; None if the chip's width is not known."""
    neuron: int
    """The neuron that reaches the extreme."""
    effect: Effect
    """Effect on the quantity beyond its width."""

    @model_validator(mode="before")
    @classmethod
    def _add_effect(cls, values: Any) -> Any:
        """Add the effect that older Programs do not name."""
        if not isinstance(values, dict) or "effect" in values:
            return values
        return values | {"effect": EARLIER.get(values.get("quantity", ""), "overflows")}

    @property
    def holds(self) -> bool:
        """Whether the quantity provably stays within its width; true if the width is unknown."""
        if self.limit is None:
            return True
        return self.reach is not None and self.reach <= self.limit

    @property
    def reach(self) -> float | None:
        """Largest magnitude that can occur; None: without limit."""
        return None if self.low is None or self.high is None else max(-self.low, self.high)

    def __str__(self) -> str:
        """`hidden: u stays within 5,120 of 8,388,607`, or how it can leave."""
        reach = "any value" if self.reach is None else f"{self.reach:,.0f}"
        if self.limit is None:
            return f"{self.population}: {self.quantity} reaches {reach}; the width is not known"
        if self.holds:
            return f"{self.population}: {self.quantity} stays within {reach} of {self.limit:,}"
        return (
            f"{self.population}: {self.quantity} can reach {reach}, the width holds {self.limit:,}:"
            f" neuron {self.neuron} {self.effect} if all its sources of one sign spike in every"
            " step"
        )


class Proof(Report):
    """What the bounds of a Program say of samples of some number of time steps."""

    compiled_steps: int | None
    """Steps for which the Program's bounds were proved; None: any number."""
    steps: int
    """Steps of the samples."""
    lapsed: tuple[Bound, ...] = ()
    """Bounds that the Program promises, proved anew for these steps, that no longer hold."""

    @property
    def anew(self) -> bool:
        """Whether the samples have more steps than the Program's bounds were proved for."""
        return self.compiled_steps is not None and self.steps > self.compiled_steps

    def __str__(self) -> str:
        """One line: the steps, and the first bound that no longer holds."""
        if not self.anew:
            return f"bounds: proved for {format_steps(self.compiled_steps)}"
        if not self.lapsed:
            return (
                f"bounds: proved anew for {self.steps:,} time steps, as they were for"
                f" {self.compiled_steps:,}"
            )
        more = f" (and {len(self.lapsed) - 1} more)" if len(self.lapsed) > 1 else ""
        return (
            f"bounds proved for {self.compiled_steps:,} time steps lapse in {self.steps:,}:"
            f" {self.lapsed[0]}{more}; compile with steps={self.steps}"
        )


def format_steps(steps: int | None) -> str:
    """Return `up to 10 time steps`, or `any number of time steps`."""
    return "any number of time steps" if steps is None else f"up to {steps:,} time steps"
