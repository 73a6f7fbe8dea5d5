"""Neurons of lava-dl `.net` files, as `lib/dl/netx/hdf5.py` hands them to Lava's processes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.hdf5.read import Group
from snncompile.ir.graph import Shape
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.delta import IntegerDelta
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.resonate_fire import IntegerResonateFire
from snncompile.neurons.resonate_fire_izhikevich import IntegerResonateFireIzhikevich
from snncompile.neurons.sigma import IntegerSigma
from snncompile.neurons.sigma_delta import IntegerSigmaDelta

BIAS_EXPONENT = 6
"""netx gives every LIF process bias_exp = 6."""
LARGEST_BIAS = 2**15 - 1
"""Lava keeps bias mantissas in 16 bits and wraps others silently (LAVA.md)."""
LARGEST_THRESHOLD = 2**17 - 1
"""Lava's `vth` has 17 bits."""
SPIKE_EXPONENT = STATE_EXPONENT = 6
"""netx gives every sigma-delta process spike_exp = state_exp = 6."""
LEVEL_SHIFT = SPIKE_EXPONENT + STATE_EXPONENT
LARGEST_LEVEL = 2 ** (23 - LEVEL_SHIFT) - 1
"""Thresholds and biases of sigma-delta neurons, which Lava shifts by 12 into 24 bits."""

TRAINING = ("tauRho", "scaleRho", "theta")
"""The gradient's shape in training, and the threshold before it was rounded; netx reads none."""
COMMON = ("type", "vThMant", "gradedSpike", "messageBits", *TRAINING)
NAMES = {
    "CUBA": frozenset([*COMMON, "iDecay", "vDecay", "refDelay", "wgtExp"]),
    "SDNN": frozenset([*COMMON, "activation", "sigma_output"]),
    "RF": frozenset([*COMMON, "sinDecay", "cosDecay"]),
}
FAMILY = {"CUBA": "CUBA", "LOIHI": "CUBA", "SDNN": "SDNN", "RF": "RF", "RF_PHASE": "RF"}
"""Type in the file -> the neurons that share its parameters."""


def read_neuron(layer: Group, shape: Shape, *, first: bool) -> IntegerNeuron:
    """Return the neurons of a layer.

    Args:
        layer: with a group `neuron`, and perhaps a `bias`.
        shape: channels first; a parameter may be one number, one per channel or one per neuron.
        first: whether it is an input layer, whose sigma-delta neurons only encode.

    Raises:
        InputError: a value is malformed.
        UnsupportedError: a kind of neuron or a feature of it is not known.
    """
    if "neuron" not in layer:
        return _make_sum(layer, shape)
    group = layer.open_group("neuron", layer.where)
    kind = group.read_text("type")
    if kind not in FAMILY:
        known = ", ".join(sorted(FAMILY))
        raise UnsupportedError(f"{layer.where}: neuron type {kind!r} is not known; known: {known}")
    family = FAMILY[kind]
    check_names(group, NAMES[family])
    if family == "CUBA":
        return _read_cuba(layer, group, shape, first=first)
    if family == "SDNN":
        return _read_sigma_delta(layer, group, shape, first=first)
    return _read_resonator(layer, group, shape, phase=kind == "RF_PHASE")


def _make_sum(layer: Group, shape: Shape) -> IntegerNeuron:
    """Return what netx makes of a final affine layer without neurons (`netx/hdf5.py`).

    A current without decay, and a potential that is this current: the sum of the layer's output
    since the start. The decays that lava-dl trained it with are not in the file.
    """
    return IntegerReadout(
        current_decay=np.asarray(-1),
        potential_decay=np.asarray(DECAY_ONE),
        bias_mantissa=_read_bias(layer, LARGEST_BIAS, shape, first=False),
        bias_exponent=np.asarray(BIAS_EXPONENT if "bias" in layer else 0),
    )


def check_names(group: Group, known: frozenset[str]) -> None:
    """Refuse unknown names in a group: they could mean something."""
    for name in group.list_names():
        if name not in known:
            raise UnsupportedError(
                f"{group.where}: {name!r} is not known; known: {', '.join(sorted(known))}"
            )


