"""Range of each layer's messages: as wide and as fine as the sums of its readers leave room for.

A sum has 24 bits, which weights, messages and their number share:

    sum of |w| * top <= 2^23 - 1

Whoever adds up 9 inputs can read messages of 14 bits beside weights of 8; whoever adds up 4,000
cannot read 8 without coarser weights. And a message has a limit, which activations pass that
calibration has not seen. So the largest message of a layer, and its activation, are those with the
least mean square error of its readers' sums, relative to the sums. With activations in units of the
layer's usual scale, and `room` the activation of the largest message:

    weights    power * step^2 / 12, power the sum of the squares that arrive,
               step = max(largest |w| / 127, top / room * reached / (2^23 - 1))
    messages   (room / top)^2 / 12 * sum of w^2
    limits     sum of w^2 * a^2 * (share of the squares of a that is beyond the room)

`reached` is the largest sum of any activations within the rooms. The share is measured: scales of
one half of the calibration samples, activations of the other, and the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.conversion.ann import (
    INPUT,
    Ann,
    Layer,
    LayerTerm,
    Maximum,
    MessageRange,
    Product,
    normalize,
)
from snncompile.conversion.graded_layers import Table
from snncompile.conversion.scales import Scales
from snncompile.ir.graph import Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis.number_ranges import USUAL_BITS, find_end
from snncompile.passes.quantize.weight_rows import list_rows

TOPS = tuple(round(2 ** (8 + i / 4)) - 1 for i in range(25))
"""Largest messages that are tried, of 8 to 14 bits: 14 are finer than any weights."""
LEAST_TOP = TOPS[0]
ROOMS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
"""Activations of the largest message that are tried, in units of the usual scale."""
CANDIDATES = np.array([(top, room) for room in ROOMS for top in TOPS])
"""Largest messages, and their activations, shape (candidates, 2)."""
ROUNDS = 3
"""How often the layers are gone through: a choice depends on those of the other sources."""
HARDLY = 1.05
"""Of choices whose errors are at most this many times the least one, that of most room is taken:
calibration has not seen everything."""
ANSWER_WEIGHT = 2 * find_end(USUAL_BITS) + 1
"""Largest weight of the answer, whose scale is not made smaller for its sums: rounded up."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the calibration samples say of a layer."""

    scale: Floats
    """Usual scale: the activation of the largest message of 8 bits, per channel or one for all."""
    low: float
    """Smallest activation, in units of the scale, -1 to 0."""
    power: Floats
    """Mean square of the activation of each neuron, in units of the scale."""
    beyond: Floats
    """Share of the squares that is beyond each of `ROOMS`."""


@dataclass(frozen=True, eq=False)
class _Term:
    """The weights of one source at each channel of a reader, times the source's scale."""

    source: str
    up: Floats
    """Largest sum of the positive ones."""
    down: Floats
    """Largest sum of the negative ones, without its sign."""
    peak: Floats
    """Largest magnitude."""
    power: Floats
    """Sum of the mean squares of the activations that arrive."""
    squares: Floats
    """Sum of squares."""
    size: Floats
    """Sum of squares times the mean squares of the activations."""


@dataclass(frozen=True, eq=False)
class _Sum:
    """What the channels of a layer add up."""

    terms: tuple[_Term, ...]
    high: Floats
    """Largest bias of each channel, 0 or more."""
    low: Floats
    """Smallest one, without its sign."""
    answer: bool
    """Whether all channels have one unit."""


def choose_message_ranges(
    ann: Ann, seen: Mapping[str, Seen], unit: float, payload: Interval
) -> dict[str, MessageRange]:
    """Return the range of the messages of each layer but the last; a maximum has its source's.

    Args:
        ann: in the layers that graded messages can be of.
        seen: of each layer but the last and the maxima.
        unit: input of a payload of 1.
        payload: range of the input's payload.
    """
    first = {layer.name: _find_first(ann, layer) for layer in ann.rectified}
    sums = _list_sums(ann, seen, unit * float(payload.high), first)
    choice = {name: (float(LEAST_TOP), 1.0) for name in seen}
    choice[INPUT] = float(payload.high), 1.0
    lows = {name: layer.low for name, layer in seen.items()}
    lows[INPUT] = float(payload.low) / float(payload.high)
    readers = {name: [s for s in sums if any(t.source == name for t in s.terms)] for name in seen}
    for _ in range(ROUNDS):
        for name in reversed(list(seen)):
            if readers[name]:
                errors = sum(
                    _measure_errors(s, name, choice, lows, seen[name].beyond) for s in readers[name]
                )
                choice[name] = _take_best(np.asarray(errors))
    ranges = {
        name: _make_range(ann.find_layer(name), layer, *choice[name])
        for name, layer in seen.items()
    }
    return {name: ranges[source] for name, source in first.items()}


def summarize_activations(layer: Layer, activation: Tensor, scales: Scales) -> Seen:
    """Return what the calibration samples say of a layer.

    Args:
        layer: a rectifier, a table, a sum or a product.
        activation: of the samples, shape (samples, *layer shape).
        scales: choose the usual scale.
    """

    def choose(samples: Tensor) -> Floats:
        scale = scales.choose(layer, samples.abs(), LEAST_TOP)
        return scale.max(keepdims=True) if isinstance(layer.operation, Table) else scale

    scale = choose(activation)
    shares = activation.flatten(1) / torch.tensor(layer.spread_per_neuron(scale)).float()
    beyond = np.zeros(len(ROOMS))
    total = float(activation.double().square().sum()) or 1.0
    if len(activation) > 1:
        for first in (0, 1):
            limits = torch.tensor(layer.spread_per_neuron(choose(activation[first::2]))).float()
            sizes = activation[1 - first :: 2].abs().flatten(1)
            for i, room in enumerate(ROOMS):
                beyond[i] += float((sizes - limits * room).clamp(min=0).square().sum()) / total
    low = max(-1.0, min(0.0, float(shares.min())))
    return Seen(scale, low, shares.square().mean(dim=0).double().numpy(), beyond)


