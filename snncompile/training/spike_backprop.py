"""Spike-based backpropagation of Lee et al., Frontiers in Neuroscience 14 (2020).

Time steps are many and the input is random (Poisson); spikes are counted in the backward pass, so
its derivative is that of a rate, corrected for the leak. Dropout keeps its mask for all time steps,
as `spikingjelly.activation_based.layer.Dropout` does.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snncompile.errors import InputError
from snncompile.training.multi_step import MultiStepLif
from snncompile.training.numbers import check_floats, read_threshold

SILENT = 1e-3
"""A trace below this is that of a neuron that did not fire lately."""
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""Types of labels."""


class SpikeBackpropLif(MultiStepLif):
    """`MultiStepLif` with hard reset and the derivative of Lee et al.

    Forward, potentials leak. Backward, the leak does not shorten the gradient; instead the
    derivative of a spike has a correction, of the trace f and the number N of the spikes of a
    neuron in all time steps:

        f = (1 - potential_decay) * f + spike
        derivative = ([f > 0.001] + ln(1 - potential_decay) * f / N) / threshold where it fired

    A spike ends the path of the gradient through the potential.

    Args:
        potential_decay: share of the potential lost in one time step, 0 or more and below 1.
        threshold: potential above which a neuron fires, positive.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(self, potential_decay: float = 0.0, *, threshold: float = 1.0) -> None:
        super().__init__(potential_decay, threshold=threshold, reset="hard")
        if self.potential_decay == 1:
            raise InputError(
                "potential_decay must be below 1: the trace of spikes has its logarithm"
            )

    def _run(self, drive: Tensor) -> Tensor:
        with torch.no_grad():
            spikes = super()._run(drive)
        result: Tensor = _PassCounts.apply(drive, spikes, self.potential_decay, self.threshold)  # type: ignore[no-untyped-call]
        return result


class _PassCounts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, spikes: Tensor, potential_decay: float, threshold: float
    ) -> Tensor:
        ctx.save_for_backward(spikes > 0)
        ctx.kept, ctx.threshold = 1 - potential_decay, threshold
        return spikes.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (fired,) = ctx.saved_tensors
        gradient = gradients[0]
        slope = _find_slope(fired.to(gradient.dtype), ctx.kept) / ctx.threshold
        of_drive, of_potential = torch.empty_like(gradient), torch.zeros_like(slope)
        for step in reversed(range(gradient.shape[1])):
            of_spike = gradient[:, step] * slope
            of_potential = torch.where(fired[:, step], of_spike, of_potential)
            of_drive[:, step] = of_potential
        return of_drive, None, None, None


def _find_slope(spikes: Tensor, kept: float) -> Tensor:
    """Return the derivative of a spike in thresholds, shape (samples, n)."""
    trace = torch.zeros_like(spikes[:, 0])
    for spike in spikes.unbind(1):
        trace = kept * trace + spike
    number = spikes.sum(1).clamp(min=1)
    return (trace > SILENT).to(trace.dtype) + math.log(kept) * trace / number


def potential_loss(output: Tensor, label: Tensor, threshold: float = 1.0) -> Tensor:
    """Return the mean squared error of last potentials, per threshold and time step.

    The potentials of neurons without leak that never fire are sums of what arrives.

    Args:
        output: input of the last neurons, shape (steps, samples, classes).
        label: class of each sample, whole numbers of 0..classes - 1.
        threshold: of the last neurons, positive.

    Raises:
        InputError: an argument is out of its range or has another shape.
    """
    check_floats("potential_loss: output", output)
    if output.ndim != 3 or not output.numel():
        raise InputError(
            f"potential_loss: output has shape {tuple(output.shape)}, expected"
            " (steps, samples, classes)"
        )
    samples, classes = output.shape[1:]
    scale, number = read_threshold(threshold), _read_labels(label, samples, classes)
    wanted = functional.one_hot(number, classes).to(output.dtype)
    return functional.mse_loss(output.mean(0) / scale, wanted)


def _read_labels(label: Any, samples: int, classes: int) -> Tensor:
    """Return labels of any whole type as int64."""
    kind = label.dtype if isinstance(label, Tensor) else type(label).__name__
    if not isinstance(label, Tensor) or kind not in WHOLE:
        raise InputError(f"potential_loss: label is {kind}, expected a tensor of whole numbers")
    if label.shape != (samples,):
        raise InputError(
            f"potential_loss: label has shape {tuple(label.shape)}, expected ({samples},), one of"
            " each sample"
        )
    low, high = int(label.min()), int(label.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"potential_loss: labels are {low}..{high}, the output has classes 0..{classes - 1}"
        )
    return label.long()
