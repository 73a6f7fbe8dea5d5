"""Libraries that tests compare with, imported without their warnings."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore what other libraries warn about: old functions of torch, their own old functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def library(name: str) -> Any:
    """Return a module."""
    with quiet():
        return importlib.import_module(name)
