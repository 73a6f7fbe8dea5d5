"""Hashes of content: of a network as it is written, and of what a Program means.

The meaning of a Program is its integer network, its mapping and its chip, without words: no title,
note, source, price, option or log. A field that has its default is not part of it, so that a later
version which adds one gives the same hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.files import folder
from snncompile.files import mapping as mapping_file
from snncompile.files import network as network_file
from snncompile.registry import load

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Chip
    from snncompile.ir.graph import Graph, IntegerNetwork
    from snncompile.ir.mapping import Mapping

WORDS = {
    *("title", "fidelity", "sources", "encoding_source", "kinds_source"),
    *("weight_exponent_unit", "weight_exponent_evidence", "zero_weights_source"),
}
"""Fields of a chip that explain it."""
PRICES = {"costs", "default_costs", "zero_weights"}
"""Fields of a chip that `estimate` needs, and nothing else."""


def hash_network(network: Graph) -> str:
    """Return the SHA-256 of a network as it is written, title and notes included."""
    return folder.hash_content(*network_file.to_record(network))


def hash_meaning(network: IntegerNetwork, mapping: Mapping, chip: Chip) -> dict[str, str]:
    """Return the SHA-256 of the meaning of `network`, `mapping`, `chip` and `all` of them."""
    hashes = {
        "network": _hash_network_meaning(network),
        "mapping": folder.hash_content(*mapping_file.to_record(mapping)),
        "chip": folder.hash_content(_describe_chip(chip), {}),
    }
    together = hashlib.sha256("\n".join(hashes.values()).encode()).hexdigest()
    return hashes | {"all": together}


def _hash_network_meaning(network: IntegerNetwork) -> str:
    record, arrays = network_file.to_record(network)
    record = {key: value for key, value in record.items() if key not in ("title", "notes")}
    for population, entry in zip(network.populations, record["populations"], strict=True):
        kind = type(population.neuron)
        entry["neuron"]["parameters"] = _drop_defaults(kind, entry["neuron"]["parameters"])
    for entry in record["projections"]:
        entry["wiring"] = _describe_wiring(entry["wiring"])
    return folder.hash_content(record, arrays)


def _describe_wiring(wiring: dict[str, Any]) -> dict[str, Any]:
    inner = {
        name: _describe_wiring(value) if isinstance(value, dict) else value
        for name, value in wiring["parameters"].items()
    }
    return wiring | {"parameters": _drop_defaults(load("wirings", wiring["kind"]), inner)}


def _drop_defaults(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a record's fields without those that are its defaults."""
    defaults = {field.name: _make_plain(field.default) for field in fields(kind)}
    return {name: value for name, value in values.items() if value != defaults.get(name, ...)}


def _make_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _describe_chip(chip: Chip) -> Any:
    """Return the limits and formats of a chip, each number without unit, evidence and source."""
    record = chip.model_dump(mode="json", exclude_defaults=True, exclude=WORDS | PRICES)
    boards = record.pop("boards", {})
    if chip.board is not None:
        record["boards"] = {chip.board: boards[chip.board]}
    return _strip(record)


def _strip(value: Any) -> Any:
    if isinstance(value, list):
        return [_strip(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "evidence" in value:  # a Number or Choices of a chip file
        return value.get("value", value.get("values"))
    return {key: _strip(entry) for key, entry in value.items() if key not in WORDS}
