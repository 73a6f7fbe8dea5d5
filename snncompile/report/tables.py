"""Rich tables for people, plain values for `--json`: Programs and chips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from snncompile.cores.resources import ADDED, OF_SOME_CHIPS, RESOURCES, read_core_limits
from snncompile.hwmodels.chips import list_names, load_chip
from snncompile.hwmodels.records import Choices, Number, walk_numbers
from snncompile.hwmodels.schema import Chip
from snncompile.report.loss import serialize_loss

if TYPE_CHECKING:
    from snncompile.ir.reports import Bound, Proof, QuantizedLayer
    from snncompile.program import Program


def list_layers(program: Program) -> list[dict[str, Any]]:
    """Return name, neurons and cores of each population."""
    return [
        {
            "name": p.name,
            "neurons": p.size,
            "cores": len({s.core for s in program.mapping.of(p.name)}),
        }
        for p in program.network.populations
    ]


def describe_counting(program: Program) -> str:
    """Return a line about a Program whose chip was counted by other rules; empty for others."""
    chip = program.chip
    if chip.name not in list_names() or chip.encoding == load_chip(chip.name).encoding:
        return ""
    today = load_chip(chip.name).encoding
    return (
        f"counted by the older rules {chip.encoding} of {chip.name}, with which it was compiled;"
        f" those of today, {today}, count otherwise: compile again to compare"
    )


def serialize_program(program: Program) -> dict[str, Any]:
    """Return the output of `show` as JSON values."""
    return {
        "title": program.network.title,
        "chip": program.chip.name,
        "cores": program.mapping.cores,
        "chips": program.mapping.chips,
        "counting": describe_counting(program),
        "layers": list_layers(program),
        "usage": [
            {"core": u.core, "slices": [s.where for s in u.slices], "used": u.used}
            for u in program.usage()
        ],
        "limits": _list_limits(program.chip),
        "quantized": [q.model_dump(mode="json") for q in program.quantized],
        "bounds": [serialize_bound(b) for b in program.bounds],
        "proved_steps": program.options.quantize.steps,
        "fidelity": serialize_fidelity(program),
        "loss": serialize_loss(program.loss),
        "warnings": list(program.warnings),
        "log": list(program.log),
        "options": program.options.model_dump(mode="json"),
        "passes": program.passes,
        "hashes": program.hashes,
        "meaning": program.hash_meaning(),
    }


def serialize_fidelity(program: Program) -> dict[str, str]:
    """Return whether the chip's spikes are those computed here, and the sentence on it."""
    kinds = {p.neuron.kind for p in program.network.populations}
    fidelity = program.chip.fidelity
    return {
        "spikes": fidelity.of_neurons(kinds),
        "against": fidelity.against,
        "sentence": program.chip.describe_fidelity(kinds),
    }


def serialize_bound(bound: Bound) -> dict[str, Any]:
    """Return a bound as JSON values."""
    return bound.model_dump(mode="json") | {"holds": bound.holds}


def serialize_proof(proof: Proof | None) -> dict[str, Any]:
    """Return what the bounds of a Program say of the steps of a run, as JSON values."""
    if proof is None:
        return {"proved_steps": None, "lapsed": []}
    lapsed = [serialize_bound(bound) for bound in proof.lapsed]
    return {"proved_steps": proof.compiled_steps, "lapsed": lapsed}


def _list_limits(chip: Chip) -> dict[str, int | None]:
    """Return a core's limit of each resource that the chip counts; None: no known limit."""
    limits = read_core_limits(chip)
    names = (name for name in RESOURCES if name in limits or name not in OF_SOME_CHIPS)
    return {name: limits.get(name) for name in names}


def tabulate_layers(program: Program) -> Table:
    """Return one row per population: neuron, size, cores, accuracy of its integers."""
    table = Table(title=f"{program.network.title} on {program.chip.name}", title_justify="left")
    for name in (
        "layer",
        "neuron",
        "neurons",
        "cores",
        "weight error",
        "median neuron",
        "worst neuron",
        "threshold error",
        "wrong spikes",
        "bounds",
    ):
        table.add_column(name, justify="left" if name in ("layer", "neuron", "bounds") else "right")
    quantized = {q.population: q for q in program.quantized}
    for row in list_layers(program):
        q = quantized.get(row["name"])
        table.add_row(
            row["name"],
            program.network.population(row["name"]).neuron.kind,
            f"{row['neurons']:,}",
            str(row["cores"]),
            f"{q.weight_error:.2%}" if q else "exact",
            _format_error(q.median_error if q else None, q),
            _format_error(q.worst_error if q else None, q),
            f"{q.parameter_error.get('threshold', 0.0):.2%}" if q else "exact",
            "-" if q is None or q.output_error is None else f"{q.output_error:.2%}",
            _format_bounds(program, row["name"]),
        )
    return table


def _format_error(error: float | None, layer: QuantizedLayer | None) -> str:
    """Return an error of single neurons; Programs of 0.1 have none."""
    if layer is None:
        return "exact"
    return "-" if error is None else f"{error:.2%}"


