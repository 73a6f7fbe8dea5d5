"""Graded neuron for streams: adds up changes, and sends the changes of its own graded output."""

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


class GradedDelta(AbstractProcess):
    """Add up changes, and send those of a function of the sum.

    sigma = sigma * memory + a_in
    v = ((sigma + bias) * factor + 2^(shift - 1)) >> shift    # + 0 where shift is 0
    v = v limited to lowest .. highest
    value = v, or table[v - lowest] where there is a table
    s_out = value - sent where |value - sent| >= least, else 0
    sent = sent + s_out

    sigma starts at `initial` and sent at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
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
        least=1,
        memory=1,
        initial=0,
    ):
        super().__init__(
            has_table=len(table) > 0, reset_interval=reset_interval, reset_offset=reset_offset
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.sigma = Var(shape=shape, init=initial)
        self.sent = Var(shape=shape, init=0)
        self.initial = Var(shape=shape, init=initial)
        self.factor = Var(shape=shape, init=factor)
        self.shift = Var(shape=shape, init=shift)
        self.lowest = Var(shape=shape, init=lowest)
        self.highest = Var(shape=shape, init=highest)
        self.bias = Var(shape=shape, init=bias)
        self.least = Var(shape=shape, init=least)
        self.memory = Var(shape=shape, init=memory)
        self.table = Var(shape=(max(1, len(table)),), init=table if len(table) else 0)


@implements(proc=GradedDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedDeltaModel(PyLoihiProcessModel):
    """CPU model of GradedDelta."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    sigma: np.ndarray = LavaPyType(np.ndarray, np.int64)
    sent: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    factor: np.ndarray = LavaPyType(np.ndarray, np.int64)
    shift: np.ndarray = LavaPyType(np.ndarray, np.int64)
    lowest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    highest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int64)
    least: np.ndarray = LavaPyType(np.ndarray, np.int64)
    memory: np.ndarray = LavaPyType(np.ndarray, np.int64)
    table: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.sigma[:] = self.initial
            self.sent[:] = 0
        self.sigma = self.sigma * self.memory + a_in
        product = (self.sigma + self.bias) * self.factor
        v = np.clip((product + ((1 << self.shift) >> 1)) >> self.shift, self.lowest, self.highest)
        value = self.table[v - self.lowest] if self.proc_params["has_table"] else v
        change = value - self.sent
        change = np.where(np.abs(change) >= self.least, change, 0)
        self.sent = self.sent + change
        self.s_out.send(change)
