"""Find what makes a neuron layer run otherwise than once per step: layers along time, attention."""

from __future__ import annotations

from torch import Tensor

from snncompile.frontends.torch.known_layers import ATTENTION, find_alternative
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import FunctionValues, LinearValues, NeuronValues

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


def explain_product(trace: Trace) -> str:
    """Return which values are multiplied with each other as attention does, or ""."""
    for values in trace.origins:
        if isinstance(values, FunctionValues) and find_alternative(values.function) == ATTENTION:
            layers = dict.fromkeys(_find_nearest(trace, argument) for argument in values.arguments)
            return f"{values.function} of {' and '.join(layers)} is not known; {ATTENTION}"
    return ""


def _find_nearest(trace: Trace, numbers: Tensor) -> str:
    """Return the layer that gives values, through functions if need be."""
    layers = (
        values.path
        for values in trace.origins.walk_sources(numbers)
        if isinstance(values, LinearValues | NeuronValues)
    )
    return next(layers, "the input")
