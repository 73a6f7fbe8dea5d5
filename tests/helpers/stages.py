"""Designs as passes get them."""

from __future__ import annotations

from networks import design

from snncompile import registry
from snncompile.ir.design import Design
from snncompile.options import Options
from snncompile.passes.pipeline import Pipeline


def before_pass(name: str, network, chip, calibration=None) -> Design:
    """Return the design that a pass gets in the pipeline it belongs to.

    That is the default one, or one with the rules of Intel's compilers; a pass that is in none of
    them runs before all others.
    """
    state = design(network, chip, calibration)
    for partitioner in ("free", "nxtf", "intel"):
        pipeline = Pipeline.default(Options(partitioner=partitioner))
        if name in pipeline.names:
            return pipeline.until(name).run(state)
    return state


def run_alone(name: str, state: Design) -> Design:
    """Return the design after a pass of the registry with its default options."""
    return Pipeline((registry.load("passes", name)(),)).run(state)
