"""Write a network as a folder of Lava code whose processes are Lava's own, as far as they can be.

Nothing here imports Lava. What is equal to what, and why, stands in the rules of this folder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava import python_text
from snncompile.backends.lava.choose_process import load_processes
from snncompile.backends.lava.folder import (
    LavaFolder,
    choose_dtype,
    copy_files,
    find_separate_parts,
)
from snncompile.backends.lava.hardware.fit import Fit
from snncompile.backends.lava.hardware.plan import Plan, plan_network
from snncompile.backends.lava.hardware.readme import UNKNOWN, Origin, write_readme
from snncompile.backends.lava.hardware.synapse_rules import (
    CONV,
    DELAY_SPARSE,
    SynapseFit,
    choose_message_bits,
)
from snncompile.backends.lava.lava_process import OURS, LavaProcess, read_resource
from snncompile.backends.lava.network_processes import (
    DELAY,
    DENSE,
    IMAGE_ADAPTER,
    INPUT_ADAPTER,
    OUTPUT_ADAPTER,
    PROBE,
    SPARSE,
    SPIKE_SOURCE,
    VOLTAGE_READER,
)
from snncompile.backends.lava.python_text import quote, write_shape
from snncompile.backends.lava.written_arrays import WrittenArrays, check_synapses
from snncompile.ir.graph import IntegerNetwork, Population, Projection, Shape
from snncompile.ir.host import HostLayer
from snncompile.synapses.convolution import Convolution

ENTRIES = {False: INPUT_ADAPTER, True: IMAGE_ADAPTER}
"""Whether synapses hear an image, as Conv does: the adapter through which."""
DIGIT = 256
"""Numbers of a first step are sums of digits of 8 bits with a sign."""


def emit(
    network: IntegerNetwork,
    steps: int | None,
    title: str | None = None,
    *,
    origin: Origin = UNKNOWN,
) -> LavaFolder:
    """Return the folder of a network whose projections have delays of 1 or more.

    Args:
        network: the integer network to write.
        steps: time steps of one sample for which its bounds were proved; None for any number.
        title: the user's name for it.
        origin: how its integers were made, for the README.

    Raises:
        BackendError: synapses learn, or a number does not fit its Lava process.
        UnsupportedError: there is no Lava process for a kind of neuron.
    """
    plan = plan_network(network, steps)
    title = " ".join((network.title if title is None else title).split())
    return _Emitter(plan, title, steps, origin).emit()


class _Emitter:
    """One network on its way to text."""

    def __init__(self, plan: Plan, title: str, steps: int | None, origin: Origin) -> None:
        self.origin = origin
        self.plan, self.network = plan, plan.network
        self.title, self.steps = title, steps
        self.written = WrittenArrays()
        taken = {p.name for p in load_processes()}
        taken |= {n.fit.process.name for n in plan.neurons.values()}
        taken |= {fit.process.name for fit in plan.synapses}
        self.names = python_text.Names(taken | {*python_text.HARDWARE_RESERVED})
        self.source = self.names.add(self.network.input.name)
        self.variables = {p.name: self.names.add(p.name) for p in self.network.populations}
        self.entries: dict[bool, str] = {}

    def emit(self) -> LavaFolder:
        """Return its files."""
        network = self.network
        populations = [self._write_population(p) for p in network.populations]
        pairs = zip(network.projections, self.plan.synapses, strict=True)
        projections = [self._write_projection(p, fit) for p, fit in pairs]
        projections += [self._write_link(p) for p in find_separate_parts(network)]
        firsts = [
            self._write_first(p) for p in network.populations if self._fit(p).first_step is not None
        ]
        hosts = [self._write_host(layer) for layer in network.input.host]
        used = self._list_processes(bool(firsts), bool(hosts))
        texts = {
            "network.py": python_text.load_template("hardware/network.py.j2").render(
                imports=python_text.write_imports(used - self._list_unused(firsts or hosts)),
                sparse=bool({"Sparse", "DelaySparse"} & {p.name for p in used}),
                input_shape=write_shape(network.input.shape),
                payload=write_shape(network.input.payload),
                unit=repr(float(network.input.unit)) if network.input.analog else None,
                proved_steps=self.steps,
                one_by_one=self.plan.one_by_one,
                lead=self.plan.lead,
                late=int(any(p["read"] for p in populations)),
                hosts=hosts,
                firsts=firsts,
                output=quote(network.output),
                source=self.source,
                adapters=self._list_adapters(),
                populations=populations,
                projections=projections,
            ),
            "run.py": python_text.read_text("templates/run.py"),
            "README.md": write_readme(self.plan, self.title, self.origin),
            "processes/__init__.py": '"""Processes that Lava does not have."""\n',
        }
        if any(n.obstacle for n in self.plan.neurons.values()):
            texts["processes/fixed_point.py"] = read_resource(f"{OURS}:processes/fixed_point.py")
        return LavaFolder(texts | copy_files(used), self.written.arrays)

    def _list_processes(self, firsts: bool, hosts: bool) -> set[LavaProcess]:
        """Return every process that `network.py` imports."""
        used = {n.fit.process for n in self.plan.neurons.values()}
        used |= {fit.process for fit in self.plan.synapses}
        used |= {SPIKE_SOURCE, PROBE, OUTPUT_ADAPTER}
        used |= {*ENTRIES.values(), VOLTAGE_READER}
        used |= {DELAY} if any(fit.wait or fit.silent for fit in self.plan.synapses) else set()
        used |= {DENSE} if firsts else set()
        used |= {SPARSE} if hosts else set()
        return used | ({SPARSE} if any(find_separate_parts(self.network)) else set())

    def _list_unused(self, by_host: list[dict[str, Any]]) -> set[LavaProcess]:
        """Return the ways into the folder that only `on_chip.py` names."""
        taken = {ENTRIES[image] for image in self.entries} | ({INPUT_ADAPTER} if by_host else set())
        return {*ENTRIES.values(), VOLTAGE_READER} - taken

    def _fit(self, population: Population) -> Fit:
        return self.plan.neurons[population.name].fit

    def _find_image(self, name: str) -> Shape | None:
        """Return (channels, height, width) of a population that is an image in Lava, else None."""
        shape = self.plan.images.get(name)
        if shape is None or self.plan.neurons[name].obstacle:
            return None
        return shape if len(shape) == 3 else (shape[0], 1, shape[1])

    def _write_population(self, population: Population) -> dict[str, Any]:
        fit, variable = self._fit(population), self.variables[population.name]
        planned, image = self.plan.neurons[population.name], self._find_image(population.name)
        phase = self.plan.phase(population.name)
        shape = image[::-1] if image else (population.size,)
        arguments = [("shape", write_shape(shape))]
        for keyword, value in fit.arguments.items():
            laid = value.reshape(image).transpose() if image and value.ndim else value
            arguments.append((keyword, self._write_value(f"{population.name}.{keyword}", laid)))
        if planned.obstacle and len(fit.process.resets) > 1:
            arguments.append(("reset", quote(population.neuron.kind.partition("/")[2])))
        if fit.begin == "each sample":
            arguments += [("reset_interval", "steps"), ("reset_offset", str(phase + 1))]
        ours = planned.obstacle and not population.neuron.spikes
        return {
            "key": quote(population.name),
            "shape": write_shape(population.shape),
            "phase": phase,
            "dtype": quote(choose_dtype(population)),
            "variable": variable,
            "process": fit.process.name,
            "arguments": arguments,
            "out": f"{variable}.{'v_out' if ours else 's_out'}",
            "read": f"{variable}.{fit.read}" if fit.read else "",
            "bits": choose_message_bits(population),
        }

    def _write_value(self, name: str, value: NDArray[Any]) -> str:
        if value.dtype.kind == "f":
            return repr(float(value))
        return self.written.write_number(name, value) if value.size else "()"

    def _write_projection(self, projection: Projection, fit: SynapseFit) -> dict[str, Any]:
        synapses, network = check_synapses(projection), self.network
        name = self.names.add(f"{projection.source}_to_{projection.target}")
        bits = choose_message_bits(network.end(projection.source))
        kernel = fit.process == CONV
        source, delay = self._leave(projection.source, kernel), None
        if fit.wait or fit.silent:
            delay = self._write_delay(projection, fit, name)
            source = f"{delay['variable']}.s_out"
            shape = projection.synapses.wiring
            if kernel and isinstance(shape, Convolution):
                source = f"image({source}, {write_shape(_as_three(shape.source_shape))})"
        arguments: list[tuple[str, Any]] = []
        if kernel:
            arguments = self._write_kernel(name, projection)
        elif fit.process.name.endswith("Sparse"):
            arguments = [("weights", self.written.write_matrix(name, synapses))]
        else:
            arguments = [("weights", self.written.store(f"{name}.weights", synapses.weight))]
        if fit.process == DELAY_SPARSE:
            arguments.append(("delays", f"delayed({arguments[0][1]}, {fit.delay})"))
        elif fit.delay:
            arguments.append(("delays", fit.delay))
        if not kernel:
            arguments += [
                ("weight_exp", synapses.exponent),
                ("num_weight_bits", synapses.bits),
                ("sign_mode", "SignMode.MIXED"),
            ]
        arguments += [("num_message_bits", bits)] if bits else []
        return {
            "comment": f"{projection.source} -> {projection.target}, delay {projection.delay}.",
            "delay": delay,
            "variable": name,
            "process": fit.process.name,
            "arguments": arguments,
            "source": source,
            **self._arrive(projection.target, f"{name}.a_out", kernel, projection.port),
        }

    def _write_kernel(self, name: str, projection: Projection) -> list[tuple[str, Any]]:
        """Return the arguments of Conv: kernels turned over, and axes in the order (x, y)."""
        wiring = projection.synapses.wiring
        assert isinstance(wiring, Convolution)
        weight = np.asarray(projection.synapses.weight).reshape(wiring.weight_shape)
        if weight.ndim == 3:
            weight = weight[:, :, None, :]
        flat = len(wiring.kernel) == 1
        turned = weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
        stride = (*wiring.stride, 1) if flat else wiring.stride[::-1]
        padding = (*wiring.padding, 0) if flat else wiring.padding[::-1]
        dilation = (*wiring.dilation, 1) if flat else wiring.dilation[::-1]
        return [
            ("weight", self.written.store(f"{name}.weight", turned.astype(np.int32))),
            ("input_shape", write_shape(_as_three(wiring.source_shape)[::-1])),
            ("stride", write_shape(stride)),
            ("padding", write_shape(padding)),
            ("dilation", write_shape(dilation)),
            ("groups", wiring.groups),
        ]

    def _leave(self, name: str, kernel: bool) -> str:
        """Return the port from which a Conv (an image) or other synapses hear an end."""
        if name == self.network.input.name:
            if kernel not in self.entries:
                self.entries[kernel] = self.names.add("image_in" if kernel else "spikes_in")
            return f"{self.entries[kernel]}.out"
        population = self.network.population(name)
        ours = self.plan.neurons[name].obstacle and not population.neuron.spikes
        port = f"{self.variables[name]}.{'v_out' if ours else 's_out'}"
        image = self._find_image(name)
        if kernel == bool(image):
            return port
        shape = self.plan.images.get(name)
        return f"flat({port})" if image else f"image({port}, {write_shape(_as_three(shape or ()))})"

    def _arrive(
        self, name: str, port: str, kernel: bool, into: str | None = None
    ) -> dict[str, str]:
        """Return the port of synapses as a population takes it, and the population's own."""
        image = self._find_image(name)
        if kernel and not image:
            port = f"flat({port})"
        elif image and not kernel:
            port = f"image({port}, {write_shape(image)})"
        population = self.network.population(name)
        ports = population.neuron.ports
        chosen = self._fit(population).ports.get(into or ports[0], "a_in") if ports else "a_in"
        return {"arriving": port, "target": f"{self.variables[name]}.{chosen}"}

    def _write_delay(self, projection: Projection, fit: SynapseFit, name: str) -> dict[str, Any]:
        arguments = {
            "shape": write_shape((self.network.end(projection.source).size,)),
            "extra": fit.wait,
            "silent": fit.silent,
            "phase": self.plan.phase(projection.target),
            "steps": "steps",
        }
        return {
            "variable": self.names.add(f"{name}_delay"),
            "arguments": list(arguments.items()),
            "source": self._leave(projection.source, False),
        }

    def _write_link(self, population: Population) -> dict[str, Any]:
        """Return a projection without synapses: Lava runs only processes that are joined."""
        name = self.names.add(f"link_to_{population.name}")
        shape = write_shape((population.size, self.network.input.size))
        return {
            "comment": f"No spikes reach {population.name}; Lava runs it only if it is joined.",
            "delay": None,
            "variable": name,
            "process": SPARSE.name,
            "arguments": [("weights", f"csr_matrix({shape}, dtype=np.int16)")],
            "source": self._leave(self.network.input.name, False),
            **self._arrive(population.name, f"{name}.a_out", False),
        }

    def _write_first(self, population: Population) -> dict[str, Any]:
        """Return what arrives in the first step of each sample: numbers times digits."""
        first = self._fit(population).first_step
        assert first is not None
        name = self.names.add(f"start_{population.name}")
        numbers, digits = split_into_digits(first)
        synapses = self.names.add(f"{name}_weights")
        return {
            "comment": f"Where {population.name} starts: numbers that arrive in its first step.",
            "variable": name,
            "phase": self.plan.phase(population.name),
            "numbers": numbers,
            "adapter": self.names.add(f"{name}_in"),
            "synapses": synapses,
            "weights": self.written.store(f"{name}.weights", 2 * digits),
            **self._arrive(population.name, f"{synapses}.a_out", False),
        }

    def _write_host(self, layer: HostLayer) -> dict[str, Any]:
        """Return the host's part for one population; what it sends takes one time step."""
        name = self.names.add(f"host_{layer.target}")
        for array in ("data", "indices", "indptr"):
            self.written.arrays[f"{name}.{array}"] = np.asarray(getattr(layer.matrix, array))
        self.written.arrays[f"{name}.bias"] = layer.bias
        synapses = self.names.add(f"{name}_weights")
        return {
            "key": quote(layer.target),
            "name": quote(name),
            "variable": name,
            "shape": write_shape(layer.matrix.shape),
            "size": layer.matrix.shape[0],
            "unit": repr(float(layer.unit)),
            "limit": layer.limit,
            "phase": self.plan.phase(layer.target) - 1,
            "adapter": self.names.add(f"{name}_in"),
            "synapses": synapses,
            **self._arrive(layer.target, f"{synapses}.a_out", False),
        }

    def _list_adapters(self) -> list[dict[str, Any]]:
        """Return the ways of the input to synapses: one as an image, one flat, where needed."""
        bits = choose_message_bits(self.network.input)
        adapters = []
        for image, variable in self.entries.items():
            shape: Shape = (self.network.input.size,)
            source = f"{self.source}.s_out"
            if image:
                axes = _as_three(self.plan.images[self.network.input.name])
                shape, source = axes[::-1], f"image({source}, {write_shape(axes)})"
            adapters.append(
                {
                    "variable": variable,
                    "process": ENTRIES[image].name,
                    "shape": write_shape(shape),
                    "bits": bits,
                    "source": source,
                }
            )
        return adapters


def split_into_digits(values: NDArray[np.int64]) -> tuple[list[int], NDArray[np.int16]]:
    """Return numbers to send and weights -128..127, shape (n, numbers), whose sums are the values.

    One number is enough if all values are the same.
    """
    if (values == values[0]).all():
        return [int(values[0])], np.ones((len(values), 1), np.int16)
    numbers: list[int] = []
    digits, rest = [], values
    while rest.any():
        digit = (rest + DIGIT // 2) % DIGIT - DIGIT // 2
        numbers.append(DIGIT ** len(numbers))
        digits.append(digit)
        rest = (rest - digit) // DIGIT
    return numbers, np.stack(digits, axis=1).astype(np.int16)


def _as_three(shape: Shape) -> Shape:
    """Return (channels, height, width) of an image of one or two axes of space."""
    return shape if len(shape) == 3 else (shape[0], 1, *shape[1:])
