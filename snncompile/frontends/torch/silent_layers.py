"""Inputs that make silent layers fire: a layer without a spike on the sample is not verified by it.

The sample is scaled, then values are drawn, until every layer has fired.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

SAMPLES = 2
"""Samples of each attempt."""
FACTORS = (4.0, 32.0, 256.0, -32.0)
"""What the sample is multiplied by, in this order."""
DEVIATIONS = (1.0, 16.0, 256.0)
"""Standard deviations of values that are drawn from a normal distribution."""


def list_louder(x: Tensor, *, static: bool) -> Iterator[tuple[str, Tensor]]:
    """Yield (description, input), each of `SAMPLES` samples of the sample's shape.

    Args:
        x: the sample, shape (samples, steps, *shape).
        static: whether all time steps get the same values.
    """
    first = x[torch.arange(SAMPLES) % len(x)]
    for factor in FACTORS:
        yield f"the sample times {factor:g}", first * factor
    shape = (SAMPLES, 1 if static else x.shape[1], *x.shape[2:])
    for deviation in DEVIATIONS:
        drawn = np.random.default_rng(0).normal(0.0, deviation, shape)
        values = torch.tensor(drawn).expand(first.shape)
        yield f"drawn values of deviation {deviation:g}", values
