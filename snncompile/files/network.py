"""Networks as files: `network.json` and `arrays.npz`; no pickle anywhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snncompile.errors import InputError, cut_text
from snncompile.files import folder, versions
from snncompile.files.learning import (
    LearningRecord,
    list_state_arrays,
    read_state,
    record_learning,
)
from snncompile.files.wirings import WiringRecord, list_arrays, read_wiring, record_wiring
from snncompile.ir.answer import SUM, Answer
from snncompile.ir.coding import Coding, Kind
from snncompile.ir.graph import Graph, Input, IntegerNetwork, Network, Population, Projection
from snncompile.ir.host import HostLayer
from snncompile.ir.host_part import HostPart
from snncompile.neurons.base import BINARY, FloatNeuron, Interval, Neuron
from snncompile.registry import load
from snncompile.synapses.base import IntegerSynapses, Synapses

NETWORK = "network.json"
LONGEST = 240
"""Characters of a message about what a file holds, its path not counted."""
Arrays = dict[str, NDArray[Any]]
Size = Annotated[int, Field(ge=1, le=2**31)]


class Record(BaseModel):
    """A record read from a file: a key we do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


class _Neuron(Record):
    name: str
    reset: str | None = None
    parameters: dict[str, int | float | str]
    """A number, or the name of an array."""


class _Population(Record):
    name: str
    shape: tuple[Size, ...]
    phase: Annotated[int, Field(ge=0, le=2**31)]
    neuron: _Neuron


class _Projection(Record):
    source: str
    target: str
    delay: Annotated[int, Field(ge=0, le=2**31)]
    wiring: WiringRecord
    weight: str
    exponent: Annotated[int, Field(ge=-32, le=32)] | None = None
    bits: Annotated[int, Field(ge=1, le=32)] | None = None
    sum_bits: Annotated[int, Field(ge=2, le=32)] | None = None
    port: str | None = None
    learning: LearningRecord | None = None


class _Coding(Record):
    kind: Kind
    unit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shown: Annotated[int, Field(ge=1, le=2**20)]
    steps: Annotated[int, Field(ge=1, le=2**20)]


class _Answer(Record):
    kind: Literal["sum", "mean", "maximum", "last"]
    steps: Annotated[int, Field(ge=1, le=2**20)] | None = None


class _HostLayer(Record):
    target: str
    wiring: WiringRecord
    weight: str
    bias: str
    largest: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    unit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    limit: Annotated[int, Field(ge=1, le=2**31)] | None


class _HostPart(Record):
    before: tuple[str, ...]
    after: tuple[str, ...]
    output: str
    held: Literal["step", "first", "second", "folded", "folded_first", "static"]
    shape: tuple[Size, ...]
    time: str
    steps: Annotated[int, Field(ge=1, le=2**20)] | None
    sha256: str


class _Input(Record):
    name: str
    shape: tuple[Size, ...]
    payload: tuple[int, int] = tuple(BINARY)
    coding: _Coding | None = None
    host: tuple[_HostLayer, ...] = ()
    host_part: _HostPart | None = None


class NetworkRecord(Record):
    """Content of the key `network` of `network.json` and `program.json`."""

    numbers: Literal["float", "integer"]
    title: str
    notes: tuple[str, ...] = ()
    input: _Input
    populations: tuple[_Population, ...]
    projections: tuple[_Projection, ...]
    output: str
    answer: _Answer = _Answer(kind="sum")


class Head(Record):
    """What every `.json` file of ours says of itself; see `snncompile/files/versions.py`."""

    version: Annotated[int, Field(ge=1, strict=True)]
    written_by: str
    schemas: dict[str, int]
    sha256: str | None
    """Hash of all the rest of the folder; None in older ones."""


class _NetworkFile(Head):
    format: Literal["snncompile network"]
    network: NetworkRecord


def write_network(graph: Graph, path: Path) -> None:
    """Write a network to a folder."""
    record, arrays = to_record(graph)
    head = versions.make_head("network file", versions.NETWORK_PARTS)
    content = {"format": "snncompile network", **head, "network": record}
    folder.write_folder(path, NETWORK, content, arrays)


