"""Hash of a captured ANN: its weights, its layers, and what its curves compute."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from snncompile.conversion.ann import Ann


def hash_ann(ann: Ann, x: NDArray[np.float64]) -> str:
    """Return 32 digits of the SHA-256 of a captured network.

    Args:
        ann: the network.
        x: samples; if layers hold functions, the activations of these stand for them.
    """
    digest = hashlib.sha256()
    if _add(digest, ann):
        for name, values in ann.compute_activations(x).items():
            digest.update(
                f"{name} {np.round(values.numpy().astype(np.float64), 4).tolist()}".encode()
            )
    return digest.hexdigest()[:32]


def _add(digest: Any, value: Any) -> bool:
    """Add a value to the digest; return whether it holds functions, which have no content."""
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
        return False
    if is_dataclass(value):
        digest.update(type(value).__name__.encode())
        members = [(f.name, getattr(value, f.name)) for f in fields(value)]
        return any([_add(digest, member) for member in members])
    if isinstance(value, dict):
        return any([_add(digest, item) for item in value.items()])
    if isinstance(value, tuple | list):
        digest.update(f"{len(value)}".encode())
        return any([_add(digest, item) for item in value])
    if callable(value):
        digest.update(type(value).__name__.encode())
        return True
    digest.update(repr(value).encode())
    return False
