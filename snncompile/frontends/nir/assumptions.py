"""Assumptions where a NIR file is silent: chosen by its writer, or by the user.

NIR's equations are in continuous time. A file holds neither the length of a time step nor the
reset, the comparison (> or >=), the potential at the start, the position of a loop's delay. The
exporters differ in all of these, and some write numbers that are not NIR's. So each exporter is a
row of `ORIGINS`; the numbers of a file show its row, and every entry can be set by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.frontends.nir.file import NirGraph, Node
from snncompile.neurons.resets import Reset

Choices = {
    "reset": get_args(Reset),
    "comparison": (">", ">="),
    "if_r": ("per_second", "per_step"),
    "tau_unit": ("s", "ms", "steps", "s*dt"),
    "method": ("euler", "exponential"),
    "start": ("zero", "reset", "leak"),
    "w_in": ("file", "one"),
    "r": ("file", "one"),
    "spikes_per_step": ("one", "many"),
}
"""Values of each assumption."""


@dataclass(frozen=True)
class Assumptions:
    """Assumptions about a file; each entry is one of `Choices`."""

    dt: float = 1e-4
    """Seconds of one time step."""
    reset: str = "hard"
    """Effect of a spike on the potential; see `snncompile.neurons.resets.Reset`."""
    comparison: str = ">"
    """A neuron fires when v > threshold, or when v >= threshold."""
    if_r: str = "auto"
    """Unit of r of IF and I: v' = r I per second, or r I added per time step."""
    tau_unit: str = "s"
    """Unit of time constants and delays: seconds, milliseconds, time steps, or seconds times dt."""
    method: str = "euler"
    """euler: a step loses dt / tau of a state. exponential: 1 - exp(-dt / tau)."""
    start: str = "zero"
    """Potential before the first step: 0, v_reset, or v_leak."""
    w_in: str = "file"
    """one: a spike adds its weight to the current; w_in of the file is ignored."""
    r: str = "file"
    """one: the current of a step is added to the potential; r of the file is ignored."""
    spikes_per_step: str = "one"
    """many: one per threshold in the potential, up to 255; only with reset hard or soft."""


ORIGINS: dict[str, Assumptions] = {
    # The equations of NIR, and exporters that keep to them.
    "nir": Assumptions(),
    # backends/nir/write.py: NIR's equations; metadata holds the rest.
    "snncompile": Assumptions(),
    # snntorch 1.0.0 export_nir.py: dt fixed, v_reset 0 for every reset; its default reset.
    "snntorch": Assumptions(reset="delayed_soft"),
    # spikingjelly 2.0.0 to_nir.py: no soft reset; fires at the threshold, v starts at v_reset.
    "spikingjelly": Assumptions(comparison=">=", start="reset"),
    # norse 1.1.0 export_nir.py: tau = dt / tau_inv, 1 / dt times too small; w_in left out.
    "norse": Assumptions(dt=1e-3, tau_unit="s*dt", w_in="one", start="leak"),
    # sinabs 3.1.3 nir.py: tau in time steps; reset and spike function are those of its defaults.
    "sinabs": Assumptions(
        reset="soft",
        comparison=">=",
        tau_unit="steps",
        method="exponential",
        spikes_per_step="many",
    ),
}
"""Writer of a file -> assumptions about it."""

NEAR = 1e-5
"""Largest relative difference of two float32 numbers that count as equal."""


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
        )
        yield f"NIR: assumed, for the file does not say: {', '.join(values)}"
        for name, reset in self.resets.items():
            yield f"NIR: reset of {name} is {reset!r}"


def choose_reading(graph: NirGraph, origin: str, given: Mapping[str, Any]) -> Reading:
    """Return the assumptions about a file.

    Args:
        graph: content of the file.
        origin: a row of `ORIGINS`, or "auto".
        given: assumptions set by the user; "auto" and None leave them to the origin. `reset` may
            be a mapping from node to reset.

    Raises:
        InputError: there is no such origin, assumption or node.
    """
    if origin not in ("auto", *ORIGINS):
        raise InputError(f"no origin {origin!r}; known: auto, {', '.join(ORIGINS)}")
    set_ = {name: value for name, value in given.items() if value not in ("auto", None)}
    resets = set_.pop("reset") if isinstance(set_.get("reset"), Mapping) else {}
    for name, value in set_.items():
        _check_value(name, value)
    for name, value in resets.items():
        _check_value("reset", value)
        if name not in graph.nodes:
            raise InputError(f"reset: there is no node {name!r}; there are {_name_neurons(graph)}")
    writer, why = (origin, "given") if origin != "auto" else find_writer(graph)
    assumptions = replace(ORIGINS[writer], **(_read_metadata(graph, writer) | set_))
    if assumptions.if_r == "auto":
        assumptions = replace(assumptions, if_r=choose_if_convention(graph, assumptions.dt))
    return Reading(writer, why, assumptions, dict(resets), frozenset(set_))


def _read_metadata(graph: NirGraph, origin: str) -> dict[str, float]:
    """Return the time step that our own writer stores."""
    dt = graph.metadata.get("dt")
    stored = isinstance(dt, np.ndarray) and dt.size == 1 and 0 < float(dt.flat[0]) < np.inf
    return {"dt": float(dt.flat[0])} if origin == "snncompile" and stored else {}  # type: ignore[union-attr]


def _check_value(name: str, value: Any) -> None:
    if name == "dt":
        if not (isinstance(value, int | float) and 0 < value < float("inf")):
            raise InputError(f"dt must be a positive number of seconds, got {value!r}")
    elif value not in Choices[name]:
        raise InputError(f"no {name} {value!r}; known: auto, {', '.join(Choices[name])}")


