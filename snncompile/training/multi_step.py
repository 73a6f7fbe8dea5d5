"""Spiking layers over all time steps at once, for training from nothing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.training.float_records import bind_record
from snncompile.training.fused import has_kernel, run_floats
from snncompile.training.numbers import check_floats, read_number, read_threshold
from snncompile.training.surrogate import (
    Surrogate,
    Surrogates,
    check_surrogate,
    fast_sigmoid,
)


class MultiStepLif(nn.Module):
    """Leaky integrate-and-fire neurons that take all time steps of a batch in one call.

        v = (1 - potential_decay) * v + x
        spike = v > threshold
        v = v - threshold where spike        # reset "soft"
        v = 0             where spike        # reset "hard"

    Input and output have shape (steps, samples, *shape), as layers of SpikingJelly with
    `step_mode="m"` do: between such layers, `layer.ThresholdDependentBatchNorm2d` say, these are
    the neurons. Every call starts from a potential of 0. Gradients pass the reset.

    Args:
        potential_decay: share of the potential lost in one time step, 0..1.
        threshold: potential above which a neuron fires, positive.
        reset: "soft" or "hard".
        surrogate: derivative of a spike, of the excess over the threshold in thresholds.

    Raises:
        InputError: an argument is out of range; in a call, x is no tensor of floats, or has no axes
            for steps and samples.
    """

    def __init__(
        self,
        potential_decay: float = 0.0,
        *,
        threshold: float = 1.0,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate = fast_sigmoid,
    ) -> None:
        super().__init__()
        decay = read_number("potential_decay", potential_decay)
        if not 0 <= decay <= 1:
            raise InputError(f"potential_decay must be between 0 and 1, got {potential_decay}")
        check_surrogate(surrogate)
        if reset not in ("soft", "hard"):
            raise InputError(f"reset must be soft or hard, got {reset!r}")
        self.potential_decay, self.threshold = decay, read_threshold(threshold)
        self.kind, self.surrogate = reset, surrogate
        self.neuron = CubaLif(1.0, self.potential_decay, self.threshold, reset=reset)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes, shape (steps, samples, *shape); of half floats computed in float32."""
        check_floats(f"{type(self).__name__}: input", x)
        if x.ndim < 3:
            raise InputError(
                f"{type(self).__name__}: input has shape {tuple(x.shape)}, expected"
                " (steps, samples, *shape)"
            )
        if not x.numel():
            return x
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        spikes = self._run(wide.flatten(2).transpose(0, 1))
        return spikes.transpose(0, 1).reshape(x.shape).to(x.dtype)

    def _run(self, drive: Tensor) -> Tensor:
        """Return the spikes of an input, both of shape (samples, steps, n)."""
        record = bind_record(self.neuron, drive.device, {}, drive.dtype)
        unit = torch.tensor(self.threshold, dtype=drive.dtype, device=drive.device)
        if has_kernel(record, drive.device):
            return run_floats(record, unit, self.surrogate, drive)
        state, spikes = record.begin(torch.zeros_like(drive[:, 0])), []
        with Surrogates(unit, self.surrogate):
            for step in drive.unbind(1):
                state, output = record.step(state, step)
                spikes.append(output.to(drive.dtype))
        return torch.stack(spikes, dim=1)

    def extra_repr(self) -> str:
        """Text form of the arguments."""
        return f"{self.potential_decay:g}, threshold={self.threshold:g}, reset={self.kind}"
