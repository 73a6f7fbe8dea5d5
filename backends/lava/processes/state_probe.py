"""What the neurons keep, recorded after every time step; for comparisons only."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

COUNT = 0  # states of all populations; set where this file is written


class StateProbe(AbstractProcess):
    """Record `length` time steps of Vars and save each to its file.

    watched: COUNT tuples (Var, time steps left out at the start, .npy file); `connect` joins them.
    """

    def __init__(self, *, watched, length):
        files = [(skip, path) for _, skip, path in watched]
        super().__init__(files=files, length=length, shapes=[var.shape for var, _, _ in watched])
        for index, (var, _, _) in enumerate(watched):
            setattr(self, f"state_{index}", RefPort(shape=var.shape))

    def connect(self, watched):
        """Join the ports with the Vars."""
        for index, (var, _, _) in enumerate(watched):
            getattr(self, f"state_{index}").connect_var(var)


@implements(proc=StateProbe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateProbeModel(PyLoihiProcessModel):
    """CPU model of StateProbe."""

    for index in range(COUNT):
        locals()[f"state_{index}"] = LavaPyType(PyRefPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        length = proc_params["length"]
        self.records = [np.zeros((length, *s), np.int64) for s in proc_params["shapes"]]

    def post_guard(self):
        """Whether there is something to do after this time step: always."""
        return True

    def run_post_mgmt(self):
        """Read every state; save those whose last time step this was."""
        for index, (skip, path) in enumerate(self.proc_params["files"]):
            data = getattr(self, f"state_{index}").read()
            record, row = self.records[index], self.time_step - 1 - skip
            if 0 <= row < len(record):
                record[row] = data
            if row == len(record) - 1:
                np.save(path, record)
