"""Import a trained lava-dl network: a `.net` file (HDF5), dense layers of CUBA neurons.

What is in a file, and what it means to Lava, was read in lava-dl (`lib/dl/netx/hdf5.py` reads,
`lib/dl/slayer/block/base.py` writes):

    layer/<i>/type                          "dense", "input" or "flatten", others are refused
    layer/<i>/shape                         channels first
    layer/<i>/weight                        (target, source), as the chip uses them: even
    layer/<i>/bias                          mantissa, exponent 6
    layer/<i>/neuron/{type, iDecay, vDecay, vThMant, refDelay, gradedSpike}
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.hdf5 import Group, opened
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.dense import integer_dense

BIAS_EXPONENT = 6
"""netx gives every LIF process bias_exp = 6."""
LARGEST_BIAS = 2**15 - 1
"""Lava keeps bias mantissas in 16 bits and wraps others silently (LAVA.md)."""
LARGEST_THRESHOLD = 2**17 - 1
"""Lava's `vth` has 17 bits."""
MOST_LAYERS = 10_000

DENSE_NAMES = frozenset(
    ["type", "shape", "inFeatures", "outFeatures", "weight", "bias", "delay", "neuron"]
)
NEURON_NAMES = frozenset(
    [
        *("type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike"),
        *("wgtExp", "messageBits", "tauRho", "scaleRho"),
    ]
)
"""`tauRho` and `scaleRho` shape the gradient in training and mean nothing afterwards."""
NEURONS = ("CUBA", "LOIHI")
NO_DELAY = 0
"""A layer's spikes reach the next layer in the same step; retiming adds the chip's delays."""


@dataclass(frozen=True, eq=False)
class _Layer:
    """One dense layer with its neurons."""

    name: str
    synapses: IntegerSynapses
    neuron: IntegerCubaLif

    @property
    def sources(self) -> int:
        """Number of values it takes."""
        return int(self.synapses.weight.shape[1])

    @property
    def targets(self) -> int:
        """Number of its neurons."""
        return int(self.synapses.weight.shape[0])


def from_netx(path: str | Path, *, title: str | None = None) -> IntegerNetwork:
    """Return the integer network in a `.net` file.

    Args:
        path: the file.
        title: name of the network in reports; the name of the file if not given.

    Raises:
        InputError: the file is damaged, or a value in it is not what it should be.
        UnsupportedError: a layer or a feature of one is not known.
    """
    path = Path(path)
    shape: Shape = ()
    layers: list[_Layer] = []
    with opened(path) as root:
        for group in _layer_groups(root):
            size = layers[-1].targets if layers else prod(shape) if shape else None
            if _is_dense(group):
                layers.append(_dense(group, size))
                shape = shape or (layers[0].sources,)
            else:
                passed_on = _pass_on(group, size)
                shape = shape or passed_on
    if not layers:
        raise InputError(f"{path.name}: holds no dense layer")
    return _network(shape, layers, title or path.stem)


def _network(shape: Shape, layers: list[_Layer], title: str) -> IntegerNetwork:
    sources = ["input", *(layer.name for layer in layers)]
    return IntegerNetwork(
        input=Input("input", shape),
        populations=tuple(
            Population(layer.name, (layer.targets,), layer.neuron) for layer in layers
        ),
        projections=tuple(
            Projection(source, layer.name, layer.synapses, NO_DELAY)
            for source, layer in zip(sources, layers, strict=False)
        ),
        output=layers[-1].name,
        title=title,
    )


def _layer_groups(root: Group) -> list[Group]:
    """Return the layers in order: they are called 0, 1, 2, ..."""
    if "layer" not in root:
        raise InputError(f"{root.where}: has no group 'layer', so it is no lava-dl network")
    group = root.group("layer", root.where)
    count = len(group.names())
    if count > MOST_LAYERS:
        raise InputError(f"{root.where}: has {count:,} layers, at most {MOST_LAYERS:,} are read")
    for name in group.names():
        if name not in {str(index) for index in range(count)}:
            raise InputError(f"{root.where}: has a layer {name!r}, expected 0..{count - 1}")
    return [group.group(str(i), f"{root.where}: layer {i}") for i in range(count)]


def _is_dense(group: Group) -> bool:
    kind = group.text("type")
    if kind not in ("dense", "flatten", "input"):
        raise UnsupportedError(
            f"{group.where}: type {kind!r} is not known; known: dense, flatten, input"
        )
    return kind == "dense"


