"""What passes and analyses found out; stored in a Program and shown to the user."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from snncompile.neurons.base import Effect


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuantizedLayer(_Report):
    """How far the integers of one population are from the floats they were made of."""

    population: str
    scale: float
    """Integer u, v and threshold * 2^6 per unit of the float network; the median of several."""
    scales: int = 1
    """How many different scales there are: one, or one per channel."""
    clip: float
    """Largest weight that is kept, as a share of the largest there is; larger ones are cut."""
    weight_error: float
    """Root mean square of the weight differences over that of the weights."""
    parameter_error: dict[str, float]
    """Largest error of threshold and bias over their largest value; largest error of the decays."""
    output_error: float | None
    """Share of output spikes that differ on the calibration data, given equal input spikes (for a
    readout the root mean square error over that of the potential); None without such data."""


EARLIER: dict[str, Effect] = {
    "u": "wraps",
    "v": "saturates",
    "real": "saturates",
    "imag": "saturates",
}
"""Effects in Programs that were saved before a bound named its own; others overflow."""


class Bound(_Report):
    """What one quantity of one population can reach, and whether its width holds that."""

    population: str
    quantity: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The accumulator, or what the neuron bounds: a state variable, or its input as a current."""
    low: float | None
    high: float | None
    """Extremes over all neurons, inputs and time steps; None: without limit."""
    limit: int | None
    """Largest magnitude its width holds; None if the chip's width is not known."""
    neuron: int
    """The neuron that reaches the extreme."""
    effect: Effect
    """What becomes of the quantity beyond its width."""

    @model_validator(mode="before")
    @classmethod
    def _earlier(cls, data: Any) -> Any:
        """Name the effect where a Program of before does not."""
        if not isinstance(data, dict) or "effect" in data:
            return data
        return data | {"effect": EARLIER.get(data.get("quantity", ""), "overflows")}

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
