"""Modules around modules: what is inside computes the same, and is what gets read.

DataParallel and compiled modules hold the user's module. A parametrized weight (weight norm,
spectral norm, pruning) is a tensor computed from others; it is computed once and kept.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
"""Class of torch -> its attribute that holds the module inside."""


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside of wrappers, however many; one without wrappers as it is."""
    while (inner := _find_inside(module)) is not None:
        module = inner
    return module


def _find_inside(module: nn.Module) -> nn.Module | None:
    kind = type(module)
    name = WRAPPERS.get(kind.__name__) if kind.__module__.startswith("torch.") else None
    return None if name is None else getattr(module, name)


def copy_inside(module: nn.Module, memo: dict[int, Any]) -> None:
    """Let `copy.deepcopy` put the inside where a module holds a wrapper.

    Args:
        module: the module to be copied, no wrapper itself.
        memo: of `copy.deepcopy`.
    """
    for inner in module.modules():
        if _find_inside(inner) is not None and id(inner) not in memo:
            memo[id(inner)] = copy.deepcopy(unwrap(inner), memo)


def settle_weights(module: nn.Module) -> None:
    """Replace parametrized weights of a copy in eval mode by their values."""
    for layer in module.modules():
        if parametrize.is_parametrized(layer):
            _settle_parametrizations(layer)
        for hook in list(layer._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                nn.utils.remove_weight_norm(layer, hook.name)
            elif isinstance(hook, SpectralNorm):
                nn.utils.remove_spectral_norm(layer, hook.name)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(layer, hook._tensor_name)  # type: ignore[no-untyped-call]


def _settle_parametrizations(layer: Any) -> None:
    """As `remove_parametrizations`, which would change the class that the original shares."""
    values = {name: getattr(layer, name).detach().clone() for name in layer.parametrizations}
    del layer.parametrizations
    layer.__class__ = type(layer).__bases__[0]
    for name, value in values.items():
        layer.register_parameter(name, nn.Parameter(value))
