"""Rate-norm layers (RNL-RIL, Ding et al. 2021): thresholds that are trained, not measured.

model = with_rate_norm(model)             # RateNorm in place of every nn.ReLU
... train the weights as usual ...        # stage 1, or with_rate_norm(model, x) of a trained one
fit_thresholds(model, x)                  # stage 2: the thresholds alone
from_ann(model, x, Balance(scales=Capped(), initial=0.0))
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import log

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.ir.input import read_array

MOMENTUM = 0.1
"""Momentum of the running maximum, as in the authors' code."""
SHARE = 0.98
"""Threshold at the start over the running maximum: sigmoid(4), as in the authors' code."""


class RateNorm(nn.Module):
    """A rectifier whose output is a firing rate, in place of a ReLU.

        largest = 0.9 * largest + 0.1 * max(z)          # in training mode, until it is frozen
        r = clip(z / (sigmoid(p) * largest), 0, 1)

    The threshold of the spiking neuron is sigmoid(p) * largest; from the authors' code.
    """

    largest: Tensor
    seen: Tensor

    def __init__(self, share: float = SHARE) -> None:
        """Start with a threshold of `share` of the largest value, 0 < share < 1."""
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share:g}")
        self.p = nn.Parameter(torch.tensor(log(share / (1 - share))))
        self.register_buffer("largest", torch.tensor(1.0))
        self.register_buffer("seen", torch.tensor(False))
        self.frozen = False

    def find_threshold(self) -> float:
        """Return the activation that becomes a rate of 1."""
        return float(torch.sigmoid(self.p.detach()) * self.largest)

    def forward(self, z: Tensor) -> Tensor:
        """Return the rates, 0..1, of the shape of z."""
        if self.training and not self.frozen:
            with torch.no_grad():
                highest = z.max().clamp(min=1e-6)
                kept = 1 - MOMENTUM if self.seen else 0.0
                self.largest.copy_(kept * self.largest + (1 - kept) * highest)
                self.seen.fill_(True)
        return (z / (torch.sigmoid(self.p) * self.largest)).clamp(0, 1)


def with_rate_norm(model: nn.Module) -> nn.Module:
    """Return a copy of a model with a `RateNorm` in place of every `nn.ReLU`; train it then.

    Raises:
        InputError: the model holds no `nn.ReLU`.
    """
    copied = copy.deepcopy(model)
    count = 0
    for parent in copied.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, RateNorm())
                count += 1
    if not count:
        raise InputError(
            f"{type(model).__name__} holds no nn.ReLU to replace; write functional.relu as a layer"
        )
    return copied


def fit_thresholds(
    model: nn.Module,
    x: ArrayLike,
    *,
    epochs: int = 10,
    batch: int = 64,
    rate: float = 0.3,
    speed: float = 0.1,
    seed: int = 0,
) -> list[float]:
    """Train the thresholds of a model's rate-norm layers (stage 2); weights stay as they are.

        loss = 1 - cos(answer before, answer) + speed * mean over layers of |r|_1 / |r|_2^2

    The first term keeps the answer, the second makes rates large, so that few steps show them.
    SGD with momentum 0.9 and weight decay 1e-4, from the authors' code.

    Args:
        model: with `RateNorm` layers, trained; changed in place and left in eval mode.
        x: its input, shape (samples, *shape); labels are not needed.
        epochs: number of passes over x.
        batch: samples of a step.
        rate: learning rate.
        speed: weight of the second term; too much of it costs accuracy.
        seed: of the order of the samples.

    Returns:
        The mean loss of each epoch.

    Raises:
        InputError: the model has no rate-norm layer.
    """
    layers = [module for module in model.modules() if isinstance(module, RateNorm)]
    if not layers:
        raise InputError(f"{type(model).__name__} has no RateNorm layer; see with_rate_norm")
    model.eval()
    teacher = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    thresholds = [layer.p.requires_grad_(True) for layer in layers]
    optimizer = torch.optim.SGD(thresholds, lr=rate, momentum=0.9, weight_decay=1e-4)
    slowness: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda *a: slowness.append(_measure_slowness(a[2])))
        for layer in layers
    ]
    losses = []
    for epoch in range(epochs):
        batch_losses = []
        for samples in _shuffle_batches(
            torch.tensor(read_array(x), dtype=_find_dtype(model)), batch, seed + epoch
        ):
            with torch.no_grad():
                wanted = teacher(samples).flatten(1)
            slowness.clear()
            got = model(samples).flatten(1)
            kept = 1 - nn.functional.cosine_similarity(wanted, got).mean()
            loss = kept + speed * torch.stack(slowness).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            batch_losses.append(float(loss.detach()))
        losses.append(sum(batch_losses) / len(batch_losses))
    for hook in hooks:
        hook.remove()
    return losses


def _measure_slowness(r: Tensor) -> Tensor:
    """Return the slowness of rates: mean over samples of |r|_1 / |r|_2^2, 1 at the fastest."""
    flat = r.flatten(1)
    return (flat.sum(dim=1) / flat.square().sum(dim=1).clamp(min=1e-6)).mean()


def _shuffle_batches(x: Tensor, batch: int, seed: int) -> Iterator[Tensor]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(x), batch):
        yield x[order[start : start + batch]]


def _find_dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype
