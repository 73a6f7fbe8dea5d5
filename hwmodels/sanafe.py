"""A SANA-FE architecture file as a chip.

The file holds the arrangement of tiles, cores and their units, and the cost of each event. It holds
no memories and number formats: those limits are unknown, the formats are Loihi 1's. Events map to
SANA-FE's in their order on a core: access, update and spike of a soma to `neuron_mapped`,
`neuron_updated` and `spike`, axons to `message_in` and `message_out`.
"""

from __future__ import annotations

import re
from typing import Any

Data = dict[str, Any]

TOP = "architecture"
"""First key of a SANA-FE file."""
LARGEST = 1e15
"""Above every number of such a file: counts, joules and seconds."""
_RANGE = re.compile(r"\[(?P<first>\d+)\.\.(?P<last>\d+)\]$")
_KINDS = {"dense": "dense", "conv": "convolution", "sparse": "sparse"}
"""Word in a synapse unit's name -> our kind of wiring."""
_EVIDENCE = {"evidence": "primary", "source": "file"}


class ArchitectureError(ValueError):
    """The file is no readable architecture; the message has the location and the reason."""


def make_chip_fields(text: Data, formats: Data) -> Data:
    """Return the fields of a chip file for a SANA-FE architecture.

    Args:
        text: content of the file.
        formats: the `formats` of a chip file, for quantization.

    Raises:
        ArchitectureError: a key is missing, or tiles, cores or opposite hops differ.
    """
    top = _get_mapping(text, TOP, "the file")
    tile = _find_only(top, "tile", TOP)
    core = _find_only(tile, "core", "tile")
    attributes = _get_mapping(top, "attributes", TOP)
    columns, rows = (
        _read_count(attributes.get(name), f"{TOP}: {name}") for name in ("width", "height")
    )
    per_tile = _count_units(core)
    tiles = _count_units(tile)
    if tiles > columns * rows:
        raise ArchitectureError(f"{tiles} tiles do not fit {columns} x {rows} places")
    lif = _find_soma(core)
    return {
        "name": re.sub(r"[^a-z0-9_-]", "_", str(top.get("name", "sanafe")).lower()),
        "title": f"{top.get('name', 'chip')}, from a SANA-FE architecture file",
        "fidelity": "Tiles, cores and prices are the file's; SANA-FE knows no other limits than"
        " neurons per core, so memories and tables are taken to be without limit.",
        "sources": {
            "file": "the SANA-FE architecture file",
            "none": "a SANA-FE file does not say",
            "loihi1": "taken over from Loihi 1 (loihi1.yaml); a SANA-FE file does not say",
        },
        "mesh": {
            "tile_columns": _make_number(columns, "tiles"),
            "tile_rows": _make_number(rows, "tiles"),
            "cores_per_tile": _make_number(per_tile, "cores"),
            "cores": _make_number(tiles * per_tile, "cores"),
        },
        "core": _read_limits(core),
        "encoding": "one_word",
        "encoding_source": "none",
        "formats": formats,
        "neurons": {
            kind: {"value": 1, "unit": "compartments", "evidence": "primary", "source": "file"}
            for kind in ("integrate_fire/hard", "integrate_fire/soft")
            + (("cuba_lif/hard", "cuba_lif/soft") if lif.get("model") != "truenorth" else ())
        },
        "default_costs": "sanafe",
        "costs": {"sanafe": _read_costs(attributes, tile, core, lif, columns * rows)},
    }


def _read_limits(core: Data) -> Data:
    attributes = core.get("attributes", {})
    if not isinstance(attributes, dict):
        raise ArchitectureError("core: attributes is no mapping")
    limit = attributes.get("max_neurons_supported")
    names = {
        "synapse_words": "words",
        "synapse_word_bits": "bits",
        "axons_in": "entries",
        "axons_out": "entries",
        "compartment_profiles": "profiles",
        "threshold_profiles": "profiles",
    }
    unlimited = {"value": None, "evidence": "unknown", "source": "none"}
    held = (
        unlimited | {"unit": "compartments"}
        if limit is None
        else _make_number(_read_count(limit, "core: max_neurons_supported"), "compartments")
    )
    return {"compartments": held} | {n: unlimited | {"unit": unit} for n, unit in names.items()}


def _read_costs(attributes: Data, tile: Data, core: Data, lif: Data, tiles: int) -> Data:
    buffer = attributes.get("link_buffer_size")
    unknown = {"value": None, "evidence": "unknown", "source": "none"}
    return {
        "title": "Prices of a SANA-FE architecture file",
        "note": "Events and prices as in the file; it has no static power and no energy of the host"
        " or the barrier.",
        "prices": _read_prices(tile, core, lif),
        "barrier": _read_barrier(attributes, tiles),
        "step_floor_ns": unknown | {"unit": "ns", "evidence": "no limit"},
        "static_w": unknown | {"unit": "W"},
        "link_buffer": None
        if buffer is None
        else _make_number(_read_count(buffer, f"{TOP}: link_buffer_size"), "messages"),
    }


