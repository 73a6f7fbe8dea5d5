"""Time of a search: it ends in time whatever runs, and says how much is done."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from snncompile.ir.graph import Say

AGAIN = 1.0
"""Seconds after which what runs is interrupted once more, as libraries may swallow an interrupt."""
COMPILING = 30
"""What compiling a candidate counts for, in time steps of running it; roughly."""


class TimeOverError(KeyboardInterrupt):
    """The time is over; ends what runs as Ctrl-C does."""


@dataclass(frozen=True)
class Deadline:
    """When something has to end.

    `check` ends it between two steps. Within `interrupt` it ends in mid-step, where there are timer
    signals, nobody else uses them and this is the main thread.
    """

    seconds: float | None
    """From `begun` on; None: no limit."""
    begun: float = field(default_factory=lambda: time.perf_counter())

    @property
    def share(self) -> float:
        """Share of the time that is over, 0 where there is no limit."""
        if self.seconds is None:
            return 0.0
        return min(1.0, (time.perf_counter() - self.begun) / max(self.seconds, 1e-9))

    def check(self) -> None:
        """Raise TimeOverError if the time is over."""
        if self.seconds is not None and time.perf_counter() - self.begun > self.seconds:
            raise TimeOverError

    @contextmanager
    def interrupt(self) -> Iterator[None]:
        """Raise TimeOverError within the block when the time is over."""
        if self.seconds is None or not _can_set_timer():
            yield
            return
        left = self.seconds - (time.perf_counter() - self.begun)
        before = signal.signal(signal.SIGALRM, _raise_time_over)
        try:
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), AGAIN)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


def _can_set_timer() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, "setitimer") and not signal.getitimer(signal.ITIMER_REAL)[0]


def _raise_time_over(number: int, frame: Any) -> None:
    raise TimeOverError


class SearchProgress:
    """Tells what a search does and the share that is done; ends it when the time is over."""

    def __init__(self, deadline: Deadline, say: Say) -> None:
        """Start with nothing done."""
        self.deadline, self.say = deadline, say
        self.name = ""
        self.done = self.current = self.waiting = 0.0
        """Work of candidates that are done, of the one that runs, and of those to come."""
        self.share = 0.0

    def wait_for(self, steps: list[int]) -> None:
        """Set the candidates to come, by their time steps in all."""
        self.waiting = float(sum(COMPILING + n for n in steps))

    def begin(self, name: str, steps: int) -> None:
        """Begin a candidate of so many time steps in all."""
        self.done += self.current
        self.name, self.current = name, float(COMPILING + steps)
        self.tell("building", 0.0)

    def describe(self, text: str, share: float) -> None:
        """Tell what is done before the first candidate; no share of the search is known yet."""
        self.deadline.check()
        self.say(text, self._raise_share(0.0))

    def tell(self, text: str, share: float) -> None:
        """Tell what is done with a candidate, and which share of it."""
        self.deadline.check()
        total = self.done + self.current + self.waiting
        self.say(
            f"{self.name}: {text}", self._raise_share((self.done + share * self.current) / total)
        )

    def _raise_share(self, share: float) -> float:
        """Return the share that is done, of the work or the time; it never falls."""
        self.share = max(self.share, min(share, 1.0), self.deadline.share)
        return self.share
