"""Writer of a NIR file, shown by its numbers and names, and the time step that they tell.

Every exporter turns a share that is lost in one time step into a time constant in its own way:

    snnTorch, SpikingJelly, lava-dl    r = tau / dt           w_in = tau_syn / dt
    SpikingJelly with decay_input      r = 1
    spyx                               r = 1 - dt / tau
    Rockpool                           r = tau exp(-dt / tau) / dt

So with two different tau, an equation that gives the same dt for all neurons holds by its writer's
choice, and tells dt. With one tau it holds for some dt whatever wrote the file; then only a dt that
the writer uses by itself (1e-4, spyx 1, Rockpool 1e-3), or that the user gives, shows the writer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw

from snncompile.arrays import Floats
from snncompile.frontends.nir.file import NirGraph, Node

NEAR = 1e-5
"""Largest relative difference of two float32 numbers that count as equal."""
LEAKY = ("LI", "LIF", "CubaLI", "CubaLIF")
COMMON_DT = 1e-4
"""Time step of snnTorch and lava-dl, and of SpikingJelly unless it is told another."""
SPYX_DT = 1.0
ROCKPOOL_DT = 1e-3
SPYX_NAMES = re.compile(
    r"(input|output|layer_\d+(_threshold|/layer_\d+\.(lif|w_rec|input|output))?)"
)
ROCKPOOL_NAMES = re.compile(r"\d+_[A-Za-z]+Torch")
RECURRENT = re.compile(r".*[./]lif")
"""Names of the neurons of snnTorch's recurrent layers, whose numbers are float64."""


@dataclass(frozen=True)
class Finding:
    """What a file shows of its writer."""

    origin: str
    why: str
    dt: float | None = None
    """Seconds of a time step, as its numbers tell; None: they do not, or need not."""
    dt_question: str = "nothing in it tells"
    """Why they do not tell it."""
    reset_question: str = ""
    """Why the writer's usual reset cannot be assumed; empty: it can."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Nodes of a file that show its writer."""

    graph: NirGraph
    leaky: tuple[Node, ...]
    integrators: tuple[Node, ...]
    """IF nodes."""
    dt: float | None
    """Time step given by the user."""

    @property
    def neurons(self) -> tuple[Node, ...]:
        """Return the nodes of both kinds."""
        return (*self.leaky, *self.integrators)

    def list_names(self) -> list[str]:
        """Return the names of all nodes but input and output."""
        nodes = self.graph.nodes.items()
        return [name for name, node in nodes if node.kind not in ("Input", "Output")]

    @property
    def has_loops(self) -> bool:
        """Return whether a neuron can be reached from itself."""
        return not nx.is_directed_acyclic_graph(nx.DiGraph(list(self.graph.edges)))

    def can_tell(self, pairs: Pairs, usual: float) -> bool:
        """Return whether equal time steps are no chance: two tau, or a step that was expected."""
        expected = [usual] if self.dt is None else [usual, self.dt]
        return pairs.count_taus() > 1 or any(_is_near(pairs.dt, dt) for dt in expected)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Time constants, and the time step that an equation gives for each; shape (n,)."""

    tau: Floats
    dt: Floats

    @property
    def agree(self) -> bool:
        """Return whether there are any, all with one positive time step."""
        return bool(self.dt.size) and self.dt[0] > 0 and _is_near(self.dt, float(self.dt[0]))

    def read_dt(self) -> float:
        """Return the time step; a short number where the rounding of float32 hides one."""
        dt = float(self.dt[0])
        short = float(f"{dt:.4g}")
        return short if abs(short - dt) <= NEAR * dt else dt

    def count_taus(self) -> int:
        """Return the number of different time constants."""
        tau = np.sort(self.tau)
        return 1 + int((np.diff(tau) > NEAR * tau[1:]).sum()) if tau.size else 0


def find_writer(graph: NirGraph, dt: float | None = None) -> Finding:
    """Return the writer of a file and the time step that it shows.

    Args:
        graph: content of the file.
        dt: time step given by the user, which may show a writer.
    """
    numbers = _list_numbers(graph, dt)
    findings = (find(numbers) for find in SIGNS)
    return next((finding for finding in findings if finding), None) or _find_time_step(numbers)


def _list_numbers(graph: NirGraph, dt: float | None) -> Numbers:
    nodes = tuple(graph.nodes.values())
    leaky = tuple(node for node in nodes if node.kind in LEAKY)
    return Numbers(graph, leaky, tuple(node for node in nodes if node.kind == "IF"), dt)


def trust(graph: NirGraph, origin: str) -> Finding:
    """Return the writer that the user names, and the time step that its numbers tell."""
    numbers = _list_numbers(graph, None)
    if origin == "snncompile":
        return replace(_find_ours(numbers) or Finding(origin, "", COMMON_DT), why="given")
    equation = EQUATIONS.get(origin)
    if equation is None:
        return replace(_find_time_step(numbers), origin=origin, why="given")
    pairs = equation(numbers)
    dt = pairs.read_dt() if pairs.agree else None
    return Finding(origin, "given", dt, "; ".join(_describe_readings(pairs)))


def _find_ours(numbers: Numbers) -> Finding | None:
    if numbers.graph.metadata.get("origin") != "snncompile":
        return None
    stored = numbers.graph.metadata.get("dt")
    known = isinstance(stored, np.ndarray) and stored.size == 1 and 0 < float(stored.flat[0]) < 1e9
    dt = float(stored.flat[0]) if known else COMMON_DT  # type: ignore[union-attr]
    return Finding("snncompile", "its metadata says so", dt)


def read_tau(node: Node) -> Floats:
    """Return the time constant of a leaky neuron's potential."""
    return node.read_floats("tau" if "tau" in node.values else "tau_mem")


