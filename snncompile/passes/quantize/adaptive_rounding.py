"""Weights of few bits, rounded so that what they add up to is right on the calibration data."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snncompile.arrays import Floats
from snncompile.synapses.convolution import Convolution

DAMPING = 0.01
"""Added to the diagonal of the second moments, as a share of its mean: fewer patches than weights
must not make them singular (Frantar et al. 2022)."""
PATCHES = 8192
"""Places of the images that are looked at: more do not change the moments much."""


def nearest(weight: Floats, highest: int) -> Floats:
    """Return the nearest whole numbers from -highest to highest."""
    return np.asarray(np.clip(np.rint(weight), -highest, highest))


def compensated(wiring: Convolution, weight: Floats, rates: Tensor, highest: int) -> Floats:
    """Return whole weights of a convolution whose sums are near those of the wanted ones.

    Weights are rounded one after the other; those of the same neuron that are not rounded yet make
    up for the error, as far as the inputs tell the same (GPTQ, Frantar et al. 2022):

        H = mean of x x^T;  U^T U = H^-1, U upper triangular
        q_i = nearest(w_i);  w_j -= (w_i - q_i) U_ij / U_ii for all j > i

    Args:
        wiring: of the weights.
        weight: in units of one step, shape `wiring.weight_shape`.
        rates: mean input of each source, shape (samples, sources).
        highest: largest whole weight of both signs.
    """
    seen = _patches(wiring, rates)
    rows = weight.reshape(wiring.groups, wiring.channels // wiring.groups, -1)
    made = [_row_by_row(w, x, highest) for w, x in zip(rows, seen, strict=True)]
    return np.stack(made).reshape(weight.shape)


def _row_by_row(weight: Floats, seen: Floats, highest: int) -> Floats:
    """Round weights of shape (channels, weights) for inputs of shape (patches, weights)."""
    moments = seen.T @ seen / len(seen)
    mean = float(np.trace(moments)) / len(moments)
    if not mean:  # nothing was ever heard
        return nearest(weight, highest)
    inverse = np.linalg.inv(moments + DAMPING * mean * np.eye(len(moments)))
    upper = np.linalg.cholesky(inverse).T
    rest, made = weight.copy(), np.zeros_like(weight)
    for i in range(weight.shape[1]):
        made[:, i] = nearest(rest[:, i], highest)
        wrong = (rest[:, i] - made[:, i]) / upper[i, i]
        rest[:, i:] -= np.outer(wrong, upper[i, i:])
    return made


def _patches(wiring: Convolution, rates: Tensor) -> NDArray[np.float64]:
    """Return what a neuron of each group hears, shape (groups, patches, weights)."""
    flat = (1,) * (3 - len(wiring.source_shape))  # one space axis becomes a row
    images = rates.double().reshape(-1, wiring.source_shape[0], *flat, *wiring.source_shape[1:])
    every = max(1, len(images) * int(np.prod(wiring.target_shape[1:])) // PATCHES)
    found = []
    for image in images:  # one at a time: patches overlap, so they are several times the image
        columns = functional.unfold(
            image[None],
            (*flat, *wiring.kernel),
            dilation=(*flat, *wiring.dilation),
            padding=(*(0 for _ in flat), *wiring.padding),
            stride=(*flat, *wiring.stride),
        )
        found.append(columns[0, :, ::every])
    seen = torch.cat(found, dim=1)
    return seen.reshape(wiring.groups, -1, seen.shape[1]).transpose(1, 2).numpy()
