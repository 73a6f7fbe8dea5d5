"""Rows and time of synapses that learn, added to an estimate of the same run.

An update is one synapse at the end of one epoch in which its source or its target fired (products
of x0 and y0), or every synapse where a product of uk counts. No paper says what the published price
of an update counts; this is our reading. Cores learn at the same time, the synapses of a core one
after the other; the time of the busiest core is added to the latency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from snncompile.backends.energy.costs import Costs, list_spread
from snncompile.backends.energy.result import ENERGY, LEFT_OUT, STATIC, TIME, Estimate, Range, Row
from snncompile.hwmodels.records import Number
from snncompile.ir.graph import Progress
from snncompile.program import Program
from snncompile.reference.learning.run import Learned, UpdateCount, run_learning
from snncompile.reference.simulate import Block

EVENT = "learning_update"
COUNTED = "counted: synapses whose source or target fired in an epoch, or all by a uk"


def run_blocks(
    program: Program, x: NDArray[Any], progress: Progress | None
) -> tuple[list[Block], tuple[UpdateCount, ...]]:
    """Return the activity of a network that learns, a block per sample, and its updates.

    Args:
        program: of the network.
        x: checked input, shape (samples, steps, *input.shape).
        progress: called after each sample.
    """
    network = program.network
    names = [network.input.name, *(p.name for p in network.populations)]
    learned = run_learning(network, x, names, progress, charged=True)
    return [_make_block(learned, i, names) for i in range(len(x))], learned.updates


def _make_block(learned: Learned, sample: int, names: Sequence[str]) -> Block:
    def cut(outputs: dict[str, NDArray[Any]], name: str) -> torch.Tensor:
        return torch.from_numpy(outputs[name][sample : sample + 1])

    trains = {name: cut(learned.outputs, name) for name in names}
    charged = {name: cut(learned.charged, name) for name in learned.charged}
    return Block(sample, 0, True, trains, charged)


def add_updates(
    estimate: Estimate, program: Program, costs: Costs, updates: Sequence[UpdateCount], samples: int
) -> Estimate:
    """Return the estimate with a row per projection that learns, and with its time.

    Args:
        estimate: of the same run, without learning.
        program: that ran.
        costs: the cost set of the estimate.
        updates: of the run.
        samples: of the run.
    """
    price = costs.find_price(EVENT)
    energy, time = (None, None) if price is None else (price.energy_pj, price.time_ns)
    joules, seconds = (_scale(energy, 1e-12), _scale(time, 1e-9))
    rows = [
        Row(
            program.network.projections[count.number].target,
            EVENT,
            count.synapses / samples,
            joules,
            f"{costs.describe_origin(energy)}; {COUNTED}",
        )
        for count in updates
    ]
    latency = estimate.latency_s
    spent = 0.0
    if seconds is not None and latency is not None:
        spent = seconds * _find_busiest(program, updates) / samples
        latency += spent
    before = [replace(r, count=latency) if r.event == STATIC else r for r in estimate.rows]
    occurred = any(row.count for row in rows)
    learning = sum(row.energy_j or 0.0 for row in rows)
    watts = sum(row.price_j or 0.0 for row in estimate.rows if row.event == STATIC)
    lacking = [ENERGY + EVENT] * (joules is None and occurred)
    lacking += [TIME + EVENT] * (seconds is None and occurred)
    return replace(
        estimate,
        rows=(*rows, *before),
        latency_s=latency,
        missing=(*estimate.missing, *lacking),
        range=_shift(estimate.range, learning + watts * spent, spent, costs),
        left_out=tuple(text for text in LEFT_OUT if text != "learning"),
    )


def _shift(spread: Range, joules: float, seconds: float, costs: Costs) -> Range:
    """Return the range with the energy and time of learning, the same at both ends."""
    if not joules and not seconds:
        return spread
    others = [name for name, s in list_spread(costs).items() if s.find_price(EVENT) is None]
    text = f"learning at the price of {costs.name} at both ends"
    text += f", though {', '.join(others)} has none" if others else ""

    def move(ends: tuple[float, float] | None, more: float) -> tuple[float, float] | None:
        return None if ends is None else (ends[0] + more, ends[1] + more)

    because = (*spread.because, text)
    return Range(move(spread.energy_j, joules), move(spread.latency_s, seconds), because)


def _scale(number: Number | None, unit: float) -> float | None:
    return None if number is None or number.value is None else number.value * unit


def _find_busiest(program: Program, updates: Sequence[UpdateCount]) -> float:
    """Return the updates of the core with the most; a slice has its share of a population's."""
    by_core: defaultdict[int, float] = defaultdict(float)
    for count in updates:
        target = program.network.projections[count.number].target
        size = program.network.population(target).size
        for s in program.mapping.slices:
            if s.population == target:
                by_core[s.core] += count.synapses * s.size / size
    return max(by_core.values(), default=0.0)