def _read_prices(tile: Data, core: Data, lif: Data) -> Data:
    hops = _get_mapping(tile, "attributes", "tile")
    prices = {
        "neuron_mapped": _read_price(lif, "access_neuron", "soma"),
        "neuron_updated": _read_price(lif, "update_neuron", "soma"),
        "spike": _read_price(lif, "spike_out", "soma"),
        "message_out": _read_price(_find_unit(core, "axon_out"), "message_out", "axon_out"),
        "message_in": _read_price(_find_unit(core, "axon_in"), "message_in", "axon_in"),
        "hop_east_west": _read_hop(hops, "east", "west"),
        "hop_north_south": _read_hop(hops, "north", "south"),
    }
    units = _get_list(core, "synapse", "core")
    for unit in reversed(units):
        name = str(unit.get("name", "")).lower()
        kind = next((ours for word, ours in _KINDS.items() if word in name), None)
        event = f"synaptic_op_{kind}" if kind and len(units) > 1 else "synaptic_op"
        prices[event] = _read_price(
            _get_mapping(unit, "attributes", "synapse"), "process_spike", "synapse"
        )
    return prices


def _find_soma(core: Data) -> Data:
    """Return the attributes of the first soma that is no input."""
    for unit in _get_list(core, "soma", "core"):
        attributes = _get_mapping(unit, "attributes", "soma")
        if attributes.get("model") != "input":
            return attributes
    raise ArchitectureError("core: has no soma but inputs")


def _read_hop(hops: Data, way: str, back: str) -> Data:
    prices = [_read_price(hops, f"{each}_hop", "tile") for each in (way, back)]
    if prices[0] != prices[1]:
        raise ArchitectureError(f"tile: hops {way} and {back} differ in price; we have one price")
    return prices[0]


def _read_barrier(attributes: Data, tiles: int) -> list[Data]:
    sync = attributes.get("latency_sync", 0.0)
    table = sync if isinstance(sync, dict) and sync else {1: sync}
    where = f"{TOP}: latency_sync"
    read = ((_read_count(n, where), _read_number(time, where)) for n, time in table.items())
    entries = dict(sorted(read))
    entries.setdefault(tiles, list(entries.values())[-1])
    return [
        {"tiles": least, "time_ns": _make_number(time * 1e9, "ns")}
        for least, time in entries.items()
    ]


def _read_price(attributes: Data, event: str, where: str) -> Data:
    return {
        "energy_pj": _make_number(_get_number(attributes, f"energy_{event}", where) * 1e12, "pJ"),
        "time_ns": _make_number(_get_number(attributes, f"latency_{event}", where) * 1e9, "ns"),
    }


def _make_number(value: float, unit: str) -> Data:
    """Return a number of the file; rounding undoes the scaling by powers of ten."""
    return {"value": float(f"{value:.12g}"), "unit": unit} | _EVIDENCE


def _find_only(parent: Data, name: str, where: str) -> Data:
    units = _get_list(parent, name, where)
    if len(units) != 1:
        raise ArchitectureError(
            f"{where}: has {len(units)} kinds of {name}, we can read one that all are alike"
        )
    return units[0]


def _find_unit(core: Data, name: str) -> Data:
    return _get_mapping(_get_list(core, name, "core")[0], "attributes", name)


def _count_units(unit: Data) -> int:
    """Return the number of units in a name such as `core[0..3]`."""
    match = _RANGE.search(str(unit.get("name", "")))
    return int(match["last"]) - int(match["first"]) + 1 if match else 1


def _get_mapping(parent: Data, name: str, where: str) -> Data:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise ArchitectureError(f"{where}: {name} is missing or no mapping")
    return value


def _get_list(parent: Data, name: str, where: str) -> list[Data]:
    value = parent.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        raise ArchitectureError(f"{where}: {name} is missing or no list of units")
    return value


def _get_number(parent: Data, name: str, where: str) -> float:
    return _read_number(parent.get(name), f"{where}: {name}")


def _read_number(value: Any, where: str) -> float:
    """Return a finite number of 0 or more."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArchitectureError(f"{where} is missing or no number") from None
    if isinstance(value, bool) or not 0 <= number < LARGEST:
        raise ArchitectureError(f"{where} must be a number from 0 to {LARGEST:.0e}, got {value}")
    return number


def _read_count(value: Any, where: str) -> int:
    """Return a whole number of 1 or more."""
    number = _read_number(value, where)
    if number < 1 or number != int(number):
        raise ArchitectureError(f"{where} must be a whole number of 1 or more, got {value}")
    return int(number)
