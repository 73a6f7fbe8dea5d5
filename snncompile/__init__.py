"""Compile spiking neural networks for neuromorphic chips.

    import snncompile
    network = snncompile.from_torch(module, sample)      # or from_nir(path), ...
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    program.run(x), program.verify(x), program.estimate(x), program.save("build")

Names are imported on use: importing the package loads neither torch nor a backend.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncompile.backends.nir.write import write_nir as to_nir
    from snncompile.compiler import compile, load
    from snncompile.conversion.convert import from_ann
    from snncompile.errors import SnnCompileError
    from snncompile.frontends.netx.from_netx import from_netx
    from snncompile.frontends.nir.from_nir import from_nir
    from snncompile.frontends.torch.from_torch import from_torch
    from snncompile.ir.graph import IntegerNetwork, Network
    from snncompile.ir.learning_rule import LearningRule
    from snncompile.ir.plastic import copy_bank, freeze_learning, plastic
    from snncompile.ir.stdp import r_stdp, stdp, stochastic_stdp
    from snncompile.options import Options
    from snncompile.program import Program
    from snncompile.study.sweep import sweep

__version__ = "0.1.0"

_WHERE = {
    "compile": "snncompile.compiler:compile",
    "load": "snncompile.compiler:load",
    "SnnCompileError": "snncompile.errors:SnnCompileError",
    "from_ann": "snncompile.conversion.convert:from_ann",
    "from_netx": "snncompile.frontends.netx.from_netx:from_netx",
    "from_nir": "snncompile.frontends.nir.from_nir:from_nir",
    "from_torch": "snncompile.frontends.torch.from_torch:from_torch",
    "to_nir": "snncompile.backends.nir.write:write_nir",
    "IntegerNetwork": "snncompile.ir.graph:IntegerNetwork",
    "Network": "snncompile.ir.graph:Network",
    "LearningRule": "snncompile.ir.learning_rule:LearningRule",
    "copy_bank": "snncompile.ir.plastic:copy_bank",
    "freeze_learning": "snncompile.ir.plastic:freeze_learning",
    "plastic": "snncompile.ir.plastic:plastic",
    "r_stdp": "snncompile.ir.stdp:r_stdp",
    "stdp": "snncompile.ir.stdp:stdp",
    "stochastic_stdp": "snncompile.ir.stdp:stochastic_stdp",
    "Options": "snncompile.options:Options",
    "Program": "snncompile.program:Program",
    "sweep": "snncompile.study.sweep:sweep",
}

__all__ = [
    "IntegerNetwork",
    "LearningRule",
    "Network",
    "Options",
    "Program",
    "SnnCompileError",
    "compile",
    "copy_bank",
    "freeze_learning",
    "from_ann",
    "from_netx",
    "from_nir",
    "from_torch",
    "load",
    "plastic",
    "r_stdp",
    "stdp",
    "stochastic_stdp",
    "sweep",
    "to_nir",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'snncompile' has no attribute {name!r}")
    return resolve_name(_WHERE[name])


def __dir__() -> list[str]:
    return sorted(__all__)
