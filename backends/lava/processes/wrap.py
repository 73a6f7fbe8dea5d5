"""Sums that wrap, as those of Lava's Conv do."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Wrap(AbstractProcess):
    """Pass accumulated weights of `shape` on in the same step, wrapped to `bits` bits with sign."""

    def __init__(self, *, shape, bits):
        super().__init__(shape=shape, bits=bits)
        self.a_in = InPort(shape=shape)
        self.a_out = OutPort(shape=shape)


@implements(proc=Wrap, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWrapModel(PyLoihiProcessModel):
    """CPU model of Wrap."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        """Wrap the sums of one time step."""
        half = 1 << (self.proc_params["bits"] - 1)
        total = self.a_in.recv().astype(np.int64)
        self.a_out.send(((total + half) % (2 * half) - half).astype(np.int32))
