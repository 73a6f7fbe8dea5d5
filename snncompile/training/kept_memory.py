"""Memory of large arrays that is used again, by the next array of the same size.

The system fills what it gives with zeros, page by page, when it is touched for the first time. That
takes longer than a layer of neurons takes for its numbers, and each training step asks for the same
arrays again. What is free is kept here, up to `LIMIT` bytes in all; the oldest goes first.
"""

from __future__ import annotations

import weakref
from itertools import count
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from snncompile.arrays import Array

LIMIT = 256 << 20
"""Bytes of free memory that are kept at most, for the whole process."""
ALIGNED = 64
"""Bytes at a multiple of which torch's arrays begin."""

FREE: dict[int, Array] = {}
"""Memory that nobody uses, by its number, the oldest first. Each change is one operation of a dict,
so that threads and finalizers need no lock."""
_NUMBERS = count()


class _Owner:
    """What arrays and tensors of some memory hold; the memory is free when the last one is gone.

    An array cannot be it: numpy's views of views hold the first one.
    """

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface


def take(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return an array that is not filled.

    Its memory is free again when the array, its views and tensors of them are gone.
    """
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    memory = _find(size)
    if memory is None:
        room = np.empty(size + ALIGNED, np.uint8)
        first = -room.ctypes.data % ALIGNED
        memory = room[first : first + size]
    interface = memory.__array_interface__ | {"shape": shape, "typestr": kind.str}
    owner = _Owner(interface)
    weakref.finalize(owner, _keep, memory).atexit = False
    return np.asarray(owner)


def give_back() -> None:
    """Return all free memory to the system."""
    FREE.clear()


def _find(size: int) -> Array | None:
    """Return free memory, that which was used last; None: there is none of this size."""
    for number, memory in reversed(_list_free()):
        if len(memory) == size and FREE.pop(number, None) is not None:
            return memory
    return None


def _list_free() -> list[tuple[int, Array]]:
    """Return what is free, the oldest first.

    The numbers alone are listed in one operation: a list of pairs makes objects on its way, so that
    Python may collect garbage there, and finalizers of what is collected change `FREE`.
    """
    free = ((number, FREE.get(number)) for number in list(FREE))
    return [(number, memory) for number, memory in free if memory is not None]


def _keep(memory: Array) -> None:
    FREE[next(_NUMBERS)] = memory
    free = _list_free()
    excess = sum(len(each) for _, each in free) - LIMIT
    for number, each in free:
        if excess <= 0:
            return
        FREE.pop(number, None)
        excess -= len(each)
