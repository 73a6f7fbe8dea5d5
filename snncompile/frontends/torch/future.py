"""Find layers that act along the time axis: what comes behind them needs input of later steps."""

from __future__ import annotations

from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import LinearValues

REMEDY = "let it act on each time step alone"


def explain_future(trace: Trace) -> str:
    """Return which layer takes several time steps before a neuron layer's first call, or ""."""
    for path, calls in trace.calls.items():
        for values in trace.origins.walk_sources(calls[0].drive):
            if not isinstance(values, LinearValues):
                continue
            row = values.inputs[0]
            if trace.origins.find_step(row[:1]) != trace.origins.find_step(row[-1:]):
                return (
                    f"{values.path} acts along the time axis, so {path} would need input that has"
                    f" not arrived; {REMEDY}"
                )
    return ""
