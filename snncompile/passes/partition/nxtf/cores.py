"""Count what a core of a layer takes under the rules of Intel's NxTF: axons, formats, memory.

Source: nxsdk_modules_ncl/dnn/src/dnn_layers.py and data_structures.py
(github.com/intel-nrc-ecosystem/models).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.cores.equal_tiles import Box, Shape3
from snncompile.cores.row_encoding import EncodedRows, Encoding, RowRules, Rows, encode_rows
from snncompile.hwmodels.schema import Chip
from snncompile.passes.partition.nxtf.tiles import Columns, find_columns
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense


@dataclass(frozen=True, eq=False)
class Layer:
    """A population and the synapses into it; None for the input, whose neurons take cores too."""

    name: str
    shape: Shape3
    synapses: IntegerSynapses | None
    neuron_size: int
    """Compartments of a neuron: 1, or 2 with a soft reset."""

    @property
    def dense(self) -> bool:
        """Whether every source reaches every neuron."""
        return self.synapses is not None and isinstance(self.synapses.wiring, Dense)

    @property
    def depthwise(self) -> bool:
        """Whether a channel has synapses only from the channel of its own number."""
        wiring = self.synapses.wiring if self.synapses else None
        return isinstance(wiring, Convolution) and wiring.groups > 1


@dataclass(frozen=True, eq=False)
class Core:
    """One core of a layer."""

    box: Box
    chip: int
    used: dict[str, int]
    """By name of a limit, see `LIMITS`."""
    group: NDArray[np.int32]
    """Source group on this core that each source neuron belongs to, shape (sources,); -1: none."""


LIMITS = {
    "destination_groups": "interleaved destination groups on a core",
    "compartments": "compartments on a core",
    "axons_out": "entries for output axons on a core",
    "formats": "synapse formats on a core",
    "row_words": "words of synaptic memory for one row",
    "synapse_words": "words of synaptic memory on a core",
    "axons_in": "input axons on a core",
}
"""Limits of a core, in the order in which NxTF checks them."""


def list_limits(chip: Chip) -> dict[str, int]:
    """Return the limits of a core by name; one word of the memory is never used."""
    rows, core = chip.rows, chip.core
    assert rows is not None
    return {
        "destination_groups": rows.destination_groups.whole or 0,
        "compartments": core.compartments.whole or 0,
        "axons_out": core.axons_out.whole or 0,
        "formats": rows.formats.whole or 0,
        "row_words": rows.row_words.whole or 0,
        "synapse_words": (core.synapse_words.whole or 0) - 1,
        "axons_in": core.axons_in.whole or 0,
    }


@dataclass(frozen=True, eq=False)
class Sending:
    """Output axons of a core."""

    entries: int
    sets: tuple[tuple[int, ...], ...]
    """Different sets of the core's neurons that an axon group serves, numbered in its box."""


def count_output_axons(
    chip: Chip, layer: Layer, box: Box, on: int, after: Sequence[Core], spread: Ints
) -> Sending:
    """Return the output axons of a core.

    Sources that reach several cores have a discrete axon for each; sources of a group that reach
    one core share a population axon. With a soft reset all are discrete.

    Args:
        chip: gives the entries an axon takes.
        layer: of the core.
        box: its neurons.
        on: its chip.
        after: cores of the next layer.
        spread: cores that each neuron of the layer reaches.
    """
    assert chip.axon_entries is not None
    sizes = (chip.axon_entries.discrete, chip.axon_entries.population)
    discrete, population = (size.whole or 0 for size in sizes)
    neurons = box.neurons(layer.shape)
    many = np.full(len(neurons), True) if layer.neuron_size > 1 else spread[neurons] > 1
    entries = 0
    sets: dict[tuple[int, ...], None] = {}
    for core in after:
        extra = (chip.axon_entries.other_chip.whole or 0) * (core.chip != on)
        group = core.group[neurons]
        alone = int(np.count_nonzero(many & (group >= 0)))
        shared = len(np.unique(group[~many & (group >= 0)]))
        entries += alone * (discrete + extra) + shared * (population + extra)
        if layer.neuron_size > 1:
            for name in np.unique(group[group >= 0]):
                sets[tuple(np.flatnonzero(group == name).tolist())] = None
    return Sending(entries, tuple(sets))


def count_input_axons(layer: Layer, core: Core, spread: Ints) -> int:
    """Return the input axons of a core; `spread` are the cores that each source reaches."""
    many = np.full(len(spread), True) if layer.neuron_size > 1 else spread > 1
    reached = core.group >= 0
    shared = len(np.unique(core.group[reached & ~many]))
    return int(np.count_nonzero(reached & many)) + shared


def find_reach(layer: Layer, box: Box) -> Columns | None:
    """Return the columns that reach a core of a convolution; None if NxTF cannot interleave it."""
    assert layer.synapses is not None
    wiring = layer.synapses.wiring
    assert isinstance(wiring, Convolution)
    return find_columns(wiring, box)


def encode_core(
    layer: Layer,
    box: Box,
    reach: Columns | None,
    sets: Sequence[tuple[int, ...]],
    kind: str,
    rules: RowRules,
) -> EncodedRows:
    """Return the encoded rows of a core, including rows for its soft resets.

    Args:
        layer: of the core.
        box: its neurons.
        reach: of a convolution.
        sets: neurons that each recurrent group of soft resets serves.
        kind: of the rows; rows of a dense layer are always dense1.
        rules: of the memory.
    """
    bits = 8 if layer.synapses is None else layer.synapses.bits
    parts = []
    if reach is not None:
        parts.append(_list_convolution_rows(layer, box, reach))
    elif layer.synapses is not None:
        weight = layer.synapses.weight[box.neurons(layer.shape)].astype(np.int64)
        rows = Rows.matrix(weight)
        parts.append(Rows.make(rows.ends, rows.index * layer.neuron_size, rows.weight))
    if layer.neuron_size > 1:
        parts.append(_list_reset_rows(box, reach, sets))
    chosen = "dense1" if layer.dense else kind
    return encode_rows(_join(parts), Encoding(chosen, True, bits), rules)


