"""What depth costs a method: the steps that trained networks of more and more layers took."""

from __future__ import annotations

from snncompile.conversion.ann import Ann
from snncompile.conversion.method import Method

DEEP = 15
"""Layers in a row from which on a conversion has a note; the loss of few steps adds up."""
NETWORKS = "ResNet-20, 32 and 44"
AGREEMENT = {
    "signed": {8: (94.10, 92.17, 89.91), 12: (97.00, 95.06, 94.96), 16: (98.07, 97.10, 96.35)},
    "balance": {16: (90.13, 80.69, 76.61)},
}
"""Method -> time steps -> percent of 932 CIFAR-10 images on which the networks agree with their
models, with calibrated biases and 8-bit weights: `python benchmarks/conversion_depth.py`."""


def describe_depth(ann: Ann, method: Method, steps: int) -> tuple[str, ...]:
    """Return a note on a deep network and its steps; none where nothing was measured.

    Args:
        ann: the network.
        method: of its conversion.
        steps: of every layer.
    """
    layers, known = max(ann.find_depths().values()), AGREEMENT.get(method.name)
    if known is None or layers < DEEP:
        return ()
    fewest, longest = min(known), max(known)
    shown = {fewest, longest} | {n for n in known if n <= steps}
    figures = "; ".join(
        f"{n} steps {', '.join(f'{share:.1f}' for share in known[n])} %" for n in sorted(shown)
    )
    return (
        f"convert: deeper networks take more steps, this one has {layers} layers in a row and"
        f" {steps} steps; {NETWORKS} with calibrated biases agreed with their models, {figures}",
    )
