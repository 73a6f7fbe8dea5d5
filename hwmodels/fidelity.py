"""Whether the spikes of a chip are those that we compute, proved against what."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from snncompile.hwmodels.records import Record

Spikes = Literal["exact", "other", "unknown"]
"""Spikes of the chip and those of our integers.

exact: they are the same, as far as `against` reaches; other: the chip's neuron is another one, and
so are its spikes; unknown: nobody compared them.
"""


MEANING: dict[Spikes, str] = {
    "exact": "its spikes are those computed here",
    "other": "its spikes are not those computed here",
    "unknown": "whether its spikes are those computed here is not known",
}


class Fidelity(Record):
    """Section `fidelity` of a chip file; plain text is the `model`, with spikes unknown."""

    model: str = Field(min_length=1)
    """Properties of the chip that this model reproduces, and that it leaves out."""
    spikes: Spikes = "unknown"
    neurons: tuple[str, ...] = ()
    """Kinds of neuron for which `spikes` is exact, unknown for others; none listed: for all."""
    against: str = ""
    """What the spikes were compared with: the chip itself, an emulator of it, its circuits."""
    says: str = ""
    """The result with its figures and limits, as the end of a sentence."""
    source: str | None = None
    """A key of `Chip.sources`."""

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        """Read the text alone, as chip files of version 2 have it."""
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_founded(self) -> Self:
        if self.spikes == "exact" and not self.against:
            raise ValueError("spikes that are exact need `against`: what they were compared with")
        if self.spikes != "unknown" and not (self.says and self.source):
            raise ValueError(f"spikes that are {self.spikes} need `says` and `source`")
        return self

    def of_neurons(self, kinds: Collection[str]) -> Spikes:
        """Return what is known of the spikes of a network with these kinds of neuron."""
        if self.spikes == "exact" and self.neurons and not {*kinds} <= {*self.neurons}:
            return "unknown"
        return self.spikes

    def describe(self, chip: str, kinds: Collection[str] = ()) -> str:
        """Return one sentence on the spikes of a network with these kinds of neuron on a chip."""
        spikes = self.of_neurons(kinds)
        text = f"{chip}: {MEANING[spikes]}"
        if spikes != self.spikes:
            others = ", ".join(sorted({*kinds} - {*self.neurons}))
            return f"{text} for {others}; {', '.join(self.neurons)}: compared with {self.against}"
        if self.against:
            text += f" (compared with {self.against})"
        return f"{text}: {self.says}" if self.says else text
