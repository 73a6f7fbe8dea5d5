"""Write an integer network as a folder of Lava code that stands alone.

Nothing here imports Lava: the files in `processes/` and `templates/run.py` are text that is copied.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava import python_text as words
from snncompile.backends.lava.neurons import process_of
from snncompile.errors import BackendError
from snncompile.files.folder import written_aside
from snncompile.files.npz import write_npz
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.neurons.base import BINARY
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.weight_formats import weight_step

if TYPE_CHECKING:
    from snncompile.program import Program

HERE = Path(__file__).parent
ARRAYS_FILE = "weights.npz"
MESSAGE_BITS = 24
"""Any number above 0 makes Lava multiply by the payload; nothing is cut off."""


@dataclass(frozen=True, eq=False)
class Emitted:
    """A Lava program: what its files hold."""

    texts: dict[str, str]
    """File name to content; names may have a folder, `processes/delay.py`."""
    arrays: dict[str, NDArray[Any]]
    """What `weights.npz` holds."""


def emit(network: IntegerNetwork, title: str | None = None, *, states: bool = False) -> Emitted:
    """Return the Lava program of a network whose projections have delays of 1 or more.

    Args:
        network: what to write.
        title: what the user calls it.
        states: whether the program can record the states of all neurons too.

    Raises:
        BackendError: a delay is 0, or a number does not fit the Lava process.
        UnsupportedError: there is no Lava process for a kind of neuron.
    """
    return _Emitter(network, network.title if title is None else title, states).emit()


def emit_program(program: Program, path: Path) -> None:
    """Write the Lava program of a Program; see `write`."""
    write(program.network, path)


def write(
    network: IntegerNetwork, folder: str | Path, title: str | None = None, *, states: bool = False
) -> None:
    """Write the Lava program to a folder, see `emit`; one that was written before is replaced.

    Raises:
        InputError: the folder holds something else, or cannot be written.
        BackendError: see `emit`.
    """
    emitted = emit(network, title, states=states)
    with written_aside(Path(folder), (ARRAYS_FILE,)) as new:
        for name, text in emitted.texts.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
        write_npz(new / ARRAYS_FILE, emitted.arrays)


class _Emitter:
    """One network on its way to text."""

    def __init__(self, network: IntegerNetwork, title: str, states: bool) -> None:
        self.network = network
        self.with_states = states
        self.title = " ".join(title.split())
        self.arrays: dict[str, NDArray[Any]] = {}
        self.taken = set(words.RESERVED)
        self.source = self._variable(network.input.name)
        self.variables = {p.name: self._variable(p.name) for p in network.populations}
        self.processes = {p.name: process_of(p) for p in network.populations}

    def emit(self) -> Emitted:
        """Return its files."""
        populations = [self._population(p) for p in self.network.populations]
        projections = [self._projection(p) for p in self.network.projections]
        projections += [self._link(p) for p in _unreached(self.network)]
        synapses = {p["process"] for p in projections}
        custom = {process.kind for process in self.processes.values()} - {"LIFReset"}
        custom |= {"Delay" for p in projections if p["delay"]}
        texts = {
            "network.py": words.template("network.py.j2").render(
                imports=words.imports(
                    custom | ({"StateProbe"} if self.with_states else set()),
                    {p.kind for p in self.processes.values()} | synapses,
                ),
                states=self._states(),
                sparse=self._has_sparse(),
                input_shape=words.shape(self.network.input.shape),
                payload=words.shape(self.network.input.payload),
                output=words.quoted(self.network.output),
                source=self.source,
                populations=populations,
                projections=projections,
            ),
            "run.py": words.text("templates/run.py"),
            "README.md": self._readme(custom),
            "processes/__init__.py": '"""Processes that Lava does not have."""\n',
        }
        texts |= {file: words.text(file) for file in words.files(custom)}
        if self.with_states:
            text = words.text("processes/state_probe.py")
            texts["processes/state_probe.py"] = text.replace(
                "COUNT = 0", f"COUNT = {len(self._states())}"
            )
        return Emitted(texts, self.arrays)

    def _states(self) -> list[dict[str, Any]]:
        """Return every state of every population: its Var is called as in our neuron."""
        if not self.with_states:
            return []
        return [
            {
                "key": words.quoted(f"{p.name}.{state}"),
                "variable": f"{self.variables[p.name]}.{state}",
                "phase": p.phase,
            }
            for p in self.network.populations
            for state in p.neuron.states
        ]

    def _has_sparse(self) -> bool:
        return any(not isinstance(p.synapses.wiring, Dense) for p in self.network.projections)

    def _readme(self, custom: set[str]) -> str:
        output = self.network.population(self.network.output)
        wirings = [p.synapses.wiring for p in self.network.projections]
        return words.template("README.md.j2").render(
            title=self.title,
            input_shape=", ".join(map(str, self.network.input.shape)),
            input_values=words.values(self.network.input.payload),
            output_shape=", ".join(map(str, output.shape)),
            output=output.name,
            readout=not output.neuron.spikes,
            graded=output.neuron.payload != BINARY,
            output_values=words.values(output.neuron.payload),
            custom=words.listed(custom),
            one_custom=len(custom) == 1,
            sparse=self._has_sparse(),
            unrolled=any(isinstance(wiring, Convolution) for wiring in wirings),
            own_rules=words.listed(custom - {"CubaLif", "Delay", "Readout"}),
        )

    def _population(self, population: Population) -> dict[str, Any]:
        process, variable = self.processes[population.name], self.variables[population.name]
        values = [
            (name, self._number(f"{population.name}.{name}", value))
            for name, value in process.parameters.items()
        ]
        if process.reset:
            values.append(("reset", words.quoted(process.reset)))
        timing = [("reset_interval", "steps"), ("reset_offset", str(population.phase + 1))]
        return {
            "key": words.quoted(population.name),
            "shape": words.shape(population.shape),
            "phase": population.phase,
            "dtype": words.quoted(_dtype(population)),
            "variable": variable,
            "process": process.kind,
            "arguments": [("shape", words.shape((population.size,))), *values, *timing],
            "out_port": f"{variable}.{'s_out' if population.neuron.spikes else 'v_out'}",
        }

    def _projection(self, projection: Projection) -> dict[str, Any]:
        synapses = _checked(projection)
        own_delay = self.network.own_delay(projection)
        name = self._variable(f"{projection.source}_to_{projection.target}")
        process, weights = self._weights(name, synapses)
        comment = f"{projection.source} -> {projection.target}, delay {projection.delay}."
        delay = None
        if projection.delay > 1 or own_delay:
            delay = self._delay(projection, name, own_delay)
        ends = projection.source, projection.target
        return self._synapses(*ends, comment, delay, projection.port) | {
            "variable": name,
            "process": process,
            "arguments": [
                ("weights", weights),
                ("weight_exp", synapses.exponent),
                ("num_weight_bits", synapses.bits),
                ("sign_mode", "SignMode.MIXED"),
                *self._message(projection),
            ],
        }

    def _weights(self, name: str, synapses: IntegerSynapses) -> tuple[str, str]:
        """Return the class of the process and its weights as text.

        What is not dense is unrolled to a sparse matrix. Lava's own Conv knows no weight exponent.
        """
        if isinstance(synapses.wiring, Dense):
            return "Dense", self._array(f"{name}.weights", synapses.weight)
        matrix = synapses.wiring.matrix(synapses.weight)
        matrix.sort_indices()
        self.arrays[f"{name}.data"] = matrix.data
        for part in ("indices", "indptr"):
            self.arrays[f"{name}.{part}"] = getattr(matrix, part).astype(np.int32)
        return "Sparse", f"sparse({words.quoted(name)}, {words.shape(matrix.shape)})"

    def _message(self, projection: Projection) -> list[tuple[str, int]]:
        """Return how Dense reads a payload; without message bits every spike counts as 1."""
        payload = self.network.payload(projection.source)
        return [] if payload == BINARY else [("num_message_bits", MESSAGE_BITS)]

    def _delay(self, projection: Projection, name: str, own_delay: int) -> dict[str, Any]:
        arguments = {
            "shape": words.shape((self.network.end(projection.source).size,)),
            "extra": projection.delay - 1,
            "silent": own_delay,
            "phase": self.network.phase(projection.target),
            "steps": "steps",
        }
        return {"variable": self._variable(f"{name}_delay"), "arguments": list(arguments.items())}

    def _link(self, population: Population) -> dict[str, Any]:
        """Return a projection without synapses: Lava runs only processes that are joined."""
        comment = (
            f"No spikes reach {population.name}; Lava runs it only if it is joined to the rest."
        )
        shape = words.shape((population.size, self.network.input.size))
        return self._synapses(self.network.input.name, population.name, comment, None) | {
            "variable": self._variable(f"link_to_{population.name}"),
            "process": "Sparse",
            "arguments": [("weights", f"csr_matrix({shape}, dtype=np.int16)")],
        }

    def _synapses(
        self, source: str, target: str, comment: str, delay: Any, port: str | None = None
    ) -> dict[str, Any]:
        ports = self.network.population(target).neuron.ports
        into = f"{port or ports[0]}_in" if ports else "a_in"
        return {
            "comment": comment,
            "delay": delay,
            "source_port": f"{self.variables.get(source, self.source)}.s_out",
            "target_port": f"{self.variables[target]}.{into}",
        }

    def _number(self, name: str, value: NDArray[Any]) -> str:
        """Return a number as text; numbers that differ go to the file of arrays."""
        if (value == value.flat[0]).all():
            return str(int(value.flat[0]))
        return self._array(name, value)

    def _array(self, name: str, value: NDArray[Any]) -> str:
        self.arrays[name] = value
        return f"ARRAYS[{words.quoted(name)}]"

    def _variable(self, name: str) -> str:
        """Return a Python name that is not taken yet."""
        variable, count = name, 1
        while variable in self.taken or keyword.iskeyword(variable):
            count += 1
            variable = f"{name}_{count}"
        self.taken.add(variable)
        return variable


def _checked(projection: Projection) -> IntegerSynapses:
    """Return the synapses of a projection that Lava computes as we do."""
    where, synapses = f"projection {projection.source} -> {projection.target}", projection.synapses
    assert isinstance(synapses, IntegerSynapses), "an IntegerNetwork has no others"
    if projection.delay < 1:
        raise BackendError(
            f"{where}: delay {projection.delay}, but a synapse of Lava takes one time step;"
            " compile the network first"
        )
    step = weight_step(synapses.bits)
    low, high = synapses.weight.min(initial=0), synapses.weight.max(initial=0)
    if np.any(synapses.weight % step) or low < -256 or high > 255:
        raise BackendError(
            f"{where}: Lava would change its weights; with {synapses.bits} bits they must be"
            f" multiples of {step} in -256..255"
        )
    return synapses


def _dtype(population: Population) -> str:
    """Return the type in which an output is recorded; 0 and 1 take one byte."""
    neuron = population.neuron
    return "uint8" if neuron.spikes and neuron.payload == BINARY else "int32"


def _unreached(network: IntegerNetwork) -> Iterator[Population]:
    """Yield one population of each part of the network that nothing joins to the input."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from([network.input.name, *(p.name for p in network.populations)])
    graph.add_edges_from((p.source, p.target) for p in network.projections)
    joined = nx.node_connected_component(graph, network.input.name)
    for population in network.populations:
        if population.name not in joined:
            joined |= nx.node_connected_component(graph, population.name)
            yield population
