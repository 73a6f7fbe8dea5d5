"""Assumptions where a NIR file is silent: chosen by its writer, or by the user.

NIR's equations are in continuous time. A file holds neither the length of a time step nor the
reset, the comparison (> or >=), the potential at the start, the position of a loop's delay. The
exporters differ in all of these, and some write numbers that are not NIR's. So each exporter is a
row of `ORIGINS`; the numbers of a file show its row (`writers.py`), and every entry can be set by
hand. Where neither tells the time step, it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import numpy as np

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import NirGraph, Node
from snncompile.frontends.nir.writers import LEAKY, Finding, find_writer, trust
from snncompile.neurons.resets import Reset

Choices = {
    "reset": get_args(Reset),
    "comparison": (">", ">="),
    "if_r": ("per_second", "per_step"),
    "tau_unit": ("s", "ms", "steps", "s*dt"),
    "delay_unit": ("as_tau", "s", "ms", "steps", "s*dt"),
    "method": ("euler", "exponential"),
    "start": ("zero", "reset", "leak"),
    "w_in": ("file", "one", "decayed"),
    "r": ("file", "one"),
    "spikes_per_step": ("one", "many"),
}
"""Values of each assumption that is a word."""
LONGEST_SPIKE_DELAY = 2**20


@dataclass(frozen=True)
class Assumptions:
    """Assumptions about a file; those that are words are one of `Choices`."""

    dt: float | None = None
    """Seconds of one time step; None: it is nowhere needed."""
    reset: str = "hard"
    """Effect of a spike on the potential; see `snncompile.neurons.resets.Reset`."""
    comparison: str = ">"
    """A neuron fires when v > threshold, or when v >= threshold."""
    if_r: str = "auto"
    """Unit of r of IF and I: v' = r I per second, or r I added per time step."""
    tau_unit: str = "s"
    """Unit of time constants: seconds, milliseconds, time steps, or seconds times dt."""
    delay_unit: str = "as_tau"
    """Unit of delays: that of the time constants, or one of those."""
    method: str = "euler"
    """euler: a step loses dt / tau of a state. exponential: 1 - exp(-dt / tau)."""
    start: str = "zero"
    """Potential before the first step: 0, v_reset, or v_leak."""
    w_in: str = "file"
    """one: a spike adds its weight to the current; w_in of the file is ignored. decayed: the
    current, or the potential of an LI, decays in the step in which the spike arrives already."""
    r: str = "file"
    """one: the current of a step is added to the potential; r of the file is ignored."""
    spikes_per_step: str = "one"
    """many: one per threshold in the potential, up to 255; only with reset hard or soft."""
    spike_delay: int = 0
    """Time steps after which a spike reaches the next neurons."""
    min_v: float | None = None
    """Lowest potential at the end of a step, 0 or less; only with reset hard or soft. None: any."""

    def describe_units(self) -> tuple[str, str]:
        """Return the units of time constants and of delays."""
        return self.tau_unit, self.tau_unit if self.delay_unit == "as_tau" else self.delay_unit


ORIGINS: dict[str, Assumptions] = {
    # The equations of NIR, and exporters that keep to them.
    "nir": Assumptions(),
    # backends/nir/write.py: NIR's equations; metadata holds the rest.
    "snncompile": Assumptions(),
    # snntorch 1.0.0 export_nir.py: dt fixed, v_reset 0 for every reset; its default reset.
    "snntorch": Assumptions(dt=1e-4, reset="delayed_soft"),
    # spikingjelly 2.0.0 to_nir.py: no soft reset; fires at the threshold, v starts at v_reset.
    "spikingjelly": Assumptions(comparison=">=", start="reset"),
    # norse 1.1.0 export_nir.py: tau = dt / tau_inv, 1 / dt times too small; w_in left out.
    "norse": Assumptions(dt=1e-3, tau_unit="s*dt", w_in="one", start="leak", if_r="per_step"),
    # sinabs 3.1.3 nir.py: tau in time steps; reset and spike function are those of its defaults.
    "sinabs": Assumptions(
        reset="soft",
        comparison=">=",
        if_r="per_step",
        tau_unit="steps",
        method="exponential",
        spikes_per_step="many",
    ),
    # spyx 1.0.0 nir.py and nn.py: r = beta is not used; it fires one step after v was above the
    # threshold. Of a CubaLIF the threshold is subtracted before the leak, see `_list_own_resets`.
    "spyx": Assumptions(
        dt=1.0, reset="delayed_soft", if_r="per_step", w_in="one", r="one", spike_delay=1
    ),
    # rockpool 3.1.0 nir.py and lif_torch.py: i = alpha (i + x), v = beta v + i, many spikes.
    "rockpool": Assumptions(
        dt=1e-3,
        reset="soft",
        comparison=">=",
        method="exponential",
        w_in="decayed",
        r="one",
        spikes_per_step="many",
    ),
    # docs/source/examples/lava/lava_to_nir.py of NIR: integers of Loihi, in NIR's equations.
    "lava-dl": Assumptions(dt=1e-4),
}
"""Writer of a file -> assumptions about it."""


