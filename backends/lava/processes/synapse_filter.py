"""Filter of spikes whose decay pauses while one arrives; it sends its potential."""

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
from processes.fixed_point import SHIFT, saturated, shrunk


class SynapseFilter(AbstractProcess):
    """Add a rise for each spike; lose a share in time steps without one.

    v = v * (4096 - dv * (1 - a_in)) / 4096, rounded toward zero
    v = saturated(v + ((rise * a_in) << 6))
    s_out = (v + 32) >> 6

    v starts at `initial`, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, dv, rise, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.dv = Var(shape=shape, init=dv)
        self.rise = Var(shape=shape, init=rise)


@implements(proc=SynapseFilter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySynapseFilterModel(PyLoihiProcessModel):
    """CPU model of SynapseFilter."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64)
    rise: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
        kept = shrunk(self.v * (4096 - self.dv * (1 - a_in)))
        self.v = saturated(kept + ((self.rise * a_in) << SHIFT))
        self.s_out.send((self.v + 32) >> SHIFT)
