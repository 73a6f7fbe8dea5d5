"""Energy and latency of the last forward pass, as losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from snncompile.errors import InputError
from snncompile.training.chip_aware import ChipAware

if TYPE_CHECKING:
    from snncompile.backends.energy.gradient import CostModel


def energy(chip: ChipAware, costs: str | None = None) -> Tensor:
    """Return the energy per inference of the last forward pass, in joules, with its gradient.

    It is `estimate(x).energy_j` of the Program that training began with, if it sent those spikes:
    counts times prices, and static power times the latency. The gradient says what fewer spikes
    save; synapses are those of that Program. Compile again to see what pruned weights save.

    Args:
        chip: after a forward pass with gradients.
        costs: name of a cost set of the chip; None for its default.

    Raises:
        InputError: chip is another module, there was no forward pass, or the chip has no such cost
            set.
        UnsupportedError: the cost set prices writes of potentials, which spikes do not tell.
    """
    return _load_model(chip, costs).measure(chip.outputs)[0]


def latency(chip: ChipAware, costs: str | None = None) -> Tensor:
    """Return the latency of the last forward pass in seconds, with its gradient; see `energy`.

    It is the sum over time steps of the busiest core's or link's work, with barrier syncs.
    """
    return _load_model(chip, costs).measure(chip.outputs)[1]


def _load_model(chip: ChipAware, costs: str | None) -> CostModel:
    from snncompile.backends.energy.gradient import build_cost_model

    if not isinstance(chip, ChipAware):
        raise InputError(
            f"energy and latency are of a module of chip_aware, got {type(chip).__name__}"
        )
    if not chip.outputs:
        raise InputError("energy and latency are of a forward pass; call the module first")
    return build_cost_model(chip.fixed.program, costs)
