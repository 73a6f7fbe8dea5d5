"""Maximum of numbers whose binary digits arrive as spikes, the largest digit first."""

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


class PhaseMaximum(AbstractProcess):
    """From time step `onset` of a sample on: digits of the largest of `numbers` numbers.

    position = (clock - onset) % (2 * window)
    v = 2**numbers - 1           where position == 0
    s_out = v & a_in > 0
    v = v & a_in                 where s_out
    clock = clock + 1

    v starts at `initial` and the clock at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(self, *, shape, numbers, window, onset, reset_interval, reset_offset, initial=0):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.clock = Var(shape=shape, init=0)
        self.numbers = Var(shape=shape, init=numbers)
        self.window = Var(shape=shape, init=window)
        self.onset = Var(shape=shape, init=onset)


@implements(proc=PhaseMaximum, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPhaseMaximumModel(PyLoihiProcessModel):
    """CPU model of PhaseMaximum."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    clock: np.ndarray = LavaPyType(np.ndarray, np.int64)
    numbers: np.ndarray = LavaPyType(np.ndarray, np.int64)
    window: np.ndarray = LavaPyType(np.ndarray, np.int64)
    onset: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.clock[:] = 0
        everyone = (1 << self.numbers) - 1
        position = (self.clock - self.onset) % (2 * self.window)
        v = np.where(position == 0, everyone, self.v)
        both = v & a_in & everyone
        spike = both > 0
        self.v = np.where(spike, both, v)
        self.clock = self.clock + 1
        self.s_out.send(spike)
