"""Write an integer network as a folder of Lava code that stands alone.

Nothing here imports Lava: the files of processes and `templates/run.py` are text that is copied.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.backends.lava import learning, python_text
from snncompile.backends.lava.choose_process import (
    choose_neuron_process,
    choose_synapse_process,
    load_processes,
    read_parameters,
)
from snncompile.backends.lava.folder import (
    LavaFolder,
    choose_dtype,
    copy_files,
    find_separate_parts,
    write_to,
)
from snncompile.backends.lava.hardware.emit import emit as emit_for_chip
from snncompile.backends.lava.hardware.readme import Origin
from snncompile.backends.lava.lava_process import OURS, LavaProcess, read_resource
from snncompile.backends.lava.network_processes import (
    DELAY,
    LEARNING_SPARSE,
    PROBE,
    SPARSE,
    SPIKE_SOURCE,
    START,
    STATE_PROBE,
    WRAP,
)
from snncompile.backends.lava.python_text import quote, write_shape
from snncompile.backends.lava.written_arrays import WrittenArrays, check_synapses
from snncompile.errors import InputError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Say
from snncompile.ir.host import HostLayer
from snncompile.neurons.base import BINARY
from snncompile.passes.analysis.bounds import find_wrap
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

if TYPE_CHECKING:
    from snncompile.program import Program

READERS = ("hardware",)
"""What a folder can be written for, beside CPUs."""
MESSAGE_BITS = 24
"""Any number above 0 makes Lava multiply by the payload; nothing is cut off."""


def emit(
    network: IntegerNetwork,
    title: str | None = None,
    *,
    states: bool = False,
    proved_steps: int | None = None,
    progress: Say | None = None,
) -> LavaFolder:
    """Return the Lava program of a network whose projections have delays of 1 or more.

    Args:
        network: the integer network to write.
        title: the user's name for it.
        states: whether the program can record the states of all neurons too.
        proved_steps: time steps of a sample beyond which its run.py warns that the bounds were
            proved for no more; None: any number.
        progress: called with the population or projection that is written, and the share.

    Raises:
        BackendError: a delay is 0, a number does not fit its Lava process, or a Lava process cannot
            be written.
        UnsupportedError: there is no Lava process for a kind of neuron.
    """
    title = network.title if title is None else title
    return _Emitter(network, title, states, proved_steps).emit(progress)


def emit_program(
    program: Program, path: Path, progress: Say | None = None, reader: str | None = None
) -> None:
    """Write the Lava program of a Program; see `write_folder`.

    Args:
        program: what is written.
        path: the folder.
        progress: see `emit`.
        reader: `hardware` for a folder prepared for a chip, see `hardware/emit.py`.

    Raises:
        InputError: no such reader is known; see `write_folder` for others.
    """
    if reader not in (None, *READERS):
        raise InputError(f"unknown reader {reader!r}; the Lava backend knows {', '.join(READERS)}")
    steps = program.options.quantize.steps
    if reader == "hardware" and program.chip.encoding != "loihi2":
        raise InputError(
            f"{program.chip.name}: --for hardware prepares programs for Loihi 2; compile with"
            " chip='loihi2', or emit without --for"
        )
    if reader is None:
        write_folder(program.network, path, proved_steps=steps, progress=progress)
    else:
        library = program.options.quantize.processes == "library"
        origin = Origin(library, program.loss)
        write_to(path, emit_for_chip(program.network, steps, origin=origin))


def write_folder(
    network: IntegerNetwork,
    folder: str | Path,
    title: str | None = None,
    *,
    states: bool = False,
    proved_steps: int | None = None,
    progress: Say | None = None,
) -> None:
    """Write the Lava program to a folder, see `emit`; an older one is replaced.

    Raises:
        InputError: the folder holds something else, or cannot be written.
        BackendError: see `emit`.
    """
    emitted = emit(network, title, states=states, proved_steps=proved_steps, progress=progress)
    write_to(Path(folder), emitted)


class _Emitter:
    """One network on its way to text."""

    def __init__(
        self, network: IntegerNetwork, title: str, states: bool, proved_steps: int | None
    ) -> None:
        self.network = network
        self.proved_steps = proved_steps
        self.with_states = states
        self.title = " ".join(title.split())
        self.written = WrittenArrays()
        processes = load_processes()
        self.names = python_text.Names(process.name for process in processes)
        self.source = self.names.add(network.input.name)
        self.variables = {p.name: self.names.add(p.name) for p in network.populations}
        self.neurons = {
            p.name: choose_neuron_process(network, p, processes) for p in network.populations
        }
        self.synapses = [
            choose_synapse_process(p.synapses.wiring, processes)
            if p.rule is None
            else learning.choose_learning_process(network, p)
            for p in network.projections
        ]
        self.gated = bool(network.plastic) and learning.fires_early(network)

    def emit(self, progress: Say | None = None) -> LavaFolder:
        """Return its files."""
        say = progress or (lambda text, share: None)
        populations = [self._write_population(p) for p in self.network.populations]
        projections = []
        pairs = zip(self.network.projections, self.synapses, strict=True)
        for number, (projection, process) in enumerate(pairs):
            name = f"{projection.source} to {projection.target}"
            say(name, number / (len(self.synapses) + 1))
            projections.append(self._write_projection(projection, process))
        say("files", len(projections) / (len(projections) + 1))
        links = [self._write_link(p) for p in find_separate_parts(self.network)]
        custom = {process for process in self.neurons.values() if process.file}
        custom |= {process for process in self.synapses if process.file}
        custom |= {DELAY for p in projections if p["delay"]}
        custom |= {WRAP for p in projections if p["wrap"]}
        custom |= {START for p in projections for gate in p["hears"] if gate["gate"]}
        used = {*custom, *self.neurons.values(), *self.synapses, SPIKE_SOURCE, PROBE}
        used |= {SPARSE} if links else set()
        used |= {STATE_PROBE} if self.with_states else set()
        texts = {
            "network.py": python_text.load_template("network.py.j2").render(
                imports=python_text.write_imports(used),
                states=self._list_states(),
                sparse=bool({SPARSE, LEARNING_SPARSE} & {*self.synapses}),
                rules=sorted({p["rule"][0] for p in projections if p["rule"]}),
                learning=[p for p in projections if p["rule"]],
                input_shape=write_shape(self.network.input.shape),
                payload=write_shape(self.network.input.payload),
                unit=repr(float(self.network.input.unit)) if self.network.input.analog else None,
                proved_steps=self.proved_steps,
                hosts=[self._write_host(layer) for layer in self.network.input.host],
                output=quote(self.network.output),
                source=self.source,
                populations=populations,
                projections=projections + links,
            ),
            "run.py": python_text.read_text("templates/run.py"),
            "README.md": self._write_readme(custom),
            "processes/__init__.py": '"""Processes that Lava does not have."""\n',
        }
        return LavaFolder(texts | self._copy_processes(used), self.written.arrays)

    def _copy_processes(self, used: set[LavaProcess]) -> dict[str, str]:
        """Return the files of the processes that are used: Lava executes every file of a folder."""
        texts = copy_files(used)
        if any(process.file for process in self.neurons.values()):
            texts |= {"processes/fixed_point.py": read_resource(f"{OURS}:processes/fixed_point.py")}
        if self.with_states:
            text = texts["processes/state_probe.py"]
            count = f"COUNT = {len(self._list_states())}"
            texts["processes/state_probe.py"] = text.replace("COUNT = 0", count)
        return texts

    def _list_states(self) -> list[dict[str, Any]]:
        """Return every state that is a Var of its process, called as in our neuron."""
        if not self.with_states:
            return []
        return [
            {
                "key": quote(f"{p.name}.{state}"),
                "variable": f"{self.variables[p.name]}.{state}",
                "phase": p.phase,
            }
            for p in self.network.populations
            for state in p.neuron.states
            if state in self.neurons[p.name].states
        ]

    def _write_readme(self, custom: set[LavaProcess]) -> str:
        output = self.network.population(self.network.output)
        wirings = zip(self.network.projections, self.synapses, strict=True)
        unrolled = any(
            isinstance(p.synapses.wiring, Convolution) and process == SPARSE
            for p, process in wirings
        )
        own_rules = {p.name for p in custom if p.neurons and not p.lif_equations}
        names = {process.name for process in custom}
        return python_text.load_template("README.md.j2").render(
            title=self.title,
            requirements=self._list_requirements(),
            input_shape=", ".join(map(str, self.network.input.shape)),
            input_values=_describe_input(self.network.input),
            host=self.network.input.host_part,
            output_shape=", ".join(map(str, output.shape)),
            output=output.name,
            readout=not output.neuron.spikes,
            graded=output.neuron.payload != BINARY,
            output_values=python_text.write_values(output.neuron.payload),
            custom=python_text.join_names(names),
            single=len(custom) == 1,
            sparse=SPARSE in self.synapses,
            unrolled=unrolled,
            own_rules=python_text.join_names(own_rules),
        )

    def _list_requirements(self) -> list[str]:
        processes = (*self.neurons.values(), *self.synapses)
        return sorted({name for process in processes for name in process.requirements})

    def _write_population(self, population: Population) -> dict[str, Any]:
        process, variable = self.neurons[population.name], self.variables[population.name]
        values = [
            (keyword, self.written.write_number(f"{population.name}.{keyword}", value))
            for keyword, value in read_parameters(population, process).items()
        ]
        if len(process.resets) > 1:
            values.append(("reset", quote(population.neuron.kind.partition("/")[2])))
        timing = [("reset_interval", "steps"), ("reset_offset", str(population.phase + 1))]
        return {
            "key": quote(population.name),
            "shape": write_shape(population.shape),
            "phase": population.phase,
            "dtype": quote(choose_dtype(population)),
            "variable": variable,
            "process": process.name,
            "arguments": [
                ("shape", write_shape((population.size,))),
                *values,
                *(timing if process.keeps_state else ()),
            ],
            "out_port": f"{variable}.{'s_out' if population.neuron.spikes else 'v_out'}",
        }

    def _write_projection(self, projection: Projection, process: LavaProcess) -> dict[str, Any]:
        synapses = check_synapses(projection)
        own_delay = self.network.own_delay(projection)
        name = self.names.add(f"{projection.source}_to_{projection.target}")
        weights = self._write_weights(name, synapses, process)
        comment = f"{projection.source} -> {projection.target}, delay {projection.delay}."
        delay = None
        if projection.delay > 1 or own_delay:
            delay = self._write_delay(projection, name, own_delay)
        ends = projection.source, projection.target
        bits_of_sum = find_wrap(self.network, projection)
        bits = [("num_weight_bits", synapses.bits), ("sign_mode", "SignMode.MIXED")]
        written = self._write_ends(*ends, comment, delay, projection.port) | {
            "variable": name,
            "process": process.name,
            "wrap": self.names.add(f"{name}_wrap") if bits_of_sum else "",
            "sum_bits": bits_of_sum,
            "arguments": [
                ("weights", weights),
                ("weight_exp", synapses.exponent),
                *(
                    bits
                    if projection.rule is None
                    else learning.list_sign_and_bits(projection.rule)
                ),
                *self._write_message(projection),
            ],
        }
        if projection.rule is None:
            return written
        names = self.variables | {self.network.input.name: self.source}
        return learning.write_learning(
            self.network, projection, written, names, self.gated, self.names.add
        )

    def _write_weights(self, name: str, synapses: IntegerSynapses, process: LavaProcess) -> str:
        """Return the weights as text: an array as the wiring has it, or its matrix for Sparse."""
        if process not in (SPARSE, LEARNING_SPARSE):
            return self.written.store(f"{name}.weights", synapses.weight)
        return self.written.write_matrix(name, synapses)

    def _write_message(self, projection: Projection) -> list[tuple[str, int]]:
        """Return how Dense reads a payload; without message bits every spike counts as 1."""
        payload = self.network.payload(projection.source)
        return [] if payload == BINARY else [("num_message_bits", MESSAGE_BITS)]

    def _write_delay(self, projection: Projection, name: str, own_delay: int) -> dict[str, Any]:
        arguments = {
            "shape": write_shape((self.network.end(projection.source).size,)),
            "extra": projection.delay - 1,
            "silent": own_delay,
            "phase": self.network.phase(projection.target),
            "steps": "steps",
        }
        variable = self.names.add(f"{name}_delay")
        return {"variable": variable, "arguments": list(arguments.items())}

    def _write_link(self, population: Population) -> dict[str, Any]:
        """Return a projection without synapses: Lava runs only processes that are joined."""
        comment = (
            f"No spikes reach {population.name}; Lava runs it only if it is joined to the rest."
        )
        shape = write_shape((population.size, self.network.input.size))
        return self._write_ends(self.network.input.name, population.name, comment, None) | {
            "variable": self.names.add(f"link_to_{population.name}"),
            "process": SPARSE.name,
            "wrap": "",
            "arguments": [("weights", f"csr_matrix({shape}, dtype=np.int16)")],
        }

    def _write_host(self, layer: HostLayer) -> dict[str, Any]:
        """Return the host's part for one population; run.py computes it as `HostLayer` does."""
        name = self.names.add(f"host_{layer.target}")
        matrix = layer.matrix
        for array in ("data", "indices", "indptr"):
            self.written.arrays[f"{name}.{array}"] = np.asarray(getattr(matrix, array))
        self.written.arrays[f"{name}.bias"] = layer.bias
        return {
            "key": quote(layer.target),
            "name": quote(name),
            "variable": name,
            "shape": write_shape(matrix.shape),
            "unit": repr(float(layer.unit)),
            "limit": layer.limit,
            "phase": self.network.phase(layer.target),
            "port": f"{self.variables[layer.target]}.a_in",
        }

    def _write_ends(
        self, source: str, target: str, comment: str, delay: Any, port: str | None = None
    ) -> dict[str, Any]:
        into = self.neurons[target].name_port(self.network.population(target).neuron, port)
        return {
            "comment": comment,
            "delay": delay,
            "source_port": f"{self.variables.get(source, self.source)}.s_out",
            "target_port": f"{self.variables[target]}.{into}",
            "rule": None,
            "hears": [],
            "heard": False,
        }


def _describe_input(source: Input) -> str:
    """Return what x holds, as text."""
    if source.host:
        return "any numbers, one image in every step"
    if not source.analog:
        return python_text.write_values(source.payload)
    low, high = (float(end) * source.unit for end in source.payload)
    return (
        f"any numbers from {low:g} to {high:g}, which are rounded to multiples of {source.unit:g}"
    )
