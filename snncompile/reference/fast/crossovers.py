"""Share of spikes from which a matrix product is faster than adding up the weights of spikes."""

from __future__ import annotations

from math import prod

from snncompile.synapses.convolution import Convolution

LOOK_NS = 0.1
"""Nanoseconds per source to look for spikes; these numbers were fitted to the crossovers that
`benchmarks/reference_speed.py` prints, on an EPYC of 2024 with AVX-512."""
MACS_PER_NS = 400
"""Multiplications of 8 bits in a product; with fewer columns the time is that of `COLUMNS`."""
COLUMNS = 48
WINDOW_NS = 3.5
"""Nanoseconds to copy one row of a window."""


def estimate_dense_crossover(targets: int) -> float:
    """Return the share of spikes below which adding rows of weights is faster than a product."""
    product = max(targets, COLUMNS) / MACS_PER_NS
    return max(0.0, product - LOOK_NS) / (1 + 0.015 * targets)


def estimate_convolution_crossover(wiring: Convolution) -> float:
    """Return the share of spikes below which adding kernels around spikes is faster."""
    places = prod(wiring.target_shape[1:])
    rows = wiring.kernel[0] if len(wiring.kernel) > 1 else 1
    macs = places * prod(wiring.weight_shape[1:]) * max(wiring.channels, 16)
    product = places * rows * WINDOW_NS + macs / MACS_PER_NS
    spike = rows * (5 + 0.1 * wiring.kernel[-1] * wiring.channels)
    return max(0.0, product - LOOK_NS * wiring.sources) / (wiring.sources * spike)
