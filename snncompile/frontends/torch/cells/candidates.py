"""Neurons that a measured cell could be, the plainest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snncompile.frontends.torch.cells.measure import (
    Line,
    Probe,
    find_headroom,
    find_lowest,
    find_rise,
    find_silence,
    to_parameter,
)
from snncompile.neurons.adaptive_lif import AdaptiveLif
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.refractory_lif import RefractoryLif
from snncompile.neurons.ternary_lif import TernaryLif


@dataclass(frozen=True, eq=False)
class Candidate:
    """A neuron and the state of the cell that is its potential."""

    neuron: FloatNeuron
    line: Line | None


def list_candidates(probe: Probe, lines: list[Line], headroom: Tensor) -> Iterator[Candidate]:
    """Yield the neurons whose parameters can be measured, each kind in turn."""
    for line in lines:
        for make in KINDS:
            for neuron in make(probe, line, headroom):
                yield Candidate(neuron, line)


def _number(probe: Probe, name: str, value: Tensor) -> Any:
    return to_parameter(value, probe.cell.name, name)


def _name_common(probe: Probe, line: Line) -> dict[str, Any]:
    """Return the parameters that all leaky neurons have."""
    return {
        name: _number(probe, name, getattr(line, name).reshape(probe.cell.shape))
        for name in ("current_decay", "potential_decay", "threshold", "bias", "initial")
    }


def _make(kind: Callable[..., FloatNeuron], **parameters: Any) -> Iterator[FloatNeuron]:
    """Yield the neuron, unless it cannot have such parameters."""
    try:
        yield kind(**parameters)
    except ValueError:
        return


def _make_plain(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    common = _name_common(probe, line)
    for reset in ("soft", "hard", "delayed_soft", "strict_soft", "delayed_hard", "none"):
        yield from _make(CubaLif, **common, reset=reset)


def _make_resting(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    silence = find_silence(probe, headroom)
    if bool((silence > 0).any()):
        period = _number(probe, "refractory", silence)
        yield from _make(RefractoryLif, **_name_common(probe, line), refractory=period)


def _make_bounded(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    """Yield neurons with a lowest potential; they fire at a threshold, so it is the next number."""
    lowest = find_lowest(probe, line)
    if not bool(torch.isfinite(lowest).all()):
        return
    common = _name_common(probe, line)
    common["threshold"] = _number(
        probe, "threshold", line.threshold.nextafter(torch.tensor(torch.inf, dtype=torch.float64))
    )
    bound = _number(probe, "lowest", lowest)
    for reset in ("soft", "hard"):
        yield from _make(MultiSpikeLif, **common, most=1.0, lowest=bound, reset=reset)


def _make_several(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    """Yield neurons that send several spikes in one time step."""
    drive = 2.0**20 * (headroom.clamp(max=2.0**40) + 1)
    highest = probe.step(probe.start, drive)[1]
    if not bool((highest > 1).all()):
        return
    common = _name_common(probe, line)
    common["threshold"] = _number(
        probe, "threshold", line.threshold.nextafter(torch.tensor(torch.inf, dtype=torch.float64))
    )
    if bool((highest > 2.0**16).all()):  # no bound of its own
        highest = torch.full_like(highest, 255.0)
    for reset in ("soft", "hard"):
        yield from _make(MultiSpikeLif, **common, most=_number(probe, "most", highest), reset=reset)


def _make_adaptive(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    rise = find_rise(probe, line, headroom)
    if rise is None:
        return
    common = _name_common(probe, line)
    decay = _number(probe, "threshold_decay", 1 - rise.decay)
    for reset, step in rise.step.items():
        more = {"threshold_decay": decay, "threshold_step": _number(probe, "threshold_step", step)}
        yield from _make(AdaptiveLif, **common, **more, reset=reset)


def _make_ternary(probe: Probe, line: Line, headroom: Tensor) -> Iterator[FloatNeuron]:
    below = find_headroom(probe, probe.start, negative=True)
    if not bool(torch.isfinite(below).all()):
        return
    shape = line.threshold.shape
    keep = 1 - line.potential_decay
    negative = -below.reshape(shape) + line.bias + keep * line.initial
    number = _number(probe, "negative_threshold", negative)
    yield from _make(TernaryLif, **_name_common(probe, line), negative_threshold=number)


Make = Callable[[Probe, Line, Tensor], Iterator[FloatNeuron]]
KINDS: tuple[Make, ...] = (
    _make_plain,
    _make_resting,
    _make_bounded,
    _make_several,
    _make_adaptive,
    _make_ternary,
)
"""Each measures what its kind of neuron needs besides the decays and the threshold."""
