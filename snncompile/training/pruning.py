"""Fewer synapses: gradual magnitude pruning, and the connectivity that a number of cores holds.

In: a module in training, or a network. Out: weights that are zero, which `compile` then drops where
that costs less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.ir.graph import Network
from snncompile.training.numbers import check_count, read_number

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Chip

RAMP = 0.7
"""Share of the steps in which weights are cut; the rest trains what is left."""
PARTS = 128
"""Of all weights, which `find_connectivity` tells apart."""


def list_weights(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights that pruning counts: trained parameters of two axes or more."""
    return [p for p in module.parameters() if p.ndim > 1 and p.requires_grad]


def find_share(keep: float, step: int, steps: int) -> float:
    """Return the share of weights to keep after one of `steps` updates.

    The share that is cut rises like a cubic, steeply at first, until RAMP of the steps are over:
    Zhu and Gupta, To prune, or not to prune (2017), equation 1.

    Raises:
        InputError: the share is not in (0, 1], or there is no such step.
    """
    if not 0 < read_number("keep", keep) <= 1:
        raise InputError(f"keep must be a share above 0 and at most 1, got {keep}")
    if not 0 <= read_number("step", step) < read_number("steps", steps):
        raise InputError(f"step must be 0..{steps - 1} of {steps} steps, got {step}")
    left = max(0.0, 1 - (step + 1) / (RAMP * steps))
    return keep + (1 - keep) * left**3


@torch.no_grad()
def prune(
    module: nn.Module | Iterable[Tensor], keep: float, step: int = 0, steps: int = 1
) -> float:
    """Set the smallest weights to zero, over all layers; return the share that is not zero.

    Call it after each update of the optimizer. Weights that were cut come back only by an update
    that makes them larger than others. Without `step` and `steps` it cuts at once. The masks of
    `torch.nn.utils.prune` are applied when a layer is called, and the layers of `from_network` and
    `chip_aware` are not: their weights are read.

    Args:
        module: weights of two axes or more are pruned; or these tensors themselves.
        keep: share of the weights to keep in the end, above 0 and at most 1.
        step: this update, 0..steps - 1.
        steps: updates in all.

    Raises:
        InputError: `keep` or `step` is out of its range, or there are no weights.
    """
    weights = _list_tensors(module)
    total = sum(w.numel() for w in weights)
    if not total:
        raise InputError("there are no weights to prune: no trained parameter of two axes or more")
    kept = max(1, round(find_share(keep, step, steps) * total))
    if kept < total:
        sizes = torch.cat([w.detach().abs().flatten() for w in weights])
        largest_cut = sizes.kthvalue(total - kept).values
        stays = sizes > largest_cut
        if largest_cut > 0:  # of equal weights, as binary ones are, the first ones stay
            equal = (sizes == largest_cut).nonzero().flatten()
            stays[equal[: max(0, kept - int(stays.sum()))]] = True
        for w, own in zip(weights, torch.split(stays, [w.numel() for w in weights]), strict=True):
            w.masked_fill_(~own.view_as(w), 0)
    return measure_connectivity(weights)


def measure_connectivity(module: nn.Module | Iterable[Tensor]) -> float:
    """Return the share of weights that are not zero; of parameters of two axes or more."""
    weights = _list_tensors(module)
    left, total = sum(int(w.count_nonzero()) for w in weights), sum(w.numel() for w in weights)
    return left / max(1, total)


def _list_tensors(module: nn.Module | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(module, nn.Module):
        return [*list_weights(module)]
    weights = list(module) if isinstance(module, Iterable) else [module]
    if not all(isinstance(w, Tensor) for w in weights):
        raise InputError("module must be a torch module or tensors, its weights")
    return weights


def find_connectivity(network: Network, chip: str | Chip, cores: int, **options: Any) -> float:
    """Return the largest share of its weights with which a network takes at most so many cores.

    It keeps the largest weights, compiles, and halves the range of shares until 1/128 of all
    weights. Call it between epochs for `prune`'s `keep`, or before training.

    Args:
        network: floats, as trained so far.
        chip: name or record.
        cores: budget.
        options: of `compile`: bits, calibration and so on.

    Raises:
        InputError: 1/128 of the weights takes more cores, or the budget is not positive.
        FitError: a network does not fit the chip at all.
    """
    check_count("cores", cores)
    if _count_cores(network, chip, 1.0, options) <= cores:
        return 1.0
    low, high = 0, PARTS
    least = 0
    while high - low > 1:
        middle = (low + high) // 2
        least = _count_cores(network, chip, middle / PARTS, options)
        low, high = (middle, high) if least <= cores else (low, middle)
    if not low:
        raise InputError(
            f"{chip if isinstance(chip, str) else chip.name}: {least} cores with 1/{PARTS} of"
            f" the weights, the budget is {cores}; allow more cores, or take a smaller network"
        )
    return low / PARTS


def _count_cores(network: Network, chip: Any, keep: float, options: dict[str, Any]) -> int:
    from snncompile.compiler import compile as compile_network

    program = compile_network(keep_largest(network, keep), chip=chip, **options)
    return int(program.mapping.cores)


def keep_largest(network: Network, keep: float) -> Network:
    """Return a network with the largest of its weights, over all its projections."""
    arrays = [p.synapses.weight for p in network.projections]
    pruned: Sequence[np.ndarray] = arrays
    if keep < 1:
        tensors = [torch.from_numpy(np.array(a, np.float64)) for a in arrays]
        prune([t for t in tensors if t.ndim > 1], keep)
        pruned = [t.numpy() for t in tensors]
    return replace(
        network,
        projections=tuple(
            replace(p, synapses=replace(p.synapses, weight=w))  # type: ignore[arg-type]
            for p, w in zip(network.projections, pruned, strict=True)
        ),
    )