def _is_near(value: NDArray[np.float64], wanted: float) -> bool:
    return bool((np.abs(value - wanted) <= NEAR * abs(wanted)).all())


def _has_unit_r(node: Node) -> bool:
    return _is_near(node.read_floats("r"), 1.0)


def _has_torch_numbers(node: Node) -> bool:
    """Return whether r is in float32, or has no shape of its own."""
    numbers = node.read_numbers("r")
    return numbers.dtype == np.float32 or numbers.size == 1


def _pair(nodes: Iterable[Node], solve: Callable[[Floats, Floats], Floats]) -> Pairs:
    """Return time constants and time steps of potentials, from tau and r."""
    taus, steps = [], []
    for node in nodes:
        tau, r = read_tau(node).ravel(), node.read_floats("r").ravel()
        if tau.size != r.size and 1 not in (tau.size, r.size):
            continue
        tau, r = np.broadcast_arrays(tau, r)
        with np.errstate(all="ignore"):
            steps.append(np.nan_to_num(solve(tau, r), nan=-1.0, posinf=-1.0))
        taus.append(tau)
    return _join(taus, steps)


def _pair_inputs(nodes: Iterable[Node]) -> Pairs:
    """Return time constants and time steps of currents, from tau_syn and w_in where it is not 1."""
    taus, steps = [], []
    for node in nodes:
        if "w_in" not in node.values or _is_near(node.read_floats("w_in"), 1.0):
            continue
        tau, w_in = node.read_floats("tau_syn").ravel(), node.read_floats("w_in").ravel()
        if tau.size != w_in.size and 1 not in (tau.size, w_in.size):
            continue
        tau, w_in = np.broadcast_arrays(tau, w_in)
        with np.errstate(all="ignore"):
            steps.append(np.nan_to_num(tau / w_in, nan=-1.0, posinf=-1.0))
        taus.append(tau)
    return _join(taus, steps)


def _join(taus: list[Floats], steps: list[Floats]) -> Pairs:
    none = np.zeros(0)
    return Pairs(np.concatenate([none, *taus]), np.concatenate([none, *steps]))


def _add(*pairs: Pairs) -> Pairs:
    return _join([p.tau for p in pairs], [p.dt for p in pairs])


def _divide(tau: Floats, r: Floats) -> Floats:
    result: Floats = tau / r
    return result


def _solve_spyx(tau: Floats, r: Floats) -> Floats:
    return np.where((r > 0) & (r < 1), tau * (1 - r), -1.0)


def _solve_rockpool(tau: Floats, r: Floats) -> Floats:
    """Return dt of r = tau exp(-dt / tau) / dt; x exp(x) = 1 / r for x = dt / tau."""
    return np.where(r > 0, tau * lambertw(1 / r).real, -1.0)


def _find_rockpool(numbers: Numbers) -> Finding | None:
    """rockpool 3.1.0 nn/modules/torch/nir.py: CubaLIF without w_in, LI."""
    kinds = {node.kind for node in numbers.neurons}
    if not kinds or not kinds <= {"CubaLIF", "LI"} or _pair_inputs(numbers.leaky).dt.size:
        return None
    pairs = _pair(numbers.leaky, _solve_rockpool)
    named = all(ROCKPOOL_NAMES.fullmatch(name) for name in numbers.list_names())
    if not pairs.agree or not (named or numbers.can_tell(pairs, ROCKPOOL_DT)):
        return None
    return Finding("rockpool", "r is tau exp(-dt / tau) / dt, without w_in", pairs.read_dt())


