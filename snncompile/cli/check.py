"""`snncompile check`: promises about a Program that the CI of a project keeps watch over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.shared import (
    Build,
    Costs,
    Json,
    Timing,
    load_program,
    out,
    print_json,
    print_warning,
    show_progress,
)
from snncompile.errors import InputError
from snncompile.report.units import format_joules, format_seconds

if TYPE_CHECKING:
    from snncompile.files.spikes import Spikes
    from snncompile.program import Program

PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
QUANTITY = re.compile(
    r"(?P<number>[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?)\s*(?P<prefix>[munp]?)(?P<unit>[Js])"
)

Promise = dict[str, Any]
"""What was promised, the value, and whether it holds; None: not known."""


def check(
    build: Build,
    fits: Annotated[
        bool, typer.Option("--fits", help="no limit of the chip is exceeded, counted anew")
    ] = False,
    energy_below: Annotated[
        str | None, typer.Option(help="energy per inference, such as 1mJ or 20uJ")
    ] = None,
    latency_below: Annotated[
        str | None, typer.Option(help="latency of an inference, such as 5ms")
    ] = None,
    accuracy_above: Annotated[
        float | None, typer.Option(help="least accuracy, 0..1; needs labels", min=0, max=1)
    ] = None,
    cores_below: Annotated[int | None, typer.Option(help="most cores, itself included")] = None,
    input: Annotated[
        Path | None, typer.Option("--input", help="npz with x (samples, steps, ...), label")
    ] = None,
    timing: Timing = "fast",
    costs: Costs = None,
    as_json: Json = False,
) -> None:
    """Check promises about a Program: exit 0 if all hold, 1 if one does not or is unknown.

    An energy or latency that lacks prices holds no promise: it is a lower bound.
    """
    joules = _read_quantity("--energy-below", energy_below, "J")
    seconds = _read_quantity("--latency-below", latency_below, "s")
    measured = energy_below or latency_below or accuracy_above is not None
    if not (measured or fits or cores_below is not None):
        raise InputError("nothing to check: give --fits, --energy-below 1mJ, --accuracy-above 0.9")
    if measured and input is None:
        raise InputError("energy, latency and accuracy need the input: --input x.npz")
    program = load_program(build)
    promises = [_check_fit(program)] if fits else []
    if cores_below is not None:
        cores = program.mapping.cores
        promises.append(
            _make_promise(f"at most {cores_below:,} cores", f"{cores:,}", cores <= cores_below)
        )
    if input is not None and measured:
        promises += _check_run(program, input, joules, seconds, accuracy_above, timing, costs)
    _print_promises(promises, as_json)
    if not all(promise["holds"] for promise in promises):
        raise typer.Exit(1)


def _check_run(
    program: Program,
    input: Path,
    joules: float | None,
    seconds: float | None,
    accuracy: float | None,
    timing: str,
    costs: str | None,
) -> list[Promise]:
    """Check the promises that need the activity or the answers on an input."""
    from snncompile.files.spikes import read_spikes

    spikes = read_spikes(input, program.network)
    for note in spikes.notes:
        print_warning(note)
    promises = []
    if joules is not None or seconds is not None:
        promises += _check_costs(program, spikes, joules, seconds, timing, costs)
    if accuracy is not None:
        promises.append(_check_accuracy(program, spikes, accuracy))
    return promises


def _check_fit(program: Program) -> Promise:
    """Rebuild the cores from the tables by the independent checker."""
    from snncompile.checker.mapping import check as check_mapping
    from snncompile.errors import SnnCompileError

    try:
        check_mapping(program.network, program.chip, program.mapping)
    except SnnCompileError as error:
        return _make_promise("fits", str(error), False)
    return _make_promise(
        "fits", f"{program.mapping.cores:,} cores of {program.chip.full_name}", True
    )


def _check_costs(
    program: Program,
    spikes: Spikes,
    joules: float | None,
    seconds: float | None,
    timing: str,
    costs: str | None,
) -> list[Promise]:
    with show_progress("estimate") as report:
        result = program.estimate(spikes.x, costs, timing=timing, progress=report)
    promises = []
    for limit, value, lacks, show, name in (
        (joules, result.energy_j, result.unpriced, format_joules, "energy"),
        (seconds, result.latency_s, result.untimed, format_seconds, "latency"),
    ):
        if limit is None:
            continue
        holds = None if value is None or (lacks and value < limit) else value < limit
        lacking = f" without {', '.join(lacks)}" if lacks and value is not None else ""
        promises.append(_make_promise(f"{name} below {show(limit)}", show(value) + lacking, holds))
    return promises


def _check_accuracy(program: Program, spikes: Spikes, least: float) -> Promise:
    title = f"accuracy above {least:.2%}"
    if spikes.label is None:
        return _make_promise(title, "unknown, the input has no label", None)
    with show_progress("reference") as report:
        accuracy = program.run(spikes.x, progress=report).accuracy(spikes.label)
    return _make_promise(title, f"{accuracy:.2%}", accuracy > least)


def _make_promise(title: str, value: str, holds: bool | None) -> Promise:
    return {"promise": title, "value": value, "holds": holds}


def _print_promises(promises: list[Promise], as_json: bool) -> None:
    if as_json:
        print_json({"holds": all(p["holds"] for p in promises), "promises": promises})
        return
    words = {True: "ok", False: "FAILS", None: "UNKNOWN"}
    for promise in promises:
        text = f"{words[promise['holds']]}: {promise['promise']}: {promise['value']}"
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def _read_quantity(option: str, text: str | None, unit: str) -> float | None:
    """Return joules or seconds of `1mJ`, `20 uJ`, `5ms`.

    Raises:
        InputError: the text is no such quantity.
    """
    if text is None:
        return None
    match = QUANTITY.fullmatch(text.strip().replace("µ", "u").replace("μ", "u"))
    if match is None or match["unit"] != unit:
        raise InputError(
            f"{option} {text}: expected a number and a unit, such as 1m{unit} or 20u{unit}"
        )
    return float(match["number"]) * PREFIXES[match["prefix"]]
