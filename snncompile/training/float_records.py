"""The float record of an integer neuron, in the unit of its integers: its step has the gradient."""

from __future__ import annotations

import copy
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile import registry
from snncompile.errors import InputError, UnsupportedError
from snncompile.ir.graph import Population
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Neuron

AnyNeuron = TypeVar("AnyNeuron", bound=Neuron)


@dataclass(frozen=True, eq=False)
class Restated:
    """A float neuron whose states are in the unit of the integer states.

        state, output = floats.step(state, arriving * input_factor)
        message = output * output_factor

    is what the integer neuron computes, but for rounding, wrapping and saturation.
    """

    floats: FloatNeuron
    input_factor: float
    output_factor: float


def restate(population: Population) -> Restated:
    """Return the float record of a population's integer neuron.

    Raises:
        UnsupportedError: the neuron has no float record.
    """
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    kind = _find_kind(population)
    real: dict[str, Any] = neuron.real()
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = real.get(field.name, getattr(neuron, field.name, field.default))
        if value is MISSING:
            raise UnsupportedError(
                f"population {population.name}: integer {neuron.kind} does not say its"
                f" {field.name}, without which its float record has no step to differentiate"
            )
        values[field.name] = value
    floats = _build(kind, values)
    exponents = (getattr(neuron, f"{end}_exponent", 0) for end in ("input", "state"))
    shifts = [int(np.max(exponent)) for exponent in exponents]
    arriving = kind.input_shift if kind.unit_of_inputs else 0
    return Restated(floats, 2.0 ** (arriving + shifts[0]), 2.0 ** -shifts[1])


def _find_kind(population: Population) -> type[FloatNeuron]:
    neuron = population.neuron
    try:
        kind = registry.load("neurons", neuron.name)
    except InputError:
        kind = None
    if kind is None or kind.integer is not type(neuron) or not issubclass(kind, FloatNeuron):
        raise UnsupportedError(
            f"population {population.name}: neuron {neuron.name} has no float record, whose step"
            " would give the gradient; give it one, in the table `neurons` of the registry"
        )
    return kind  # type: ignore[no-any-return]


def _build(kind: type[FloatNeuron], values: dict[str, Any]) -> FloatNeuron:
    """Return a record of numbers that floats may not have, a threshold of 0 say."""
    floats = object.__new__(kind)
    for name, value in values.items():
        number = value if isinstance(value, str) else np.asarray(value, np.float64)
        object.__setattr__(floats, name, number)
    return floats


def bind_record(
    record: AnyNeuron,
    device: torch.device,
    trained: dict[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> AnyNeuron:
    """Return a record of tensors, with some of its parameters in their place.

    Args:
        record: of arrays.
        device: of the tensors.
        trained: parameters by name.
        dtype: of the tensors of floats.
    """
    bound: AnyNeuron = copy.copy(_bind_all(record, device, dtype))
    for name, value in trained.items():
        object.__setattr__(bound, name, value)
    return bound


@lru_cache(maxsize=512)
def _bind_all(record: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Return a record of tensors; nothing changes them, so modules may share them.

    What is read first in inference mode, for validation, is read by training later.
    """
    with torch.inference_mode(False):
        return record.bind(lambda array: _make_tensor(array, device, dtype))


def _make_tensor(array: NDArray[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    tensor = torch.tensor(array, device=device)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
