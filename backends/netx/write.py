"""Write a compiled network as a lava-dl `.net` file, which lava-dl's netx loads on Loihi.

Netx's reading of a file was read in lava-dl (`lib/dl/netx/{hdf5,utils,blocks/process}.py`). It
builds a chain: each layer is Lava's Dense or Conv and Lava's LIF, one time step behind the last
one. So it cannot hold skips, loops or other neurons. It ignores `delay`, `weight_rec` and `wgtExp`:
they are not written.
`snncompile/frontends/netx/from_netx.py` reads the same file.

    weights    8 bits times two, -256..254; a dense layer of zeros divides by zero in netx
    biases     times 2^6; one per neuron (dense) or per channel (convolution)
    others     one number for all, or per neuron (dense); iDecay = du + 1, vDecay, vThMant
"""

from __future__ import annotations

import logging
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import UnsupportedError
from snncompile.files.hdf5 import write_hdf5
from snncompile.ir.graph import IntegerNetwork, Population, Projection, Shape
from snncompile.ir.plastic import refuse_rules
from snncompile.neurons.base import BINARY
from snncompile.neurons.fixed import shift_bias
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

if TYPE_CHECKING:
    from snncompile.program import Program

LOG = logging.getLogger(__name__)

BIAS_EXPONENT = 6
"""netx gives every LIF process bias_exp = 6."""
LARGEST_BIAS = 2**15 - 1
"""Lava keeps bias mantissas in 16 bits."""
FORMATS = "compile with formats='netx'"
"""Remedy that makes numbers which a file can hold."""

Layer = dict[str, Any]
"""Name in a layer's group -> value."""


def emit_program(program: Program, path: Path) -> None:
    """Write the integer network of a Program; see `write_netx`."""
    write_netx(program.network, path)


def write_netx(network: IntegerNetwork, path: str | Path) -> None:
    """Write a network to a `.net` file; it is written aside and renamed.

    Raises:
        UnsupportedError: a part of the network has no place in such a file; the message names it.
        InputError: the file cannot be written.
    """
    layers = list(list_layers(network))
    if network.input.host_part:
        LOG.warning("%s: %s", network.title, network.input.host_part.describe_left_out())

    def fill(file: Any) -> None:
        for index, layer in enumerate(layers):
            for name, value in layer.items():
                file[f"layer/{index}/{name}"] = value

    write_hdf5(Path(path), fill)


def list_layers(network: IntegerNetwork) -> list[Layer]:
    """Return the layers of a network as in the file.

    Raises:
        UnsupportedError: see `write_netx`.
    """
    refuse_rules(network, "a .net file")
    chain = _order_chain(network)
    shape = network.input.shape
    first = chain[0][0].synapses.wiring
    if isinstance(first, Convolution) and len(first.kernel) == 2:
        shape = first.source_shape
    layers: list[Layer] = [{"type": _encode_text("input"), "shape": np.array(shape)}]
    for projection, population in chain:
        wiring = projection.synapses.wiring
        if isinstance(wiring, Convolution) and len(wiring.kernel) == 2:
            layers.append(_make_convolution(projection, wiring, population, shape))
            shape = wiring.target_shape
            continue
        if len(shape) > 1 and len(layers) > 1:
            layers.append({"type": _encode_text("flatten"), "shape": np.array([prod(shape)])})
        layers.append(_make_dense(projection, population))
        shape = (population.size,)
    return layers


def _order_chain(network: IntegerNetwork) -> list[tuple[Projection, Population]]:
    """Return the projections and populations in the order of the chain.

    Raises:
        UnsupportedError: the network is no chain, or spikes take longer than a layer.
    """
    if network.input.host or network.input.payload != BINARY:
        raise UnsupportedError("input: numbers as input are not known to the netx writer")
    chain: list[tuple[Projection, Population]] = []
    name = network.input.name
    while True:
        leaving = network.out_of(name)
        if not leaving and chain:
            break
        if len(leaving) != 1:
            targets = ", ".join(p.target for p in leaving) or "nothing"
            raise UnsupportedError(
                f"{name}: feeds {targets}; a .net file holds a chain of layers, each feeding the"
                " next one"
            )
        projection = leaving[0]
        population = network.population(projection.target)
        _check_link(network, projection)
        chain.append((projection, population))
        name = population.name
    left = [p.name for p in network.populations if all(p is not q for _, q in chain)]
    if left:
        raise UnsupportedError(
            f"{left[0]}: is not fed by the layer before it; a .net file holds a chain of layers"
        )
    if network.output != name:
        raise UnsupportedError(f"{network.output}: is the output, but {name} is the last layer")
    return chain


def _check_link(network: IntegerNetwork, projection: Projection) -> None:
    where = f"projection {projection.source} -> {projection.target}"
    if len(network.into(projection.target)) != 1:
        sources = ", ".join(p.source for p in network.into(projection.target))
        raise UnsupportedError(
            f"{projection.target}: is fed by {sources}; a .net file holds a chain of layers, each"
            " fed by the one before it"
        )
    if network.own_delay(projection):
        raise UnsupportedError(
            f"{where}: a delay of {network.own_delay(projection)} time steps is not carried, netx"
            " ignores it"
        )


