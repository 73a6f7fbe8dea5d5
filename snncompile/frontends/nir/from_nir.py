"""Import a NIR file: the network in it, and the assumptions made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from snncompile.frontends.nir.assumptions import choose_reading
from snncompile.frontends.nir.build import Builder
from snncompile.frontends.nir.ends import find_ends
from snncompile.frontends.nir.file import read_nir
from snncompile.frontends.nir.node_order import fuse_thresholds, join_recurrent_inputs
from snncompile.frontends.nir.silent import list_silent
from snncompile.ir.graph import Network, Shape

LOG = logging.getLogger(__name__)


def from_nir(
    path: str | Path,
    *,
    origin: str = "auto",
    dt: float | None = None,
    reset: str | Mapping[str, str] = "auto",
    comparison: str = "auto",
    if_r: str = "auto",
    tau_unit: str = "auto",
    delay_unit: str = "auto",
    method: str = "auto",
    start: str = "auto",
    w_in: str = "auto",
    r: str = "auto",
    spikes_per_step: str = "auto",
    spike_delay: int | None = None,
    min_v: float | None = None,
    loop_delay: int | Mapping[tuple[str, str], int] = 1,
    input_shape: Shape | None = None,
    output: str | None = None,
    title: str | None = None,
) -> Network:
    """Return the network in a NIR file; its `notes` list the assumptions.

    Several inputs become one, their values one after the other in the order of their names; so do
    several outputs that are spikes. A network that ends without neurons gets a readout.

    Args:
        path: the file.
        origin: its writer, a row of `snncompile.frontends.nir.assumptions.ORIGINS`, which sets the
            assumptions; "auto" finds the writer by the numbers of the file.
        dt: seconds of a time step, where the file does not tell.
        reset, comparison, if_r, tau_unit, delay_unit, method, start, w_in, r, spikes_per_step,
            spike_delay, min_v: one assumption each, instead of the origin's, see
            `snncompile.frontends.nir.assumptions.Assumptions`; `reset` may be one per neuron
            node.
        loop_delay: time steps that a loop without a Delay takes. They are on the connections from
            a neuron back to one that the input reaches no later. Or one number per
            (source, target) of such a connection, by the names of the neuron nodes.
        input_shape: shape of one time step of one sample, if the file holds another one; leading
            axes that the next node cannot take are left out anyway.
        output: name of the Output node, if only one of several is wanted.
        title: name of the network in reports; the name of the file if not given.

    Raises:
        InputError: the file is damaged, or a value in it or an argument is malformed, or an
            assumption has to be given.
        UnsupportedError: a node or a feature of one is not known.
    """
    graph = fuse_thresholds(read_nir(path))
    given = {
        "dt": dt,
        "reset": reset,
        "comparison": comparison,
        "if_r": if_r,
        "tau_unit": tau_unit,
        "delay_unit": delay_unit,
        "method": method,
        "start": start,
        "w_in": w_in,
        "r": r,
        "spikes_per_step": spikes_per_step,
        "spike_delay": spike_delay,
        "min_v": min_v,
    }
    reading = choose_reading(graph, origin, given)
    if reading.origin == "spyx":
        graph = join_recurrent_inputs(graph)
    ends = find_ends(graph, output)
    network = Builder(graph, reading, ends, input_shape).build(loop_delay, title or Path(path).stem)
    silent = list_silent(network)
    if silent:
        text = f"{', '.join(silent)} can never fire, whatever the input; are dt= and r= right?"
        LOG.warning("%s: %s", Path(path).name, text)
        network = replace(network, notes=(*network.notes, f"NIR: {text}"))
    return network
