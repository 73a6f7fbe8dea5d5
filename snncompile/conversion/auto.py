"""Choose method and steps on the calibration data, within a budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import Ann
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import InputError
from snncompile.hwmodels import load as chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.quantize import Quantize
from snncompile.passes.retime import Retime

if TYPE_CHECKING:
    from snncompile.conversion.convert import Conversion

CANDIDATES: tuple[tuple[Method, tuple[int, ...]], ...] = (
    (BistablePhase(), (3, 4, 5, 6, 7, 8)),
    (Signed(), (4, 8, 16, 32, 64)),
    (Balance(calibrate_bias=True), (8, 16, 32, 64, 128, 256)),
)
"""What is tried, in the order of time steps in all."""
SAMPLES = 64
"""On which the answers are compared."""
PRICED = 4
"""Samples whose activity an energy is estimated with."""


@dataclass(frozen=True)
class Budget:
    """What a conversion may cost; None: no limit."""

    steps: int | None = None
    """Time steps from the first input to the answer, with the one step that each layer takes."""
    energy_j: float | None = None
    """Of one inference, as the estimator has it; the network is compiled for that."""
    loss: float = 0.02
    """Share of the calibration samples whose answer may be another than the model's."""
    chip: str = "loihi2"
    """On whose integers the answers are compared."""


def automatic(ann: Ann, x: NDArray[np.float64], budget: Budget) -> Conversion:
    """Return the conversion with the fewest time steps that keeps to the budget.

    Its notes say what was tried. Every candidate runs on the chip's integers.

    Raises:
        InputError: nothing keeps to the budget; the message has what came nearest.
    """
    chip = chips.load(budget.chip)
    wanted = _answers(ann, x[:SAMPLES])
    activations = ann.activations(x)
    depth, tried = max(ann.levels().values()), []
    from snncompile.conversion.convert import spiking

    for method, steps in _ordered(ann, chip):
        in_all = method.plan(ann, steps).steps + depth
        if budget.steps is not None and in_all > budget.steps:
            continue
        made = spiking(ann, x, method, steps, activations=activations)
        loss = float((_predictions(made, x[:SAMPLES], chip) != wanted).mean())
        text = f"{method.name} {steps}: {in_all} time steps, {loss:.1%} other answers"
        fits = loss <= budget.loss
        if fits and budget.energy_j is not None:
            energy = _energy(made, x[:PRICED], budget.chip)
            text, fits = f"{text}, {energy:.3g} J", energy <= budget.energy_j
        tried.append(text)
        if fits:
            notes = tuple(f"convert: auto tried {one}" for one in tried)
            return replace(made, network=replace(made.network, notes=notes + made.network.notes))
    raise InputError(
        f"nothing keeps to {budget}; tried {'; '.join(tried) or 'nothing, all take more steps'}"
    )


def _ordered(ann: Ann, chip: Chip) -> Iterator[tuple[Method, int]]:
    """Yield methods and steps that the chip has neurons for, from few time steps to many."""
    found = [
        (method.plan(ann, steps).steps, index, method, steps)
        for index, (method, many) in enumerate(CANDIDATES)
        for steps in many
    ]
    for _, _, method, steps in sorted(found, key=lambda row: row[:2]):
        kinds = {p.neuron.kind for p in method.populations(ann, steps)}
        if kinds <= set(chip.neurons):
            yield method, steps


def _answers(ann: Ann, x: NDArray[np.float64]) -> NDArray[np.int64]:
    last = ann.activations(x)[ann.layers[-1].name].flatten(1)
    return np.asarray(last.argmax(dim=1))


def _predictions(made: Conversion, x: NDArray[np.float64], chip: Chip) -> NDArray[np.int64]:
    shown = made.network.input.present(x)
    design = Quantize()(Retime()(Design(made.network, chip, shown[:PRICED])))
    assert isinstance(design.network, IntegerNetwork)
    return design.network.run(shown).prediction


def _energy(made: Conversion, x: NDArray[np.float64], chip: str) -> float:
    from snncompile.compiler import compile

    shown = made.network.input.present(x)
    program = compile(made.network, chip=chip, calibration=shown)
    return float(program.estimate(shown).energy_j)
