"""Learning synapses against real Lava: random rules, every weight, tag, trace and spike."""

from __future__ import annotations

import drawn_rules
import numpy as np
import pytest
from drawn_rules import count_differences, draw_case, run_here, run_on_lava

STEPS, EVERY = 400, 50
SAMPLE = (10, 15)
"""Rules of `make test`; between dense and between sparse synapses."""


def differences(tmp_path, seeds: range, sparse: bool) -> dict[str, int]:
    """Return the differences by rule, of those that have any."""
    cases = [draw_case(seed, sparse, STEPS) for seed in seeds]
    on_lava = run_on_lava(cases, tmp_path, EVERY)
    counts = {}
    for case, lavas in zip(cases, on_lava, strict=True):
        ours = run_here(case, EVERY)
        assert lavas["weights"].shape[0] == STEPS // EVERY
        counts[str(case.rule)] = count_differences(ours, lavas)
    return {rule: count for rule, count in counts.items() if count}


@pytest.mark.lava
@pytest.mark.parametrize("sparse", [False, True])
def test_synapses_learn_as_those_of_lava(tmp_path, sparse):
    assert not differences(tmp_path, range(*SAMPLE), sparse)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("first", range(0, 100, 25))
def test_a_hundred_rules_learn_as_those_of_lava(tmp_path, sparse, first):
    assert not differences(tmp_path, range(first, first + 25), sparse)


def test_drawn_rules_have_everything():
    """The rules of the differential test read every variable and have every dependency."""
    rules = [draw_case(seed, False).rule for seed in range(100)]
    assert set().union(*(rule.variables for rule in rules)) == set(drawn_rules.WIDTHS)
    assert {p.dependency for rule in rules for p in rule.products} == {"x0", "y0", "u"}
    assert {rule.epoch for rule in rules} == set(range(1, 9))
    assert {bool(rule.third_factor) for rule in rules} == {True, False}
    assert {rule.uses_tags for rule in rules} == {True, False}
    assert any(f.sign for rule in rules for p in rule.products for f in p.factors)
    assert any(rule.x1_impulse % 1 for rule in rules)
    assert {rule.sign for rule in rules} == {"mixed", "positive"}


def test_most_drawn_rules_change_weights():
    """A test of rules that change nothing would say nothing."""
    changed = 0
    for seed in range(25):
        case = draw_case(seed, False, 100)
        changed += bool(np.any(run_here(case, 100)["weights"] != case.weight.ravel()))
    assert changed >= 20
