"""The switch between CPU and chip: adapters of Intel's package where spikes enter and leave.

It uses `lava.proc.embedded_io` as the notebooks of lava-dl do (netx/mnist/utils.py,
netx/pilotnet_sdnn/utils.py, netx/pilotnet_snn/run.ipynb). It was written without Intel's package,
and never run on a chip.
"""

import sys
from importlib.util import find_spec

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from processes.image_adapter import ImageAdapter
from processes.input_adapter import InputAdapter
from processes.output_adapter import OutputAdapter
from processes.voltage_reader import VoltageReader


class NxAdapterModel(AbstractSubProcessModel):
    """Chip model of an adapter: one of Intel's in its place."""

    def __init__(self, proc):
        self.inp: PyInPort = LavaPyType(np.ndarray, np.int32)
        self.out: PyOutPort = LavaPyType(np.ndarray, np.int32)
        self.adapter = self.make()(
            shape=proc.proc_params.get("shape"),
            num_message_bits=proc.proc_params.get("num_message_bits"),
        )
        proc.inp.connect(self.adapter.inp)
        self.adapter.out.connect(proc.out)


@implements(proc=InputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxInputAdapterModel(NxAdapterModel):
    """Chip model of InputAdapter."""

    def make(self):
        """Return the class of Intel's adapter."""
        from lava.proc.embedded_io.spike import PyToNxAdapter

        return PyToNxAdapter


@implements(proc=ImageAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxImageAdapterModel(NxAdapterModel):
    """Chip model of ImageAdapter."""

    def make(self):
        """Return the class of Intel's adapter."""
        from lava.proc.embedded_io.spike import PyToN3ConvAdapter

        return PyToN3ConvAdapter


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxOutputAdapterModel(NxAdapterModel):
    """Chip model of OutputAdapter."""

    def make(self):
        """Return the class of Intel's adapter."""
        from lava.proc.embedded_io.spike import NxToPyAdapter

        return NxToPyAdapter


def check_package(on):
    """End with one line where a chip is asked for and Intel's package is not there."""
    if on == "chip" and find_spec("lava.proc.embedded_io") is None:
        sys.exit(
            "--on chip: this Lava has no lava.proc.embedded_io; it needs Intel's package, for"
            " members of its research community; leave out --on to run on the CPU"
        )


def make_reader(shape, on):
    """Return what reads a Var in every time step, and sends it in the next."""
    if on == "chip":
        from lava.proc.embedded_io.state import Read

        return Read(shape=shape, interval=1, offset=0)
    return VoltageReader(shape=shape)


def choose_run_configuration(on):
    """Return Lava's run configuration: the one switch between CPU and chip."""
    if on == "chip":
        models = {
            InputAdapter: NxInputAdapterModel,
            ImageAdapter: NxImageAdapterModel,
            OutputAdapter: NxOutputAdapterModel,
        }
        return Loihi2HwCfg(select_sub_proc_model=True, exception_proc_model_map=models)
    return Loihi2SimCfg(select_tag="fixed_pt")
