"""PilotNet LIF of lava-dl, which `make netx` installs, as its notebook recorded it on Loihi 2."""

from __future__ import annotations

from pathlib import Path

import estimate_vs_published
import numpy as np
import pilotnet_run
import published_measurements
import pytest

from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.counts import make_chip_machine
from snncompile.backends.energy.estimate import Ledger

NETX = Path(__file__).parents[3] / ".netx"
FILES = sorted(NETX.glob("lib/python3.10/site-packages/tests/**/pilotnet_lif/network.net"))


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="no .netx: make netx installs lava-dl")
def test_operations_of_the_busiest_cores_are_those_of_the_chip():
    program, _ = pilotnet_run.read(FILES[0])
    assert program.mapping.cores == 74
    busiest = pilotnet_run.count_busiest(FILES[0])
    means = {layer: float(np.mean(operations)) for layer, operations in busiest.items()}
    assert means == {
        "layer_1": 0,
        "layer_2": 131_010,
        "layer_3": 150_710,
        "layer_4": 52_581.5,
        "layer_5": 51_112,
    }
    for layer, mean in means.items():
        assert abs(mean - pilotnet_run.RECORDED[layer][1]) <= 430  # how well the plot can be read


@pytest.mark.slow
def test_energies_are_fitted_to_random_spikes_at_its_rates():
    case = published_measurements.CASES["pilotnet"]
    program = estimate_vs_published.program_of(case)
    run = estimate_vs_published.list_runs(case, program, quick=True)[0][0]
    found = estimate_vs_published.estimate(run, "fast", "measured", case.steps)
    assert found.dynamic_j == pytest.approx(1.08e-3, abs=0.005e-3)


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="no .netx: make netx installs lava-dl")
def test_its_own_spikes_take_more_than_random_ones():
    run = pilotnet_run.read(FILES[0])
    found = estimate_vs_published.estimate(run, "fast", "measured", pilotnet_run.STEPS)
    assert found.dynamic_j == pytest.approx(1.15e-3, abs=0.005e-3)


HELD_OUT = [(costs, name) for costs in ("measured", "loihi1_scaled") for name in ("s4d", "qp")]


@pytest.mark.parametrize("costs, name", HELD_OUT)
def test_the_range_holds_steps_that_were_held_out(costs, name):
    case = published_measurements.CASES[name]
    program = estimate_vs_published.program_of(case)
    run = estimate_vs_published.list_runs(case, program, quick=True)[0][0]
    program, activity = run
    chosen = find_costs(program.chip, costs)
    ledger = Ledger(make_chip_machine(program), chosen, "fast", "chip", activity.steps)
    ledger.add(activity)
    found = ledger.close()
    low, high = (seconds / activity.steps * 1e6 for seconds in found.range.latency_s)
    measured = case.measured["us per step"]
    assert low <= measured[0]
    assert measured[1] <= high <= measured[1] + 15
