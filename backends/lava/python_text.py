"""Write Python text of the emitted program: imports, names that are taken, values."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from functools import cache

import jinja2

from snncompile.backends.lava.lava_process import OURS, LavaProcess, read_resource
from snncompile.ir.graph import Shape
from snncompile.neurons.base import Interval

RESERVED = (
    *("np", "Path", "csr_matrix", "sparse", "SignMode", "len", "int"),
    *("ARRAYS", "INPUT_SHAPE", "PAYLOAD", "OUTPUT", "POPULATIONS", "STATES", "build"),
    *("spikes", "steps", "probes", "outputs", "name", "path", "phase", "dtype", "port", "probe"),
    *("states", "watched", "key", "_", "learning", "Loihi2FLearningRule", "Loihi3FLearningRule"),
)
"""Names that `network.py` uses itself, beside the classes of its processes."""
HARDWARE_RESERVED = (
    *("ONE_BY_ONE", "LEAD", "LATE", "HOST", "UNIT", "PROVED_STEPS", "choose_period"),
    *("delayed", "flat", "image", "send_once", "on", "length", "read", "way", "bits"),
    *("skip", "biases", "shape", "rows", "choose_run_configuration", "make_reader"),
)
"""Names that the `network.py` of a folder for a chip uses, too."""


class Names:
    """Names of variables in `network.py`, of which none is taken twice."""

    def __init__(self, taken: Iterable[str]) -> None:
        """Take some names at the start, beside those that `network.py` uses itself."""
        self._taken = {*RESERVED, *taken}

    def add(self, name: str) -> str:
        """Return a Python name that was not taken yet, near to this one."""
        variable, count = name, 1
        while variable in self._taken or keyword.iskeyword(variable):
            count += 1
            variable = f"{name}_{count}"
        self._taken.add(variable)
        return variable


def write_imports(processes: Iterable[LavaProcess]) -> list[str]:
    """Return the lines that import some processes: those of libraries, then those of the folder."""
    classes = {process.name: process for process in processes}
    libraries = sorted((p for p in classes.values() if p.library), key=lambda p: p.name)
    copies = sorted((p for p in classes.values() if p.file), key=lambda p: (p.module, p.name))
    lines = [_write_import(process) for process in libraries]
    lines.append("from lava.utils.weightutils import SignMode")
    if classes.keys() & {"Sparse", "DelaySparse", "LearningSparse"}:
        lines.append("from scipy.sparse import csr_matrix")
    return [*lines, "", *(_write_import(process) for process in copies)]


def _write_import(process: LavaProcess) -> str:
    return f"from {process.module} import {process.name}"


def write_shape(shape: Shape) -> str:
    """Return a tuple as Python text."""
    return str(tuple(map(int, shape)))


def write_values(payload: Interval) -> str:
    """Return the values of a spike: "0 and 1"."""
    low, high = payload
    if high - low > 2:
        return f"whole numbers from {low} to {high}"
    *others, last = map(str, range(low, high + 1))
    return f"{', '.join(others)} and {last}" if others else last


def join_names(names: Iterable[str]) -> str:
    """Return "`A`, `B` and `C`", sorted."""
    *others, last = [f"`{name}`" for name in sorted(names)] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def quote(text: str) -> str:
    """Return a Python string; names hold letters, digits and _ only."""
    return f'"{text}"'


def read_text(file: str) -> str:
    """Return a file of this folder."""
    return read_resource(f"{OURS}:{file}")


@cache
def load_template(name: str) -> jinja2.Template:
    """Return a file of `templates/`, to be filled in."""
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.from_string(read_text(f"templates/{name}"))
