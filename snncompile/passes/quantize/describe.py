"""What quantize says of its choices, as text."""

from __future__ import annotations

from snncompile.errors import list_briefly
from snncompile.ir.reports import QuantizedLayer

COSTLY = 2.0
"""Median error over that of scales by their own weights from which it is told: one bit."""
VISIBLE = 0.001
"""Smallest median error that is told."""


def describe_resets(changed: list[str]) -> str:
    """Return a clause if a spike resets to 0 in populations where it did not."""
    return f"; a spike resets to 0 in {list_briefly(changed)}" if changed else ""


def describe_errors(reports: tuple[QuantizedLayer, ...]) -> str:
    """Return the errors of the weights as text, those of single neurons beside that of a layer."""
    if not reports:
        return ""
    layer = max(r.weight_error for r in reports)
    median = max(r.median_error or 0.0 for r in reports)
    worst = max(reports, key=lambda r: r.worst_error or 0.0)
    return (
        f", largest weight error of a layer {layer:.2%}; of the neurons median {median:.2%},"
        f" worst {worst.worst_error:.2%} ({worst.population} {worst.worst_neuron})"
        f"{''.join(_describe_sharing(r) for r in reports)}"
        f"{''.join(_describe_rule(r) for r in reports)}"
    )


def _describe_rule(report: QuantizedLayer) -> str:
    """Return a clause if synapses of a population learn."""
    if report.rule_error is None:
        return ""
    return f"; rule of {report.population}: largest error of a factor {report.rule_error:.2%}"


def _describe_sharing(report: QuantizedLayer) -> str:
    """Return a clause if neurons lose a bit or more to each other, or to their other numbers."""
    median, alone = report.median_error or 0.0, report.alone_error or 0.0
    if median <= COSTLY * alone or median < VISIBLE:
        return ""
    return (
        f"; neurons of {report.population} have a median of {median:.2%}, each by its own weights"
        f" alone {alone:.2%} (largest weight: {report.largest_neuron})"
    )