def number_source_groups(
    layer: Layer, box: Box, reach: Columns | None, sources: int
) -> NDArray[np.int32]:
    """Return the source group of each source neuron, -1 if it has no synapses to the core."""
    if layer.synapses is None:
        return np.zeros(0, np.int32)
    if reach is None:
        return np.arange(sources, dtype=np.int32)
    wiring = layer.synapses.wiring
    assert isinstance(wiring, Convolution)
    channels, height, width = (*wiring.source_shape, 1)[:3]
    numbers = np.full((channels, height, width), -1, np.int32)
    channels_in = np.arange(box.start[2], box.stop[2]) if layer.depthwise else np.arange(channels)
    reached = np.ix_(channels_in, reach.rows, reach.columns)
    numbers[reached] = (channels_in[:, None, None] * width + reach.columns).astype(np.int32)
    return numbers.reshape(-1)


def _list_convolution_rows(layer: Layer, box: Box, reach: Columns) -> Rows:
    """Return the rows of a core's different columns, of every input channel."""
    assert layer.synapses is not None
    weight = layer.synapses.weight.astype(np.int64)
    weight = weight.reshape(*weight.shape[:2], -1)[box.start[2] : box.stop[2]]
    parts = [
        list_column_rows(layer, weight, reach, number) for number in range(len(reach.different))
    ]
    rows = _join(parts)
    spacing = layer.neuron_size if reach.groups == 1 else 1  # else it is in the formats
    return replace(rows, index=rows.index * spacing)


def list_column_rows(layer: Layer, weight: NDArray[np.int64], reach: Columns, number: int) -> Rows:
    """Return the rows of one kind of column; the rows of each input channel are a group.

    Args:
        layer: of the core.
        weight: of its channels, shape (channels, source channels, taps).
        reach: columns that reach the core.
        number: of the kind of column.
    """
    pattern, (channels, sources, _) = reach.different[number], weight.shape
    if layer.depthwise:
        weight = weight[:, 0][None].transpose(0, 2, 1)
        values = weight[0, pattern.tap].T  # (channels, synapses): each channel is a source too
        index = pattern.index + np.arange(channels)[:, None] * reach.size
        shape = (channels, 1, len(pattern.row))
        values, index = values.reshape(shape), index.reshape(shape)
    else:
        values = weight[:, :, pattern.tap].transpose(1, 0, 2)
        index = np.arange(channels)[:, None] * reach.size + pattern.index
        index = np.broadcast_to(index, (sources, *index.shape))
    source = np.arange(len(values))[:, None, None]
    row = np.broadcast_to(source * len(reach.rows) + pattern.row, index.shape).reshape(-1)
    ahead = np.broadcast_to(pattern.ahead, index.shape).reshape(-1)
    order = np.lexsort((index.reshape(-1), row))
    count = len(values) * len(reach.rows)
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=count))])
    return Rows.make(
        ends,
        index.reshape(-1)[order],
        values.reshape(-1)[order],
        ahead[order],
        np.repeat(np.arange(len(values)), len(reach.rows)),
    )


def _list_reset_rows(box: Box, reach: Columns | None, sets: Sequence[tuple[int, ...]]) -> Rows:
    """Return a row of one synapse per neuron and set; only the first of a neuron has a weight.

    These rows are never interleaved, so where others are their formats differ.
    """
    neurons = np.array([neuron for members in sets for neuron in members], np.int64)
    compartment = number_compartments(box, reach)[neurons] * 2
    first = np.zeros(len(neurons), bool)
    first[np.unique(neurons, return_index=True)[1]] = True
    kind = 2 if reach is not None and reach.groups > 1 else 0
    ends = np.arange(len(neurons) + 1)
    group = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
    return Rows.make(ends, compartment, np.where(first, -1, 0), np.full(len(neurons), kind), group)


def number_compartments(box: Box, reach: Columns | None) -> Ints:
    """Return the number of each neuron of a box (in our order) among the neurons of its core."""
    height, width, channels = box.extent
    position = np.arange(width)[None, None, :] * height + np.arange(height)[None, :, None]
    channel = np.arange(channels)[:, None, None]
    size = height * width if reach is None else reach.groups * reach.size
    if reach is not None:
        group = np.searchsorted(reach.starts, position, side="right") - 1
        position = group + reach.groups * (position - reach.starts[group])
    numbers: Ints = (position + channel * size).reshape(-1)
    return numbers


def _join(parts: Sequence[Rows]) -> Rows:
    """Return all rows together; groups of different parts stay apart."""
    ends, group, synapses, groups = [np.zeros(1, np.int64)], [], 0, 0
    for rows in parts:
        ends.append(rows.ends[1:] + synapses)
        group.append(rows.group + groups)
        synapses += len(rows.index)
        groups += int(rows.group.max(initial=-1)) + 1
    return Rows.make(
        np.concatenate(ends),
        np.concatenate([rows.index for rows in parts]),
        np.concatenate([rows.weight for rows in parts]),
        np.concatenate([rows.sublist for rows in parts]),
        np.concatenate(group),
    )
