"""Python words of the emitted program: imports, names that are taken, values as text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jinja2

from snncompile.ir.graph import Shape
from snncompile.neurons.base import Interval

HERE = Path(__file__).parent

RESERVED = (
    *("np", "Path", "csr_matrix", "sparse", "Dense", "Sparse", "LIFReset", "SignMode"),
    *("CubaLif", "Readout", "Delay", "Probe", "StateProbe", "STATES", "states", "watched", "key"),
    *("ResonateFire", "ResonateFireIzhikevich", "SigmaDeltaReset", "DeltaReset", "SigmaReset"),
    *("RefractoryLif", "SignedIntegrateFire", "TernaryLif", "AdaptiveLif", "BistableFire"),
    *("PhaseFire", "WindowReadout", "MultiSpikeLif", "Accumulate"),
    *("SpikeSource", "ARRAYS", "INPUT_SHAPE", "PAYLOAD", "OUTPUT", "POPULATIONS", "build"),
    *("len", "int"),
    *("spikes", "steps", "probes", "outputs", "name", "path", "phase", "dtype", "port", "probe"),
)
"""Names that `network.py` uses itself."""


def files(custom: set[str]) -> Iterator[str]:
    """Yield the files of the processes that are used; Lava executes every file of the folder."""
    yield "processes/probe.py"
    yield "processes/spike_source.py"
    if custom - {"Delay"}:
        yield "processes/fixed_point.py"
    for kind in sorted(custom):
        yield f"processes/{MODULES[kind]}.py"


MODULES = {
    "Accumulate": "accumulate",
    "AdaptiveLif": "adaptive_lif",
    "BistableFire": "bistable_fire",
    "DeltaReset": "delta_reset",
    "ResonateFire": "resonate_fire",
    "ResonateFireIzhikevich": "resonate_fire_izhikevich",
    "SigmaDeltaReset": "sigma_delta_reset",
    "SigmaReset": "sigma_reset",
    "StateProbe": "state_probe",
    "CubaLif": "cuba_lif",
    "Delay": "delay",
    "MultiSpikeLif": "multi_spike_lif",
    "PhaseFire": "phase_fire",
    "Readout": "readout",
    "RefractoryLif": "refractory_lif",
    "SignedIntegrateFire": "signed_integrate_fire",
    "TernaryLif": "ternary_lif",
    "WindowReadout": "window_readout",
}


LIBRARY = {"Dense": "dense", "LIFReset": "lif", "Sparse": "sparse"}
"""Lava's own processes and the packages they are in."""


def imports(custom: set[str], used: set[str]) -> list[str]:
    """Return the lines of import: of the processes that are used, ours and Lava's."""
    lines = [f"from lava.proc.{LIBRARY[k]}.process import {k}" for k in sorted(used & set(LIBRARY))]
    lines += ["from lava.utils.weightutils import SignMode"]
    if "Sparse" in used:
        lines.append("from scipy.sparse import csr_matrix")
    lines.append("")
    ours = {MODULES[kind]: kind for kind in custom} | {
        "probe": "Probe",
        "spike_source": "SpikeSource",
    }
    return lines + [f"from processes.{module} import {ours[module]}" for module in sorted(ours)]


def shape(shape: Shape) -> str:
    """Return a tuple as Python text."""
    return str(tuple(map(int, shape)))


def values(payload: Interval) -> str:
    """Return which values a spike has: "0 and 1"."""
    low, high = payload
    if high - low > 2:
        return f"whole numbers from {low} to {high}"
    *others, last = map(str, range(low, high + 1))
    return f"{', '.join(others)} and {last}" if others else last


def listed(names: set[str]) -> str:
    """Return "`A`, `B` and `C`"."""
    *others, last = [f"`{name}`" for name in sorted(names)] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def quoted(text: str) -> str:
    """Return a Python string; names hold letters, digits and _ only."""
    return f'"{text}"'


def text(file: str) -> str:
    """Return a file of this folder."""
    return (HERE / file).read_text(encoding="utf-8")


@cache
def template(name: str) -> jinja2.Template:
    """Return a file of `templates/`, to be filled in."""
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.from_string(text(f"templates/{name}"))
