"""Estimates on chips of which little is public: what is known, what is missing, said in full."""

from __future__ import annotations

import numpy as np
import pytest
from priced import CHIPS, program_on
from pydantic import ValidationError

from snncompile.errors import InputError
from snncompile.hwmodels.chips import load_chip
from snncompile.hwmodels.schema import Chip
from snncompile.report.estimates import serialize_estimate, summarize_estimate

X = np.array([[[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]])


@pytest.mark.parametrize("chip", CHIPS)
def test_what_is_missing_is_said(chip, golden):
    found = program_on(chip).estimate(X)
    golden("\n".join(summarize_estimate(found)) + "\n")
    values = serialize_estimate(found)
    assert (values["throughput"] is None) == (found.latency_s is None)
    assert 0 not in (found.energy_j, found.latency_s, found.energy_delay_js)
    assert "energy of host_input" in values["missing"]


def test_odin_at_a_clock(golden):
    """At 50 MHz a cycle takes 20 ns: 512 of them each step, 513 each spike that arrives."""
    program = program_on("odin").at_clock(50)
    found = program.estimate(X)
    golden("\n".join(summarize_estimate(found)) + "\n")
    arriving = [3, 3, 1, 3, 0]  # of the input, then of a, one step later
    counts = {r.event: r.count for r in found.rows if r.layer == "a"}
    assert counts["synaptic_op"] == 4 * 3
    steps = found.by_step.seconds[0] * 1e9 / 20
    assert steps == pytest.approx([512 + 513 * n for n in arriving])
    watts = 27.3e-6 + 1.78e-6 * 50
    assert found.static_j == pytest.approx(watts * found.latency_s)
    assert not program.chip.has_cycles


@pytest.mark.parametrize(
    "chip, mhz, message",
    [
        ("odin", 0, "a clock needs more than 0 MHz, got 0"),
        ("odin", float("nan"), "a clock needs more than 0 MHz, got nan"),
        ("spinnaker1", 100, "spinnaker1 has no times that depend on a clock"),
    ],
)
def test_a_clock_that_cannot_be(chip, mhz, message):
    with pytest.raises(InputError) as error:
        program_on(chip).at_clock(mhz)
    assert str(error.value) == message


def test_a_time_is_in_nanoseconds_or_in_cycles():
    data = load_chip("odin").model_dump(mode="json")
    price = data["costs"]["quoted"]["prices"]["message_in"]
    price["time_ns"] = {"value": 3, "unit": "ns", "evidence": "quoted", "source": "power"}
    with pytest.raises(ValidationError) as error:
        Chip.model_validate(data)
    (only,) = error.value.errors()
    assert only["msg"] == "the time is known; give nanoseconds or cycles"
