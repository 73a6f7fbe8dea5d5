"""Import a trained lava-dl network: a `.net` file (HDF5).

The content of a file and its meaning in Lava were read in lava-dl (`lib/dl/netx/hdf5.py` reads,
`lib/dl/slayer/block/base.py` writes); shapes are (channels, height, width):

    layer/<i>/type                       "dense", "conv", "input", "flatten" or, at the end,
                                         "average"; others are refused
    layer/<i>/shape
    layer/<i>/weight                     as the chip uses them, even: (target, source), or
                                         (out, in, height, width); real and imag for RF neurons
    layer/<i>/{stride, padding, dilation, groups}       one number, or (y, x)
    layer/<i>/weight_rec                 from the layer to itself, one time step later
    layer/<i>/bias                       LIF: mantissa, exponent 6; SDNN: shifted by 12
    layer/<i>/delay                      of each channel's spikes, in time steps
    layer/<i>/neuron/{type, vThMant, ...}  CUBA, LOIHI, SDNN, RF (Lava's RF_IZ), RF_PHASE (its RF)

netx itself ignores `delay` and `weight_rec`; here they are computed as lava-dl trained them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.hdf5.read import Group, open_hdf5
from snncompile.frontends.netx.neurons import check_names, read_neuron
from snncompile.frontends.netx.synapses import (
    count_values,
    make_group_sum,
    make_identity,
    read_convolution,
    read_dense,
    read_recurrent,
)
from snncompile.ir.delays import split_by_delay
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.base import BINARY, IntegerNeuron, Interval
from snncompile.neurons.fixed import CONV_BITS, DECAY_ONE, STATE_SHIFT
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.scale import Scale

MOST_LAYERS = 10_000
LONGEST_DELAY = 62
"""Largest delay of lava-dl (`lib/dl/netx/utils.py`)."""
GRADED = Interval(-(2**15) + 1, 2**15 - 1)
"""Range of an input that carries numbers: Lava keeps biases, and lava-dl messages, in 16 bits."""
INPUT = "input"

LAYERS = ("average", "conv", "dense", "dense_rec", "flatten", "input")
INSTEAD = {
    "concat": "build that network from its layers instead",
    "convT": "no chip computes it; upsample with a convolution of more channels instead",
    "pool": "use a convolution with a stride instead",
    "unpool": "no chip computes it; upsample with a convolution of more channels instead",
}
"""Layer that lava-dl writes and netx cannot load either -> the alternative to it."""
NAMES = {
    "input": frozenset(["type", "shape", "weight", "bias", "neuron"]),
    "flatten": frozenset(["type", "shape"]),
    "average": frozenset(["type", "shape"]),
    "dense": frozenset(
        [
            *("type", "shape", "inFeatures", "outFeatures", "weight", "weight_rec"),
            *("bias", "delay", "neuron"),
        ]
    ),
    "conv": frozenset(
        [
            *("type", "shape", "inChannels", "outChannels", "kernelSize", "weight"),
            *("stride", "padding", "dilation", "groups", "bias", "delay", "neuron"),
        ]
    ),
}


@dataclass(frozen=True)
class InputTransform:
    """Numbers that lava-dl makes for an input layer of values: weight * value + bias, whole."""

    weight: int
    bias: int


def read_input_transform(path: str | Path) -> InputTransform:
    """Return the transform from values to the input of a file's input layer with neurons.

    Raises:
        InputError: the file is damaged, or its first layer is no input layer with neurons.
    """
    with open_hdf5(path) as root:
        first = _open_layers(root)[0]
        if first.read_text("type") != "input" or "neuron" not in first:
            raise InputError(f"{first.where}: is no input layer with neurons")
        weight = first.read_integer("weight", -(2**31), 2**31) if "weight" in first else 64
        bias = first.read_integer("bias", -(2**31), 2**31) if "bias" in first else 0
    return InputTransform(weight, bias)  # 64: netx's own default


def from_netx(
    path: str | Path,
    *,
    num_layers: int | None = None,
    skip_layers: int = 0,
    title: str | None = None,
) -> IntegerNetwork:
    """Return the integer network in a `.net` file.

    An input layer with neurons takes whole numbers, one per neuron and time step, as a bias: the
    values that lava-dl makes of an image (`read_input_transform`). So does a sigma-delta network
    without one; all others take spikes.

    Args:
        path: the file.
        num_layers: number of layers to read from the start, all if not given; input and flatten
            layers count, as in netx.
        skip_layers: number of those to leave out at the start; the network then takes what they
            send.
        title: name of the network in reports; the name of the file if not given.

    Raises:
        InputError: the file is damaged, or a value in it is malformed, or no layer is left.
        UnsupportedError: a layer or a feature of one is not known.
    """
    path = Path(path)
    builder = _Builder()
    if (num_layers is not None and num_layers < 1) or skip_layers < 0:
        raise InputError(
            f"num_layers must be 1 or more and skip_layers 0 or more, got {num_layers} and"
            f" {skip_layers}"
        )
    with open_hdf5(path) as root:
        for index, group in enumerate(_open_layers(root)[:num_layers]):
            builder.add(group, index, skip=index < skip_layers)
    if not builder.populations:
        raise InputError(f"{path.name}: holds no layer with neurons")
    return builder.build(title or path.stem)


@dataclass
class _Builder:
    """A network while its layers are read; `shape` is the next layer's input, () if unknown."""

    shape: Shape = ()
    input_shape: Shape = ()
    payload: Interval = BINARY
    given_payload: Interval | None = None
    """Range of what the last skipped layer sends."""
    source: str = INPUT
    delays: NDArray[np.int64] | None = None
    """Delays of the last layer's spikes, one per neuron."""
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    name: str = ""
    """Name of the layer that is read."""
    notes: list[str] = field(default_factory=list)

    def add(self, group: Group, index: int, *, skip: bool = False) -> None:
        """Add one layer; of a skipped one only the shape and what it sends is kept."""
        kind = group.read_text("type")
        group.where, self.name = f"{group.where} ({repr(kind)[1:-1]})", f"layer_{index}"
        if kind in INSTEAD:
            raise UnsupportedError(f"{group.where}: is not known; {INSTEAD[kind]}")
        if kind not in LAYERS:
            known = ", ".join(LAYERS)
            raise UnsupportedError(f"{group.where}: is not known; known: {known}")
        kind = "dense" if kind == "dense_rec" else kind
        check_names(group, NAMES[kind])
        shape = tuple(int(size) for size in group.read_integers("shape", 1, 2**31).reshape(-1))
        if skip:
            self._skip(group, kind, shape)
        elif kind == "dense":
            self._add_dense(group, shape)
        elif kind == "conv":
            self._add_convolution(group, shape)
        elif kind == "average":
            self._add_average(group, shape)
        else:
            self._pass_on(group, shape)
            if "neuron" in group:
                self._add_input_layer(group, shape)

    def _skip(self, group: Group, kind: str, shape: Shape) -> None:
        """Make what a layer sends the input of the network."""
        self.shape = self.input_shape = (count_values(shape),) if kind == "dense" else shape
        self.delays = None
        if "neuron" in group:
            payload = read_neuron(group, self.shape, first=kind == "input").payload
            self.given_payload = BINARY if payload == BINARY else GRADED
            self._keep_delays(group, self.shape[0], count_values(self.shape))

    def build(self, title: str) -> IntegerNetwork:
        """Return the network; delays of the last layer need a population that passes spikes on."""
        if self.delays is not None:
            last = self.populations[-1]
            if last.neuron.payload != BINARY or not last.neuron.spikes:
                raise UnsupportedError(
                    f"{last.name}: a delay of graded spikes behind the last layer is not known"
                )
            passes_on = IntegerIntegrateFire(np.asarray(1), reset="hard")
            twice = IntegerSynapses(Scale(last.size), np.asarray(2, np.int16), 0, 8)
            self._add_population(f"{last.name}_late", last.shape, passes_on, {None: twice})
        return IntegerNetwork(
            Input(INPUT, self.input_shape, self.payload),
            tuple(self.populations),
            tuple(self.projections),
            self.source,
            title=title,
            notes=tuple(self.notes),
        )

    def _choose_payload(self, payload: Interval) -> None:
        """Set what the input carries, unless a skipped layer sends it."""
        self.payload = payload if self.given_payload is None else self.given_payload

    def _pass_on(self, group: Group, shape: Shape) -> None:
        """Take a layer that passes values on as they are, perhaps in another shape."""
        if self.shape and count_values(self.shape) != count_values(shape):
            size = count_values(self.shape)
            raise InputError(f"{group.where}: shape {shape} does not hold {size} values")
        self.shape = shape
        self.input_shape = self.input_shape or shape

    def _add_input_layer(self, group: Group, shape: Shape) -> None:
        if self.populations:
            raise UnsupportedError(f"{group.where}: an input layer behind others is not known")
        neuron = read_neuron(group, shape, first=True)
        self._choose_payload(BINARY if neuron.ports else GRADED)
        ports = neuron.ports or (None,)
        self._add_population(
            self.name,
            shape,
            neuron,
            {port: make_identity(count_values(shape)) for port in ports},
        )

    def _add_average(self, group: Group, shape: Shape) -> None:
        """Add the sums of groups of neurons; the average is that over their number."""
        size, groups = count_values(self.shape) if self.shape else 0, count_values(shape)
        if not self.shape or size % groups:
            raise InputError(f"{group.where}: {size} values cannot be averaged in {groups} groups")
        at_once = IntegerReadout(np.asarray(DECAY_ONE - 1), np.asarray(DECAY_ONE))
        self._check_source(group)
        self._add_population(self.name, (groups,), at_once, {None: make_group_sum(size, groups)})
        self.notes.append(
            f"netx: {self.name} is read out as sums of {size // groups} neurons, times"
            f" {2**STATE_SHIFT}; lava-dl's average is that over {size // groups * 2**STATE_SHIFT}"
        )

    def _add_dense(self, group: Group, shape: Shape) -> None:
        size = count_values(shape)
        synapses = read_dense(group, count_values(self.shape) if self.shape else None, size)
        neuron = read_neuron(group, (size,), first=False)
        self._check_ports(group, neuron, tuple(synapses))
        if not self.populations:
            sources = next(iter(synapses.values())).wiring.sources
            self.input_shape = self.input_shape or (sources,)
            self._choose_payload(BINARY if neuron.name in SPIKING else GRADED)
        self._add_population(self.name, (size,), neuron, synapses)
        if "neuron" not in group:
            self.notes.append(
                f"netx: {self.name} has no neurons; its sums since the start are read out, as netx"
                " does; the file does not hold decays that lava-dl may have trained with"
            )
        again = read_recurrent(group, size)
        if again is not None:
            if neuron.ports:
                raise UnsupportedError(f"{group.where}: weight_rec of RF neurons is not known")
            name = self.source
            self.projections.append(Projection(name, name, again, delay=1))
        self._keep_delays(group, size, size)

    def _add_convolution(self, group: Group, shape: Shape) -> None:
        if len(self.shape) != 3 or len(shape) != 3:
            before = self.shape or "unknown"
            raise InputError(
                f"{group.where}: a conv layer needs (channels, height, width) before and behind"
                f" it, got {before} and {shape}"
            )
        synapses = read_convolution(group, self.shape, shape)
        neuron = read_neuron(group, shape, first=False)
        self._check_ports(group, neuron, tuple(synapses))
        if not self.populations:
            self._choose_payload(BINARY if neuron.name in SPIKING else GRADED)
        if neuron.name not in SPIKING:  # netx builds a Conv, whose sums wrap
            synapses = {k: replace(s, sum_bits=CONV_BITS) for k, s in synapses.items()}
        self._add_population(self.name, shape, neuron, synapses)
        self._keep_delays(group, shape[0], count_values(shape))

    def _check_source(self, group: Group) -> None:
        if self.source != INPUT and not self.populations[-1].neuron.spikes:
            raise UnsupportedError(
                f"{group.where}: a layer behind {self.source}, which sends no spikes, is not known"
            )

    def _check_ports(
        self, group: Group, neuron: IntegerNeuron, ports: tuple[str | None, ...]
    ) -> None:
        self._check_source(group)
        if bool(neuron.ports) != (ports != (None,)):
            has, needs = ("real", "complex") if neuron.ports else ("complex", "real")
            raise InputError(f"{group.where}: {neuron.name} needs {needs} weights, got {has} ones")

    def _add_population(
        self,
        name: str,
        shape: Shape,
        neuron: IntegerNeuron,
        synapses: dict[str | None, IntegerSynapses],
    ) -> None:
        """Add a population that the last one feeds; a layer's spikes arrive in the same step."""
        for port, port_synapses in synapses.items():
            projection = Projection(self.source, name, port_synapses, delay=0, port=port)
            late = 0 if self.delays is None else self.delays
            self.projections += split_by_delay(projection, late)
        self.populations.append(Population(name, shape, neuron))
        self.source, self.shape, self.delays = name, shape, None

    def _keep_delays(self, group: Group, channels: int, size: int) -> None:
        if "delay" not in group:
            return
        delays = group.read_integers("delay", 0, LONGEST_DELAY).reshape(-1)
        if delays.size not in (1, channels):
            raise InputError(
                f"{group.where}: delay has {delays.size} values for {channels} channels"
            )
        if delays.any():
            each = np.broadcast_to(delays, (channels,))
            self.delays = np.repeat(each, size // channels)


SPIKING = ("cuba_lif", "readout", "resonate_fire", "resonate_fire_izhikevich")
"""Neurons that take plain spikes; the others take numbers."""


def _open_layers(root: Group) -> list[Group]:
    """Return the layers in order: they are called 0, 1, 2, ..."""
    if "layer" not in root:
        raise InputError(f"{root.where}: has no group 'layer', so it is no lava-dl network")
    group = root.open_group("layer", root.where)
    count = len(group.list_names())
    if count > MOST_LAYERS:
        raise InputError(f"{root.where}: has {count:,} layers, at most {MOST_LAYERS:,} are read")
    for name in group.list_names():
        if name not in {str(index) for index in range(count)}:
            raise InputError(f"{root.where}: has a layer {name!r}, expected 0..{count - 1}")
    return [group.open_group(str(i), f"{root.where}: layer {i}") for i in range(count)]
