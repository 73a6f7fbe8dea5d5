"""`snncompile check`: promises about a Program that the CI of a project keeps watch over."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.backends.energy.events import EVENTS
from snncompile.backends.energy.result import STATIC_REST, format_lacking
from snncompile.cli.shared import (
    Build,
    Costs,
    Json,
    Timing,
    load_program,
    out,
    print_json,
    print_warning,
    show_busy,
    show_progress,
)
from snncompile.errors import InputError
from snncompile.report.units import format_joules, format_seconds, parse_quantity

if TYPE_CHECKING:
    from snncompile.files.spikes import Spikes
    from snncompile.program import Program

KNOWN = (*EVENTS, "synaptic_op", "barrier sync", "shortest time step")
"""Events that may be left out of a promise."""

Promise = dict[str, Any]
"""What was promised, the value, and whether it holds; None: not known."""


@dataclass(frozen=True)
class _Limits:
    """What an inference may cost at most; None: not promised."""

    joules: float | None
    seconds: float | None
    without: tuple[str, ...]
    """Events that the promise leaves out."""


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
    without: Annotated[
        str | None,
        typer.Option(
            help="events that are left out of the promised energy and latency, such as"
            " host_input,host_output, where their cost is not known"
        ),
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

    An energy or latency that lacks prices is a lower bound and holds no promise, but for events
    that are left out on purpose: --without.
    """
    left_out = _read_events(without)
    joules = _read_quantity("--energy-below", energy_below, "J")
    seconds = _read_quantity("--latency-below", latency_below, "s")
    limits = _Limits(joules, seconds, left_out)
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
        promises += _check_run(program, input, limits, accuracy_above, timing, costs)
    _print_promises(promises, as_json)
    if not all(promise["holds"] for promise in promises):
        raise typer.Exit(1)


def _check_run(
    program: Program,
    input: Path,
    limits: _Limits,
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
    if limits.joules is not None or limits.seconds is not None:
        promises += _check_costs(program, spikes, limits, timing, costs)
    if accuracy is not None:
        promises.append(_check_accuracy(program, spikes, accuracy))
    return promises


def _check_fit(program: Program) -> Promise:
    """Rebuild the cores from the tables by the independent checker."""
    from snncompile.checker.mapping import check as check_mapping
    from snncompile.errors import SnnCompileError

    try:
        with show_busy("counting cores"):
            check_mapping(program.network, program.chip, program.mapping)
    except SnnCompileError as error:
        return _make_promise("fits", str(error), False)
    return _make_promise(
        "fits", f"{program.mapping.cores:,} cores of {program.chip.full_name}", True
    )


def _check_costs(
    program: Program,
    spikes: Spikes,
    limits: _Limits,
    timing: str,
    costs: str | None,
) -> list[Promise]:
    with show_progress("estimate") as report:
        result = program.estimate(spikes.x, costs, timing=timing, progress=report)
    promises = []
    for limit, value, lacks, show, name in (
        (limits.joules, result.energy_j, result.unpriced, format_joules, "energy"),
        (limits.seconds, result.latency_s, result.untimed, format_seconds, "latency"),
    ):
        if limit is None:
            continue
        lacking = _drop_left_out(lacks, limits.without, result.untimed)
        holds = None if value is None or (lacking and value < limit) else value < limit
        title = f"{name}{format_lacking(limits.without)} below {show(limit)}"
        text = show(value)
        if holds is None:
            text += _explain_unknown(lacking, limits.without, result.costs, program)
        promises.append(_make_promise(title, text, holds))
    return promises


def _drop_left_out(
    lacks: tuple[str, ...], without: tuple[str, ...], untimed: tuple[str, ...]
) -> list[str]:
    """Return what a total lacks and should have.

    Static power lacks the times that are not known; with all of those left out, it lacks nothing.
    """
    known = {*without, STATIC_REST} if set(untimed) <= set(without) else set(without)
    return [event for event in lacks if event not in known]


def _explain_unknown(
    lacking: list[str], without: tuple[str, ...], costs: str, program: Program
) -> str:
    """Return what is missing, and what to do."""
    events = [event for event in lacking if event != STATIC_REST]
    named = ",".join((*without, *(event.replace(" ", "_") for event in events)))
    do = f"; to promise the rest: --without {named}" if events else ""
    return (
        f" is a lower bound: cost set {costs} does not know {', '.join(lacking)}{do};"
        f" or add the prices to a chip file of your own (extends: {program.chip.name})"
    )


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
    try:
        return parse_quantity(text, unit)
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}") from None


def _read_events(text: str | None) -> tuple[str, ...]:
    """Return the events of `host_input,barrier_sync`, as the estimate calls them.

    Raises:
        InputError: there is no such event.
    """
    names = [] if text is None else [name.strip() for name in text.split(",")]
    events = {event.replace(" ", "_"): event for event in KNOWN}
    for name in names:
        if name not in events:
            near = get_close_matches(name, list(events), 1, 0.4)
            mean = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(events)}"
            raise InputError(f"--without {name}: there is no such event{mean}")
    return tuple(dict.fromkeys(events[name] for name in names))
