"""Way of spikes from the network to the host."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class OutputAdapter(AbstractProcess):
    """Pass spikes of `shape` on; Intel's NxToPyAdapter on a chip, see `on_chip.py`.

    num_message_bits: of the numbers that spikes carry, 0 for plain spikes.
    """

    def __init__(self, *, shape, num_message_bits):
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyOutputAdapterModel(PyLoihiProcessModel):
    """CPU model of OutputAdapter: spikes pass in the same time step."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        """Pass one time step on."""
        self.out.send(self.inp.recv())
