"""A price that is not known makes a total unknown, or is named beside it; it is never zero."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from priced import priced, program_on
from rich.console import Console

from snncompile.backends.energy import export
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.energy.outputs import Outputs
from snncompile.backends.energy.result import ENERGY, STATIC, STATIC_REST, TIME, Estimate
from snncompile.backends.sanafe.architecture import make_architecture
from snncompile.errors import InputError, UnsupportedError
from snncompile.hwmodels import chips
from snncompile.hwmodels.records import walk_numbers
from snncompile.hwmodels.schema import Chip
from snncompile.report import comparison, estimates

X = np.array([[[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]])
OWN = priced(message_in=(3, 2), spike=(4, 1), neuron_mapped=(2, 1), neuron_updated=(1, 1))
"""A chip file of one's own."""
EVERY = [*chips.list_names(), "own"]


def on(chip: str):
    """Return a Program on a chip, at a clock if its times need one."""
    if chip == "own":
        program = program_on("toy")
        return dataclasses.replace(program, chip=OWN)
    program = program_on(chip)
    return program.at_clock(50) if program.chip.has_cycles else program


def without(chip: Chip, costs: str, location: tuple[int | str, ...]) -> Chip:
    """Return the chip with one number of a cost set unknown."""
    data = chip.model_dump(mode="json")
    place = data["costs"][costs]
    for key in location:
        place = place[key]
    place |= {"value": None, "evidence": "unknown", "low": None, "high": None}
    return Chip.model_validate(data)


def totals(found: Estimate) -> dict[str, tuple[float | None, tuple[str, ...]]]:
    """Return every total with the names of what it lacks."""
    return {
        "energy": (found.energy_j, found.unpriced),
        "latency": (found.latency_s, found.untimed),
        "energy x delay": (found.energy_delay_js, found.missing),
        "per operation": (found.synaptic_op_j, found.unpriced),
        "utilisation": (found.utilisation, found.untimed),
    }


@pytest.mark.parametrize("timing", ["fast", "cycle"])
@pytest.mark.parametrize("chip", EVERY)
def test_a_price_taken_away_is_named_or_makes_the_total_unknown(chip, timing):
    """Each number of each cost set in turn: a total changes only where it says what it lacks."""
    program = on(chip)
    for costs, numbers in program.chip.costs.items():
        before = program.estimate(X, costs, timing=timing)
        for location, known in walk_numbers(numbers, ()):
            if known.value is None or location[0] in ("energy_error", "latency_error"):
                continue
            if location == ("link_buffer",):
                continue  # unknown and without limit are one there
            poorer = dataclasses.replace(program, chip=without(program.chip, costs, location))
            after = poorer.estimate(X, costs, timing=timing)
            fewer = {m.partition(" of ")[2] for m in {*after.missing} - {*before.missing}}
            for name, (value, lacking) in totals(after).items():
                named = {m.removeprefix(ENERGY).removeprefix(TIME) for m in lacking}
                new = named & (fewer | {STATIC, STATIC_REST})  # power lacks what a time lacks
                changed = value not in (None, totals(before)[name][0])
                assert not changed or (fewer and new), (location, name)
                assert not lacking or value != 0, (location, name)
            rows = zip(before.rows, after.rows, strict=True)
            assert all(b.energy_j in (a.energy_j, None) or b.count != a.count for a, b in rows)


@pytest.mark.parametrize("timing", ["fast", "cycle"])
@pytest.mark.parametrize("chip", EVERY)
def test_a_chip_without_any_price_has_no_total(chip, timing):
    program = on(chip)
    bare = program.chip
    for costs, numbers in bare.costs.items():
        for location, _ in walk_numbers(numbers, ()):
            bare = without(bare, costs, location)
    bare = dataclasses.replace(program, chip=bare)
    found = bare.estimate(X, timing=timing)
    assert {value for value, _ in totals(found).values()} == {None}
    assert (found.dynamic_j, found.static_j, found.throughput) == (None, None, None)
    assert (found.range.energy_j, found.range.latency_s, found.bounds) == (None, None, {})
    assert all(row.energy_j is None for row in found.rows if row.occurs)
    values = estimates.serialize_estimate(found)
    assert values["step_s"] == [None] * found.steps
    assert 0 not in [values[key] for key in values if key.endswith(("_j", "_s", "_js"))]
    steps = export.list_steps(found)
    assert {*steps["seconds"], *steps["bound"]} == {None}
    events = export.list_events(found)
    assert None in events["energy_j"]
    assert None in events["seconds"]


def test_known_rows_are_shown_and_the_total_says_what_it_lacks(golden):
    """Some prices known and some not: table and lines of `estimate`."""
    program = on("own")
    chip = priced(OWN, synaptic_op=(None, 2), neuron_active=(40, None), static_w=None)
    found = dataclasses.replace(program, chip=chip).estimate(X)
    golden(show(estimates.tabulate_estimate(found)) + "\n".join(lines(found)) + "\n")


def test_compare_says_unknown_and_marks_what_lacks_a_price(golden):
    programs = on("spinnaker2"), on("loihi2")
    found = tuple(program.estimate(X) for program in programs)
    rows = comparison.compare_estimates(programs, found)
    for row in rows:
        for side, lacking in (("a", "a_without"), ("b", "b_without")):
            assert row[side] != 0 or not row[lacking], row
    named = [comparison.list_lacking(n, e) for n, e in zip("ab", found, strict=True)]
    golden(show(comparison.tabulate_comparison(("a", "b"), rows)) + "\n".join(named) + "\n")


def test_files_that_have_no_word_for_unknown_are_refused(tmp_path):
    program = on("spinnaker2")
    with pytest.raises(InputError) as error:
        list(Outputs(trace=tmp_path / "t.json").write(program, X, program.estimate(X)))
    assert str(error.value) == (
        "spinnaker2: cost set unpublished has no times, which a trace shows; take another cost set"
        " or chip"
    )
    chip = without(chips.load_chip("loihi1"), "sanafe", ("prices", "spike", "energy_pj"))
    chip = without(chip, "sanafe", ("barrier", 0, "time_ns"))
    with pytest.raises(UnsupportedError) as refused:
        make_architecture(find_costs(chip, "sanafe"), 4)
    assert str(refused.value) == (
        "loihi1: cost set sanafe has no price for spike, barrier sync, which SANA-FE needs; take"
        " one that has"
    )
    assert list(tmp_path.iterdir()) == []


def lines(found: Estimate) -> list[str]:
    return estimates.summarize_estimate(found)


def show(table) -> str:
    console = Console(width=160, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()