def _name_neurons(graph: NirGraph) -> str:
    names = sorted(name for name, node in graph.nodes.items() if "v_threshold" in node.values)
    return ", ".join(names)


def choose_if_convention(graph: NirGraph, dt: float) -> str:
    """Return "per_second" or "per_step", the unit of r of the integrators.

    sinabs and norse write 1, SpikingJelly 1 / dt. The unit that makes an input of 1 add a number
    nearer to 1 is taken.
    """
    sizes = [
        np.abs(n.read_floats("r")).ravel() for n in graph.nodes.values() if n.kind in ("I", "IF")
    ]
    size = float(np.median(np.concatenate(sizes))) if sizes else 1 / dt
    near = abs(np.log(size or 1.0))
    return "per_step" if near <= abs(np.log((size or 1.0) * dt)) else "per_second"


def find_writer(graph: NirGraph) -> tuple[str, str]:
    """Return the writer of a file, shown by its numbers, and the reason."""
    if graph.metadata.get("origin") == "snncompile":
        return "snncompile", "its metadata says so"
    leaky = [node for node in graph.nodes.values() if node.kind in LEAKY]
    fire = [node for node in graph.nodes.values() if node.kind == "IF"]
    for sign in SIGNS:
        if sign.holds(leaky, fire):
            return sign.origin, sign.why
    return "nir", "no exporter's own numbers in it"


LEAKY = ("LI", "LIF", "CubaLI", "CubaLIF")
Nodes = list[Node]


@dataclass(frozen=True)
class Sign:
    """Property of a file that shows its writer."""

    origin: str
    why: str
    holds: Callable[[Nodes, Nodes], bool]
    """From the neurons with a leak, and the IF."""


def _read_tau(node: Node) -> NDArray[np.float64]:
    return node.read_floats("tau" if "tau" in node.values else "tau_mem")


def _is_near(value: NDArray[np.float64], wanted: Any) -> bool:
    return bool((np.abs(value - wanted) <= NEAR * np.abs(wanted)).all())


def _has_no_gain(node: Node) -> bool:
    """Whether a time step of 1e-4 s adds the input to the potential as it is."""
    r, tau = node.read_floats("r"), _read_tau(node)
    return r.size == tau.size and not _is_near(r, 1.0) and _is_near(r.ravel() * 1e-4, tau.ravel())


def _has_unit_r(node: Node) -> bool:
    return _is_near(node.read_floats("r"), 1.0)


def _has_torch_numbers(node: Node) -> bool:
    """Whether r is in float32, has no shape of its own, or is that of a recurrent layer."""
    numbers = node.read_numbers("r")
    recurrent = node.name.endswith((".lif", "/lif"))
    return numbers.dtype == np.float32 or numbers.size == 1 or recurrent


def _is_snntorch(leaky: Nodes, fire: Nodes) -> bool:
    return (
        bool(leaky) and not fire and all(_has_no_gain(n) and _has_torch_numbers(n) for n in leaky)
    )


def _is_spikingjelly(leaky: Nodes, fire: Nodes) -> bool:
    steps = bool(fire) and all(_is_near(node.read_floats("r"), 1e4) for node in fire)
    per_step = all(_has_no_gain(n) or (_has_unit_r(n) and (_read_tau(n) < 1).all()) for n in leaky)
    return per_step and (steps or (not fire and any(map(_has_no_gain, leaky))))


def _is_norse(leaky: Nodes, fire: Nodes) -> bool:
    short = all(_has_unit_r(n) and (_read_tau(n) < 1e-4).all() for n in leaky)
    scalar = all(_has_unit_r(n) and n.read_numbers("r").ndim == 0 for n in fire)
    return short and scalar and bool(leaky or fire)


def _is_sinabs(leaky: Nodes, fire: Nodes) -> bool:
    long = all(_has_unit_r(n) and (_read_tau(n) >= 1).all() for n in leaky)
    shaped = all(_has_unit_r(n) and n.read_numbers("r").ndim > 0 for n in fire)
    return long and shaped and bool(leaky or fire)


SIGNS = (
    Sign("snntorch", "r is tau / 1e-4 in every neuron, as from torch", _is_snntorch),
    Sign("spikingjelly", "r is tau / 1e-4 or that of one time step, in float64", _is_spikingjelly),
    Sign("norse", "r is 1 and tau below 1e-4", _is_norse),
    Sign("sinabs", "r is 1, and tau 1 or more", _is_sinabs),
)
"""The first that holds counts."""


def parse_words(words: list[str]) -> dict[str, Any]:
    """Return arguments of `from_nir` from words like `reset=soft`, `dt=1e-3`, `reset:lif1=none`.

    Raises:
        InputError: there is no such argument, or its value is malformed.
    """
    result: dict[str, Any] = {}
    for word in words:
        name, is_, value = word.partition("=")
        key, _, node = name.partition(":")
        if not is_ or key not in WORDS or (node and key != "reset"):
            known = ", ".join(WORDS)
            raise InputError(f"{word!r}: expected NAME=VALUE or reset:NODE=VALUE; known: {known}")
        try:
            parsed = WORDS[key](value)
        except ValueError:
            raise InputError(f"{word!r}: {value!r} is not a value of {key}") from None
        if node:
            result.setdefault(key, {})[node] = parsed
        else:
            result[key] = parsed
    return result


def _parse_shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


WORDS: dict[str, Callable[[str], Any]] = {
    "origin": str,
    "dt": float,
    **dict.fromkeys(Choices, str),
    "loop_delay": int,
    "input_shape": _parse_shape,
}
"""Argument of `from_nir` -> its value from a word."""
