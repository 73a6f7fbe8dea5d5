"""Analysis: what a user should know of a loss, in words; errors where strict asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncompile.errors import LossError, raise_together
from snncompile.ir.graph import Graph, IntegerNetwork
from snncompile.ir.loss import FREQUENT, Loss, PopulationLoss
from snncompile.options import LossOptions, Options
from snncompile.passes.analysis.bounds import find_silent_neurons

REMEDY = "try more bits or more steps"
SHOWN = 5
"""Neurons that a warning names."""


def list_warnings(network: IntegerNetwork, loss: Loss, options: Options) -> tuple[str, ...]:
    """Return one line for each loss beyond the limits: answers, populations in order, outputs.

    Args:
        network: the integer network, as it runs on the chip.
        loss: of the network, measured or not.
        options: limits, bits and time steps.
    """
    return (
        *_check_answers(loss, options.loss),
        *(line for row in loss.populations for line in _check_population(row, options.loss)),
        *(
            tuple(_check_outputs(network, options.quantize.steps))
            or _check_output_fires(network, loss)
        ),
    )


def list_answer_notes(network: Graph) -> tuple[str, ...]:
    """Return what the import noted of a result that is not the network's answer."""
    return tuple(
        f"{note}; return a sum, mean, maximum or the last over all steps, or leave strict out"
        for note in network.notes
        if note.startswith("answer: ")
    )


def refuse_warnings(texts: tuple[str, ...], loss: Loss, options: LossOptions) -> None:
    """Raise warnings as errors if the options are strict.

    Raises:
        LossError: there are warnings, or the loss is unknown.
    """
    if not options.strict:
        return
    if loss.status == "unknown":
        raise LossError(
            f"strict: {loss}; give calibration data and run measure, or leave strict out"
        )
    raise_together(LossError(text) for text in texts)


def _check_answers(loss: Loss, limits: LossOptions) -> Iterator[str]:
    answers, limit = loss.answers, limits.max_answer_loss
    if answers and answers.share > limit:
        yield f"output: {answers}, the limit is {limit:.2%}; {REMEDY}, or raise max_answer_loss"


def _check_output_fires(network: IntegerNetwork, loss: Loss) -> Iterator[str]:
    """Yield a warning if the output fires on no sample: then nothing is known of its answers."""
    for row in loss.populations:
        if row.population == network.output and row.fired == 0:
            yield (
                f"output: {row.population} fires on none of the {loss.samples:,} samples as floats,"
                " so that nothing is known of its answers; give calibration data on which it fires"
            )


def _check_population(row: PopulationLoss, limits: LossOptions) -> Iterator[str]:
    """Yield the warnings about a population; a silent one has a single warning."""
    where = f"population {row.population}:"
    if row.silent:
        yield (
            f"{where} fell silent: {row.fired:,} of its {row.neurons:,} neurons fire as floats,"
            f" none as integers; {REMEDY}"
        )
        return
    share, limit = row.silenced_share, limits.max_silenced
    if share is not None and share > limit:
        yield (
            f"{where} {row.silenced:,} of the {row.frequent:,} neurons that fire {FREQUENT} times"
            f" or more as floats never do as integers ({share:.2%}), the limit is {limit:.2%};"
            f" {REMEDY}, or raise max_silenced"
        )
    yield from _check_rate(row, limits.max_rate_error)


def _check_rate(row: PopulationLoss, limit: float) -> Iterator[str]:
    where = f"population {row.population}:"
    if row.rate_error is None:
        yield f"{where} sends nothing as floats, and something as integers; {REMEDY}"
    elif row.rate_error > limit:
        yield (
            f"{where} rate error {row.rate_error:.2%} between floats and integers, the limit is"
            f" {limit:.2%}; {REMEDY}, or raise max_rate_error"
        )


def _check_outputs(network: IntegerNetwork, steps: int | None) -> Iterator[str]:
    """Yield a warning if neurons of the output provably never fire."""
    population = network.population(network.output)
    silent = np.flatnonzero(find_silent_neurons(network, population, steps))
    if not silent.size:
        return
    names = ", ".join(map(str, silent[:SHOWN])) + (", ..." if silent.size > SHOWN else "")
    proof = "whatever the input" + ("" if steps is None else f" in {steps:,} steps")
    yield (
        f"population {population.name}: {silent.size:,} of {population.size:,} outputs can never"
        f" fire, {proof} (neurons {names}); check their weights and thresholds, or {REMEDY}"
    )
