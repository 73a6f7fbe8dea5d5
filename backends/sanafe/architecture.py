"""A chip and one of its cost sets as a SANA-FE architecture file."""

from __future__ import annotations

from typing import Any

import yaml

from snncompile.backends.energy.costs import Costs
from snncompile.backends.energy.events import SYNAPTIC
from snncompile.backends.energy.routes import KINDS
from snncompile.errors import UnsupportedError
from snncompile.hwmodels.costs import Price

NEEDED = (
    *("neuron_mapped", "neuron_updated", "spike", "message_out", "message_in"),
    *("hop_east_west", "hop_north_south", *SYNAPTIC),
)
"""Events that a set must price for SANA-FE, which has no others."""
LIF, INPUT, DENDRITE, AXON = "lif", "input", "dendrites", "axons"
SYNAPSE = {kind: f"{kind}_synapses" for kind in KINDS}
"""Names of the hardware units."""


def make_architecture(costs: Costs, inputs: int) -> str:
    """Return the YAML text of an architecture.

    Args:
        costs: the cost set and its chip.
        inputs: input neurons on a core at most; each takes a unit of its own.

    Raises:
        UnsupportedError: the set prices other events than SANA-FE's, or not all of them.
    """
    lacking = [event for event in NEEDED if not _is_known(costs.find_price(event))]
    if any(entry.time_ns.value is None for entry in costs.set.barrier):
        lacking.append("barrier sync")
    if lacking:
        raise UnsupportedError(
            f"{costs.chip.name}: cost set {costs.name} has no price for {', '.join(lacking)},"
            " which SANA-FE needs; take one that has"
        )
    return yaml.safe_dump({"architecture": _make_chip(costs, inputs)}, sort_keys=False)


def _make_chip(costs: Costs, inputs: int) -> dict[str, Any]:
    mesh, buffer = costs.chip.mesh, costs.set.link_buffer
    columns, rows = mesh.tile_columns.whole or 1, mesh.tile_rows.whole or 1
    return {
        "name": costs.chip.name,
        "attributes": {
            "topology": "mesh",
            "width": columns,
            "height": rows,
            "link_buffer_size": (buffer.whole if buffer else None) or 2**30,
            "sync_model": "table",
            "latency_sync": {
                entry.tiles: entry.time_ns.value * 1e-9
                for entry in costs.set.barrier
                if entry.time_ns.value is not None
            },
        },
        "tile": [
            {
                "name": f"tile[0..{columns * rows - 1}]",
                "attributes": _make_hops(costs),
                "core": [_make_core(costs, inputs)],
            }
        ],
    }


def _make_hops(costs: Costs) -> dict[str, float]:
    ways = {"east": "east_west", "west": "east_west", "north": "north_south"} | {
        "south": "north_south"
    }
    prices: dict[str, float] = {}
    for way, event in ways.items():
        energy, latency = _get_price(costs, f"hop_{event}")
        prices |= {f"energy_{way}_hop": energy, f"latency_{way}_hop": latency}
    return prices


def _make_core(costs: Costs, inputs: int) -> dict[str, Any]:
    per_tile = costs.chip.mesh.cores_per_tile.whole or 1
    free = dict.fromkeys(("access_neuron", "update_neuron", "spike_out"), (0.0, 0.0))
    soma = {
        "access_neuron": _get_price(costs, "neuron_mapped"),
        "update_neuron": _get_price(costs, "neuron_updated"),
        "spike_out": _get_price(costs, "spike"),
    }
    units: dict[str, list[Any]] = {
        "axon_in": [_make_unit(AXON, {"message_in": _get_price(costs, "message_in")})],
        "synapse": [
            _make_unit(
                name,
                {"process_spike": _get_price(costs, f"synaptic_op_{kind}")},
                model="current_based",
            )
            for kind, name in SYNAPSE.items()
        ],
        "dendrite": [_make_unit(DENDRITE, {"update": (0.0, 0.0)}, model="accumulator")],
        "soma": [
            _make_unit(LIF, soma, model="leaky_integrate_fire"),
            _make_unit(f"{INPUT}[0..{max(inputs, 1) - 1}]", free, model="input"),
        ],
        "axon_out": [_make_unit(AXON, {"message_out": _get_price(costs, "message_out")})],
    }
    limit = costs.chip.core.compartments.whole or 2**20
    attributes = {"buffer_position": "soma", "buffer_inside_unit": False}
    return {
        "name": f"core[0..{per_tile - 1}]",
        "attributes": attributes | {"max_neurons_supported": max(limit, inputs)},
        **units,
    }


def _make_unit(
    name: str, prices: dict[str, tuple[float, float]], model: str | None = None
) -> dict[str, Any]:
    attributes: dict[str, Any] = {"model": model} if model else {}
    for event, (energy, latency) in prices.items():
        attributes |= {f"energy_{event}": energy, f"latency_{event}": latency}
    return {"name": name, "attributes": attributes}


def _is_known(price: Price | None) -> bool:
    return price is not None and None not in (price.energy_pj.value, price.time_ns.value)


def _get_price(costs: Costs, event: str) -> tuple[float, float]:
    """Return joules and seconds of an event of `NEEDED`."""
    price = costs.find_price(event)
    assert price is not None
    assert price.energy_pj.value is not None
    assert price.time_ns.value is not None
    return price.energy_pj.value * 1e-12, price.time_ns.value * 1e-9
