"""Choose method and steps on the calibration data, within a budget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import Ann
from snncompile.conversion.auto_records import Budget
from snncompile.conversion.auto_search import CANDIDATES, Search
from snncompile.conversion.method import Method
from snncompile.errors import InputError
from snncompile.passes.pipeline import PassProgress

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion

LOSS = 0.02
"""Limit of the loss where the budget sets none."""


def list_candidates() -> tuple[tuple[Method, tuple[int, ...]], ...]:
    """Return the candidates of "auto", each method with its steps; a sweep tries them all."""
    return CANDIDATES


def choose_conversion(
    ann: Ann, x: NDArray[np.float64], budget: Budget, progress: PassProgress | None = None
) -> Conversion:
    """Return the conversion that suits the budget; its `trials` are the candidates tried.

    With a limit of the loss (LOSS, if the budget has no other limit): the fewest time steps within
    all limits. Without: the scores nearest the model's within the limits of time steps and energy,
    from the most steps of each method within them. Every candidate is compiled for the chip, so
    what does not fit is not taken, and runs on its integers.

    Once the time is over, or the user interrupts (KeyboardInterrupt), the best candidate so far is
    taken: the one with the fewest other answers of those that fit and are within the energy. The
    notes say so, and how far it is beyond the limit of the loss.

    Raises:
        InputError: nothing keeps to the budget; the message lists the candidates. Or the chip lacks
            the neurons of every candidate. Or the time is over and no candidate is done.
        UnsupportedError: no candidate whose neurons the chip has takes the network.
        KeyboardInterrupt: no candidate is done yet.
    """
    if budget.loss is None and budget.steps is None and budget.energy_j is None:
        budget = replace(budget, loss=LOSS)
    search = Search(ann, x, budget, progress)
    best, stop = search.run()
    if best is None:
        raise InputError(search.describe_failure(stop))
    rows = tuple(replace(trial, taken=trial is best.trial) for trial in search.list_trials())
    notes = tuple(f"convert: auto tried {trial}" for trial in rows)
    if stop:
        notes += (f"convert: auto took the best so far, {stop}",)
    if search.unpriced:
        notes += (f"convert: these energies are without {', '.join(search.unpriced)}",)
    network = replace(best.conversion.network, notes=notes + best.conversion.network.notes)
    return replace(best.conversion, network=network, trials=rows, stopped=stop)
