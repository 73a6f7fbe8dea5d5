"""Where the input spikes come from."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class SpikeSource(AbstractProcess):
    """Send one row of `spikes`, shape (time steps, lines), in each time step, then nothing.

    Lava's RingBuffer does the same from a 32-bit copy of the data and starts over at the end.
    """

    def __init__(self, *, spikes):
        super().__init__(spikes=spikes)
        self.s_out = OutPort(shape=spikes.shape[1:])


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeSourceModel(PyLoihiProcessModel):
    """CPU model of SpikeSource."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        """Send the row of this time step; time steps count from 1."""
        spikes = self.proc_params["spikes"]
        row = self.time_step - 1
        self.s_out.send(spikes[row] if row < len(spikes) else np.zeros_like(spikes[0]))
