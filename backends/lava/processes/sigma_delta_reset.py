"""Sigma-delta neuron: adds up changes, rectifies, sends its own changes."""

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


class SigmaDeltaReset(AbstractProcess):
    """Lava's SigmaDelta (RELU, no cum_error) with a reset between samples.

    sigma = wrapped_word(sigma + a_in)
    new = max(wrapped_word(sigma + bias_level), 0)
    delta = wrapped_word(new - act + residue)
    spike = delta where |delta| >= vth_level, else 0
    residue = delta - spike
    act = new
    s_out = spike >> state_exp

    sigma starts at `initial` and the rest at 0, in the first time step and again when
    time_step % reset_interval == reset_offset % reset_interval.
    """

    def __init__(
        self, *, shape, vth_level, bias_level, state_exp, reset_interval, reset_offset, initial=0
    ):
        super().__init__(reset_interval=reset_interval, reset_offset=reset_offset)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.sigma = Var(shape=shape, init=initial)
        self.act = Var(shape=shape, init=0)
        self.residue = Var(shape=shape, init=0)
        self.initial = Var(shape=shape, init=initial)
        self.vth_level = Var(shape=shape, init=vth_level)
        self.bias_level = Var(shape=shape, init=bias_level)
        self.state_exp = Var(shape=shape, init=state_exp)


@implements(proc=SigmaDeltaReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaDeltaResetModel(PyLoihiProcessModel):
    """CPU model of SigmaDeltaReset."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    sigma: np.ndarray = LavaPyType(np.ndarray, np.int64)
    act: np.ndarray = LavaPyType(np.ndarray, np.int64)
    residue: np.ndarray = LavaPyType(np.ndarray, np.int64)
    initial: np.ndarray = LavaPyType(np.ndarray, np.int64)
    vth_level: np.ndarray = LavaPyType(np.ndarray, np.int64)
    bias_level: np.ndarray = LavaPyType(np.ndarray, np.int64)
    state_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Compute one time step."""
        interval = self.proc_params["reset_interval"]
        a_in = self.a_in.recv().astype(np.int64)
        if self.time_step % interval == self.proc_params["reset_offset"] % interval:
            self.sigma[:] = self.initial
            self.act[:] = 0
            self.residue[:] = 0
        self.sigma = wrapped_word(self.sigma + a_in)
        new = np.maximum(wrapped_word(self.sigma + self.bias_level), 0)
        delta = wrapped_word(new - self.act + self.residue)
        spike = np.where(np.abs(delta) >= self.vth_level, delta, 0)
        self.act, self.residue = new, delta - spike
        self.s_out.send(spike >> self.state_exp)