def _find_first(ann: Ann, layer: Layer) -> str:
    """Return the layer whose messages a layer sends: its own, or those that it compares."""
    while isinstance(layer.operation, Maximum):
        layer = ann.find_layer(layer.terms[0].source)
    return layer.name


def _list_sums(
    ann: Ann, seen: Mapping[str, Seen], largest_input: float, first: Mapping[str, str]
) -> list[_Sum]:
    """Return what each layer but the maxima adds up, two sums of a product."""
    scales = {name: seen[source].scale for name, source in first.items()}
    whole = normalize(ann, scales, largest_input)
    sums = []
    for layer in whole.layers:
        if isinstance(layer.operation, Maximum):
            continue
        added_up = [(layer.terms, layer.bias)]
        if isinstance(layer.operation, Product):
            added_up.append((layer.operation.terms, layer.operation.bias))
        for terms, bias in added_up:
            read = tuple(_read_term(ann, layer, term, first, seen) for term in terms)
            of_channels = bias.reshape(layer.channels, -1)
            high, low = (np.maximum(sign * of_channels, 0).max(axis=1) for sign in (1, -1))
            sums.append(_Sum(read, high, low, answer=layer is whole.layers[-1]))
    return sums


def _read_term(
    ann: Ann, layer: Layer, term: LayerTerm, first: Mapping[str, str], seen: Mapping[str, Seen]
) -> _Term:
    source = first.get(term.source, INPUT)
    power = seen[source].power if source in seen else None
    size = term.synapses.wiring.sources
    if power is not None and len(power) != size:  # of a maximum: that of what it compares
        each = power.reshape(ann.find_layer(source).channels, -1).mean(axis=1)
        power = np.repeat(each, size // len(each))
    rows = list_rows(Projection(term.source, layer.name, term.synapses), power)
    channel = rows.neuron // (layer.size // layer.channels)
    squares = rows.values**2

    def collect(of_rows: Floats) -> Floats:
        largest = np.zeros(layer.channels)
        np.maximum.at(largest, channel, of_rows)
        return largest

    return _Term(
        source,
        up=collect(rows.sum(np.maximum(rows.values, 0))),
        down=collect(rows.sum(np.maximum(-rows.values, 0))),
        peak=collect(rows.find_peaks()),
        power=collect(rows.sum(rows.power)),
        squares=collect(rows.sum(squares)),
        size=collect(rows.sum(squares * rows.power)),
    )


def _measure_errors(
    total: _Sum,
    name: str,
    choice: Mapping[str, tuple[float, float]],
    lows: Mapping[str, float],
    beyond: Floats,
) -> Floats:
    """Return the error of a sum with each of `CANDIDATES` for a source, shape (candidates,).

    Args:
        total: the sum, of which `name` is a source.
        name: the source.
        choice: largest message and room of each source so far.
        lows: smallest activation of each source, in units of the largest.
        beyond: of the source, as in `Seen`.
    """
    own = CANDIDATES[:, :1], CANDIDATES[:, 1:]
    ranges = [
        own if t.source == name else tuple(np.array([[v]]) for v in choice[t.source])
        for t in total.terms
    ]
    high, low = total.high, total.low
    for t, (_, room) in zip(total.terms, ranges, strict=True):
        high = high + room * (t.up - lows[t.source] * t.down)
        low = low + room * (t.down - lows[t.source] * t.up)
    reached = np.maximum(high, low) / (STATE_LIMIT - 1)
    impossible = np.zeros(len(CANDIDATES), np.bool_)
    if total.answer:
        unit = np.zeros((1, 1))
        for t, (top, room) in zip(total.terms, ranges, strict=True):
            unit = np.maximum(unit, t.peak.max() * room / top / ANSWER_WEIGHT)
        impossible = (reached.max(axis=1) > unit[:, 0]) & (CANDIDATES[:, 0] > LEAST_TOP)
        reached = np.broadcast_to(unit, reached.shape)
    squares = np.zeros(reached.shape)
    for t, (top, room) in zip(total.terms, ranges, strict=True):
        step = np.maximum(top / room * reached, t.peak / find_end(USUAL_BITS))
        squares = squares + (t.power * step**2 + t.squares * (room / top) ** 2) / 12
        if t.source == name:
            squares = squares + np.repeat(beyond, len(TOPS))[:, None] * t.size
    size = np.asarray(sum(t.size for t in total.terms))
    used = size > 0
    if not used.any():
        return np.zeros(len(CANDIDATES))
    if total.answer:
        errors = squares.sum(axis=1) / size.sum()
    else:
        errors = np.minimum(squares[:, used] / size[used], 1.0).mean(axis=1)
    return np.where(impossible, np.inf, errors)


def _take_best(errors: Floats) -> tuple[float, float]:
    """Return the largest message and its activation: of hardly worse ones, those of most room."""
    good = errors <= errors.min() * HARDLY
    widest = CANDIDATES[good, 1].max()
    allowed = np.where(good & (CANDIDATES[:, 1] == widest), errors, np.inf)
    top, room = CANDIDATES[int(allowed.argmin())]
    return float(top), float(room)


def _make_range(layer: Layer, seen: Seen, top: float, room: float) -> MessageRange:
    scale = np.minimum(seen.scale * room, layer.cap)
    return MessageRange(int(np.floor(seen.low * top)), int(top), scale)
