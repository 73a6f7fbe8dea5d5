"""Current-based LIF with the resets that Lava's LIF does not have."""

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


class CubaLif(AbstractProcess):
    """LIFReset with another reset after a spike, or another start.

    u = wrapped(decayed(u, du + 1) + (a_in << 6))
    v = decayed(v, dv) + u + (bias_mant << bias_exp)
    v = v - (vth << 6) where fired    # reset "delayed_soft"; fired: v > (vth << 6) one step ago
    v = 0              where fired    # reset "delayed_hard"
    v = saturated(v)
    s_out = v > (vth << 6)            # reset "strict_soft": v > 2 * (vth << 6) where fired
    v = v - (vth << 6) where s_out    # resets "soft" and "strict_soft"
    v = 0              where s_out    # reset "hard"; reset "none" does nothing

    u starts at 0 and v at `initial`, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self,
        *,
        shape,
        du,
        dv,
        vth,
        bias_mant,
        bias_exp,
        reset,
        reset_interval,
        reset_offset,
        initial=0,
    ):
        super().__init__(reset=reset, reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


@implements(proc=CubaLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCubaLifModel(PyLoihiProcessModel):
    """CPU model of CubaLif."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: np.ndarray = LavaPyType(np.ndarray, np.int64)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        reset = self.proc_params["reset"]
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.u[:] = 0
            self.v[:] = self.initial
        vth = self.vth << SHIFT
        fired = self.v > vth
        self.u = wrapped(decayed(self.u, self.du + 1) + (a_in << SHIFT))
        v = decayed(self.v, self.dv) + self.u + (self.bias_mant << self.bias_exp)
        if reset == "delayed_soft":
            v = v - vth * fired
        elif reset == "delayed_hard":
            v = v * ~fired
        v = saturated(v)
        spike = v > (vth + vth * fired if reset == "strict_soft" else vth)
        if reset in ("soft", "strict_soft"):
            v = v - vth * spike
        elif reset == "hard":
            v = v * ~spike
        self.v = v
        self.s_out.send(spike)
