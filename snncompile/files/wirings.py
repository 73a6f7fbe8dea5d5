"""Wirings as records and arrays of a network's file."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from snncompile.registry import load
from snncompile.synapses.base import Wiring

Arrays = dict[str, NDArray[Any]]


class WiringRecord(BaseModel):
    """The kind of a wiring and its parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    parameters: dict[str, bool | int | tuple[int, ...] | str | WiringRecord]
    """A number, some numbers, the name of an array, or another wiring."""


def list_arrays(wiring: WiringRecord) -> set[str]:
    """Return the names of the arrays of a wiring."""
    values = wiring.parameters.values()
    inner = (list_arrays(value) for value in values if isinstance(value, WiringRecord))
    return {value for value in values if isinstance(value, str)}.union(*inner)


def record_wiring(key: str, wiring: Wiring, arrays: Arrays) -> dict[str, Any]:
    """Return the record of a wiring; its arrays are added to `arrays` under `key`."""
    parameters: dict[str, Any] = {}
    for field in fields(wiring):
        value = getattr(wiring, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{key}.{field.name}"] = value
            value = f"{key}.{field.name}"
        elif isinstance(value, Wiring):
            value = record_wiring(f"{key}.{field.name}", value, arrays)
        parameters[field.name] = list(value) if isinstance(value, tuple) else value
    return {"kind": wiring.kind, "parameters": parameters}


def read_wiring(record: WiringRecord, arrays: Arrays) -> Wiring:
    """Return the wiring of a record."""
    kind: type[Wiring] = load("wirings", record.kind)
    values: dict[str, Any] = {
        name: arrays[value] if isinstance(value, str) else value
        for name, value in record.parameters.items()
    }
    inner = {k: read_wiring(v, arrays) for k, v in values.items() if isinstance(v, WiringRecord)}
    wiring: Wiring = kind(**values | inner)
    return wiring
