"""Rights of root that tests of read-only folders do without."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION_3 = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3 of linux/capability.h: two words per set."""
WRITES_ANYWHERE = 1 << 1
"""CAP_DAC_OVERRIDE."""


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def no_right_to_write_anywhere() -> Iterator[None]:
    """Keep this thread from writing where the modes of folders and files forbid it."""
    if os.geteuid():
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may write everywhere")
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(VERSION_3, 0), (_Sets * 2)()
    assert libc.capget(header, sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~WRITES_ANYWHERE
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(header, sets) == 0