def read_network(path: Path) -> Network | IntegerNetwork:
    """Return the network of a folder.

    Raises:
        InputError: the folder does not hold a well-formed network, or not the one that was saved,
            or a newer snncompile wrote it.
    """
    content, arrays = folder.read_folder(path, NETWORK)
    record = versions.lift(path / NETWORK, "network file", content, versions.NETWORK_PARTS)
    network = from_record(validate(_NetworkFile, record, path / NETWORK).network, arrays, path)
    if not folder.is_sealed(content, arrays):
        raise InputError(
            f"{path}: is not as it was saved: damaged, or edited by hand; import the network again,"
            " or change it in Python and save it"
        )
    return network


def validate(kind: type[R], record: Any, where: Path) -> R:
    """Return the record as `kind`, or an InputError that names the first wrong field."""
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the record"
        reason = f"{field}: {first['msg']}"
        raise InputError(f"{where}: {_make_line(reason)}") from None


def to_record(graph: Graph) -> tuple[dict[str, Any], Arrays]:
    """Return a network as JSON values and arrays."""
    arrays: Arrays = {}
    record = {
        "numbers": "float" if isinstance(graph, Network) else "integer",
        "title": graph.title,
        **({"notes": list(graph.notes)} if graph.notes else {}),
        "input": _record_input(graph.input, arrays),
        "populations": [_record_population(p, arrays) for p in graph.populations],
        "projections": [_record_projection(i, p, arrays) for i, p in enumerate(graph.projections)],
        "output": graph.output,
        **({} if graph.answer == SUM else {"answer": vars(graph.answer)}),
    }
    return record, arrays


def from_record(record: NetworkRecord, arrays: Arrays, where: Path) -> Network | IntegerNetwork:
    """Return the network of a record.

    Raises:
        InputError: an array is missing, or a rule of a well-formed network is broken.
    """
    make = Network if record.numbers == "float" else IntegerNetwork
    try:
        network = make(
            _read_input(record.input, arrays),
            tuple(
                Population(p.name, p.shape, _read_neuron(p, record.numbers, arrays), p.phase)
                for p in record.populations
            ),
            tuple(
                _read_projection(f"projection{i}", p, arrays)
                for i, p in enumerate(record.projections)
            ),
            record.output,
            title=record.title,
            notes=record.notes,
            answer=Answer(**record.answer.model_dump()),
        )
    except KeyError as error:
        raise InputError(f"{where}: {error.args[0][:40]!r} is not in arrays.npz") from None
    except (ValueError, TypeError, OverflowError, InputError) as error:
        raise InputError(f"{where}: {_make_line(str(error))}") from None
    _check_all_used(record, arrays, where)
    return network


def _record_input(source: Input, arrays: Arrays) -> dict[str, Any]:
    record: dict[str, Any] = {"name": source.name, "shape": list(source.shape)}
    low, high = source.payload
    if (low, high) != BINARY:
        record["payload"] = [int(low), int(high)]
    if source.coding:
        record["coding"] = vars(source.coding)
    if source.host:
        record["host"] = [_record_host(i, layer, arrays) for i, layer in enumerate(source.host)]
    if source.host_part:
        record["host_part"] = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in vars(source.host_part).items()
        }
    return record


def _record_host(index: int, layer: HostLayer, arrays: Arrays) -> dict[str, Any]:
    key = f"host{index}"
    arrays |= {f"{key}.weight": layer.synapses.weight, f"{key}.bias": layer.bias}
    return {
        "target": layer.target,
        "wiring": record_wiring(key, layer.synapses.wiring, arrays),
        "weight": f"{key}.weight",
        "bias": f"{key}.bias",
        "largest": layer.largest,
        "unit": layer.unit,
        "limit": layer.limit,
    }


def _read_host(record: _HostLayer, arrays: Arrays) -> HostLayer:
    synapses = Synapses(read_wiring(record.wiring, arrays), arrays[record.weight])
    bias = np.asarray(arrays[record.bias], np.float64)
    return HostLayer(record.target, synapses, bias, record.largest, record.unit, record.limit)


def _read_input(record: _Input, arrays: Arrays) -> Input:
    coding = Coding(**record.coding.model_dump()) if record.coding else None
    host = tuple(_read_host(layer, arrays) for layer in record.host)
    host_part = HostPart(**record.host_part.model_dump()) if record.host_part else None
    return Input(record.name, record.shape, Interval(*record.payload), coding, host, host_part)


