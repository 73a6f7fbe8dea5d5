"""Activations of torch: which of them are rectifiers, and which are other curves of one variable.

A module is asked by its class and its parameters, a function by its name and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from torch import Tensor, nn

from snncompile.conversion.rate_norm import RateNorm

RECTIFIERS: dict[type[nn.Module], Callable[[Any], float | None]] = {
    nn.ReLU: lambda module: inf,
    nn.ReLU6: lambda module: 6.0,
    nn.Hardtanh: lambda m: _find_cap_of_limits(m.min_val, m.max_val),
    nn.Threshold: lambda m: inf if m.threshold == m.value == 0 else None,
    nn.LeakyReLU: lambda m: inf if m.negative_slope == 0 else None,
    nn.RReLU: lambda m: inf if m.lower == m.upper == 0 else None,
    RateNorm: lambda module: module.find_threshold(),
}
"""Layer -> its largest activation, before the division by it, if it is a rectifier."""
CURVES: frozenset[type[nn.Module]] = frozenset(
    {
        nn.CELU,
        nn.ELU,
        nn.GELU,
        nn.Hardshrink,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.LogSigmoid,
        nn.Mish,
        nn.PReLU,
        nn.SELU,
        nn.SiLU,
        nn.Sigmoid,
        nn.Softplus,
        nn.Softshrink,
        nn.Softsign,
        nn.Tanh,
        nn.Tanhshrink,
    }
)
"""Layers that act on each value alone; so do those of RECTIFIERS that are none."""
CURVE_FUNCTIONS = frozenset(
    [
        "abs",
        "absolute",
        "atan",
        "arctan",
        "celu",
        "clamp",
        "clamp_max",
        "clamp_min",
        "clip",
        "cos",
        "elu",
        "erf",
        "exp",
        "expm1",
        "gelu",
        "hardshrink",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "log1p",
        "logsigmoid",
        "mish",
        "prelu",
        "rrelu",
        "selu",
        "sigmoid",
        "silu",
        "sin",
        "softplus",
        "softshrink",
        "softsign",
        "sqrt",
        "square",
        "tanh",
        "tanhshrink",
        "threshold",
    ]
)
"""The same for functions."""
MONOTONE = frozenset({"Sigmoid", "LogSigmoid", "Tanh", "Softplus", "Softsign", "sigmoid", "tanh"})
"""Curves that keep the order of an answer's values: they may end a network, and are left out."""


def find_cap(module: nn.Module) -> float | None:
    """Return the largest activation of a rectifier; None for other layers."""
    find = RECTIFIERS.get(type(module))
    return None if find is None else find(module)


def is_activation(module: nn.Module) -> bool:
    """Return whether a layer acts on each value alone."""
    return type(module) in RECTIFIERS or type(module) in CURVES


def find_function_cap(name: str, args: Any, kwargs: Any) -> float | None:
    """Return the largest value of a function that is a rectifier; None for others.

    Args:
        name: without its module and a final underscore, `clamp`.
        args: its arguments.
        kwargs: its keyword arguments.
    """
    given = list(args[1:])

    def read(position: int, key: str, usual: Any = None) -> Any:
        value = given[position] if len(given) > position else kwargs.get(key, usual)
        return float(value) if isinstance(value, Tensor) and value.numel() == 1 else value

    caps: dict[str, Callable[[], float | None]] = {
        "relu": lambda: inf,
        "relu6": lambda: 6.0,
        "hardtanh": lambda: _find_cap_of_limits(read(0, "min_val", -1.0), read(1, "max_val", 1.0)),
        "clamp": lambda: _find_cap_of_limits(read(0, "min"), read(1, "max")),
        "clip": lambda: _find_cap_of_limits(read(0, "min"), read(1, "max")),
        "clamp_min": lambda: _find_cap_of_limits(read(0, "min"), None),
        "threshold": lambda: inf if read(0, "threshold") == read(1, "value") == 0 else None,
        "leaky_relu": lambda: inf if read(0, "negative_slope", 0.01) == 0 else None,
    }
    return caps[name]() if name in caps else None


def _find_cap_of_limits(low: Any, high: Any) -> float | None:
    """Return the upper limit, if the lower one is 0."""
    if isinstance(low, Tensor) or low is None or low != 0 or isinstance(high, Tensor):
        return None
    return inf if high is None else float(high) if high > 0 else None
