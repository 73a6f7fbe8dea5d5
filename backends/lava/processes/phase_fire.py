"""Integrate-and-fire that receives digits in silence, then emits the digits of its potential."""

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


class PhaseFire(AbstractProcess):
    """From time step `onset` of a sample on: `window` steps of receiving, `window` of firing.

    position = (clock - onset) % (2 * window)
    awake = clock >= onset and not (once and clock >= onset + 2 * window)
    receiving = awake and position < window
    emitting = awake and position >= window
    v = initial                    where receiving and position == 0
    v = v << 1                     where receiving and position > 0
    v = saturated(v + wrapped(a_in << 6) + (bias_mant << bias_exp)) where receiving
    level = vth << (6 + 2 * window - 1 - position)
    s_out = emitting and v > level
    v = v - level                  where s_out
    clock = clock + 1

    v starts at `initial` and what else it keeps at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self,
        *,
        shape,
        vth,
        window,
        onset,
        bias_mant,
        bias_exp,
        once,
        reset_interval,
        reset_offset,
        initial=0,
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=initial)
        self.initial = Var(shape=shape, init=initial)
        self.clock = Var(shape=shape, init=0)
        self.vth = Var(shape=shape, init=vth)
        self.window = Var(shape=shape, init=window)
        self.onset = Var(shape=shape, init=onset)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)
        self.once = Var(shape=shape, init=once)


@implements(proc=PhaseFire, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPhaseFireModel(PyLoihiProcessModel):
    """CPU model of PhaseFire."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    clock: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    window: np.ndarray = LavaPyType(np.ndarray, np.int64)
    onset: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)
    once: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.v[:] = self.initial
            self.clock[:] = 0
        over = (self.once > 0) & (self.clock >= self.onset + 2 * self.window)
        awake = (self.clock >= self.onset) & ~over
        position = (self.clock - self.onset) % (2 * self.window)
        receiving = awake & (position < self.window)
        emitting = awake & (position >= self.window)
        v = np.where(receiving, np.where(position == 0, self.initial, self.v << 1), self.v)
        arrived = wrapped(a_in << SHIFT) + (self.bias_mant << self.bias_exp)
        v = np.where(receiving, saturated(v + arrived), v)
        level = self.vth << SHIFT << np.where(emitting, 2 * self.window - 1 - position, 0)
        spike = emitting & (v > level)
        self.v = v - level * spike
        self.clock = self.clock + 1
        self.s_out.send(spike)