def _make_dense(projection: Projection, population: Population) -> Layer:
    synapses = _check_weights(projection)
    matrix = synapses.wiring.matrix(synapses.weight).toarray()
    if not matrix.any():
        raise UnsupportedError(
            f"projection {projection.source} -> {projection.target}: all weights are 0, and netx"
            " divides by the largest"
        )
    targets, sources = matrix.shape
    return {
        "type": _encode_text("dense"),
        "shape": np.array([targets]),
        "inFeatures": sources,
        "outFeatures": targets,
        "weight": matrix.astype(np.float32),
        **_make_neurons(population),
    }


def _make_convolution(
    projection: Projection, wiring: Convolution, population: Population, shape: Shape
) -> Layer:
    where = f"projection {projection.source} -> {projection.target}"
    if prod(shape) != prod(wiring.source_shape) or shape != wiring.source_shape:
        raise UnsupportedError(
            f"{where}: a convolution of {wiring.source_shape} behind a layer of shape {shape} is"
            " not known to netx"
        )
    weight = _check_weights(projection).weight
    return {
        "type": _encode_text("conv"),
        "shape": np.array(wiring.target_shape),
        "inChannels": wiring.source_shape[0],
        "outChannels": wiring.channels,
        "kernelSize": np.array(wiring.kernel),
        "stride": np.array(wiring.stride),
        "padding": np.array(wiring.padding),
        "dilation": np.array(wiring.dilation),
        "groups": wiring.groups,
        "weight": weight[..., None].astype(np.float32),  # lava-dl keeps a time axis
        **_make_neurons(population, wiring.channels),
    }


def _check_weights(projection: Projection) -> IntegerSynapses:
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses), "an IntegerNetwork has no others"
    where = f"projection {projection.source} -> {projection.target}"
    if projection.port is not None:
        raise UnsupportedError(f"{where}: an input {projection.port!r} is not known to the writer")
    if synapses.exponent:
        raise UnsupportedError(
            f"{where}: weights with an exponent of {synapses.exponent} have no place in a .net"
            f" file; {FORMATS}"
        )
    if (synapses.weight % 2).any() or synapses.weight.max(initial=0) > 254:
        raise UnsupportedError(
            f"{where}: weights of a .net file are even, from -256 to 254; {FORMATS}"
        )
    return synapses


def _make_neurons(population: Population, channels: int | None = None) -> Layer:
    """Return the neurons and the bias of a layer; `channels` of a convolution."""
    neuron = population.neuron
    if neuron.kind not in ("cuba_lif/hard", "integrate_fire/hard"):
        raise UnsupportedError(
            f"{population.name}: {neuron.kind} has no place in a .net file, only cuba_lif/hard;"
            " train with a hard reset"
        )
    if np.any(neuron.initial):
        raise UnsupportedError(
            f"{population.name}: an initial potential has no place in a .net file"
        )
    decays = {"iDecay": np.asarray(4096), "vDecay": np.asarray(0)}
    if neuron.name == "cuba_lif":
        decays = {"iDecay": neuron.current_decay + 1, "vDecay": neuron.potential_decay}  # type: ignore[attr-defined]
    parameters = decays | {"vThMant": neuron.threshold}  # type: ignore[attr-defined]
    for name, value in parameters.items():
        if channels is not None and value.ndim:
            raise UnsupportedError(
                f"{population.name}: {name} differs from neuron to neuron; netx takes one for a"
                " convolution"
            )
    layer: Layer = {f"neuron/{name}": value for name, value in parameters.items()}
    layer |= {
        "neuron/type": _encode_text("CUBA"),
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
    }
    bias = _make_bias(population, channels)
    return layer if bias is None else layer | {"bias": bias}


def _make_bias(population: Population, channels: int | None) -> NDArray[np.int64] | None:
    neuron: Any = population.neuron
    value = np.asarray(shift_bias(neuron.bias_mantissa, neuron.bias_exponent))
    if not value.any():
        return None
    where = f"{population.name}: a bias"
    if (value % 2**BIAS_EXPONENT).any() or np.abs(value).max() >> BIAS_EXPONENT > LARGEST_BIAS:
        raise UnsupportedError(
            f"{where} that is no multiple of 64, or above {LARGEST_BIAS} times it, has no place in"
            f" a .net file; {FORMATS}"
        )
    each = np.broadcast_to(value >> BIAS_EXPONENT, (population.size,))
    if channels is None:
        return each.copy()
    rows = each.reshape(channels, -1)
    if (rows != rows[:, :1]).any():
        raise UnsupportedError(
            f"{where} that differs within a channel has no place in a .net file; train without"
            " batch norm before padding"
        )
    return rows[:, 0].copy()


def _encode_text(text: str) -> NDArray[np.bytes_]:
    return np.array([text.encode("ascii")])
