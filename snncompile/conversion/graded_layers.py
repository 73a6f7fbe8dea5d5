"""Layers that graded messages can be of: rectifiers, tables, products and maxima of a layer.

product                  ->  stays; both sums arrive at ports of their own
curve                    ->  table: a number for each of up to 256 sums
sums                     ->  stay, or a rectifier where none can be below 0
maximum of a layer       ->  stays; whole numbers are compared exactly
rectifier of a maximum   ->  maximum of rectifiers: the same, because both keep the order
maximum of other sums    ->  a layer that sends the sums, and the maximum of that layer
curve with a slope per   ->  two rectifiers, one of them of the negative sums
channel (PReLU)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.arrays import Floats, Ints
from snncompile.conversion.ann import (
    INPUT,
    SUMS,
    Ann,
    Curve,
    Layer,
    LayerTerm,
    Maximum,
    Product,
    add_up,
    pass_on,
)
from snncompile.conversion.split_pools import split_pools
from snncompile.errors import UnsupportedError
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose
from snncompile.synapses.scale import Scale

ENTRIES, MANY = 256, 2048
"""Most entries of a table, and of one of finer messages: a full core has as many neurons."""
REACH = 4
"""Most times the usual range of a table that one of finer messages has."""
BINS = 4096
"""Bins of the histogram of sums by which the range of a table is chosen."""
SHARES = tuple(i / 20 for i in range(20, 5, -1))
"""Shares of the range of the sums, tried as the range of a table."""
AT_ONCE = 16
"""Samples whose sums are counted at a time."""
SLOPES = (-2.0, -1.0, -0.5, 0.0, 1.0, 2.0)
"""Sums at which a curve is compared with two straight lines."""
EXACT = 1e-12
"""Largest difference of the two, and of the same curve in two channels."""


@dataclass(frozen=True, eq=False)
class Table(Curve):
    """A curve as a table of whole numbers: `unit * entries[round(z / step) - lowest]`."""

    step: float
    """Difference of the sums of two neighbouring entries."""
    lowest: int
    """Number of the first entry, 0 or less."""
    entries: Ints
    unit: float
    """Activation of an entry of 1."""

    @property
    def highest(self) -> int:
        """Number of the last entry."""
        return self.lowest + len(self.entries) - 1


def prepare_layers(ann: Ann, x: NDArray[np.float64], top: int, *, exact: bool = False) -> Ann:
    """Return the network in rectifiers, tables, products and maxima of what one layer sends.

    Args:
        ann: as captured.
        x: calibration samples, shape (samples, *shape).
        top: largest message.
        exact: whether activations of the network are those of the curves, not of their tables.

    Raises:
        UnsupportedError: a layer is none of these; the message names it.
    """
    ann = split_slopes(
        _bring_maxima_forward(split_pools(ann)), lambda layer: not _is_same_everywhere(layer)
    )
    ann = _rectify_sums(ann)
    curves = [
        layer for layer in ann.rectified if isinstance(layer.operation, Curve) and not is_sum(layer)
    ]
    if not curves:
        return ann
    values = ann.compute_activations(x)
    tables = {
        layer.name: _choose_table(layer, _count_sums(layer, x, values), top) for layer in curves
    }
    if exact:
        tables = {
            layer.name: replace(tables[layer.name], function=layer.operation)  # type: ignore[arg-type]
            for layer in curves
        }
    layers = (
        replace(layer, operation=tables.get(layer.name, layer.operation)) for layer in ann.layers
    )
    return replace(ann, layers=tuple(layers))


def is_sum(layer: Layer) -> bool:
    """Return whether a layer passes its sums on as they are."""
    return isinstance(layer.operation, Curve) and layer.operation.function is pass_on


def _rectify_sums(ann: Ann) -> Ann:
    """Return the network with rectifiers in place of sums that are never below 0, as of pools."""
    positive: set[str] = set()
    layers: list[Layer] = []
    for layer in ann.layers:
        never_below = not (layer.bias < 0).any() and all(
            term.source in positive and not (term.synapses.weight < 0).any() for term in layer.terms
        )
        rectified = replace(layer, operation=None) if is_sum(layer) and never_below else layer
        pool = isinstance(layer.operation, Maximum) and never_below
        if pool or rectified.operation is None:
            positive.add(layer.name)
        layers.append(rectified)
    return replace(ann, layers=tuple(layers))


def reads_as_is(layer: Layer) -> bool:
    """Return whether a layer's sums are the activations of one other layer."""
    if len(layer.terms) != 1 or layer.bias.any() or layer.terms[0].source == INPUT:
        return False
    synapses = layer.terms[0].synapses
    return isinstance(synapses.wiring, Scale) and bool((synapses.weight == 1).all())


