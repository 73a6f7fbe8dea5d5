"""Delta encoder: sends by how much its input has changed."""

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
from processes.fixed_point import wrapped_word


class DeltaReset(AbstractProcess):
    """Lava's Delta (no cum_error) with a reset between samples.

    new = wrapped_word(a_in << input_exp)
    delta = wrapped_word(new - act + residue)
    spike = delta where |delta| >= vth_level, else 0
    residue = delta - spike
    act = new
    s_out = spike >> state_exp

    act starts at `initial` and the rest at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self, *, shape, vth_level, state_exp, input_exp, reset_interval, reset_offset, initial=0
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.act = Var(shape=shape, init=initial)
        self.residue = Var(shape=shape, init=0)
        self.initial = Var(shape=shape, init=initial)
        self.vth_level = Var(shape=shape, init=vth_level)
        self.state_exp = Var(shape=shape, init=state_exp)
        self.input_exp = Var(shape=shape, init=input_exp)


@implements(proc=DeltaReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDeltaResetModel(PyLoihiProcessModel):
    """CPU model of DeltaReset."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    act: np.ndarray = LavaPyType(np.ndarray, np.int64)
    residue: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth_level: np.ndarray = LavaPyType(np.ndarray, np.int64)
    state_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)
    input_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.act[:] = self.initial
            self.residue[:] = 0
        new = wrapped_word(a_in << self.input_exp)
        delta = wrapped_word(new - self.act + self.residue)
        spike = np.where(np.abs(delta) >= self.vth_level, delta, 0)
        self.act, self.residue = new, delta - spike
        self.s_out.send(spike >> self.state_exp)
