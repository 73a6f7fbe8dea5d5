"""A Lava program as the content of its files, and the facts of a network that every one needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
from numpy.typing import NDArray

from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.backends.lava.sums import explain_change, is_emitted, write_sums
from snncompile.errors import BackendError, InputError
from snncompile.files.npz import write_npz
from snncompile.files.replace import replace_folder, translate_errors
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.neurons.base import BINARY

ARRAYS_FILE = "weights.npz"


@dataclass(frozen=True, eq=False)
class LavaFolder:
    """A Lava program: the content of its files."""

    texts: dict[str, str]
    """File name to content; names may have a folder, `processes/delay.py`."""
    arrays: dict[str, NDArray[Any]]
    """Content of `weights.npz`."""


def write_to(folder: Path, emitted: LavaFolder) -> None:
    """Write a Lava program to a folder; an older one is replaced.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    with translate_errors(folder):
        change = explain_change(folder)
    if change:
        raise InputError(
            f"{folder}: holds a Lava program, but {change}; move what you want to keep, delete the"
            " folder, or choose another"
        )
    with replace_folder(folder, is_emitted) as new:
        for name, text in emitted.texts.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
        write_npz(new / ARRAYS_FILE, emitted.arrays)
        write_sums(new)


def copy_files(processes: Iterable[LavaProcess]) -> dict[str, str]:
    """Return the files of some processes, by their names in the written folder.

    Raises:
        BackendError: a file does not exist, or two processes have different files of one name.
    """
    texts: dict[str, str] = {}
    owners: dict[str, str] = {}
    for process in sorted(processes, key=lambda process: process.name):
        for name, text in process.read_files().items():
            if texts.setdefault(name, text) != text:
                raise BackendError(
                    f"Lava processes {owners[name]} and {process.name} have different files"
                    f" {name}; rename the file of either"
                )
            owners.setdefault(name, process.name)
    return texts


def choose_dtype(population: Population) -> str:
    """Return the type in which an output is recorded; 0 and 1 take one byte."""
    neuron = population.neuron
    return "uint8" if neuron.spikes and neuron.payload == BINARY else "int32"


def find_separate_parts(network: IntegerNetwork) -> Iterator[Population]:
    """Yield one population of each part of the network that nothing joins to the input."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from([network.input.name, *(p.name for p in network.populations)])
    graph.add_edges_from((p.source, p.target) for p in network.projections)
    joined = nx.node_connected_component(graph, network.input.name)
    for population in network.populations:
        if population.name not in joined:
            joined |= nx.node_connected_component(graph, population.name)
            yield population
