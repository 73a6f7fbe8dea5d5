"""Synapses of lava-dl `.net` files: dense, convolution, recurrent, real or complex."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.frontends.hdf5.read import Group
from snncompile.ir.graph import Shape
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse

PortSynapses = dict[str | None, IntegerSynapses]
"""Port -> synapses; None is the only input."""


def make_identity(size: int) -> IntegerSynapses:
    """Return one-to-one synapses that pass a number on unchanged: doubled, then halved.

    8-bit weights with a sign are even, so a 1 is a 2 with an exponent of -1.
    """
    return IntegerSynapses(Scale(size), np.asarray(2, np.int16), -1, 8)


def make_group_sum(size: int, groups: int) -> IntegerSynapses:
    """Return synapses that add up the numbers of each group of neurons in a row, unchanged."""
    source = np.arange(size, dtype=np.int32)
    wiring = Sparse(source // (size // groups), source, groups, size)
    return IntegerSynapses(wiring, np.full(size, 2, np.int16), -1, 8)


def read_dense(group: Group, sources: int | None, targets: int) -> PortSynapses:
    """Return the synapses of a dense layer that takes `sources` values; None: any number.

    Raises:
        InputError: the weights have another shape, or are no even whole numbers.
    """
    synapses: PortSynapses = {}
    for port, owner, name in _find_weights(group):
        weight = check_even(owner, owner.read_integers(name, -256, 255))
        if weight.ndim == 1 and weight.size % targets == 0:
            weight = weight.reshape(targets, -1)  # as netx does
        wanted = weight.shape[-1] if sources is None and weight.ndim == 2 else sources
        if weight.shape != (targets, wanted) or 0 in weight.shape:
            expected = f"({targets}, {'sources' if wanted is None else wanted})"
            raise InputError(f"{owner.where}: {name} has shape {weight.shape}, expected {expected}")
        for key, count in (("outFeatures", targets), ("inFeatures", wanted)):
            _check_count(group, key, count, name)
        synapses[port] = integer_dense(weight.astype(np.int16), exponent=0, bits=8)
        sources = wanted
    return synapses


def read_convolution(group: Group, source: Shape, target: Shape) -> PortSynapses:
    """Return the synapses of a convolution layer, shapes (channels, height, width).

    Raises:
        InputError: the geometry does not lead from one shape to the other.
    """
    synapses: PortSynapses = {}
    stride, padding = _read_pair(group, "stride", 1, 1), _read_pair(group, "padding", 0, 0)
    dilation = _read_pair(group, "dilation", 1, 1)
    groups = group.read_integer("groups", 1, 2**31) if "groups" in group else 1
    for port, owner, name in _find_weights(group):
        weight = check_even(owner, owner.read_integers(name, -256, 255))
        weight = weight.reshape(weight.shape[:4]) if weight.ndim == 5 else weight
        if weight.ndim != 4:
            raise InputError(
                f"{owner.where}: {name} has shape {weight.shape}, expected (out, in, height, width)"
            )
        wiring = _make_wiring(group, source, weight.shape, (stride, padding, dilation), groups)
        for key, count in (("outChannels", weight.shape[0]), ("inChannels", source[0])):
            _check_count(group, key, count, name)
        if wiring.target_shape != target or wiring.weight_shape != weight.shape:
            raise InputError(
                f"{group.where}: {wiring} with {name} of shape {weight.shape} does not give the"
                f" layer's shape {target}"
            )
        synapses[port] = IntegerSynapses(wiring, weight.astype(np.int16), 0, 8)
    return synapses


def read_recurrent(group: Group, size: int) -> IntegerSynapses | None:
    """Return the synapses from a layer to itself, if it has any."""
    if "weight_rec" not in group:
        return None
    weight = check_even(group, group.read_integers("weight_rec", -256, 255))
    if weight.shape != (size, size):
        raise InputError(
            f"{group.where}: weight_rec has shape {weight.shape}, expected ({size}, {size})"
        )
    return integer_dense(weight.astype(np.int16), exponent=0, bits=8)


def _find_weights(group: Group) -> Iterator[tuple[str | None, Group, str]]:
    """Yield (port, group, name) of each array of weights."""
    if not group.holds_group("weight"):
        yield None, group, "weight"
        return
    parts = group.open_group("weight", group.where)
    for name in parts.list_names():
        if name not in ("real", "imag"):
            raise InputError(f"{group.where}: weight has a part {name!r}, expected real and imag")
    for name in ("real", "imag"):
        yield name, parts, name


def check_even(group: Group, weight: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weights; refuse odd ones, which signed 8-bit weights cannot hold."""
    if (weight % 2).any():
        odd = weight[weight % 2 != 0].flat[0]
        raise InputError(
            f"{group.where}: weight holds {odd}; 8-bit weights are stored times two, so they are"
            " even, and Lava would round this one"
        )
    return weight


def _check_count(group: Group, key: str, count: int | None, name: str) -> None:
    if key in group and group.read_integer(key, 0, 2**31) != count:
        stored = group.read_integer(key, 0, 2**31)
        raise InputError(f"{group.where}: {key} is {stored}, {name} has {count}")


def _read_pair(group: Group, name: str, low: int, default: int) -> Shape:
    """Return (y, x); one number is for both."""
    if name not in group:
        return (default, default)
    values = group.read_integers(name, low, 2**20).reshape(-1)
    if values.size not in (1, 2):
        raise InputError(f"{group.where}: {name} has {values.size} values, expected one or (y, x)")
    y, x = np.broadcast_to(values, (2,))
    return (int(y), int(x))


def _make_wiring(
    group: Group,
    source: Shape,
    weight: Shape,
    geometry: tuple[Shape, Shape, Shape],
    groups: int,
) -> Convolution:
    try:
        return Convolution(source, weight[0], weight[2:], *geometry, groups)
    except ValueError as error:
        raise InputError(f"{group.where}: {error}") from None


def count_values(shape: Shape) -> int:
    """Return the number of values of a shape."""
    return prod(shape)