@dataclass(frozen=True)
class Reading:
    """Assumptions about one file, and their reason."""

    origin: str
    why: str
    """Property of the file that shows its origin, or "given" by the user."""
    assumptions: Assumptions
    resets: Mapping[str, str]
    """Node -> its reset, where it differs from the reset of the others."""
    set_by_user: frozenset[str]

    @property
    def exact(self) -> bool:
        """Whether the metadata of the neurons counts: it is ours and not overruled by the user."""
        return self.origin == "snncompile" and not self.resets and not self.set_by_user

    def find_reset(self, node: Node) -> str:
        """Return the reset of one neuron node."""
        return node.fixed_reset or self.resets.get(node.name, self.assumptions.reset)

    def list_notes(self) -> Iterator[str]:
        """Yield a line about the writer of the file, and one with every assumption."""
        yield f"NIR: read as written by {self.origin} ({self.why}); origin= sets it"
        values = (
            f"{f.name}={getattr(self.assumptions, f.name)!r}"
            + (" (given)" if f.name in self.set_by_user else "")
            for f in fields(Assumptions)
            if getattr(self.assumptions, f.name) is not None
        )
        yield f"NIR: assumed, for the file does not say: {', '.join(values)}"
        for name, reset in self.resets.items():
            yield f"NIR: reset of {name} is {reset!r}"
        if self.origin == "spyx":
            yield "NIR: spyx gives the output's spikes one time step later than here"


def choose_reading(graph: NirGraph, origin: str, given: Mapping[str, Any]) -> Reading:
    """Return the assumptions about a file.

    Args:
        graph: content of the file.
        origin: a row of `ORIGINS`, or "auto".
        given: assumptions set by the user; "auto" and None leave them to the origin. `reset` may
            be a mapping from node to reset.

    Raises:
        InputError: there is no such origin, assumption or node, or the time step or the reset has
            to be given, since nothing in the file tells it.
        UnsupportedError: the origin writes something of the file so that it cannot be understood.
    """
    if origin not in ("auto", *ORIGINS):
        raise InputError(f"no origin {origin!r}; known: auto, {', '.join(ORIGINS)}")
    set_ = {name: value for name, value in given.items() if value not in ("auto", None)}
    by_user = dict(set_)
    resets = set_.pop("reset") if isinstance(set_.get("reset"), Mapping) else {}
    _check_given(graph, set_, resets)
    finding = find_writer(graph, set_.get("dt")) if origin == "auto" else trust(graph, origin)
    base = ORIGINS[finding.origin]
    assumptions = replace(base, **({"dt": finding.dt or base.dt} | set_))
    if assumptions.if_r == "auto":
        assumptions = replace(assumptions, if_r=choose_if_convention(graph, assumptions.dt))
    _ask(graph, finding, assumptions, by_user)
    if finding.origin in CHECKS:
        CHECKS[finding.origin](graph)
    resets = _list_own_resets(graph, finding.origin, by_user) | dict(resets)
    return Reading(finding.origin, finding.why, assumptions, resets, frozenset(set_))


def _check_given(graph: NirGraph, given: Mapping[str, Any], resets: Mapping[str, str]) -> None:
    for name, value in given.items():
        _check_value(name, value)
    for name, value in resets.items():
        _check_value("reset", value)
        if name not in graph.nodes:
            raise InputError(f"reset: there is no node {name!r}; there are {_name_neurons(graph)}")