def _pass_on(group: Group, size: int | None) -> Shape:
    """Return the shape of a layer that passes `size` values on as they are."""
    _check_names(group, frozenset(["type", "shape"]))
    shape = _shape(group)
    if size not in (None, prod(shape)):
        raise InputError(f"{group.where}: shape {shape} does not hold {size} values")
    return shape


def _dense(group: Group, size: int | None) -> _Layer:
    """Return a dense layer that takes `size` values; any number if that is not known yet."""
    _check_names(group, DENSE_NAMES)
    if group.holds_group("weight"):
        parts = ", ".join(group.group("weight", group.where).names())
        raise UnsupportedError(f"{group.where}: weight of parts ({parts}) is not known")
    weight = _weight(group, size)
    neuron = _neuron(group, len(weight))
    _check_delay(group)
    name = f"layer_{group.where.rpartition(' ')[2]}"
    return _Layer(name, integer_dense(weight.astype(np.int16), exponent=0, bits=8), neuron)


def _shape(group: Group) -> Shape:
    sizes = group.integers("shape", 1, 2**31).reshape(-1)
    return tuple(int(size) for size in sizes)


def _weight(group: Group, size: int | None) -> NDArray[np.int64]:
    """Return the weights, shape (target, source), and check them against `size` sources."""
    weight = group.integers("weight", -256, 255)
    targets = prod(_shape(group))
    if weight.ndim == 1 and weight.size % targets == 0:
        weight = weight.reshape(targets, -1)  # as netx does
    sources = weight.shape[-1] if size is None and weight.ndim == 2 else size
    if weight.shape != (targets, sources) or 0 in weight.shape:
        expected = f"({targets}, {'sources' if sources is None else sources})"
        raise InputError(f"{group.where}: weight has shape {weight.shape}, expected {expected}")
    for key, count in (("outFeatures", targets), ("inFeatures", sources)):
        if key in group and group.integer(key, 0, 2**31) != count:
            found = group.integer(key, 0, 2**31)
            raise InputError(f"{group.where}: {key} is {found}, weight has {count}")
    if (weight % 2).any():
        odd = weight[weight % 2 != 0].flat[0]
        raise InputError(
            f"{group.where}: weight holds {odd}; 8-bit weights are stored times two, so they are"
            " even, and Lava would round this one"
        )
    return weight


def _neuron(group: Group, size: int) -> IntegerCubaLif:
    neuron = group.group("neuron", group.where)
    kind = neuron.text("type")
    if kind not in NEURONS:
        raise UnsupportedError(
            f"{group.where}: neuron type {kind!r} is not known; known: {', '.join(NEURONS)}"
        )
    _check_names(neuron, NEURON_NAMES)
    for key, highest in (("gradedSpike", 0), ("refDelay", 1), ("wgtExp", 0), ("messageBits", 0)):
        values = neuron.integers(key, -(2**31), 2**31) if key in neuron else np.zeros(1)
        if (values > highest).any() or (values < 0).any():
            found = values[(values > highest) | (values < 0)].flat[0]
            raise UnsupportedError(
                f"{group.where}: {key} of {found} is not known, only 0"
                + (" or 1" if highest else "")
            )
    return IntegerCubaLif(
        current_decay=_parameter(neuron, "iDecay", 0, 4096, size) - 1,
        potential_decay=_parameter(neuron, "vDecay", 0, 4096, size),
        threshold=_parameter(neuron, "vThMant", 1, LARGEST_THRESHOLD, size),
        bias_mantissa=_bias(group, size),
        bias_exponent=np.asarray(BIAS_EXPONENT if "bias" in group else 0),
        reset="hard",
    )


def _bias(group: Group, size: int) -> NDArray[np.int64]:
    if "bias" not in group:
        return np.asarray(0)
    return _parameter(group, "bias", -LARGEST_BIAS, LARGEST_BIAS, size)


def _parameter(group: Group, name: str, low: int, high: int, size: int) -> NDArray[np.int64]:
    """Return one number, shape (), or one per neuron, shape (size,)."""
    values = group.integers(name, low, high)
    if values.size == 1:
        return values.reshape(())
    if values.size != size:
        raise InputError(f"{group.where}: {name} has {values.size} values for {size} neurons")
    return values.reshape(-1)


def _check_delay(group: Group) -> None:
    if "delay" in group:
        longest = group.integers("delay", 0, 2**31).max(initial=0)
        if longest:
            raise UnsupportedError(
                f"{group.where}: delay of up to {longest} time steps is not known; train without"
            )


def _check_names(group: Group, known: frozenset[str]) -> None:
    for name in group.names():
        if name not in known:
            raise UnsupportedError(
                f"{group.where}: {name!r} is not known; known: {', '.join(sorted(known))}"
            )
