"""The network: an input, populations of neurons, and the projections that join them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import ArrayLike

from snncompile.ir import verify
from snncompile.ir.answer import SUM, Answer
from snncompile.ir.host_part import take
from snncompile.ir.input import Input, Shape
from snncompile.ir.learning_rule import LearningRule
from snncompile.ir.learning_state import LearningState
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, Neuron
from snncompile.notebook import format_line, format_rows
from snncompile.registry import load
from snncompile.synapses.base import IntegerSynapses, Synapses

if TYPE_CHECKING:
    from snncompile.ir.result import Result

__all__ = [
    "Graph",
    "Input",
    "IntegerNetwork",
    "Network",
    "Population",
    "Progress",
    "Projection",
    "Shape",
]

Say = Callable[[str, float], None]
"""Called with what is done now, and the share that is done, 0..1."""
Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind; projections see them flattened in C order."""

    name: str
    shape: Shape
    neuron: Neuron
    phase: int = 0
    """Time step in which the population starts: its own step 0 is the network's step `phase`."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from `source` to `target`.

    A spike of the network's step t arrives in step t + delay. Seen from the populations, whose
    own steps start at their phases, it arrives `Graph.own_delay` steps later.
    """

    source: str
    target: str
    synapses: Synapses | IntegerSynapses
    delay: int = 0
    port: str | None = None
    """Input of the target's neurons that it feeds; None where they have only one."""
    rule: LearningRule | None = None
    """How its weights learn; None: they stay as they are."""
    learned: LearningState | None = None
    """Where its learning goes on; None: at the beginning."""


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A network, checked when it is created. Order has meaning: names, cores and text follow it.

    Raises:
        InputError: a rule of `snncompile/ir/verify.py` does not hold.
    """

    input: Input
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    output: str
    """Name of the population whose output is the network's."""
    title: str = field(default="network", kw_only=True)
    """Name given by the user; appears in reports only."""
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    """Assumptions of its import, one line each; appears in reports only."""
    answer: Answer = field(default=SUM, kw_only=True)
    """How the output over the time steps becomes the answer."""

    neuron_types: ClassVar[tuple[type, ...]] = (Neuron,)
    synapse_types: ClassVar[tuple[type, ...]] = (Synapses, IntegerSynapses)
    simulator: ClassVar[str]

    def __post_init__(self) -> None:
        """Check every rule of a well-formed network."""
        verify.check_graph(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of copies what was computed, which knows projections by their identity."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def population(self, name: str) -> Population:
        """Return the population called `name`."""
        return self._named[name]

    def end(self, name: str) -> Input | Population:
        """Return the input or population called `name`."""
        return self.input if name == self.input.name else self.population(name)

    def phase(self, name: str) -> int:
        """Return the phase of a population; the input's is 0."""
        return 0 if name == self.input.name else self.population(name).phase

    def payload(self, name: str) -> Interval:
        """Return the smallest and largest output of a population or the input."""
        return (
            self.input.payload if name == self.input.name else self.population(name).neuron.payload
        )

    def port(self, projection: Projection) -> int:
        """Return the index of the target's input that a projection feeds."""
        ports = self.population(projection.target).neuron.ports
        return 0 if projection.port is None else ports.index(projection.port)

    def own_delay(self, projection: Projection) -> int:
        """Return the delay between the own steps of source and target, 0 or more."""
        shift = self.phase(projection.source) - self.phase(projection.target)
        return projection.delay + shift

    @property
    def plastic(self) -> tuple[Projection, ...]:
        """Projections that learn."""
        return tuple(p for p in self.projections if p.rule is not None)

    def third_lag(self, projection: Projection, source: str) -> int:
        """Return how many own steps of the target later its synapses see a third factor."""
        return 1 + self.phase(source) - self.phase(projection.target)

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that end at a population."""
        return self._into.get(name, ())

    def out_of(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that start at a population or the input."""
        return self._out_of.get(name, ())

    def number(self, projection: Projection) -> int:
        """Return the index of a projection in `projections`."""
        return self._numbers[id(projection)]

    @cached_property
    def _named(self) -> dict[str, Population]:
        return {p.name: p for p in self.populations}

    @cached_property
    def _into(self) -> dict[str, tuple[Projection, ...]]:
        by_target: dict[str, tuple[Projection, ...]] = {}
        for p in self.projections:
            by_target[p.target] = (*by_target.get(p.target, ()), p)
        return by_target

    @cached_property
    def _out_of(self) -> dict[str, tuple[Projection, ...]]:
        by_source: dict[str, tuple[Projection, ...]] = {}
        for p in self.projections:
            by_source[p.source] = (*by_source.get(p.source, ()), p)
        return by_source

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {id(p): i for i, p in enumerate(self.projections)}

    @property
    def output_shape(self) -> Shape:
        """Shape of the output population."""
        return self.population(self.output).shape

    def run(
        self,
        x: ArrayLike,
        *,
        progress: Progress | None = None,
        device: str | None = None,
        host: Any = None,
    ) -> Result:
        """Simulate the network on input x of shape (samples, steps, *input.shape).

        Args:
            x: the input.
            progress: called with (samples done, samples in all).
            device: of torch, `cpu` or `cuda`; None for a GPU if there is one and it is faster.
            host: the torch module, if the host computes layers of it; x is then what it takes.

        Raises:
            InputError: x has another shape or values the network cannot take.
        """
        result: Result = load("simulators", self.simulator)(
            self, take(self.input.host_part, x, host), progress=progress, device=device
        )
        return result

    def save(self, path: str | Path) -> None:
        """Write the network to a folder: `network.json` and `arrays.npz`."""
        from snncompile.files.network import write_network

        write_network(self, Path(path))

    def _list_facts(self) -> list[tuple[str, object]]:
        """Return what a short text shows of the network."""
        return [
            ("title", self.title),
            ("input", self.input.shape),
            ("output", self.output_shape),
            ("layers", len(self.populations)),
            ("neurons", sum(p.size for p in self.populations)),
            ("projections", len(self.projections)),
        ]

    def __repr__(self) -> str:
        """One line; `str` has all of it."""
        return format_line(type(self).__name__, self._list_facts())

    def _repr_html_(self) -> str:
        rows = [(p.name, f"{p.neuron.kind}, {p.shape}") for p in self.populations]
        return format_rows(type(self).__name__, [*self._list_facts(), *rows])

    def __str__(self) -> str:
        """Text form; see `snncompile/ir/text.py`."""
        from snncompile.ir import text

        return text.format_graph(self)


@dataclass(frozen=True, eq=False, repr=False)
class Network(Graph):
    """A float network, as a frontend imports it."""

    neuron_types: ClassVar[tuple[type, ...]] = (FloatNeuron,)
    synapse_types: ClassVar[tuple[type, ...]] = (Synapses,)
    simulator: ClassVar[str] = "float"


@dataclass(frozen=True, eq=False, repr=False)
class IntegerNetwork(Graph):
    """An integer network, as a chip computes it, from quantize or a `.net` file."""

    neuron_types: ClassVar[tuple[type, ...]] = (IntegerNeuron,)
    synapse_types: ClassVar[tuple[type, ...]] = (IntegerSynapses,)
    simulator: ClassVar[str] = "integer"
