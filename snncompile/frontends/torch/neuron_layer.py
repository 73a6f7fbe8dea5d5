"""Records of what is read out of a module: its neuron layers, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from snncompile.frontends.torch.drive import Drive
from snncompile.frontends.torch.libraries.base import Shape
from snncompile.ir.answer import Kind

Rows = Literal["steps", "samples", "answer"]
"""Whether the rows that a linear layer takes go step by step, or sample by sample, or are one per
sample, computed from all time steps."""


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """One neuron layer of the module, or the linear layer that the module ends with."""

    path: str
    module: nn.Module
    shape: Shape
    """Shape of one sample of it."""
    drive: Drive
    rows: Rows | None = None
    """Order of its rows, if this is a linear layer; its result is a potential that never spikes."""
    maximum: bool = False
    """Whether it is no neuron layer of the module: a maximum, a product or a count; see
    `maxima.py`."""
    of_currents: bool = False
    """Whether the maximum is that of currents, not of spikes."""
    counts: bool = False
    """Whether it is a pool that counts spikes; see `pooled_counts.py`."""


@dataclass(frozen=True, eq=False)
class CheckedAnswer:
    """A returned tensor to compare: the functions of the factor times the network's answer."""

    returned: int
    """Its number among those that forward returns."""
    factor: float
    functions: tuple[str, ...]
    columns: tuple[int, ...] = ()
    """Outputs of the answer that it shows; empty for all."""
    others: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Further returned tensors, each with the outputs of the answer that it shows."""


@dataclass(frozen=True, eq=False)
class FoundAnswer:
    """The answer that a module returns; by default it returns none."""

    kind: Kind = "sum"
    checked: CheckedAnswer | None = None
    output: str | None = None
    """Path of the layer whose output it is computed from."""
    state: str | None = None
    """Name of the state of `output` that it is computed from; None: its output."""
    layer: NeuronLayer | None = None
    """A readout that the network needs for it."""
    after: frozenset[str] = frozenset()
    """Linear layers that take a mean or sum over time, and are part of `layer`."""
    depends_on_steps: bool = False
    """Whether weights depend on the number of time steps."""
    reason: str = ""
    """Why forward's result is not understood; empty if it is, or if forward returns none."""
