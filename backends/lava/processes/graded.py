"""Graded neuron: sends a function of what arrives in a time step as one number."""

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


class Graded(AbstractProcess):
    """Send a function of what arrives, and keep nothing.

    v = ((a_in + bias) * factor + 2^(shift - 1)) >> shift    # + 0 where shift is 0
    v = v limited to lowest .. highest
    s_out = v, or table[v - lowest] where there is a table

    No step depends on the one before, so there is nothing to reset between samples.
    """

    def __init__(
        self,
        *,
        shape,
        factor,
        shift,
        lowest,
        highest,
        reset_interval,
        reset_offset,
        table=(),
        bias=0,
        initial=0,
    ):
        super().__init__(
            has_table=len(table) > 0, reset_interval=reset_interval, reset_offset=reset_offset
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.factor = Var(shape=shape, init=factor)
        self.shift = Var(shape=shape, init=shift)
        self.bias = Var(shape=shape, init=bias)
        self.lowest = Var(shape=shape, init=lowest)
        self.highest = Var(shape=shape, init=highest)
        self.table = Var(shape=(max(1, len(table)),), init=table if len(table) else 0)


@implements(proc=Graded, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedModel(PyLoihiProcessModel):
    """CPU model of Graded."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    factor: np.ndarray = LavaPyType(np.ndarray, np.int64)
    shift: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int64)
    lowest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    highest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    table: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        product = (self.a_in.recv().astype(np.int64) + self.bias) * self.factor
        v = (product + ((1 << self.shift) >> 1)) >> self.shift
        self.v = np.clip(v, self.lowest, self.highest)
        sent = self.table[self.v - self.lowest] if self.proc_params["has_table"] else self.v
        self.s_out.send(sent)
