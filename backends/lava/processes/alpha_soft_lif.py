"""Alpha-shaped neuron whose reset takes a number off one of its two sums."""

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
from processes.fixed_point import SHIFT, decayed, saturated


class AlphaSoftLif(AbstractProcess):
    """Neuron with an alpha-shaped response and a reset by subtraction.

    fired = v > (vth << 6)
    lost = decayed(fast, dr) * fired
    slow, fast = decayed(slow, dv), decayed(fast, du + 1)
    v = saturated(slow - fast - lost)
    slow = saturated(slow + (a_in << 6) - (taken << 6) * fired)
    fast = saturated(fast + (a_in << 6)), 0 where fired
    s_out = v > (vth << 6)

    v starts at `initial`, slow and fast at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, du, dv, vth, dr, taken, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.slow = Var(shape=shape, init=0)
        self.fast = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)
        self.dr = Var(shape=shape, init=dr)
        self.taken = Var(shape=shape, init=taken)


@implements(proc=AlphaSoftLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAlphaSoftLifModel(PyLoihiProcessModel):
    """CPU model of AlphaSoftLif."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    slow: np.ndarray = LavaPyType(np.ndarray, np.int64)
    fast: np.ndarray = LavaPyType(np.ndarray, np.int64)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dr: np.ndarray = LavaPyType(np.ndarray, np.int64)
    taken: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.slow[:] = 0
            self.fast[:] = 0
            self.v[:] = self.initial
        threshold = self.vth << SHIFT
        fired = self.v > threshold
        lost = decayed(self.fast, self.dr) * fired
        slow, fast = decayed(self.slow, self.dv), decayed(self.fast, self.du + 1)
        self.v = saturated(slow - fast - lost)
        self.slow = saturated(slow + (a_in << SHIFT) - (self.taken << SHIFT) * fired)
        self.fast = saturated(fast + (a_in << SHIFT)) * ~fired
        self.s_out.send(self.v > threshold)