def _find_spyx(numbers: Numbers) -> Finding | None:
    """spyx 1.0.0 nir.py: tau = dt / (1 - beta), r = beta; layer_0, layer_1, ..."""
    named = all(SPYX_NAMES.fullmatch(name) for name in numbers.list_names())
    pairs = EQUATIONS["spyx"](numbers)
    if pairs.agree and (named or numbers.can_tell(pairs, SPYX_DT)):
        return Finding("spyx", "r is 1 - dt / tau", pairs.read_dt())
    unit = all(_has_unit_r(n) and _has_torch_numbers(n) for n in numbers.integrators)
    if named and not numbers.leaky and numbers.integrators and unit:
        return Finding("spyx", "its layers are called layer_0, layer_1, ..., and r is 1", SPYX_DT)
    return None


EITHER_RESET = (
    "snnTorch wrote it without the reset of its recurrent neurons, and networks of both kinds are"
    " in use (the NIR paper's, soft and hard)"
)


def _find_snntorch(numbers: Numbers) -> Finding | None:
    """snntorch 1.0.0 export_nir.py, and the NIR paper's files of earlier releases."""
    if numbers.integrators or not numbers.leaky:
        return None
    pairs = _add(_pair(numbers.leaky, _divide), _pair_inputs(numbers.leaky))
    if not _is_near(pairs.dt, COMMON_DT) or not _has_gain(pairs):
        return None
    plain = [node for node in numbers.leaky if not RECURRENT.fullmatch(node.name)]
    torch = all(map(_has_torch_numbers, plain))
    recurrent = len(plain) < len(numbers.leaky) or (numbers.graph.major == 0 and numbers.has_loops)
    if recurrent and (numbers.graph.major == 0 or not torch):
        why = "r is tau / 1e-4, with a recurrent layer as its early releases wrote it"
        return Finding("snntorch", why, COMMON_DT, reset_question=EITHER_RESET)
    if not torch:
        return None
    return Finding("snntorch", "r is tau / 1e-4 in every neuron, as from torch", COMMON_DT)


def _has_gain(pairs: Pairs) -> bool:
    """Return whether a time constant differs from the time step, which is r = 1 otherwise."""
    return not _is_near(pairs.tau, COMMON_DT)


def _find_lava_dl(numbers: Numbers) -> Finding | None:
    """NIR's docs/source/examples/lava/lava_to_nir.py: integers over 64, decays over 4096."""
    if {node.kind for node in numbers.neurons} != {"CubaLIF"}:
        return None
    pairs = _add(_pair(numbers.leaky, _divide), _pair_inputs(numbers.leaky))
    shares = 4096 * COMMON_DT / pairs.tau
    weights = [
        n.read_floats("weight") for n in numbers.graph.nodes.values() if "weight" in n.values
    ]
    thresholds = [n.read_floats("v_threshold") for n in numbers.leaky]
    if not (_is_near(pairs.dt, COMMON_DT) and (np.abs(shares - np.rint(shares)) < 1e-3).all()):
        return None
    if not all((64 * value % 1 == 0).all() for value in (*weights, *thresholds)):
        return None
    return Finding("lava-dl", "weights, thresholds and decays are integers of Loihi", COMMON_DT)


def _find_spikingjelly(numbers: Numbers) -> Finding | None:
    """spikingjelly 2.0.0 to_nir.py: float64, v_reset, v_leak equal to it, no loops, any dt."""
    nodes = numbers.neurons
    if numbers.graph.major == 0 or not all(map(_has_jelly_numbers, nodes)) or numbers.has_loops:
        return None
    pairs = _pair_spikingjelly(numbers)
    if not pairs.agree or (not pairs.tau.any() and _is_near(pairs.dt, 1.0)):
        return None
    if not numbers.integrators and not numbers.can_tell(pairs, COMMON_DT):
        return None
    why = "r is tau / dt or that of one time step, in float64"
    return Finding("spikingjelly", why, pairs.read_dt())


def _pair_spikingjelly(numbers: Numbers) -> Pairs:
    """Return the time steps of all neurons but those with r = 1, which any step fits.

    Those of IF have a tau of 0.
    """
    gains = [n for n in numbers.leaky if n.kind == "CubaLIF" or not _has_unit_r(n)]
    r = np.concatenate([np.zeros(0), *(n.read_floats("r").ravel() for n in numbers.integrators)])
    with np.errstate(divide="ignore"):
        steps = Pairs(np.zeros_like(r), 1 / r)
    return _add(_pair(gains, _divide), _pair_inputs(gains), steps)


