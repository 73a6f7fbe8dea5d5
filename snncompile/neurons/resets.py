"""What a spike does to the potential: the resets that several neurons share."""

from __future__ import annotations

from typing import Any, Literal

AtOnce = Literal["hard", "soft"]
"""Resets that a spike does in its own time step."""

Reset = Literal["hard", "soft", "delayed_soft", "delayed_hard", "strict_soft", "none"]
"""What a spike does to the potential.

hard: v = 0 at once. soft: v = v - threshold at once. delayed_soft: the threshold is subtracted in
the next time step, after the leak (snnTorch's "subtract"). delayed_hard: the next time step ends
at v = 0 whatever its input (snnTorch's "zero" of Synaptic). strict_soft: like soft, but while a
spike leaves v above the threshold, only v above twice the threshold fires (snnTorch's "subtract"
with reset_delay=False). none: nothing.
"""

NEAREST: dict[str, tuple[str, ...]] = {
    "delayed_hard": ("hard",),
    "delayed_soft": ("soft", "hard"),
    "strict_soft": ("soft", "delayed_soft", "hard"),
    "soft": ("delayed_soft", "hard"),
    "hard": ("soft", "delayed_soft"),
}
"""Reset -> others that come close, the closest first. Nothing comes close to no reset."""

MEANING = {
    "hard": "a spike clears the potential at once",
    "soft": "a spike subtracts the threshold at once",
    "delayed_soft": "a spike subtracts the threshold in the next time step",
}
"""Reset -> what it does, for those that come close to another."""


def check_reset(reset: str, choices: tuple[str, ...]) -> None:
    """Refuse a reset that the neuron does not have."""
    if reset not in choices:
        known = " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
        raise ValueError(f"reset must be {known}, got {reset!r}")


def after_spike(v: Any, spikes: Any, threshold: Any, reset: str) -> Any:
    """Return the potentials after the spikes of a time step, as far as the reset acts at once.

    Args:
        v: potentials, shape (..., n).
        spikes: how many each neuron sends, or whether it fires; same shape.
        threshold: what one spike takes away with a soft reset.
        reset: one of `Reset`.
    """
    if reset == "hard":
        return v * (spikes == 0)
    if reset in ("soft", "strict_soft"):
        return v - threshold * spikes
    return v
