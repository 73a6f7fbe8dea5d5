"""Measure how far the integers part from the floats, on calibration data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.errors import QuantizeError
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.loss import NOT_TRIED, Loss
from snncompile.passes.analysis.loss import (
    CALIBRATION_OUTPUTS,
    choose_samples,
    count_outputs,
    measure_losses,
    output_scales,
)
from snncompile.passes.base import Pass
from snncompile.passes.contracts import find_lost_population, require_integers, require_no_slices

NO_DATA = "there is no calibration data"
NO_FLOATS = "the pass that made the integers did not keep the floats"


@dataclass(frozen=True)
class Measure(Pass):
    """Run floats and integers on the calibration data; record how much they part.

        floats    answers 3 8 1 1, hidden 0.20 spikes per step      ->      1 of 4 answers differs,
        integers  answers 3 8 1 7, hidden 0.19 spikes per step              rate error of hidden 5 %

    Samples are taken evenly over the data, at most 256; where a sample takes long, fewer. Where
    even these take long, no integers with one scale per population are made and run beside the
    others, which is said. Without data the loss is unknown. A network that came as integers has
    none.

    Requires: the integer network as quantize left it, which keeps the floats beside it.
    Ensures: the network stays as it is.
    """

    name: ClassVar[str] = "measure"

    def requires(self, design: Design) -> str:
        """Ask for the integer network that quantize left."""
        missing = require_integers(design) or require_no_slices(design)
        if missing or design.floats is None:
            return missing
        lost = find_lost_population(design.floats, design.network)
        return f"the neurons that quantize left ({lost}): run it before prune" if lost else ""

    def ensures(self, before: Design, after: Design) -> str:
        """Promise the same network."""
        return "" if after.network is before.network else "that the network stays as it is"

    def __call__(self, design: Design) -> Design:
        """Fill `design.loss`."""
        loss = _find_loss(design)
        return self.done(design, str(loss), loss=loss)


def _find_loss(design: Design) -> Loss:
    if design.loss.status == "exact":
        return design.loss
    if design.floats is None:
        return Loss(reason=NO_FLOATS)
    if design.calibration is None:
        return Loss(reason=NO_DATA)
    assert isinstance(design.network, IntegerNetwork)
    x = choose_samples(design.floats, design.calibration)
    scales = output_scales(design.floats, design.quantized)
    candidates = [(design.network, scales)]
    reason = ""
    if design.one_scale is not None and count_outputs(design.floats, x) > CALIBRATION_OUTPUTS:
        reason = NOT_TRIED
    elif design.one_scale is not None:
        try:
            network, quantized = design.one_scale()
            candidates.append((network, output_scales(design.floats, quantized)))
        except QuantizeError as error:
            reason = str(error)
    loss, *others = measure_losses(design.floats, candidates, x)
    answers = others[0].answers if others else None
    return loss.model_copy(
        update={
            "available": len(design.calibration),
            "one_scale": answers,
            "no_one_scale": reason,
        }
    )
