"""A SANA-FE architecture file as a chip.

The file says how tiles, cores and their units are arranged and what each event costs. It says
nothing of memories and number formats: those limits are unknown, the formats are Loihi 1's. Events
map to SANA-FE's in their order on a core: access, update and spike of a soma to `neuron_mapped`,
`neuron_updated` and `spike`, axons to `message_in` and `message_out`.
"""

from __future__ import annotations

import re
from typing import Any

Data = dict[str, Any]

TOP = "architecture"
"""The key a SANA-FE file starts with."""
_RANGE = re.compile(r"\[(?P<first>\d+)\.\.(?P<last>\d+)\]$")
_KINDS = {"dense": "dense", "conv": "convolution", "sparse": "sparse"}
"""Part of a synapse unit's name, and our kind of wiring."""
_EVIDENCE = {"evidence": "primary", "source": "file"}


class ArchitectureError(ValueError):
    """The file is no architecture we can read; the message says where and why."""


def chip_data(text: Data, formats: Data) -> Data:
    """Return the fields of a chip file for a SANA-FE architecture.

    Args:
        text: content of the file.
        formats: the `formats` of a chip file that the program is to be quantized to.

    Raises:
        ArchitectureError: a key is missing, tiles or cores differ, or opposite hops do.
    """
    top = _mapping(text, TOP, "the file")
    tile = _only(top, "tile", TOP)
    core = _only(tile, "core", "tile")
    attributes = _mapping(top, "attributes", TOP)
    columns, rows = (int(_number(attributes, name, TOP)) for name in ("width", "height"))
    per_tile = _count(core)
    tiles = _count(tile)
    if tiles > columns * rows:
        raise ArchitectureError(f"{tiles} tiles do not fit {columns} x {rows} places")
    lif = _soma(core)
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
            "tile_columns": _exact(columns, "tiles"),
            "tile_rows": _exact(rows, "tiles"),
            "cores_per_tile": _exact(per_tile, "cores"),
            "cores": _exact(tiles * per_tile, "cores"),
        },
        "core": _limits(core),
        "encoding": "one_word",
        "encoding_source": "none",
        "formats": formats,
        "neurons": {
            kind: {"value": 1, "unit": "compartments", "evidence": "primary", "source": "file"}
            for kind in ("integrate_fire/hard", "integrate_fire/soft")
            + (("cuba_lif/hard", "cuba_lif/soft") if lif["model"] != "truenorth" else ())
        },
        "default_costs": "sanafe",
        "costs": {"sanafe": _costs(attributes, tile, core, lif, columns * rows)},
    }


def _limits(core: Data) -> Data:
    most = core.get("attributes", {}).get("max_neurons_supported")
    names = {
        "synapse_words": "words",
        "synapse_word_bits": "bits",
        "axons_in": "entries",
        "axons_out": "entries",
        "compartment_profiles": "profiles",
        "threshold_profiles": "profiles",
    }
    unlimited = {"value": None, "evidence": "unknown", "source": "none"}
    held = _exact(int(most), "compartments") if most else unlimited | {"unit": "compartments"}
    return {"compartments": held} | {n: unlimited | {"unit": unit} for n, unit in names.items()}


def _costs(attributes: Data, tile: Data, core: Data, lif: Data, tiles: int) -> Data:
    buffer = attributes.get("link_buffer_size")
    unknown = {"value": None, "evidence": "unknown", "source": "none"}
    return {
        "title": "Prices of a SANA-FE architecture file",
        "note": "Events and prices as in the file; it has no static power and no energy of the host"
        " or the barrier.",
        "prices": _prices(tile, core, lif),
        "barrier": _barrier(attributes, tiles),
        "step_floor_ns": unknown | {"unit": "ns"},
        "static_w": unknown | {"unit": "W"},
        "link_buffer": _exact(int(buffer), "messages") if buffer else None,
    }


def _prices(tile: Data, core: Data, lif: Data) -> Data:
    hops = _mapping(tile, "attributes", "tile")
    found = {
        "neuron_mapped": _price(lif, "access_neuron", "soma"),
        "neuron_updated": _price(lif, "update_neuron", "soma"),
        "spike": _price(lif, "spike_out", "soma"),
        "message_out": _price(_unit(core, "axon_out"), "message_out", "axon_out"),
        "message_in": _price(_unit(core, "axon_in"), "message_in", "axon_in"),
        "hop_east_west": _hop(hops, "east", "west"),
        "hop_north_south": _hop(hops, "north", "south"),
    }
    units = _list(core, "synapse", "core")
    for unit in reversed(units):
        name = str(unit.get("name", "")).lower()
        kind = next((ours for part, ours in _KINDS.items() if part in name), None)
        event = f"synaptic_op_{kind}" if kind and len(units) > 1 else "synaptic_op"
        found[event] = _price(_mapping(unit, "attributes", "synapse"), "process_spike", "synapse")
    return found


def _soma(core: Data) -> Data:
    """Return the attributes of the first soma that is no input."""
    for unit in _list(core, "soma", "core"):
        attributes = _mapping(unit, "attributes", "soma")
        if attributes.get("model") != "input":
            return attributes
    raise ArchitectureError("core: has no soma but inputs")


def _hop(hops: Data, way: str, back: str) -> Data:
    prices = [_price(hops, f"{each}_hop", "tile") for each in (way, back)]
    if prices[0] != prices[1]:
        raise ArchitectureError(f"tile: hops {way} and {back} differ in price; we have one price")
    return prices[0]


def _barrier(attributes: Data, tiles: int) -> list[Data]:
    sync = attributes.get("latency_sync", 0.0)
    table = sync if isinstance(sync, dict) else {1: sync}
    entries = {int(least): float(time) for least, time in sorted(table.items())}
    last = list(entries.values())[-1]
    entries.setdefault(tiles, last)
    return [
        {"tiles": least, "time_ns": _exact(time * 1e9, "ns")} for least, time in entries.items()
    ]


def _price(attributes: Data, what: str, where: str) -> Data:
    return {
        "energy_pj": _exact(_number(attributes, f"energy_{what}", where) * 1e12, "pJ"),
        "time_ns": _exact(_number(attributes, f"latency_{what}", where) * 1e9, "ns"),
    }


def _exact(value: float, unit: str) -> Data:
    """Return a number of the file; rounding undoes the scaling by powers of ten."""
    return {"value": float(f"{value:.12g}"), "unit": unit} | _EVIDENCE


def _only(part: Data, name: str, where: str) -> Data:
    units = _list(part, name, where)
    if len(units) != 1:
        raise ArchitectureError(
            f"{where}: has {len(units)} kinds of {name}, we can read one that all are alike"
        )
    return units[0]


def _unit(core: Data, name: str) -> Data:
    return _mapping(_list(core, name, "core")[0], "attributes", name)


def _count(part: Data) -> int:
    """Return how many units a name such as `core[0..3]` stands for."""
    found = _RANGE.search(str(part.get("name", "")))
    return int(found["last"]) - int(found["first"]) + 1 if found else 1


def _mapping(part: Data, name: str, where: str) -> Data:
    value = part.get(name)
    if not isinstance(value, dict):
        raise ArchitectureError(f"{where}: {name} is missing or no mapping")
    return value


def _list(part: Data, name: str, where: str) -> list[Data]:
    value = part.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        raise ArchitectureError(f"{where}: {name} is missing or no list of units")
    return value


def _number(part: Data, name: str, where: str) -> float:
    value = part.get(name)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArchitectureError(f"{where}: {name} is missing or no number") from None
