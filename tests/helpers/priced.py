"""Chips with other prices, for tests of the estimator."""

from __future__ import annotations

import numpy as np
from networks import LOIHI2, TOY, limited

import snncompile
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.program import Program
from snncompile.synapses.dense import dense

UNITS = {"static_w": "W", "barrier_energy_pj": "pJ", "link_buffer": "messages"}

# Chip, reset of its neurons, bits of its weights.
CHIPS = {
    "odin": ("hard", 3),
    "truenorth": ("hard", 3),
    "xylo-audio2": ("soft", 8),
    "spinnaker1": ("hard", 8),
    "spinnaker2": ("hard", 8),
    "speck2": ("hard", 8),
    "paicore2": ("hard", 8),
}


def priced(chip: Chip = TOY, **changes) -> Chip:
    """Return the chip with other costs: event=(energy, time), barrier=[(tiles, time)], ..."""
    data = chip.model_dump(mode="json")
    costs = data["costs"][chip.default_costs]
    for name, value in changes.items():
        if name in ("barrier", "barrier_chips"):
            key = "tiles" if name == "barrier" else "chips"
            costs[name] = [{key: n, "time_ns": number(v, "ns")} for n, v in value]
        elif name in UNITS or name.endswith("_error") or name == "step_floor_ns":
            unit = "1" if name.endswith("_error") else UNITS.get(name, "ns")
            costs[name] = number(value, unit)
        elif value is None:
            del costs["prices"][name]
        else:
            energy, time = value
            costs["prices"][name] = {
                "energy_pj": number(energy, "pJ"),
                "time_ns": number(time, "ns"),
            }
    return Chip.model_validate(data)


def number(value, unit: str):
    evidence = "unknown" if value is None else "made up"
    return {"value": value, "unit": unit, "evidence": evidence, "source": "made_up"}


def wide_chip(compartments: int, **changes) -> Chip:
    """Return toy with many small cores on 5 x 4 tiles, and every event priced."""
    chip = limited(
        TOY,
        compartments=compartments,
        synapse_words=10**6,
        axons_in=10**6,
        axons_out=10**6,
        compartment_profiles=99,
        threshold_profiles=99,
    )
    data = chip.model_dump(mode="json")
    made_up = number(1, "compartments")
    data["neurons"] = {kind: made_up for kind in LOIHI2.neurons} | data["neurons"]
    mesh = data["mesh"]
    mesh["tile_columns"]["value"], mesh["tile_rows"]["value"] = 5, 4
    mesh["cores"]["value"] = 40
    data["costs"]["toy"]["barrier"] = [{"tiles": 20, "time_ns": number(100, "ns")}]
    every = {
        "synaptic_op_sparse": (3, 2.5),
        "neuron_mapped": (1, 0.5),
        "neuron_updated": (1, 0.25),
        "spike": (1, 7),
        "message_out": (1, 11),
        "message_in": (1, 13),
    }
    return priced(Chip.model_validate(data), **(every | changes))


def program_on(chip: str) -> Program:
    """Return 4 inputs, 3 and 2 neurons; each fires on every spike."""
    reset, bits = CHIPS.get(chip, ("hard", 8))
    neuron = IntegrateFire(0.5, 0.0, reset)
    network = Network(
        Input("input", (4,)),
        (Population("a", (3,), neuron), Population("b", (2,), neuron)),
        (
            Projection("input", "a", dense(np.ones((3, 4)))),
            Projection("a", "b", dense(np.ones((2, 3)))),
        ),
        "b",
    )
    return snncompile.compile(network, chip=chip, bits=bits)
