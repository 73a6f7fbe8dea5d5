"""Run a torch module in its own library and return the output of every population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snncompile.errors import InputError
from snncompile.frontends.torch.arguments import read_arguments
from snncompile.frontends.torch.build_network import ImportedNetwork
from snncompile.frontends.torch.from_torch import read_module
from snncompile.frontends.torch.host_part import read_time
from snncompile.frontends.torch.libraries import by_hand
from snncompile.frontends.torch.record_module import record_module
from snncompile.frontends.torch.time_layouts import Layout
from snncompile.frontends.torch.verify_import import split_batches
from snncompile.ir.graph import Network


def record_outputs(
    module: nn.Module,
    x: NDArray[Any],
    network: Network,
    time: Literal["auto"] | Layout = "auto",
    args: Sequence[Any] | Mapping[str, Any] = (),
    neurons: by_hand.Said | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the outputs of the module's neuron layers in float64, as `from_torch` compares them.

    Args:
        module: the source of the network; it stays as it is.
        x: what the network takes, shape (samples, steps, *shape), or what the module does, if the
            host computes layers of it.
        network: the imported network.
        time: how the module takes its time axis, as it was imported.
        args: further arguments of forward, as it was imported.
        neurons: neurons that were said, as it was imported.

    Returns:
        Population -> output, shape (samples, steps, size), if it is a layer of the module.
        With layers on the host, what they gave is there under the name of the input.

    Raises:
        InputError: the module has other layers than the network.
    """
    given = read_arguments(args)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), by_hand.say(neurons):
        host_part = network.input.host_part
        paths = (*host_part.before, *host_part.after) if host_part else ()
        if host_part and host_part.output:
            time = read_time(host_part)
        elif time == "inside" and _is_one_image(x, network):
            x = x[:, 0]
        read = read_module(module, x, time, None, given, paths)
        _check_same(read.imported, network)
        records = [
            record_module(
                read.module,
                batch,
                read.layout,
                read.imported,
                torch.float64,
                given,
                keep_precision=True,
            )
            for _, batch in split_batches(read.x, read.imported)
        ]
    outputs = {
        name: np.concatenate([record.outputs[name].read().numpy() for record in records])
        for name in read.imported.origins
    }
    shown = [record.shown.numpy() for record in records if record.shown is not None]
    return {**outputs, network.input.name: np.concatenate(shown)} if shown else outputs


def _is_one_image(x: NDArray[Any], network: Network) -> bool:
    """Return whether x repeats an image that forward takes once."""
    steps = network.answer.steps
    return steps is not None and x.shape[1:2] == (steps,) and bool((x == x[:, :1]).all())


def _check_same(imported: ImportedNetwork, network: Network) -> None:
    """Refuse a module whose layers are not the populations of the network."""
    ours = {p.name: p.shape for p in network.populations}
    for p in imported.network.populations:
        if ours.get(p.name) != p.shape:
            known = ", ".join(f"{name} {shape}" for name, shape in ours.items())
            raise InputError(
                f"the model has a layer {p.name} {p.shape}, the Program was compiled from {known};"
                " give the model it was compiled from"
            )
