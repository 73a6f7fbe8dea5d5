"""Adds up over a window of time steps, sends the sum in the last of them, and never fires."""

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
from processes.fixed_point import SHIFT, saturated, wrapped


class WindowReadout(AbstractProcess):
    """What it sends is its sum, once per sample.

    inside = onset <= clock < onset + window
    v = v << doubling              where inside and clock > onset
    v = saturated(v + wrapped(a_in << 6) + (bias_mant << bias_exp)) where inside
    v_out = v                      where clock == onset + window - 1, else 0
    clock = clock + 1

    v starts at `initial` and clock at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self,
        *,
        shape,
        window,
        onset,
        doubling,
        bias_mant,
        bias_exp,
        reset_interval,
        reset_offset,
        initial=0,
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.v_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.clock = Var(shape=shape, init=0)
        self.window = Var(shape=shape, init=window)
        self.onset = Var(shape=shape, init=onset)
        self.doubling = Var(shape=shape, init=doubling)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


@implements(proc=WindowReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWindowReadoutModel(PyLoihiProcessModel):
    """CPU model of WindowReadout."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    v_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    clock: np.ndarray = LavaPyType(np.ndarray, np.int64)
    window: np.ndarray = LavaPyType(np.ndarray, np.int64)
    onset: np.ndarray = LavaPyType(np.ndarray, np.int64)
    doubling: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.clock[:] = 0
        last = self.onset + self.window - 1
        inside = (self.clock >= self.onset) & (self.clock <= last)
        v = np.where(inside & (self.clock > self.onset), self.v << self.doubling, self.v)
        arrived = wrapped(a_in << SHIFT) + (self.bias_mant << self.bias_exp)
        self.v = np.where(inside, saturated(v + arrived), v)
        self.v_out.send(np.where(self.clock == last, self.v, 0))
        self.clock = self.clock + 1
