"""A drive of a neuron layer, multiplied out: one projection from each source."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.arrays import Floats
from snncompile.frontends.torch.drive import Source
from snncompile.synapses.base import Synapses


@dataclass(frozen=True, eq=False)
class DriveTerm:
    """Synapses from one source of a drive."""

    source: Source
    synapses: Synapses


@dataclass(frozen=True, eq=False)
class Sum:
    """A drive multiplied out: the sum of its terms, plus a bias."""

    terms: tuple[DriveTerm, ...]
    bias: Floats
    """One per target neuron."""