def _bring_maxima_forward(ann: Ann) -> Ann:
    """Return the network whose maxima are of what one layer sends."""
    layers: list[Layer] = []
    gone: dict[str, Layer] = {}
    for layer in ann.layers:
        if layer.name in gone:
            continue
        if not isinstance(layer.operation, Maximum) or reads_as_is(layer):
            layers.append(layer)
            continue
        rectifier = _find_rectifier(ann, layer)
        name = _find_name(f"{layer.name}_values", ann)
        values = replace(layer, name=name, shape=layer.operation.shape, operation=None)
        one_to_one = LayerTerm(name, Synapses(Scale(values.size), np.asarray(1.0)))
        pool = replace(layer, terms=(one_to_one,), bias=np.zeros(values.size))
        if rectifier is None:
            values = replace(values, operation=Curve(SUMS, pass_on))
        else:
            gone[rectifier.name] = rectifier
            values = replace(values, cap=rectifier.cap, path=rectifier.path)
            pool = replace(pool, name=rectifier.name)
        layers += [values, pool]
    return replace(ann, layers=tuple(layers))


def _find_rectifier(ann: Ann, pool: Layer) -> Layer | None:
    """Return the rectifier of a maximum, if nothing else reads the maximum."""
    readers = [layer for layer in ann.layers if pool.name in layer.sources]
    if len(readers) != 1 or readers[0] is ann.layers[-1] or readers[0].operation is not None:
        return None
    return readers[0] if reads_as_is(readers[0]) else None


def _find_name(wanted: str, ann: Ann) -> str:
    names = {layer.name for layer in ann.layers}
    while wanted in names:
        wanted += "_"
    return wanted


def split_slopes(ann: Ann, chosen: Callable[[Layer], bool]) -> Ann:
    """Return the network with two rectifiers in place of each curve that is chosen.

    A curve of two straight lines, z above 0 and slope * z below, is relu(z) - slope * relu(-z).

    Raises:
        UnsupportedError: a chosen curve is none of two straight lines, or a maximum reads it.
    """
    layers: list[Layer] = []
    negative: dict[str, tuple[str, Floats]] = {}
    for layer in ann.layers:
        new = replace(layer, terms=tuple(_add_negative(layer.terms, negative)))
        if isinstance(new.operation, Product):
            other = tuple(_add_negative(new.operation.terms, negative))
            new = replace(new, operation=replace(new.operation, terms=other))
        if not isinstance(layer.operation, Curve) or not chosen(layer):
            layers.append(new)
            continue
        slopes = _find_slopes(layer)
        readers = [other for other in ann.layers if layer.name in other.sources]
        if slopes is None or any(isinstance(r.operation, Maximum) for r in readers):
            raise UnsupportedError(
                f"{layer.path}: {layer.kind} differs between channels, and one table serves a"
                " layer; give it one parameter for all of them"
            )
        name = _find_name(f"{layer.name}_negative", ann)
        minus = Synapses(Scale(layer.size), np.asarray(-1.0))
        terms = tuple(LayerTerm(t.source, compose(minus, t.synapses)) for t in new.terms)
        layers.append(replace(new, operation=None))
        layers.append(replace(new, name=name, terms=terms, bias=-new.bias, operation=None))
        negative[layer.name] = name, -slopes
    return replace(ann, layers=tuple(layers))


