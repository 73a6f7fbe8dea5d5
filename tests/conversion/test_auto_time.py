"""The time that `auto` has: it ends within it, with the best so far, and leaves nothing behind."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conversion_models import MODELS, images

from snncompile.conversion.auto_records import Budget
from snncompile.conversion.auto_time import Deadline, TimeOverError
from snncompile.conversion.convert import convert
from snncompile.errors import InputError

CHAIN, X = MODELS["chain"](), images("chain")


def test_auto_stops_in_time_and_says_what_is_beyond_the_limit(monkeypatch):
    from snncompile.conversion import auto_time

    clock = iter(range(10_000))
    monkeypatch.setattr(auto_time.time, "perf_counter", lambda: next(clock) / 4)
    conversion = convert(CHAIN, X, "auto", budget=Budget(loss=-1.0, seconds=60))
    assert conversion.stopped.startswith(f"the time is over after {len(conversion.trials)} of ")
    assert conversion.stopped.endswith("% other answers, the limit is -100.0%")
    best = min(t.loss for t in conversion.trials)
    assert [t.loss for t in conversion.trials if t.taken] == [best]


def test_auto_without_the_time_for_one_candidate_is_refused():
    with pytest.raises(InputError) as error:
        convert(CHAIN, X, "auto", budget=Budget(seconds=1e-9))
    assert str(error.value) == (
        "nothing keeps to 2.0% other answers on loihi2, the time is over before the first"
        " candidate; give more seconds"
    )


def test_auto_ends_in_the_middle_of_what_takes_long():
    def linger(text, share):
        if text == "bistable_phase 8: measure":
            time.sleep(60)

    begun = time.perf_counter()
    conversion = convert(CHAIN, X, "auto", budget=Budget(steps=40, seconds=15), say=linger)
    assert time.perf_counter() - begun < 30
    assert [t.method for t in conversion.trials] == [
        "graded 8 bits", "graded bits by sums", "graded 6 bits", "graded 5 bits", "graded 4 bits"
    ]  # fmt: skip
    assert conversion.stopped.startswith("the time is over after 5 of ")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_timer_of_others_is_left_alone():
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        with Deadline(0.0).interrupt():
            time.sleep(0.01)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    with pytest.raises(TimeOverError):
        Deadline(0.0, time.perf_counter() - 1).check()


def test_a_thread_ends_between_two_steps():
    with ThreadPoolExecutor(1) as pool:
        budget = Budget(steps=40, seconds=1e-9)
        with pytest.raises(InputError, match="the time is over before the first candidate"):
            pool.submit(convert, CHAIN, X, "auto", budget=budget).result()


# Aim of the budget -> the attribute of a trial that is least.
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused_before_the_search(seconds):
    with pytest.raises(InputError) as error:
        Budget(seconds=seconds)
    assert str(error.value) == f"the time must be some seconds, above 0, got {seconds:g}"
    with pytest.raises(InputError, match="a limit of steps, energy or loss must be a number"):
        Budget(loss=float("nan"))
