"""Processes that are killed while they write, and what they leave."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def repeat_for_ever(act: Callable[[], object]) -> None:
    """Do it again and again until this process is killed."""
    try:
        while True:
            act()
    finally:
        os._exit(1)


def kill_one(act: Callable[[], object], seconds: float) -> int:
    """Act in a process that is killed after some seconds; return how it ended."""
    child = os.fork()
    if child == 0:
        repeat_for_ever(act)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def measure_one(act: Callable[[], object]) -> float:
    """Return the seconds that it takes in a process of its own."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return time.monotonic() - start


def wait_for_the_guard(folder: Path, seconds: float = 60) -> list[str]:
    """Return what is in a folder once nothing hidden is left, or after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(p.name.startswith(".") for p in folder.iterdir()):
        time.sleep(0.005)
    return sorted(p.name for p in folder.iterdir())
