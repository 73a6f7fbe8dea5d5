"""Neuron whose potential gets the current of the step before; a spike clears both."""

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
from processes.fixed_point import SHIFT, decayed, saturated, wrapped


class AlphaLif(AbstractProcess):
    """LIF with an alpha-shaped response.

    fired = v > (vth << 6)
    v = saturated(decayed(v, dv) + u)
    u = wrapped(decayed(u, du + 1) + (a_in << 6))
    u = v = 0 where fired
    s_out = v > (vth << 6)

    v starts at `initial` and u at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, du, dv, vth, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)


@implements(proc=AlphaLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAlphaLifModel(PyLoihiProcessModel):
    """CPU model of AlphaLif."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: np.ndarray = LavaPyType(np.ndarray, np.int64)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.u[:] = 0
            self.v[:] = self.initial
        threshold = self.vth << SHIFT
        kept = self.v <= threshold
        self.v = saturated(decayed(self.v, self.dv) + self.u) * kept
        self.u = wrapped(decayed(self.u, self.du + 1) + (a_in << SHIFT)) * kept
        self.s_out.send(self.v > threshold)
