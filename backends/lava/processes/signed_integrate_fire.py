"""Integrate-and-fire with soft reset and negative spikes; Lava's TernaryLIF has no memory."""

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


class SignedIntegrateFire(AbstractProcess):
    """Send 1 above a threshold, and -1 below another while more 1 than -1 were sent.

    v = saturated(v + wrapped(a_in << 6) + (bias_mant << bias_exp))
    s_out = 1     where v > (vth << 6)
    s_out = -1    where v < (vth_lo << 6) and sent > 0
    v = v - (vth << 6) * s_out
    sent = sent + s_out

    v starts at `initial` and what else it keeps at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self, *, shape, vth, vth_lo, bias_mant, bias_exp, reset_interval, reset_offset, initial=0
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.sent = Var(shape=shape, init=0)
        self.vth = Var(shape=shape, init=vth)
        self.vth_lo = Var(shape=shape, init=vth_lo)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


@implements(proc=SignedIntegrateFire, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySignedIntegrateFireModel(PyLoihiProcessModel):
    """CPU model of SignedIntegrateFire."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    sent: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth_lo: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.sent[:] = 0
        v = self.v + wrapped(a_in << SHIFT)
        v = saturated(v + (self.bias_mant << self.bias_exp))
        positive = v > self.vth << SHIFT
        negative = (v < self.vth_lo << SHIFT) & (self.sent > 0)
        spike = positive.astype(np.int64) - negative
        self.v = v - (self.vth << SHIFT) * spike
        self.sent = self.sent + spike
        self.s_out.send(spike)
