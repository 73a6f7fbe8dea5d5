"""What is recorded while the network runs."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Probe(AbstractProcess):
    """Record `length` time steps, the first `skip` left out, and save them to the file `path`.

    Reading a Lava Var back moves 25,000 numbers per second; saving here takes no time.
    """

    def __init__(self, *, shape, skip, length, dtype, path):
        super().__init__(shape=shape, skip=skip, length=length, dtype=dtype, path=path)
        self.a_in = InPort(shape=shape)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProbeModel(PyLoihiProcessModel):
    """CPU model of Probe."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        shape = (proc_params["length"], *proc_params["shape"])
        self.record = np.zeros(shape, proc_params["dtype"])

    def run_spk(self):
        """Record one time step; save after the last. Time steps count from 1."""
        row = self.time_step - 1 - self.proc_params["skip"]
        data = self.a_in.recv()
        if 0 <= row < len(self.record):
            self.record[row] = data
        if row == len(self.record) - 1:
            np.save(self.proc_params["path"], self.record)
