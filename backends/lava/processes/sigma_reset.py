"""Sigma decoder: adds up changes and sends the sum."""

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
from processes.fixed_point import wrapped_word


class SigmaReset(AbstractProcess):
    """Lava's Sigma with a reset between samples.

    sigma = wrapped_word(sigma + a_in)
    v_out = sigma

    sigma starts at `initial`, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.v_out = OutPort(shape=shape)
        self.sigma = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)


@implements(proc=SigmaReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaResetModel(PyLoihiProcessModel):
    """CPU model of SigmaReset."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    v_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    sigma: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.sigma[:] = self.initial
        self.sigma = wrapped_word(self.sigma + a_in)
        self.v_out.send(self.sigma)