def _has_jelly_numbers(node: Node) -> bool:
    if node.kind not in ("IF", "LIF", "CubaLIF") or "v_reset" not in node.values:
        return False
    leak = node.read_floats("v_leak") if node.kind == "LIF" else node.read_floats("v_reset")
    return node.read_numbers("r").dtype == np.float64 and np.array_equal(
        leak, node.read_floats("v_reset")
    )


def _find_norse(numbers: Numbers) -> Finding | None:
    """norse 1.1.0 export_nir.py: tau = dt / tau_inv, below 1e-4 at its dt of 1e-3; r = 1."""
    short = all(_has_unit_r(n) and (read_tau(n) < 1e-4).all() for n in numbers.leaky)
    scalar = all(_has_unit_r(n) and n.read_numbers("r").ndim == 0 for n in numbers.integrators)
    torch = all(map(_has_torch_numbers, numbers.neurons))
    if not (short and scalar and torch and numbers.neurons):
        return None
    return Finding("norse", "r is 1 and tau below 1e-4, as from torch", 1e-3)


def _find_sinabs(numbers: Numbers) -> Finding | None:
    """sinabs 3.1.3 nir.py: tau in time steps, r = 1."""
    long = all(_has_unit_r(n) and (read_tau(n) >= 1).all() for n in numbers.leaky)
    shaped = all(_has_unit_r(n) and n.read_numbers("r").ndim > 0 for n in numbers.integrators)
    torch = all(node.read_numbers("r").dtype == np.float32 for node in numbers.neurons)
    if not (long and shaped and torch and numbers.neurons):
        return None
    return Finding("sinabs", "r is 1, and tau 1 or more, as from torch")


EQUATIONS: dict[str, Callable[[Numbers], Pairs]] = {
    "spikingjelly": _pair_spikingjelly,
    "spyx": lambda n: _pair([m for m in n.leaky if m.kind in ("LIF", "CubaLIF")], _solve_spyx),
    "rockpool": lambda n: _pair(n.leaky, _solve_rockpool),
}
"""Origin that takes any time step -> its pairs of tau and dt."""


def _find_time_step(numbers: Numbers) -> Finding:
    """Return what the numbers tell of the time step where no exporter is shown."""
    pairs = _add(_pair(numbers.leaky, _divide), _pair_inputs(numbers.leaky))
    if pairs.agree and pairs.count_taus() > 1:
        why = f"tau / r is {pairs.dt[0]:g} in every neuron, and tau is not"
        return Finding("nir", why, pairs.read_dt())
    why = "no exporter's own numbers in it"
    return Finding("nir", why, dt_question="; ".join(_describe_readings(pairs)))


def _describe_readings(pairs: Pairs) -> Iterator[str]:
    if not pairs.agree:
        yield "nothing in it tells"
    elif _is_near(pairs.tau, float(pairs.dt[0])):
        yield (
            f"tau of {pairs.tau[0]:g} with r of 1 is dt={pairs.dt[0]:g}, where input is added as"
            " it is, or any smaller one, where dt / tau of it is (SpikingJelly's decay_input, at"
            " any dt)"
        )
    else:
        yield (
            f"with one tau of {pairs.tau[0]:g}, tau / r of {pairs.dt[0]:g} is dt, where an input is"
            " added as it is, or a gain at another dt"
        )


SIGNS: tuple[Callable[[Numbers], Finding | None], ...] = (
    _find_ours,
    _find_rockpool,
    _find_spyx,
    _find_snntorch,
    _find_lava_dl,
    _find_spikingjelly,
    _find_norse,
    _find_sinabs,
)
"""The first that finds its writer counts."""

SHOWS = {
    "nir": "nothing else",
    "snncompile": "its metadata",
    "snntorch": "r is tau / 1e-4 in every neuron, as from torch or of a recurrent layer",
    "spikingjelly": "r is tau / dt, or that of one step, in float64 with v_reset and without loops",
    "norse": "r is 1 and tau below 1e-4, as from torch",
    "sinabs": "r is 1 and tau 1 or more, as from torch",
    "spyx": "r is 1 - dt / tau; layers are called layer_0, layer_1, ...",
    "rockpool": "r is tau exp(-dt / tau) / dt, without w_in",
    "lava-dl": "weights, thresholds and decays are integers of Loihi over 64 and 4096",
}
"""Origin -> how a file shows it, for people."""
