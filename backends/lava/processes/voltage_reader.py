"""Way of a Var from the network to the host."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class VoltageReader(AbstractProcess):
    """Send in each time step what a Var was after the last; Intel's Read on a chip."""

    def __init__(self, *, shape):
        super().__init__(shape=shape)
        self.ref = RefPort(shape=shape)
        self.out = OutPort(shape=shape)

    def connect_var(self, var):
        """Read this Var."""
        self.ref.connect_var(var)


@implements(proc=VoltageReader, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyVoltageReaderModel(PyLoihiProcessModel):
    """CPU model of VoltageReader."""

    ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.last = np.zeros(proc_params["shape"], np.int32)

    def run_spk(self):
        """Send what was read after the last time step."""
        self.out.send(self.last)

    def post_guard(self):
        """Whether there is something to read after this time step: always."""
        return True

    def run_post_mgmt(self):
        """Read the Var."""
        self.last = self.ref.read().astype(np.int32)
