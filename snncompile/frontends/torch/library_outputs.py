"""Run a torch module in its own library and return what every population of its network does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snncompile.errors import InputError
from snncompile.frontends.torch.build_network import Imported
from snncompile.frontends.torch.from_torch import read
from snncompile.frontends.torch.verify_import import batches, run_module
from snncompile.ir.graph import Network


def spike_trains(module: nn.Module, x: NDArray[Any], network: Network) -> dict[str, NDArray[Any]]:
    """Return the outputs of the module's neuron layers in float64, as `from_torch` compares them.

    Args:
        module: what the network was imported from; it is left as it is.
        x: input of shape (samples, steps, *input.shape).
        network: the imported network.

    Returns:
        Per population that is a layer of the module, shape (samples, steps, size).

    Raises:
        InputError: the module has other layers than the network.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        sample, layout, imported = read(module, x, "auto", None)
        _check_same(imported, network)
        parts = [
            run_module(module, batch, layout, imported, torch.float64, keep_precision=True)
            for _, batch in batches(sample, imported)
        ]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def _check_same(imported: Imported, network: Network) -> None:
    """Refuse a module whose layers are not the populations of the network."""
    ours = {p.name: p.shape for p in network.populations}
    for p in imported.network.populations:
        if ours.get(p.name) != p.shape:
            known = ", ".join(f"{name} {shape}" for name, shape in ours.items())
            raise InputError(
                f"the model has a layer {p.name} {p.shape}, the Program was compiled from {known};"
                " give the model it was compiled from"
            )
