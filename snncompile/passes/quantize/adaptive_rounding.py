"""Round weights of few bits so that their sums are right on the calibration data."""

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
"""Patches of the images that are used: more do not change the moments much."""


def round_to_nearest(weight: Floats, highest: int) -> Floats:
    """Return the nearest whole numbers from -highest to highest."""
    return np.asarray(np.clip(np.rint(weight), -highest, highest))


def round_by_inputs(wiring: Convolution, weight: Floats, rates: Tensor, highest: int) -> Floats:
    """Return whole weights of a convolution whose sums are near those of the float weights.

    Weights are rounded one after the other; the weights of the same neuron still to be rounded make
    up for the error, as far as their inputs agree (GPTQ, Frantar et al. 2022):

        H = mean of x x^T;  U^T U = H^-1, U upper triangular
        q_i = nearest(w_i);  w_j -= (w_i - q_i) U_ij / U_ii for all j > i

    Args:
        wiring: the convolution.
        weight: in units of one step, shape `wiring.weight_shape`.
        rates: mean input of each source, shape (samples, sources).
        highest: largest whole weight of both signs.
    """
    patches = _cut_patches(wiring, rates)
    rows = weight.reshape(wiring.groups, wiring.channels // wiring.groups, -1)
    rounded = [_round_in_order(w, x, highest) for w, x in zip(rows, patches, strict=True)]
    return np.stack(rounded).reshape(weight.shape)


def _round_in_order(weight: Floats, patches: Floats, highest: int) -> Floats:
    """Round weights of shape (channels, weights) for inputs of shape (patches, weights)."""
    moments = patches.T @ patches / len(patches)
    mean = float(np.trace(moments)) / len(moments)
    if not mean:  # no input ever arrived
        return round_to_nearest(weight, highest)
    inverse = np.linalg.inv(moments + DAMPING * mean * np.eye(len(moments)))
    upper = np.linalg.cholesky(inverse).T
    wanted, rounded = weight.copy(), np.zeros_like(weight)
    for i in range(weight.shape[1]):
        rounded[:, i] = round_to_nearest(wanted[:, i], highest)
        error = (wanted[:, i] - rounded[:, i]) / upper[i, i]
        wanted[:, i:] -= np.outer(error, upper[i, i:])
    return rounded


def _cut_patches(wiring: Convolution, rates: Tensor) -> NDArray[np.float64]:
    """Return the inputs of a neuron of each group, shape (groups, patches, weights)."""
    flat = (1,) * (3 - len(wiring.source_shape))  # one space axis becomes a row
    images = rates.double().reshape(-1, wiring.source_shape[0], *flat, *wiring.source_shape[1:])
    every = max(1, len(images) * int(np.prod(wiring.target_shape[1:])) // PATCHES)
    pieces = []
    for image in images:  # one at a time: patches overlap, so they are several times the image
        columns = functional.unfold(
            image[None],
            (*flat, *wiring.kernel),
            dilation=(*flat, *wiring.dilation),
            padding=(*(0 for _ in flat), *wiring.padding),
            stride=(*flat, *wiring.stride),
        )
        pieces.append(columns[0, :, ::every])
    patches = torch.cat(pieces, dim=1)
    return patches.reshape(wiring.groups, -1, patches.shape[1]).transpose(1, 2).numpy()