def tabulate_cores(program: Program, longest: int = 40) -> Table:
    """Return one row per core: used and available of each resource."""
    table = Table(title="cores: used / available", title_justify="left")
    table.add_column("core")
    table.add_column("tile")
    table.add_column("neurons")
    limit_of = read_core_limits(program.chip)
    names = [name for name in _list_limits(program.chip) if name in ADDED or name in limit_of]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    many = program.mapping.chips > 1
    sites = {
        s.core: f"{s.tile_x},{s.tile_y}" + f" of chip {s.chip}" * many
        for s in program.mapping.sites
    }
    rows = program.usage()
    for u in rows[:longest]:
        used = [_format_share(u.used[name], limit_of.get(name)) for name in names]
        table.add_row(str(u.core), sites[u.core], ", ".join(s.where for s in u.slices), *used)
    if len(rows) > longest:
        table.caption = f"and {len(rows) - longest} more cores; --json lists all"
    return table


def tabulate_chips(chips: list[Chip]) -> Table:
    """Return one row per chip."""
    table = Table(title="chips", title_justify="left")
    for name in ("name", "title", "cores", "compartments per core", "cost sets", "spikes"):
        table.add_column(name)
    for chip in chips:
        compartments = chip.core.compartments.value
        table.add_row(
            chip.name,
            chip.title,
            f"{chip.mesh.cores.whole:,}",
            "unknown" if compartments is None else f"{compartments:,.0f}",
            ", ".join(chip.costs),
            chip.fidelity.spikes + " for some neurons" * bool(chip.fidelity.neurons),
        )
    table.caption = "spikes: whether those of the chip are the ones computed here; see chips NAME"
    table.caption_justify = "left"
    return table


def tabulate_chip(chip: Chip) -> Table:
    """Return every limit and format of a chip with its evidence and source."""
    table = Table(title=f"{chip.name}: {chip.title}", title_justify="left")
    for name in ("number", "value", "unit", "evidence", "source"):
        table.add_column(name, overflow="fold")
    limits = (chip.mesh, chip.core, *chip.sections, chip.rule_limits)
    for section in (*limits, chip.formats, chip.neurons):
        for path, number in walk_numbers(section, ()):
            _add_number(table, chip, ".".join(map(str, path)), number)
    formats = chip.formats
    exponents = f"{formats.weight_exponent_lowest} to {formats.weight_exponent_highest}"
    words = (formats.weight_exponent_unit, formats.weight_exponent_evidence or "not stated")
    source = chip.sources[formats.weight_exponent_source]
    table.add_row("weight_exponent", exponents, *words, source)
    for name, board in chip.boards.items():
        for path, number in walk_numbers(board, ()):
            _add_number(table, chip, f"board {name}: {'.'.join(map(str, path))}", number)
    for name, variant in chip.variants.items():
        for path, number in walk_numbers(variant, ()):
            _add_number(table, chip, f"variant {name}: {'.'.join(map(str, path))}", number)
    return table


def tabulate_costs(chip: Chip, name: str) -> Table:
    """Return every price of a cost set with its evidence and source."""
    costs = chip.costs[name]
    default = ", the default" if name == chip.default_costs else ""
    table = Table(title=f"cost set {name}{default}: {costs.title}", title_justify="left")
    for column in ("event", "value", "unit", "evidence", "source"):
        table.add_column(column, overflow="fold")
    for event, price in costs.prices.items():
        _add_number(table, chip, event, price.energy_pj)
        _add_number(table, chip, event, price.cycles or price.time_ns)
    for entry in costs.barrier:
        time = entry.cycles or entry.time_ns
        _add_number(table, chip, f"barrier sync, up to {entry.tiles} tiles", time)
    _add_number(table, chip, "shortest time step", costs.step_floor_ns)
    _add_number(table, chip, "static power", costs.static_w)
    for system in costs.barrier_chips:
        _add_number(table, chip, f"barrier sync, up to {system.chips} chips", system.time_ns)
    for name, number in (
        ("power of the clock", costs.clock_w_per_mhz),
        ("barrier sync", costs.barrier_energy_pj),
        ("messages a link or core holds", costs.link_buffer),
        ("published error of the energies", costs.energy_error),
        ("published error of the times", costs.latency_error),
    ):
        if number is not None:
            _add_number(table, chip, name, number)
    table.caption = costs.note
    table.caption_justify = "left"
    return table


def _add_number(table: Table, chip: Chip, name: str, number: Number | Choices) -> None:
    if isinstance(number, Choices):
        value = ", ".join(map(str, number.values))
    else:
        none = number.evidence if number.evidence == "no limit" else "unknown"
        value = none if number.value is None else f"{number.value:,g}"
        if number.low is not None:
            value += f" ({number.low:,g} to {number.high:,g})"
    table.add_row(name, value, number.unit, number.evidence, chip.sources[number.source])


def _format_share(used: int, available: int | None) -> str:
    return f"{used:,} / {'?' if available is None else format(available, ',')}"


def _format_bounds(program: Program, population: str) -> str:
    """Return `proved`, or the quantities that can leave their width."""
    can_leave = [b.quantity for b in program.bounds if b.population == population and not b.holds]
    return f"{', '.join(can_leave)} can leave" if can_leave else "proved"
