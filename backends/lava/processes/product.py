"""Product of what arrives at two ports in a time step."""

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
from processes.fixed_point import saturated


class Product(AbstractProcess):
    """Send a product of two sums, and keep nothing.

    a = saturated(a_in + bias_a), b = saturated(b_in + bias_b)
    v = (a * b * factor + 2^(shift - 1)) >> shift    # + 0 where shift is 0
    v = v limited to lowest .. highest
    s_out = v

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
        bias_a,
        bias_b,
        reset_interval,
        reset_offset,
        initial=0,
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.b_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.factor = Var(shape=shape, init=factor)
        self.shift = Var(shape=shape, init=shift)
        self.lowest = Var(shape=shape, init=lowest)
        self.highest = Var(shape=shape, init=highest)
        self.bias_a = Var(shape=shape, init=bias_a)
        self.bias_b = Var(shape=shape, init=bias_b)


@implements(proc=Product, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProductModel(PyLoihiProcessModel):
    """CPU model of Product."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    b_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    factor: np.ndarray = LavaPyType(np.ndarray, np.int64)
    shift: np.ndarray = LavaPyType(np.ndarray, np.int64)
    lowest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    highest: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_a: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_b: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        a = saturated(self.a_in.recv().astype(np.int64) + self.bias_a)
        b = saturated(self.b_in.recv().astype(np.int64) + self.bias_b)
        v = (a * b * self.factor + ((1 << self.shift) >> 1)) >> self.shift
        self.v = np.clip(v, self.lowest, self.highest)
        self.s_out.send(self.v)
