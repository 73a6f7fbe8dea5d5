"""Resonate-and-fire after Izhikevich: fires at a threshold and is reset."""

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
from processes.fixed_point import SHIFT, saturated, shrunk


class ResonateFireIzhikevich(AbstractProcess):
    """Lava's RF_IZ with state_exp 6 and decay_bits 12, and with a reset between samples.

    new_real = saturated(shrunk(cos_decay * real) - shrunk(sin_decay * imag) + (real_in << 6))
    new_imag = saturated(shrunk(sin_decay * real) + shrunk(cos_decay * imag) + (imag_in << 6))
    s_out = new_imag >= vth_level
    real = 0 where s_out, else new_real
    imag = vth_level - 1 where s_out, else new_imag

    real starts at `initial` and the rest at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self, *, shape, sin_decay, cos_decay, vth_level, reset_interval, reset_offset, initial=0
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.real_in = InPort(shape=shape)
        self.imag_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.real = Var(shape=shape, init=initial)
        self.imag = Var(shape=shape, init=0)
        self.initial = Var(shape=shape, init=initial)
        self.sin_decay = Var(shape=shape, init=sin_decay)
        self.cos_decay = Var(shape=shape, init=cos_decay)
        self.vth_level = Var(shape=shape, init=vth_level)


@implements(proc=ResonateFireIzhikevich, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyResonateFireIzhikevichModel(PyLoihiProcessModel):
    """CPU model of ResonateFireIzhikevich."""

    real_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    imag_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    real: np.ndarray = LavaPyType(np.ndarray, np.int64)
    imag: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    sin_decay: np.ndarray = LavaPyType(np.ndarray, np.int64)
    cos_decay: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth_level: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        real_in = self.real_in.recv().astype(np.int64)
        imag_in = self.imag_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.real[:] = self.initial
            self.imag[:] = 0
        real = shrunk(self.cos_decay * self.real) - shrunk(self.sin_decay * self.imag)
        imag = shrunk(self.sin_decay * self.real) + shrunk(self.cos_decay * self.imag)
        real = saturated(real + (real_in << SHIFT))
        imag = saturated(imag + (imag_in << SHIFT))
        spike = imag >= self.vth_level
        self.real = np.where(spike, 0, real)
        self.imag = np.where(spike, self.vth_level - 1, imag)
        self.s_out.send(spike)
