"""The facts of one Program that the report shows, gathered once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.energy.layout import Layout, make_host_layout
from snncompile.backends.energy.mesh import Mesh
from snncompile.cores.resources import RESOURCES, read_core_limits
from snncompile.cores.usage import CoreUsage
from snncompile.errors import InputError, SnnCompileError
from snncompile.ir.graph import Say
from snncompile.ir.host_part import take
from snncompile.program import Program
from snncompile.registry import load
from snncompile.report.html.attempts import Attempt, Measured, measure_program, try_changes
from snncompile.report.html.request import Request
from snncompile.verification import Verification

if TYPE_CHECKING:
    from snncompile.backends.energy.result import Estimate

NO_INPUT = "no input was given"
RASTER_SAMPLES = 4
VERIFIED = 16


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that the report shows of one Program."""

    name: str
    program: Program
    request: Request
    usage: tuple[CoreUsage, ...]
    measured: Measured
    """Of the Program as it is."""
    why_not: str = ""
    """Why there is no estimate; empty if there is one."""
    verification: Verification | None = None
    spike_trains: dict[str, NDArray[Any]] | None = None
    """Output of the integer network for some samples, (samples, steps, neurons)."""
    attempts: tuple[Attempt, ...] = ()

    @property
    def estimate(self) -> Estimate | None:
        """The estimate of the Program as it is."""
        return self.measured.estimate

    @cached_property
    def layout(self) -> Layout:
        """Numbers of neurons and cores."""
        return make_host_layout(self.program)

    @cached_property
    def mesh(self) -> Mesh:
        """Position of every core, over all chips."""
        return Mesh.of(self.program.chip, self.layout)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the populations in order."""
        return tuple(p.name for p in self.program.network.populations)

    @cached_property
    def shares(self) -> dict[int, dict[str, float]]:
        """Share that each core uses of each limit that is known, by core and resource."""
        limits = read_core_limits(self.program.chip)
        return {
            core.core: {name: core.used[name] / limit for name, limit in limits.items() if limit}
            for core in self.usage
        }

    @property
    def words(self) -> dict[str, str]:
        """Resource -> words for it."""
        return RESOURCES


def gather(program: Program, name: str, request: Request, say: Say | None = None) -> Facts:
    """Return the facts of a Program.

    Args:
        program: the Program.
        name: how the report calls it.
        request: the input, and what to run.
        say: called with what is done now.

    Raises:
        InputError: the network cannot take the input.
    """
    say = say or (lambda text, share: None)
    say("counting cores", 0.0)
    usage = program.usage()
    request = request.show_to(program.network)
    if request.x is None:
        return Facts(name, program, request, usage, Measured.count(program), NO_INPUT)
    say("running the network", 0.05)
    measured, why_not = _measure(program, request)
    facts = Facts(name, program, request, usage, measured, why_not)
    say("comparing float and integer", 0.2)
    verification = program.verify(request.x, VERIFIED, lava=request.lava, host=request.host)
    shown = np.asarray(
        take(program.network.input.host_part, request.x[:RASTER_SAMPLES], request.host)
    )
    trains = load("backends", "reference").spike_trains(program.network, shown)
    trains.setdefault(program.network.input.name, shown.reshape(*shown.shape[:2], -1))
    attempts = try_changes(program, measured, request, lambda text, s: say(text, 0.3 + 0.7 * s))
    return replace(facts, verification=verification, spike_trains=trains, attempts=attempts)


def _measure(program: Program, request: Request) -> tuple[Measured, str]:
    try:
        return measure_program(program, request), ""
    except InputError:
        raise
    except SnnCompileError as error:
        return Measured.count(program), str(error)
