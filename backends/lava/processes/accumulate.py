"""Accumulating neuron: sends what arrives in a time step as one number."""

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


class Accumulate(AbstractProcess):
    """Send what arrives, and keep nothing.

    v = a_in limited to lowest .. most
    s_out = v

    No step depends on the one before, so there is nothing to reset between samples.
    """

    def __init__(self, *, shape, lowest, most, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.lowest = Var(shape=shape, init=lowest)
        self.most = Var(shape=shape, init=most)


@implements(proc=Accumulate, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAccumulateModel(PyLoihiProcessModel):
    """CPU model of Accumulate."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    lowest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    most: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        self.v = np.clip(self.a_in.recv().astype(np.int64), self.lowest, self.most)
        self.s_out.send(self.v)
