"""Leaky integrate-and-fire that sends one spike per threshold, which Lava does not have."""

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


class MultiSpikeLif(AbstractProcess):
    """LIF that sends up to `most` spikes in one time step, and keeps v above `lowest`.

    u = wrapped(decayed(u, du + 1) + (a_in << 6))
    v = saturated(decayed(v, dv) + u + (bias_mant << bias_exp))
    s_out = v / (vth << 6) rounded down, at least 0 and at most `most`
    v = v - (vth << 6) * s_out    # reset "soft"
    v = 0 where s_out > 0         # reset "hard"
    v = lowest where v < lowest

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
        most,
        lowest,
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
        self.most = Var(shape=shape, init=most)
        self.lowest = Var(shape=shape, init=lowest)


@implements(proc=MultiSpikeLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMultiSpikeLifModel(PyLoihiProcessModel):
    """CPU model of MultiSpikeLif."""

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
    most: np.ndarray = LavaPyType(np.ndarray, np.int64)
    lowest: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.u[:] = 0
            self.v[:] = self.initial
        vth = self.vth << SHIFT
        self.u = wrapped(decayed(self.u, self.du + 1) + (a_in << SHIFT))
        v = decayed(self.v, self.dv) + self.u + (self.bias_mant << self.bias_exp)
        v = saturated(v)
        spikes = np.minimum(np.maximum(v, 0) // vth, self.most)
        v = v * (spikes == 0) if self.proc_params["reset"] == "hard" else v - vth * spikes
        self.v = np.maximum(v, self.lowest)
        self.s_out.send(spikes)
