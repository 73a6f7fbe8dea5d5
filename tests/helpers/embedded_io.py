"""A stand-in for Intel's package, as far as an emitted folder names it: pass-through on the CPU.

It has the classes, arguments and ports with which the notebooks of lava-dl use
`lava.proc.embedded_io`. It shows that the branch for a chip joins its processes; it shows nothing
about a chip.
"""

from __future__ import annotations

from pathlib import Path

ADAPTER = """
import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
"""
ONE = """

class {name}(AbstractProcess):
    def __init__(self, *, shape, num_message_bits=0):
        super().__init__(shape=shape)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


@implements(proc={name}, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class Py{name}(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        self.out.send(self.inp.recv())
"""
STATE = """
from processes.voltage_reader import PyVoltageReaderModel, VoltageReader


def Read(*, shape, interval, offset):
    assert (interval, offset) == (1, 0)
    return VoltageReader(shape=shape)
"""
START = """
from lava.magma.core import run_configs

chosen = run_configs.Loihi2HwCfg.__init__


def on_the_cpu(self, *more, **names):
    print("Loihi2HwCfg", flush=True)
    chosen(self, *more, **{"select_tag": "fixed_pt"} | names)


run_configs.Loihi2HwCfg.__init__ = on_the_cpu
for name in ("CLoihiProcessModel", "AbstractNcProcessModel", "NcProcessModel"):
    if not hasattr(run_configs, name):
        setattr(run_configs, name, type(name, (), {}))
"""
"""Python reads it before run.py: the configuration names classes of the package, and without chip
models it needs a tag."""


def write_stand_in(folder: Path) -> Path:
    """Write it to a folder, and return what PYTHONPATH has to name."""
    package = folder / "lava" / "proc" / "embedded_io"
    package.mkdir(parents=True)
    names = ("PyToNxAdapter", "PyToN3ConvAdapter", "NxToPyAdapter")
    spike = ADAPTER + "".join(ONE.format(name=name) for name in names)
    (package / "spike.py").write_text(spike)
    (package / "state.py").write_text(STATE)
    (folder / "sitecustomize.py").write_text(START)
    return folder
