"""The Lava process of `divide_fire`: copied into the written folder, where it runs on its own."""

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


class DivideFire(AbstractProcess):
    """Send a spike whenever v has exceeded the threshold `divisor` times; v is reset each time.

    v starts at `initial` and count at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, vth, divisor, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.count = Var(shape=shape, init=0)
        self.vth = Var(shape=shape, init=vth)
        self.divisor = Var(shape=shape, init=divisor)


@implements(proc=DivideFire, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDivideFireModel(PyLoihiProcessModel):
    """CPU model of DivideFire."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    count: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    divisor: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.count[:] = 0
        v = saturated(self.v + wrapped(a_in << SHIFT))
        full = v > self.vth << SHIFT
        count = self.count + full
        spike = count == self.divisor
        self.v = v * ~full
        self.count = count * ~spike
        self.s_out.send(spike)
