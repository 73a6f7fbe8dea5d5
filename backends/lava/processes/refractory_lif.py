"""Current-based LIF that rests after a spike; Lava's LIFRefractory exists in floats only."""

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


class RefractoryLif(AbstractProcess):
    """LIFReset that is silent, with v at 0, for `refractory` time steps after a spike.

    u = wrapped(decayed(u, du + 1) + (a_in << 6))
    v = saturated(decayed(v, dv) + u + (bias_mant << bias_exp))
    v = 0                 where wait > 0
    s_out = v > (vth << 6) and wait == 0
    v = 0                 where s_out
    wait = max(wait - 1, 0)
    wait = refractory     where s_out

    v starts at `initial` and what else it keeps at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self,
        *,
        shape,
        du,
        dv,
        vth,
        refractory,
        bias_mant,
        bias_exp,
        reset_interval,
        reset_offset,
        initial=0,
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.wait = Var(shape=shape, init=0)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)
        self.refractory = Var(shape=shape, init=refractory)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


@implements(proc=RefractoryLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRefractoryLifModel(PyLoihiProcessModel):
    """CPU model of RefractoryLif."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: np.ndarray = LavaPyType(np.ndarray, np.int64)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    wait: np.ndarray = LavaPyType(np.ndarray, np.int64)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    refractory: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.u[:] = 0
            self.v[:] = self.initial
            self.wait[:] = 0
        ready = self.wait == 0
        self.u = wrapped(decayed(self.u, self.du + 1) + (a_in << SHIFT))
        v = decayed(self.v, self.dv) + self.u
        v = saturated(v + (self.bias_mant << self.bias_exp)) * ready
        spike = (v > self.vth << SHIFT) & ready
        self.v = v * ~spike
        self.wait = np.where(spike, self.refractory, np.maximum(self.wait - 1, 0))
        self.s_out.send(spike)