def _read_cuba(layer: Group, group: Group, shape: Shape, *, first: bool) -> IntegerNeuron:
    """Return Lava's LIF. An input layer's values reach v as a bias: no current keeps them."""
    for key, highest in (("gradedSpike", 0), ("refDelay", 1), ("wgtExp", 0), ("messageBits", 0)):
        _check_up_to(group, key, highest)
    current = read_parameter(group, "iDecay", 0, 4096, shape) - 1
    return IntegerCubaLif(
        current_decay=np.asarray(DECAY_ONE - 1) if first else current,
        potential_decay=read_parameter(group, "vDecay", 0, 4096, shape),
        threshold=read_parameter(group, "vThMant", 1, LARGEST_THRESHOLD, shape),
        bias_mantissa=_read_bias(layer, LARGEST_BIAS, shape, first=first),
        bias_exponent=np.asarray(BIAS_EXPONENT if "bias" in layer and not first else 0),
        reset="hard",
    )


def _read_sigma_delta(layer: Group, group: Group, shape: Shape, *, first: bool) -> IntegerNeuron:
    if "messageBits" in group and (group.read_integers("messageBits", 0, 32) == 0).any():
        raise UnsupportedError(
            f"{layer.where}: messageBits of 0 is not known for SDNN; its spikes carry numbers"
        )
    threshold = read_parameter(group, "vThMant", 0, LARGEST_LEVEL, shape) << LEVEL_SHIFT
    if first:
        return IntegerDelta(threshold, np.asarray(STATE_EXPONENT), np.asarray(LEVEL_SHIFT))
    if "sigma_output" in group and group.read_integer("sigma_output", 0, 1):
        if "bias" in layer:
            raise UnsupportedError(f"{layer.where}: a bias of a sigma output is not known")
        return IntegerSigma()
    activation = group.read_text("activation") if "activation" in group else "relu"
    if activation != "relu":
        raise UnsupportedError(
            f"{layer.where}: activation {activation!r} is not known, only 'relu'"
        )
    bias = _read_bias(layer, LARGEST_LEVEL, shape, first=False) << LEVEL_SHIFT
    return IntegerSigmaDelta(threshold, np.asarray(STATE_EXPONENT), bias)


def _read_resonator(layer: Group, group: Group, shape: Shape, *, phase: bool) -> IntegerNeuron:
    """Return Lava's RF or RF_IZ with the factors of the file.

    netx turns them into period and decay, and Lava turns those into factors again, rounding down;
    a factor can lose 1 of 4096 there. Here the file's numbers are used as they are.
    """
    for key in ("gradedSpike", "messageBits"):
        _check_up_to(group, key, 0)
    if "bias" in layer:
        raise UnsupportedError(f"{layer.where}: a bias of RF neurons is not known")
    make = IntegerResonateFire if phase else IntegerResonateFireIzhikevich
    return make(
        read_parameter(group, "sinDecay", -DECAY_ONE, DECAY_ONE, shape),
        read_parameter(group, "cosDecay", -DECAY_ONE, DECAY_ONE, shape),
        read_parameter(group, "vThMant", 1, LARGEST_THRESHOLD, shape) << STATE_SHIFT,
    )


def _check_up_to(group: Group, key: str, highest: int) -> None:
    values = group.read_integers(key, -(2**31), 2**31) if key in group else np.zeros(1)
    if (values > highest).any() or (values < 0).any():
        wrong = values[(values > highest) | (values < 0)].flat[0]
        raise UnsupportedError(
            f"{group.where}: {key} of {wrong} is not known, only 0" + (" or 1" if highest else "")
        )


def _read_bias(layer: Group, largest: int, shape: Shape, *, first: bool) -> NDArray[np.int64]:
    """Return the bias; the bias of an input layer is part of `read_input_transform`."""
    if first or "bias" not in layer:
        return np.asarray(0)
    return read_parameter(layer, "bias", -largest, largest, shape)


def read_parameter(group: Group, name: str, low: int, high: int, shape: Shape) -> NDArray[np.int64]:
    """Return one number, shape (), or one per neuron, flattened; channels are repeated."""
    values = group.read_integers(name, low, high).reshape(-1)
    size = int(np.prod(shape))
    if values.size == 1:
        return values.reshape(())
    if values.size == shape[0]:
        return np.repeat(values, size // shape[0])
    if values.size != size:
        raise InputError(f"{group.where}: {name} has {values.size} values for {size} neurons")
    return values
