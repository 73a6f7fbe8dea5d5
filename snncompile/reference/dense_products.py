"""Products of outputs with dense weights that train, by the library that is faster."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

LARGE = 1 << 23
"""Multiplications from which arrays are handed to oneDNN."""
MANY = 64
"""Rows from which they are."""
AMD = "znver"
"""Beginning of the names that LLVM gives to AMD's processors with AVX-512: znver4 and later."""


def multiply(x: Tensor, weight: Tensor) -> Tensor:
    """Return sums of weights, shape (..., targets).

    Where oneDNN is faster than the library that torch was built with, it has large products, in
    both directions: see `has_faster_library`.

    Args:
        x: outputs of sources, shape (..., sources).
        weight: of the same type, shape (targets, sources).
    """
    rows = x.numel() // max(1, x.shape[-1])
    large = rows >= MANY and rows * weight.numel() >= LARGE
    plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    if not (large and plain and has_faster_library()) or torch.is_autocast_enabled("cpu"):
        return torch.nn.functional.linear(x, weight)
    product: Tensor = _Product.apply(x.reshape(rows, -1), weight)  # type: ignore[no-untyped-call]
    return product.reshape(*x.shape[:-1], -1)


@lru_cache(maxsize=1)
def has_faster_library() -> bool:
    """Return whether oneDNN computes products faster than MKL, as on processors of AMD with
    AVX-512, which MKL does not use there."""
    torch_has: Any = torch.backends
    if not torch_has.mkl.is_available() or not torch_has.mkldnn.is_available():
        return False
    from snncompile.machine_code import name_processor  # loads numba

    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_avx512 and name_processor().startswith(AMD)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiply_by_onednn(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        for_x, for_weight = ctx.needs_input_grad
        if torch.is_grad_enabled():  # a gradient of gradients may follow
            with torch.autocast("cpu", enabled=False):
                of_x = gradient @ weight if for_x else None
                return of_x, gradient.T @ x if for_weight else None
        of_x = _multiply_by_onednn(gradient, weight.T) if for_x else None
        if not for_weight:
            return of_x, None
        arrays = (each.to_mkldnn() for each in (gradient, x, weight))
        return of_x, torch.ops.aten.mkldnn_linear_backward_weights(*arrays, False)[0]


def _multiply_by_onednn(x: Tensor, weight: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):  # a backward pass may run within it
        return torch.nn.functional.linear(x.to_mkldnn(), weight).to_dense()