def _record_population(population: Population, arrays: Arrays) -> dict[str, Any]:
    neuron = population.neuron
    parameters: dict[str, Any] = {}
    for name in neuron.parameters():
        value = getattr(neuron, name)
        if value.ndim == 0:
            parameters[name] = value.item()
        else:
            parameters[name] = f"{population.name}.{name}"
            arrays[parameters[name]] = value
    return {
        "name": population.name,
        "shape": list(population.shape),
        "phase": population.phase,
        "neuron": {
            "name": neuron.name,
            "reset": getattr(neuron, "reset", None),
            "parameters": parameters,
        },
    }


def _record_projection(index: int, projection: Projection, arrays: Arrays) -> dict[str, Any]:
    synapses = projection.synapses
    key = f"projection{index}.weight"
    arrays[key] = synapses.weight
    sum_bits = synapses.sum_bits if isinstance(synapses, IntegerSynapses) else None
    learning: dict[str, Any] = {}
    if projection.rule is not None:
        state = projection.learned
        learning["learning"] = record_learning(f"projection{index}", projection.rule, state, arrays)
    return learning | {
        "source": projection.source,
        "target": projection.target,
        "delay": projection.delay,
        "wiring": record_wiring(f"projection{index}", synapses.wiring, arrays),
        "weight": key,
        "exponent": synapses.exponent if isinstance(synapses, IntegerSynapses) else None,
        "bits": synapses.bits if isinstance(synapses, IntegerSynapses) else None,
        **({} if projection.port is None else {"port": projection.port}),
        **({} if sum_bits is None else {"sum_bits": sum_bits}),
    }


def _read_projection(key: str, record: _Projection, arrays: Arrays) -> Projection:
    synapses = _read_synapses(record, arrays)
    projection = Projection(record.source, record.target, synapses, record.delay, record.port)
    if record.learning is None:
        return projection
    rule = record.learning.make_rule()
    learned = read_state(key, record.learning, synapses.weight, arrays)
    return replace(projection, rule=rule, learned=learned)


def _read_neuron(population: _Population, numbers: str, arrays: Arrays) -> Neuron:
    record = population.neuron
    kind: type[FloatNeuron] = load("neurons", record.name)
    make = kind if numbers == "float" else kind.integer
    values: dict[str, Any] = {
        name: arrays[value] if isinstance(value, str) else value
        for name, value in record.parameters.items()
    }
    if record.reset is not None:
        values["reset"] = record.reset
    try:
        _check_names(record.name, make, values)
        return make(**values)
    except ValueError as error:
        raise InputError(f"{population.name}: {error}") from None


def _check_names(name: str, kind: type[Neuron], values: Collection[str]) -> None:
    first, *others = fields(kind)  # `initial` of the base class, which is shown last
    known = {field.name: field.default for field in (*others, first)}
    for value in values:
        if value not in known:
            raise ValueError(f"{name} has no parameter {value!r}; it has {', '.join(known)}")
    for value, default in known.items():
        if default is MISSING and value not in values:
            raise ValueError(f"{name} needs {value}")


def _check_all_used(record: NetworkRecord, arrays: Arrays, where: Path) -> None:
    used = {p.weight for p in record.projections}
    for layer in record.input.host:
        used |= {layer.weight, layer.bias}
        used |= list_arrays(layer.wiring)
    for i, projection in enumerate(record.projections):
        used |= list_arrays(projection.wiring)
        if projection.learning is not None:
            used |= list_state_arrays(f"projection{i}", projection.learning)
    for population in record.populations:
        used |= {v for v in population.neuron.parameters.values() if isinstance(v, str)}
    for name in sorted(arrays.keys() - used):
        raise InputError(f"{where}: arrays.npz holds {name[:40]!r}, which no part of it uses")


def _read_synapses(record: _Projection, arrays: Arrays) -> Synapses | IntegerSynapses:
    weight, wiring = arrays[record.weight], read_wiring(record.wiring, arrays)
    if record.exponent is None or record.bits is None:
        return Synapses(wiring, weight)
    if weight.dtype != np.int16:
        raise ValueError(f"{record.weight} has dtype {weight.dtype}, expected int16")
    return IntegerSynapses(wiring, weight, record.exponent, record.bits, record.sum_bits)


def _make_line(text: str) -> str:
    """Return the text without line breaks, and not too long: names in a file may be anything."""
    return cut_text(" ".join(text.split()), LONGEST)
