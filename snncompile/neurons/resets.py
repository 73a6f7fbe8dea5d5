"""Resets of the potential by a spike, shared by several neurons."""

from __future__ import annotations

from typing import Any, Literal

AtOnce = Literal["hard", "soft"]
"""Resets in the time step of the spike."""

Reset = Literal["hard", "soft", "delayed_soft", "delayed_hard", "strict_soft", "none"]
"""Effect of a spike on the potential.

hard: v = 0 at once. soft: v = v - threshold at once. delayed_soft: the threshold is subtracted in
the next time step, after the leak (snnTorch's "subtract"). delayed_hard: the next time step ends
at v = 0 whatever its input (snnTorch's "zero" of Synaptic). strict_soft: like soft, but while a
spike leaves v above the threshold, only v above twice the threshold fires (snnTorch's "subtract"
with reset_delay=False). none: no effect.
"""

NEAREST: dict[str, tuple[str, ...]] = {
    "delayed_hard": ("hard",),
    "delayed_soft": ("soft", "hard"),
    "strict_soft": ("soft", "delayed_soft", "hard"),
    "soft": ("delayed_soft", "hard"),
    "hard": ("soft", "delayed_soft"),
}
"""Reset -> others that come close, the closest first. No reset comes close to none."""

MEANING = {
    "hard": "a spike clears the potential at once",
    "soft": "a spike subtracts the threshold at once",
    "delayed_soft": "a spike subtracts the threshold in the next time step",
}
"""Reset -> its effect, for those that come close to another."""


def check_reset(reset: str, choices: tuple[str, ...]) -> None:
    """Refuse a reset that the neuron does not have."""
    if reset not in choices:
        known = " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
        raise ValueError(f"reset must be {known}, got {reset!r}")


def reset_potential(v: Any, spikes: Any, threshold: Any, reset: str) -> Any:
    """Return the potentials after the spikes of a time step and a reset that acts at once.

    Args:
        v: potentials, shape (..., n).
        spikes: number of spikes of each neuron, or whether it fires; same shape.
        threshold: subtracted per spike by a soft reset.
        reset: one of `Reset`.
    """
    if reset == "hard":
        return v * (spikes == 0)
    if reset in ("soft", "strict_soft"):
        return v - threshold * spikes
    return v