def _add_negative(
    terms: tuple[LayerTerm, ...], negative: dict[str, tuple[str, Floats]]
) -> Iterator[LayerTerm]:
    for term in terms:
        yield term
        if term.source in negative:
            name, factor = negative[term.source]
            each = np.repeat(factor, term.synapses.wiring.sources // len(factor))
            diagonal = Synapses(Scale(len(each), per_neuron=True), each)
            yield LayerTerm(name, compose(term.synapses, diagonal))


def _apply(layer: Layer, z: Floats) -> Floats:
    """Return a curve at sums z, shape (n, channels)."""
    assert isinstance(layer.operation, Curve)
    wide = torch.tensor(z, dtype=torch.float64).reshape(-1, *(1 for _ in layer.shape))
    wide = wide.expand(-1, layer.channels, *(1 for _ in layer.shape[1:]))
    values: Floats = layer.operation(wide).reshape(len(z), -1).numpy()
    return values


def _is_same_everywhere(layer: Layer) -> bool:
    values = _apply(layer, np.asarray(SLOPES))
    return bool((np.abs(values - values[:, :1]) <= EXACT).all())


def _find_slopes(layer: Layer) -> Floats | None:
    """Return the slope below 0 of each channel, if the curve is z above and a line below."""
    z = np.asarray(SLOPES)
    values = _apply(layer, z)
    slopes = -values[z == -1][0]
    lines = np.where(z[:, None] < 0, z[:, None] * slopes, z[:, None])
    return slopes if (np.abs(values - lines) <= EXACT).all() else None


@dataclass(frozen=True, eq=False)
class _Counts:
    """Histogram of sums."""

    middle: Floats
    """Sum in the middle of each bin."""
    count: Ints
    low: float
    """Smallest sum, or 0."""
    high: float
    """Largest sum, or 0."""


def _count_sums(layer: Layer, x: NDArray[np.float64], values: dict[str, Tensor]) -> _Counts:
    """Return the sums of a layer on the calibration samples."""

    def walk() -> Iterator[Floats]:
        for first in range(0, len(x), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            known = {
                t.source: values[t.source][rows].double().flatten(1)
                for t in layer.terms
                if t.source != INPUT
            }
            known[INPUT] = torch.tensor(x[rows]).double().flatten(1)
            yield add_up(layer.terms, layer.bias, known).numpy()

    low, high = 0.0, 0.0
    for z in walk():
        low, high = min(low, float(z.min())), max(high, float(z.max()))
    high = high if high > low else low + 1.0
    count = sum(np.histogram(z, BINS, (low, high))[0] for z in walk())
    middle = np.asarray(low + (np.arange(BINS) + 0.5) * ((high - low) / BINS), np.float64)
    return _Counts(middle, np.asarray(count), low, high)


def _choose_table(layer: Layer, sums: _Counts, top: int) -> Table:
    """Return the table with the least squared error of the activations on the calibration data."""
    wanted = _apply(layer, sums.middle)[:, 0]
    best, least = None, np.inf
    for share in SHARES:
        table = _make_table(layer, sums.low * share, sums.high * share, top)
        got = table(torch.tensor(sums.middle)).numpy()
        error = float((sums.count * (got - wanted) ** 2).sum())
        if error < least:
            best, least = table, error
    assert best is not None
    return best


def refine_table(layer: Layer, unit: float, top: int) -> Table:
    """Return the table of a layer for other messages, with more entries.

    It reaches `REACH` times as far as the usual one, but for ends where all entries are the same:
    of a sigmoid both, of a rectifier the negative sums, and what is beyond `top`.

    Args:
        layer: its operation is a table whose activations are exact.
        unit: activation of a message of 1.
        top: largest message.
    """
    table = layer.operation
    assert isinstance(table, Table)

    def look_up(z: Floats) -> Ints:
        entries = np.rint(_apply(layer, z)[:, 0] / unit).clip(-top, top)
        return np.asarray(entries, np.int64)

    reach = REACH * table.step
    z = np.linspace(reach * table.lowest, reach * table.highest, BINS)
    changes = np.flatnonzero(np.diff(look_up(z)))
    first, last = (changes[0], changes[-1] + 1) if changes.size else (0, -1)
    low, high = min(float(z[first]), 0.0), max(float(z[last]), 0.0)
    step = (high - low) / (MANY - 1)
    lowest = int(np.ceil(low / step - 0.5))
    entries = look_up(np.asarray(np.arange(lowest, lowest + MANY) * step, np.float64))
    return replace(table, step=step, lowest=lowest, entries=entries, unit=unit)


def _make_table(layer: Layer, low: float, high: float, top: int) -> Table:
    """Return a table of a range of sums, 0 among them."""
    step = (high - low) / (ENTRIES - 1)
    lowest = int(np.ceil(low / step - 0.5))
    numbers = np.arange(lowest, lowest + ENTRIES)
    activations = _apply(layer, np.asarray(numbers * step, np.float64))[:, 0]
    unit = float(np.abs(activations).max()) / top or 1.0
    entries = np.rint(activations / unit).astype(np.int64)

    def function(z: Tensor) -> Tensor:
        index = (z / step + 0.5).floor().clamp(lowest, lowest + ENTRIES - 1) - lowest
        return torch.tensor(entries * unit)[index.long()]

    return Table(layer.kind, function, step, lowest, entries, unit)
