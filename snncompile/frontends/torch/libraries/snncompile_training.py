"""Our own neuron modules (`snncompile.training`), as `Dynamics`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Dynamics
from snncompile.frontends.torch.libraries.base import Library, Shape, Time, Translate


@dataclass(frozen=True, eq=False)
class Own(Library):
    """Its layers keep their state as attributes that are None before the first time step."""

    def reset(self, module: Any) -> None:
        """Forget the state."""
        if hasattr(module, "reset"):
            module.reset()

    def find_time(self, module: Any) -> Time:
        """Return how a layer takes its time axis, from its class."""
        return "step" if hasattr(module, "reset") else "first"

    def read_states(self, module: Any) -> dict[str, Tensor]:
        """Return current and potential; layers that take all time steps keep none."""
        states = {name: getattr(module, name, None) for name in ("u", "v")}
        return {name: state for name, state in states.items() if isinstance(state, Tensor)}


def _translate_lif(module: Any, where: str, shape: Shape) -> Dynamics:
    return Dynamics(
        current_decay=_read_decay(module, "current_decay", where, shape),
        potential_decay=_read_decay(module, "potential_decay", where, shape),
        threshold=np.asarray(module.threshold),
        reset=module.kind,
    )


def _translate_multi_step(module: Any, where: str, shape: Shape) -> Dynamics:
    return Dynamics(
        potential_decay=np.asarray(module.potential_decay),
        threshold=np.asarray(module.threshold),
        reset=module.kind,
    )


def _translate_readout(module: Any, where: str, shape: Shape) -> Dynamics:
    return Dynamics(
        current_decay=_read_decay(module, "current_decay", where, shape),
        potential_decay=_read_decay(module, "potential_decay", where, shape),
        threshold=np.asarray(1.0),
        reset="none",
        spikes=False,
    )


def _read_decay(module: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return one number, shape (), or one per neuron, shape (n,)."""
    value = getattr(module, name).detach().cpu().double().clamp(0, 1).numpy()
    if value.size == 1:
        return np.asarray(value.reshape(()))
    try:
        return np.broadcast_to(value, shape).reshape(-1).copy()
    except ValueError:
        raise UnsupportedError(
            f"{where}: {name} has shape {value.shape} for neurons of shape {shape}; give one"
            " number or one per neuron"
        ) from None


NEURONS: dict[str, Translate] = {
    "Lif": _translate_lif,
    "IntegrateFire": _translate_lif,
    "MultiStepLif": _translate_multi_step,
    "Readout": _translate_readout,
    "SpikeBackpropLif": _translate_multi_step,
}

LIBRARY = Own(package="snncompile", neurons=NEURONS)
