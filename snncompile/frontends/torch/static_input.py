"""Networks of modules that make the time steps themselves: one input for all of them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from snncompile.frontends.torch.build_network import ImportedNetwork
from snncompile.ir.coding import Coding


def fix_steps(imported: ImportedNetwork, x: Tensor) -> ImportedNetwork:
    """Return the network with its number of time steps, for a sample shown in each of them.

    Args:
        imported: the network.
        x: the sample, shape (samples, steps, *shape); the same in each step, unless an encoder on
            the host makes it.
    """
    network, steps = imported.network, x.shape[1]
    source = network.input
    low, high = source.payload
    values = x[:, 0]
    fits = bool((x == x[:, :1]).all()) and bool(
        ((values >= low) & (values <= high) & (values == values.round())).all()
    )
    if source.coding is None and fits:
        source = replace(source, coding=Coding("constant", 1.0, steps, steps))
    answer = replace(network.answer, steps=steps)
    return replace(imported, network=replace(network, input=source, answer=answer))
