"""Outputs that count only from some time step on."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Start(AbstractProcess):
    """Pass on what arrives in the same step, but nothing before the time step `first`.

    Neurons with biases can fire before their first sample begins; synapses that learn must not see
    that. Time steps count from 1.
    """

    def __init__(self, *, shape, first):
        super().__init__(shape=shape, first=first)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=Start, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStartModel(PyLoihiProcessModel):
    """CPU model of Start."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        """Send what was received, or zeros."""
        self.s_out.send(self.s_in.recv() * (self.time_step >= self.proc_params["first"]))
