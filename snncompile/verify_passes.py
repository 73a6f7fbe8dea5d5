"""Run the calibration data before and after every pass: outputs are equal, or the loss is reported.

A pass may shift populations in time (retime), drop neurons (prune) and add populations
(accumulate). So the neurons present both before and after are compared, each in its population's
own steps. Only a pass that makes integers of floats may change outputs, by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError, PassMismatchError
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork
from snncompile.ir.result import Result
from snncompile.passes.analysis.loss import output_scales
from snncompile.passes.pipeline import Step
from snncompile.registry import load
from snncompile.verification import Comparison, SpikeTrains, compare_runs

SAMPLES = 64
"""Samples of the calibration data that are run."""


class VerifyEach:
    """A hook of `Pipeline.run`: compares the network before and after each pass."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """Take the function that is called with one line per pass."""
        self._report = report
        self._network: Graph | None = None
        self._spike_trains: SpikeTrains = {}

    def __call__(self, step: Step) -> None:
        """Compare, and report how far the two agree.

        Raises:
            InputError: the design has no calibration data.
            PassMismatchError: an output differs although the pass does not round.
        """
        calibration = step.before.calibration
        if calibration is None:
            raise InputError("verifying each pass takes calibration data; give calibration")
        line = self._compare(step, calibration[:SAMPLES])
        self._report(f"verify-each: {step.a_pass.name}: {line}")

    def _compare(self, step: Step, x: NDArray[Any]) -> str:
        before, after = step.before, step.after
        if after.network is before.network:
            return "the network is the same"
        runs = {"before": select_neurons(self._run(before.network, x), before, after)}
        runs["after"] = self._run(after.network, x)
        _check_shapes(step, runs)
        rounds = isinstance(after.network, IntegerNetwork) and not isinstance(
            before.network, IntegerNetwork
        )
        scales = output_scales(before.network, after.quantized) if rounds else {}
        compared = compare_runs(after.network, runs, ("before", "after", not rounds), scales)
        if compared.broken:
            raise _explain_mismatch(step, f"changed an output: {compared.difference}")
        outputs = sum(row.outputs for row in compared.rows)
        if rounds:
            return f"{describe_loss(compared)}; {_count_answers(after.network, runs)}"
        return f"all {outputs:,} outputs of {len(compared.rows)} populations are equal"

    def _run(self, network: Graph, x: NDArray[Any]) -> SpikeTrains:
        """Return the outputs of every population; outputs of the last network are cached."""
        if network is not self._network:
            self._network, self._spike_trains = (
                network,
                load("backends", "reference").spike_trains(network, x),
            )
        return self._spike_trains


def select_neurons(spike_trains: SpikeTrains, before: Design, after: Design) -> SpikeTrains:
    """Return the outputs of the neurons that a pass kept."""
    selected = {}
    for name, train in spike_trains.items():
        if name in after.kept:
            known = before.kept.get(name, np.arange(train.shape[-1]))
            train = train[..., np.searchsorted(known, after.kept[name])]
        selected[name] = train
    return selected


def describe_loss(compared: Comparison) -> str:
    """Return the shares of outputs and of rates that differ by rounding."""
    counted = [row for row in compared.rows if row.differences is not None]
    outputs = sum(row.outputs for row in counted)
    differences = sum(row.differences or 0 for row in counted)
    share = differences / outputs if outputs else 0.0
    rates = ", ".join(
        f"{row.population} {'from none' if row.rate_error is None else f'{row.rate_error:.2%}'}"
        for row in compared.rows
    )
    return f"{share:.3%} of outputs differ by rounding; rates differ by: {rates}"


def _count_answers(network: Graph, runs: dict[str, SpikeTrains]) -> str:
    """Return the number of samples with another answer, in words."""
    outputs = (runs[run][network.output] for run in ("before", "after"))
    before, after = (Result(output, readout=network.answer).prediction for output in outputs)
    return f"{int((before != after).sum()):,} of {len(before):,} answers differ"


def _check_shapes(step: Step, runs: dict[str, SpikeTrains]) -> None:
    output = step.before.network.output
    if step.after.network.output != output:
        raise _explain_mismatch(
            step, f"made {step.after.network.output} the output instead of {output}"
        )
    for name, train in runs["after"].items():
        known = runs["before"].get(name)
        if known is not None and known.shape != train.shape:
            raise _explain_mismatch(
                step,
                f"gave population {name} {train.shape[-1]:,} neurons instead of"
                f" {known.shape[-1]:,} and does not say which stay",
            )


def _explain_mismatch(step: Step, failure: str) -> PassMismatchError:
    before = ", ".join(step.ran) or "nothing"
    return PassMismatchError(f"pass {step.a_pass.name} {failure}; ran: {before}")
