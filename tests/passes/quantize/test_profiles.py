"""Few threshold profiles: by hand, and no other choice of thresholds costs less."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.passes.quantize.profiles import choose_mantissas


def choose(own: list[float], profiles: int, limit=np.inf) -> list[float]:
    """Return the mantissa of each group, at scales that are mantissas."""
    own = np.array(own, float)
    return choose_mantissas(own, np.full(len(own), limit), np.ones(len(own)), 8, profiles).tolist()


# Mantissas with all bits used, profiles, and those chosen.
BY_HAND = {
    "enough for all": ([100, 200, 400], 3, [100, 200, 400]),
    "one for all: none is cut": ([100, 200, 400], 1, [100, 100, 100]),
    "fewer in the middle lose a bit": ([100, 100, 200, 400, 400], 2, [100, 100, 100, 400, 400]),
    "fewer at the top lose a bit": ([100, 200, 200, 400], 2, [100, 200, 200, 200]),
    "a tiny one is cut": ([1, *[1000] * 9], 1, [1000] * 10),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    own, profiles, chosen = BY_HAND[case]
    assert choose(own, profiles) == chosen


def test_no_scale_exceeds_what_other_numbers_allow():
    """A bias holds the first at its own; cutting it is no choice."""
    own = np.array([1.0, *[1000.0] * 9])
    limit = np.array([1.0, *[np.inf] * 9])
    assert choose_mantissas(own, limit, np.ones(10), 8, 1).tolist() == [1.0] * 10


@given(
    own=st.lists(st.sampled_from([3, 10, 20, 45, 90, 200, 700, 5000]), min_size=1, max_size=8),
    profiles=st.integers(1, 4),
)
def test_no_other_choice_costs_less(own, profiles):
    chosen = choose(own, profiles)
    assert len(set(chosen)) <= profiles
    ways = combinations(sorted(set(own)), min(profiles, len(set(own))))
    least = min(sum(min(cost(o, m) for m in way) for o in own) for way in ways)
    assert sum(cost(o, m) for o, m in zip(own, chosen, strict=True)) <= least * (1 + 1e-9)


def cost(own: float, mantissa: float) -> float:
    """Return the squared error of weights of 127 steps, normally distributed up to 3 sigma."""
    rounding = 9 / 127**2 / 12
    lost, cut = max(own / mantissa, 1.0), max(1 - own / mantissa, 0.0)
    return min(rounding * lost**2 + cut**2 / 2, 1.0)
