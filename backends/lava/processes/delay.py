"""Spikes that wait before they meet their synapses."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Delay(AbstractProcess):
    """Pass spikes on `extra` time steps later, and keep samples apart.

    Samples follow each other without a gap. A spike sent in the last steps of a sample would
    arrive in the next one, so nothing arrives in the first `silent` steps of every sample of the
    target. The target starts its samples at `phase`; the synapses behind take one more step.
    """

    def __init__(self, *, shape, extra, silent, phase, steps):
        super().__init__(shape=shape, extra=extra, silent=silent, phase=phase, steps=steps)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelayModel(PyLoihiProcessModel):
    """CPU model of Delay."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.waiting = np.zeros((proc_params["extra"] + 1, *proc_params["shape"]), np.int32)

    def run_spk(self):
        """Store the newest spikes and send the oldest."""
        length = len(self.waiting)
        self.waiting[self.time_step % length] = self.s_in.recv()
        spikes = self.waiting[(self.time_step + 1) % length]
        # Time steps count from 1: at the target these arrive in its step time_step - phase.
        arrival = (self.time_step - self.proc_params["phase"]) % self.proc_params["steps"]
        self.s_out.send(spikes * (arrival >= self.proc_params["silent"]))
