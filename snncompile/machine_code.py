"""Functions compiled by numba; the only module of ours that imports it.

The machine code is kept on disk, so that the next process need not compile it again. A run does
without where it cannot be: beside a package of another user and without a home, on a disk that is
full, or if what was kept is damaged.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from llvmlite.binding import get_host_cpu_name
from numba import njit
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., Any])

DAMAGED = (
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""Errors of files of machine code that numba did not write, or not to their end."""


class _CodeOnDisk(FunctionCache):
    """Machine code that is kept where it can be; else it is compiled once per process."""

    def load_overload(self, *args: Any) -> Any:
        """Return the code for some types; None: compile it."""
        try:
            return super().load_overload(*args)  # type: ignore[no-untyped-call]
        except DAMAGED:
            return None

    def save_overload(self, *args: Any) -> None:
        """Keep the code for some types."""
        try:
            super().save_overload(*args)  # type: ignore[no-untyped-call]
        except DAMAGED:
            return


def name_processor() -> str:
    """Return the name that LLVM gives to the processor, such as znver4."""
    return str(get_host_cpu_name())


def compile_function(function: F, **options: Any) -> F:
    """Return a function compiled on its first call, which releases the interpreter.

    Args:
        function: of numbers and arrays; it may call others that were compiled.
        options: of `numba.njit`.
    """
    dispatcher: Any = njit(nogil=True, **options)(function)
    with suppress(RuntimeError):  # no folder to keep the code in
        # njit(cache=True) does the same with a cache of its own.
        dispatcher._cache = _CodeOnDisk(function)  # type: ignore[no-untyped-call]
    result: F = dispatcher
    return result
