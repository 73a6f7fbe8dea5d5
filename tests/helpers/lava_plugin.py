"""A package of somebody else with a neuron and its Lava process, written into a folder."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

from snncompile import registry

RECORD = """
from snncompile.backends.lava.lava_process import LavaParameter, LavaProcess

WEARY_FIRE = LavaProcess(
    name="WearyFire",
    file="weary:lava/weary_fire.py",
    helpers=("weary:lava/weary_arithmetic.py",),
    neurons=("weary_fire",),
    parameters=(
        LavaParameter("leak", "leak", 1, 20, per_neuron=False),
        LavaParameter("threshold", "level", 0, 1 << 17),
        LavaParameter("fatigue", "fatigue", 0, 1 << 17),
        LavaParameter("initial", "initial", -(1 << 23) + 1, (1 << 23) - 1),
    ),
    states=("v", "sent"),
)
"""

NEURON = '''
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.neurons.base import IntegerNeuron, Interval
from snncompile.neurons.fixed import saturate, wrap


@dataclass(frozen=True, eq=False)
class IntegerWearyFire(IntegerNeuron):
    """Leaky neuron that needs more with each spike it has sent.

    v = saturate(v - (v >> leak) + wrap(x << 6))
    spike = v > (threshold << 6) + fatigue * sent
    v = v - (threshold << 6) where spike
    sent = sent + spike
    """

    leak: Any
    threshold: Any
    fatigue: Any

    name = "weary_fire"
    states = ("v", "sent")

    def step(self, state, x):
        v, sent = state
        v = saturate(v - (v >> self.leak) + wrap(x << 6))
        spike = v > (self.threshold << 6) + self.fatigue * sent
        return (v - (self.threshold << 6) * spike, sent + spike), spike

    def bounds(self, x, steps):
        return {"v": Interval(np.asarray(-np.inf), np.asarray(np.inf))}

    def real(self):
        return {}

    def profile(self):
        return {"compartment": self.leak, "threshold": self.threshold}
'''

ARITHMETIC = """
def leaked(v, leak):
    return v - (v >> leak)
"""

PROCESS = """
import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from processes.fixed_point import SHIFT, saturated, wrapped
from processes.weary_arithmetic import leaked


class WearyFire(AbstractProcess):
    def __init__(self, *, shape, leak, level, fatigue, reset_interval, reset_offset, initial=0):
        super().__init__(leak=leak, reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.sent = Var(shape=shape, init=0)
        self.level = Var(shape=shape, init=level)
        self.fatigue = Var(shape=shape, init=fatigue)


@implements(proc=WearyFire, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWearyFireModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    sent: np.ndarray = LavaPyType(np.ndarray, np.int64)
    level: np.ndarray = LavaPyType(np.ndarray, np.int64)
    fatigue: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        interval = self.proc_params["reset_interval"]
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.sent[:] = 0
        x = wrapped(self.a_in.recv().astype(np.int64) << SHIFT)
        v = saturated(leaked(self.v, self.proc_params["leak"]) + x)
        spike = v > (self.level << SHIFT) + self.fatigue * self.sent
        self.v = v - (self.level << SHIFT) * spike
        self.sent = self.sent + spike
        self.s_out.send(spike)
"""


def install_plugin(folder: Path, monkeypatch) -> None:
    """Write the package `weary` to a folder and register its Lava process, by one entry point."""
    files = {
        "__init__.py": "",
        "neuron.py": NEURON,
        "records.py": RECORD,
        "lava/weary_fire.py": PROCESS,
        "lava/weary_arithmetic.py": ARITHMETIC,
    }
    for name, text in files.items():
        path = folder / "weary" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    group = "snncompile.lava_processes"
    point = EntryPoint("WearyFire", "weary.records:WEARY_FIRE", group)
    entry_points = registry.entry_points
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [point] if group == point.group else entry_points(group=group),
    )
