"""Largest message of each layer, as its readers' sums allow it.

A sum has 24 bits. Whoever adds up few inputs can read large numbers, whoever adds up many cannot:

    sum of |w| * top <= 2^23 - 1, the largest w with 7 bits: 63
    9 inputs   ->   top of 14 bits          576 inputs   ->   of some 10 bits

The sum is bounded for each output channel, over all sources and the bias.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncompile.arrays import Floats
from snncompile.conversion.ann import INPUT, Ann, Layer, LayerTerm, Maximum, Product, normalize
from snncompile.conversion.graded_layers import Table
from snncompile.ir.graph import Projection
from snncompile.neurons.fixed import STATE_LIMIT
from snncompile.passes.analysis.number_ranges import find_end
from snncompile.passes.quantize.weight_rows import list_rows

WEIGHT_BITS = 7
"""Bits that the largest weight of each channel keeps; all 8 would leave messages one less."""
ANSWER_BITS = 9
"""The same of the answer: its scale is not made smaller for sums, and weights are rounded up."""
LEAST_TOP = 255
"""Largest message that any layer may send: of wider sums the weights have fewer bits."""
GREATEST_TOP = (1 << 14) - 1
"""Largest message of any layer: of 14 bits, which is finer than the weights."""


def find_tops(ann: Ann, scales: dict[str, Floats], input_range: float) -> dict[str, int]:
    """Return the largest message of each layer but the last that leaves its readers' weights bits.

    They keep `WEIGHT_BITS`. It is at least `LEAST_TOP`, and at most `GREATEST_TOP`; a maximum has
    that of what it compares.

    Args:
        ann: in the layers that graded messages can be of.
        scales: activation of the largest message, per layer.
        input_range: largest input.
    """
    signed = {layer.name for layer in ann.rectified if is_signed(ann, layer)} | {INPUT}
    whole = normalize(ann, scales, input_range)
    tops = {layer.name: float(GREATEST_TOP) for layer in ann.rectified}
    for layer in reversed(whole.layers):
        if isinstance(layer.operation, Maximum):
            source = layer.terms[0].source
            tops[source] = min(tops[source], tops[layer.name])
            continue
        added_up = [(layer.terms, layer.bias)]
        if isinstance(layer.operation, Product):
            added_up.append((layer.operation.terms, layer.operation.bias))
        last = layer is whole.layers[-1]  # whose answers have one unit
        for terms, bias in added_up:
            for source, top in _limit_sources(layer, terms, bias, signed, one_unit=last):
                tops[source] = min(tops[source], top)
    for layer in ann.rectified:
        if isinstance(layer.operation, Maximum):
            tops[layer.name] = tops[layer.terms[0].source]
    return {name: max(LEAST_TOP, int(top)) for name, top in tops.items()}


def is_signed(ann: Ann, layer: Layer) -> bool:
    """Return whether a layer sends numbers below 0."""
    if isinstance(layer.operation, Maximum):
        return is_signed(ann, ann.find_layer(layer.terms[0].source))
    if isinstance(layer.operation, Table):
        return bool(layer.operation.entries.min() < 0)
    return layer.operation is not None


def _limit_sources(
    layer: Layer, terms: tuple[LayerTerm, ...], bias: Floats, signed: set[str], *, one_unit: bool
) -> Iterator[tuple[str, float]]:
    """Yield the largest message of each source of a sum of activations from 0, or -1, to 1."""
    high = np.maximum(bias, 0).reshape(layer.channels, -1).max(axis=1)
    low = np.maximum(-bias, 0).reshape(layer.channels, -1).max(axis=1)
    peaks: list[Floats] = []
    for term in terms:
        rows = list_rows(Projection(term.source, layer.name, term.synapses))
        channel = rows.neuron // (layer.size // layer.channels)
        up, down = (rows.sum(np.maximum(sign * rows.values, 0)) for sign in (1, -1))
        if term.source in signed:
            up = down = up + down
        for total, sums in ((high, up), (low, down)):
            largest = np.zeros(layer.channels)
            np.maximum.at(largest, channel, sums)
            total += largest
        peak = np.zeros(layer.channels)
        np.maximum.at(peak, channel, rows.find_peaks())
        peaks.append(peak)
    reached = np.maximum(high, low)
    room = (STATE_LIMIT - 1) / find_end(ANSWER_BITS if one_unit else WEIGHT_BITS)
    for term, peak in zip(terms, peaks, strict=True):
        if term.source == INPUT or not peak.any():
            continue
        used = peak > 0
        share = peak.max() / reached.max() if one_unit else (peak[used] / reached[used]).min()
        yield term.source, room * float(share)
