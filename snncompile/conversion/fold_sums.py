"""Multiply out the layers of sums of a network, for methods that have no neurons for them."""

from __future__ import annotations

from dataclasses import replace

from snncompile.arrays import Floats
from snncompile.conversion.ann import SPARING_SUMS, Ann, Layer, LayerTerm, Product
from snncompile.conversion.insert_sums import is_unrolled
from snncompile.errors import ProductSizeError
from snncompile.frontends.torch.multiply_out import apply_to_bias
from snncompile.synapses.compose import compose_all, merge


def fold_sums(ann: Ann) -> Ann:
    """Return the network without its sums that spare synapses, where their readers multiply out.

    Those stay whose readers would have long lists of synapses; see `insert_sums`.
    """
    layers = list(ann.layers)
    for name in [layer.name for layer in ann.rectified if layer.kind == SPARING_SUMS]:
        sums = next(layer for layer in layers if layer.name == name)
        try:
            folded = [_fold(layer, sums) for layer in layers if layer is not sums]
        except ProductSizeError:
            continue
        if not any(is_unrolled(t.synapses for t in layer.terms) for layer in folded):
            layers = folded
    return replace(ann, layers=tuple(layers))


def _fold(layer: Layer, sums: Layer) -> Layer:
    """Return a layer that reads what a layer of sums reads instead of it."""
    if sums.name not in layer.sources:
        return layer
    terms, bias = _fold_terms(layer.terms, layer.bias, sums)
    operation = layer.operation
    if isinstance(operation, Product):
        other, other_bias = _fold_terms(operation.terms, operation.bias, sums)
        operation = replace(operation, terms=other, bias=other_bias)
    return replace(layer, terms=terms, bias=bias, operation=operation)


def _fold_terms(
    terms: tuple[LayerTerm, ...], bias: Floats, sums: Layer
) -> tuple[tuple[LayerTerm, ...], Floats]:
    folded: list[LayerTerm] = []
    for term in terms:
        new = [term]
        if term.source == sums.name:
            bias = bias + apply_to_bias(term.synapses, sums.bias)
            new = [
                LayerTerm(inner.source, synapses)
                for inner in sums.terms
                for synapses in compose_all(term.synapses, inner.synapses)
            ]
        for added in new:
            _add_term(folded, added)
    return tuple(folded), bias


def _add_term(terms: list[LayerTerm], new: LayerTerm) -> None:
    """Add a term, to that of the same source where both together keep their structure."""
    for i, old in enumerate(terms):
        both = merge(old.synapses, new.synapses) if old.source == new.source else None
        if both is not None:
            terms[i] = LayerTerm(old.source, both)
            return
    terms.append(new)
