"""Layers of converted networks over their whole window, compiled; the same float32 steps as torch.

Imported on first use only: numba takes a moment to load.
"""

from __future__ import annotations

import numpy as np

from snncompile.arrays import Array
from snncompile.machine_code import compile_function


@compile_function
def run_soft(drive: Array, v: Array, p: Array, out: Array) -> None:
    """Run `IntegrateFire` with soft reset.

    Args:
        drive: accumulated input, shape (samples, steps, n), float32.
        v: potentials at the start, shape (samples, n); those at the end are written to it.
        p: threshold and bias, shape (2, n).
        out: spikes, shape of the drive, filled.
    """
    samples, steps, size = drive.shape
    for b in range(samples):
        for t in range(steps):
            for i in range(size):
                reached = v[b, i] + drive[b, t, i] + p[1, i]
                spike = reached > p[0, i]
                out[b, t, i] = spike
                v[b, i] = reached - p[0, i] if spike else reached


@compile_function
def run_signed(drive: Array, v: Array, p: Array, out: Array) -> None:
    """Run `SignedIntegrateFire`.

    Args:
        drive, v, out: see `run_soft`; the output is -1, 0 or 1.
        p: threshold, bias and negative threshold, shape (3, n).
    """
    samples, steps, size = drive.shape
    sent = np.empty(size, np.int64)
    for b in range(samples):
        sent[:] = 0
        for t in range(steps):
            for i in range(size):
                reached = v[b, i] + drive[b, t, i] + p[1, i]
                if reached > p[0, i]:
                    spike = 1
                    reached = reached - p[0, i]
                elif reached < p[2, i] and sent[i] > 0:
                    spike = -1
                    reached = reached + p[0, i]
                else:
                    spike = 0
                v[b, i] = reached
                out[b, t, i] = spike
                sent[i] += spike
