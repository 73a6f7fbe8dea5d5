"""Describe a class of Lava processes: all that is needed to write it into a folder and join it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from snncompile.errors import BackendError
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.neurons.base import Neuron

OURS = "snncompile.backends.lava"
GIVEN = ("shape", "reset", "reset_interval", "reset_offset")
"""Keywords that the written network gives itself; no parameter may be called so."""


@dataclass(frozen=True)
class LavaParameter:
    """A parameter of an integer neuron and the keyword under which its process takes it."""

    name: str
    """Attribute of the integer neuron: `potential_decay`."""
    keyword: str
    """Keyword of the process: `dv`."""
    low: int
    high: int
    """Smallest and largest value. Lava checks no range; beyond it integers overflow in silence."""
    per_neuron: bool = True
    """Whether the process takes an array of shape (n,); if not, one number for all neurons."""
    default: int | None = None
    """Value for neurons that lack the parameter; None if every neuron has it."""

    def __post_init__(self) -> None:
        """Refuse an empty range and a keyword that is given already."""
        if self.keyword in GIVEN:
            raise ValueError(f"parameter {self.name}: the keyword {self.keyword} is given already")
        if self.low > self.high:
            raise ValueError(f"parameter {self.name}: range {self.low}..{self.high} is empty")


@dataclass(frozen=True, kw_only=True)
class LavaProcess:
    """One class of Lava processes. It is a row `name: "module:RECORD"` of `lava_processes`.

    A process of a neuron is built as

        name(shape=(n,), keyword=value, ..., reset="soft", reset_interval=steps, reset_offset=k)

    with `reset` only where it has several `resets`, and the last two only where it keeps a state.
    It has the port `a_in`, or `<port>_in` for each of the neuron's `ports`, or its own `ports`, and
    sends from `s_out`, or from `v_out` what does not spike. In time steps t, counted from 1, with
    t % reset_interval == reset_offset % reset_interval another sample begins: first its states
    return to their start.

    A process of synapses is built as

        name(weights=..., weight_exp=..., num_weight_bits=..., sign_mode=..., num_message_bits=...)

    with the last only for spikes that carry numbers; its ports are `s_in` and `a_out`.
    """

    name: str
    """Class of the process."""
    library: str = ""
    """Module from which an installed package offers the class: `lava.proc.lif.process`."""
    file: str = ""
    """Else the file that is copied to `processes/`: `package:folder/file.py`. It imports only Lava,
    numpy, `requirements` and its neighbours, as in `from processes.fixed_point import wrapped`."""
    helpers: tuple[str, ...] = ()
    """Further files that `file` imports from `processes/`, written like it."""
    requirements: tuple[str, ...] = ()
    """What pip installs for it beside lava-nc: `numba==0.59.1`."""
    neurons: tuple[str, ...] = ()
    """Neurons that it computes, by their rows in the registry."""
    resets: tuple[str, ...] = ()
    """Resets after a spike that it computes; () for neurons without a choice of resets."""
    parameters: tuple[LavaParameter, ...] = ()
    """In the order in which they are written. One that a neuron has and this lacks is an obstacle;
    `initial` is one only where it is not 0."""
    states: tuple[str, ...] = ()
    """States of the neuron that can be recorded: Vars that are called as in the neuron."""
    ports: tuple[str, ...] = ()
    """Its ports, in the order of those of the neuron, where they are called otherwise."""
    keeps_state: bool = True
    """Whether anything stays from one time step to the next; if not, it takes no reset."""
    suits: Callable[[IntegerNetwork, Population], bool] | None = None
    """Whether it computes a population of a network exactly; None: all whose parameters it has."""
    without_effect: tuple[str, ...] = ()
    """Parameters that it lacks, and that have no effect where it suits."""
    lif_equations: bool = False
    """Whether the README's equations of u, v and the spike are its own."""
    wirings: tuple[str, ...] = ()
    """Wirings, by their rows in the registry, whose array of weights it takes as it is."""

    def __post_init__(self) -> None:
        """Refuse a record that cannot be written."""
        if not self.name.isidentifier():
            raise ValueError(f"{self.name!r} is no name of a class")
        if bool(self.library) == bool(self.file):
            raise ValueError(f"process {self.name}: either library or file must be given")
        for attribute in ("name", "keyword"):
            names = [getattr(parameter, attribute) for parameter in self.parameters]
            if len(set(names)) < len(names):
                raise ValueError(f"process {self.name}: two parameters have the same {attribute}")

    @property
    def module(self) -> str:
        """Module from which the written network imports the class."""
        return self.library or f"processes.{PurePosixPath(self.file.partition(':')[2]).stem}"

    def computes(self, neuron: str, reset: str) -> bool:
        """Return whether it computes a neuron with a reset, which is "" if it has no choice."""
        return neuron in self.neurons and reset in (self.resets or ("",))

    def name_port(self, neuron: Neuron, port: str | None) -> str:
        """Return the port of the process for an input of the neuron; None is its first."""
        if not neuron.ports:
            return "a_in"
        port = port or neuron.ports[0]
        return self.ports[neuron.ports.index(port)] if self.ports else f"{port}_in"

    def lacks(self, parameters: tuple[str, ...]) -> list[str]:
        """Return which parameters of a neuron it cannot take."""
        known = {*self.without_effect, *(parameter.name for parameter in self.parameters)}
        return [name for name in parameters if name not in known]

    def read_files(self) -> dict[str, str]:
        """Return the texts that are copied, by their names in the written folder.

        Raises:
            BackendError: a file does not exist.
        """
        sources = (self.file, *self.helpers) if self.file else ()
        texts = {}
        for source in sources:
            try:
                text = read_resource(source)
            except (ImportError, OSError) as error:
                reason = getattr(error, "strerror", None) or error
                raise BackendError(
                    f"Lava process {self.name}: cannot read {source}: {reason};"
                    " install its package again"
                ) from None
            texts[f"processes/{PurePosixPath(source.partition(':')[2]).name}"] = text
        return texts


def read_resource(source: str) -> str:
    """Return the text of a file of an installed package, `package:folder/file.py`."""
    package, _, path = source.partition(":")
    return files(package).joinpath(path).read_text(encoding="utf-8")
