"""Choose method and steps on the calibration data, within a budget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import Ann
from snncompile.conversion.auto_candidates import CANDIDATES
from snncompile.conversion.auto_records import Budget
from snncompile.conversion.auto_search import Search
from snncompile.conversion.auto_time import Deadline
from snncompile.conversion.method import Method
from snncompile.errors import InputError
from snncompile.ir.graph import Say

if TYPE_CHECKING:
    from snncompile.conversion.build import Conversion


def list_candidates() -> tuple[tuple[Method, tuple[int, ...]], ...]:
    """Return the candidates of "auto", each method with its steps; a sweep tries them all."""
    return CANDIDATES


def choose_conversion(
    ann: Ann, x: NDArray[np.float64], budget: Budget, deadline: Deadline, say: Say
) -> Conversion:
    """Return the conversion that suits the budget; its `trials` are the candidates tried.

    The aim "steps" ends with the first candidate within all limits, from few time steps on;
    "spikes", "energy" and "cores" try each method with more and more steps until it keeps to the
    limits; "agreement" each with the most steps within them. Every candidate is compiled for the
    chip, so what does not fit is not taken, and runs on its integers.

    Once the time is over, or the user interrupts (KeyboardInterrupt), the best candidate so far is
    taken: by the aim of those within all limits, else the one with the fewest other answers of
    those that fit and are within the energy. The notes say so, and how far it is beyond the limit
    of the loss.

    Args:
        ann: as captured.
        x: calibration samples.
        budget: limits and aim.
        deadline: when the search ends.
        say: called with what is done and the share that is done, of the work or the time.

    Raises:
        InputError: nothing keeps to the budget; the message lists the candidates. Or the chip lacks
            the neurons of every candidate. Or the time is over and no candidate is done.
        UnsupportedError: no candidate whose neurons the chip has takes the network.
        KeyboardInterrupt: no candidate is done yet.
    """
    search = Search(ann, x, budget.settle(), deadline, say)
    best, stop = search.run()
    if best is None:
        raise InputError(search.describe_failure(stop))
    rows = tuple(replace(trial, taken=trial is best.trial) for trial in search.list_trials())
    notes = tuple(f"convert: auto tried {trial}" for trial in rows)
    if stop:
        notes += (f"convert: auto took the best so far, {stop}",)
    if best.trial not in search.after and len(search.x) < len(x):
        notes += (f"convert: built on {len(search.x)} of {len(x):,} calibration samples",)
    if search.unpriced:
        notes += (f"convert: these energies are without {', '.join(search.unpriced)}",)
    network = replace(best.conversion.network, notes=notes + best.conversion.network.notes)
    return replace(best.conversion, network=network, trials=rows, stopped=stop)