def _check_value(name: str, value: Any) -> None:
    number = isinstance(value, int | float)
    if name == "dt":
        if not (number and 0 < value < float("inf")):
            raise InputError(f"dt must be a positive number of seconds, got {value!r}")
    elif name == "spike_delay":
        if not (isinstance(value, int) and 0 <= value <= LONGEST_SPIKE_DELAY):
            raise InputError(f"spike_delay must be a whole number of time steps, got {value!r}")
    elif name == "min_v":
        if not (number and -float("inf") < value <= 0):
            raise InputError(f"min_v must be a number that is not above 0, got {value!r}")
    elif value not in Choices[name]:
        raise InputError(f"no {name} {value!r}; known: auto, {', '.join(Choices[name])}")


def _ask(graph: NirGraph, finding: Finding, assumed: Assumptions, given: Mapping[str, Any]) -> None:
    """Refuse to guess a time step or a reset.

    Raises:
        InputError: it is needed, and neither the file nor the user tells it.
    """
    if assumed.dt is None and (use := _find_use_of_dt(graph, assumed)):
        raise InputError(
            f"{graph.where}: the time step that its {use} need is not in it: {finding.dt_question};"
            f" give dt=, seconds of a time step, and perhaps origin=, its writer"
        )
    fires = any("v_threshold" in node.values for node in graph.nodes.values())
    if finding.reset_question and fires and "reset" not in given:
        raise InputError(
            f"{graph.where}: the reset is not in it: {finding.reset_question}; give reset=, for"
            " example 'soft' or 'hard'"
        )


def _find_use_of_dt(graph: NirGraph, assumed: Assumptions) -> str:
    """Return what cannot be read without a time step; empty: nothing."""
    kinds = {node.kind for node in graph.nodes.values()}
    unit, delay_unit = assumed.describe_units()
    if unit != "steps" and kinds & set(LEAKY):
        return "time constants"
    if delay_unit != "steps" and "Delay" in kinds:
        return "delays"
    return "r per second" if assumed.if_r == "per_second" and kinds & {"I", "IF"} else ""


def _list_own_resets(graph: NirGraph, origin: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Return the resets of neurons that reset otherwise than their origin's others."""
    if origin != "spyx" or isinstance(given.get("reset"), str):
        return {}
    return {name: "soft" for name, node in graph.nodes.items() if node.kind == "CubaLIF"}


def _check_lava_dl(graph: NirGraph) -> None:
    for node in graph.nodes.values():
        if "weight" in node.values and "bias" in node.values and node.read_floats("bias").any():
            raise UnsupportedError(
                f"{node.where}: lava-dl's exporter divides weights by 64 and not their bias, which"
                " is then 64 times too large; import the .net file"
            )


def _check_spyx(graph: NirGraph) -> None:
    images = any(node.kind in ("Conv2d", "SumPool2d") for node in graph.nodes.values())
    for node in graph.nodes.values():
        if node.kind == "Flatten" and images:
            raise UnsupportedError(
                f"{node.where}: spyx flattens images with the channels last, and its exporter"
                " leaves the weights behind in that order, which NIR cannot say; origin= sets"
                " another writer"
            )


CHECKS = {"lava-dl": _check_lava_dl, "spyx": _check_spyx}
"""Origin -> function that refuses what it writes wrongly."""


def _name_neurons(graph: NirGraph) -> str:
    names = sorted(name for name, node in graph.nodes.items() if "v_threshold" in node.values)
    return ", ".join(names)


def choose_if_convention(graph: NirGraph, dt: float | None) -> str:
    """Return "per_second" or "per_step", the unit of r of the integrators.

    sinabs and norse write 1, SpikingJelly 1 / dt. The unit that makes an input of 1 add a number
    nearer to 1 is taken; without a time step, per step if r is 1.
    """
    sizes = [
        np.abs(n.read_floats("r")).ravel() for n in graph.nodes.values() if n.kind in ("I", "IF")
    ]
    if not sizes:
        return "per_second"
    size = float(np.median(np.concatenate(sizes))) or 1.0
    if dt is None:
        return "per_step" if size == 1 else "per_second"
    return "per_step" if abs(np.log(size)) <= abs(np.log(size * dt)) else "per_second"
