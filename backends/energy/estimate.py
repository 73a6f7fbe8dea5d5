"""Energy and latency per inference: counts x price, and the time of each step.

Energy is one row per layer and kind of event; the total is the sum of the rows. Two timings:
`fast`, a lower bound in closed form (the work of the busiest half of a core or link, plus barrier
sync), and `cycle`, which follows every message through cores, queues and links. A step is never
shorter than the chip's floor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.backends.energy.activity import (
    Activity,
    count_network_steps,
    record,
    record_blocks,
)
from snncompile.backends.energy.costs import Costs, find_costs, list_spread
from snncompile.backends.energy.counts import (
    Counts,
    Machine,
    count_events,
    make_chip_machine,
    make_sanafe_machine,
)
from snncompile.backends.energy.cycle import Times, follow
from snncompile.backends.energy.events import EVENTS
from snncompile.backends.energy.learning import add_updates, run_blocks
from snncompile.backends.energy.result import (
    ENERGY,
    STATIC,
    TIME,
    Estimate,
    Range,
    Row,
    Steps,
    add_energies,
    format_lacking,
    list_unpriced,
)
from snncompile.backends.energy.timing import (
    Account,
    Work,
    find_barrier_ns,
    find_bounds,
    measure_work,
    name_bounds,
)
from snncompile.errors import InputError
from snncompile.ir.graph import Progress
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes

Timing = Literal["fast", "cycle"]
HOST_BIAS = "host_bias"
"""Row of the biases that the host writes before a sample; nobody published what a write costs."""


def estimate_fast(
    program: Program,
    x: ArrayLike,
    *,
    costs: str | None = None,
    account: Account = "chip",
    progress: Progress | None = None,
) -> Estimate:
    """Return the estimate in closed form; see `Program.estimate`."""
    return _estimate(program, x, "fast", costs, account, progress)


def estimate_cycle(
    program: Program,
    x: ArrayLike,
    *,
    costs: str | None = None,
    account: Account = "chip",
    progress: Progress | None = None,
) -> Estimate:
    """Return the estimate that follows every message; see `Program.estimate`."""
    return _estimate(program, x, "cycle", costs, account, progress)


def make_machine(program: Program, account: Account) -> Machine:
    """Return the machine that an account sees."""
    return make_sanafe_machine(program) if account == "sanafe" else make_chip_machine(program)


def _estimate(
    program: Program,
    x: ArrayLike,
    timing: Timing,
    costs: str | None,
    account: Account,
    progress: Progress | None,
) -> Estimate:
    spikes = check_spikes(program.network, x)
    ledger = open_ledger(program, spikes.shape[1], timing, costs, account)
    if not program.network.plastic:
        fill_ledger(ledger, program, spikes, progress)
        return ledger.close()
    blocks, learned = run_blocks(program, spikes, progress)
    updates = ledger.counts_updates
    for activity in record_blocks(program.network, blocks, spikes.shape[1], updates):
        ledger.add(activity)
    return add_updates(
        ledger.close(), program, find_costs(program.chip, costs), learned, len(spikes)
    )


def open_ledger(
    program: Program, steps: int, timing: Timing, costs: str | None, account: Account
) -> Ledger:
    """Return an empty ledger for input of some time steps.

    Raises:
        InputError: no such account or cost set is known.
    """
    if account not in get_args(Account):
        raise InputError(f"no account called {account!r}; known: {', '.join(get_args(Account))}")
    chosen = find_costs(program.chip, costs)
    whole = count_network_steps(program.network, steps)
    return Ledger(make_machine(program, account), chosen, timing, account, whole)


def fill_ledger(
    ledger: Ledger, program: Program, spikes: NDArray[Any], progress: Progress | None = None
) -> None:
    """Add the activity of checked input to a ledger."""
    for activity in record(
        program.network, spikes, updates=ledger.counts_updates, progress=progress
    ):
        ledger.add(activity)


class Ledger:
    """Sums counts and time over pieces of activity, samples and steps in their order."""

    def __init__(
        self, machine: Machine, costs: Costs, timing: Timing, account: Account, steps: int
    ) -> None:
        self.machine, self.costs, self.timing, self.account = machine, costs, timing, account
        self.steps = steps
        """Time steps of the network, of each sample."""
        self.sets = list_spread(costs)
        """Cost sets whose totals are the range."""
        self.counts = np.zeros((steps, len(machine.layout.parts), len(EVENTS)), np.int64)
        self.sent = np.zeros(len(machine.routes.pair_part), np.int64)
        """Messages between each pair of `Routes`, in all samples and steps."""
        self.seconds: list[NDArray[np.float64]] = []
        self.bound: list[NDArray[np.int64]] = []
        self.pieces: list[tuple[dict[str, float], NDArray[np.float64]]] = []
        """Of each piece of activity: seconds by cost set, and seconds of each core's work."""
        self.times: Times | None = None

    def add(self, activity: Activity) -> None:
        """Add the next steps of the samples, or the first steps of further ones."""
        counts = count_events(self.machine, activity)
        shape = (activity.samples, activity.steps)
        now = slice(activity.first_step, activity.first_step + activity.steps)
        self.counts[now] += counts.events.reshape(*shape, *counts.events.shape[1:]).sum(0)
        self.sent += counts.sent.sum(0)
        if not activity.first_step:
            self.seconds.append(np.zeros((activity.samples, self.steps)))
            self.bound.append(np.zeros((activity.samples, self.steps), np.int64))
        done = measure_work(self.machine, self.costs, counts)
        step = self._time_steps(self.costs, done, activity)
        busy = np.maximum(done.sending, done.receiving).sum(axis=0) * 1e-9
        barrier = find_barrier_ns(self.machine, self.costs, self.account) or 0.0
        floor = self.costs.set.step_floor_ns.value or 0.0
        self.bound[-1][:, now] = find_bounds(done, barrier, floor, step).reshape(shape)
        self.seconds[-1][:, now] = step.reshape(shape) * 1e-9
        own = float(self._solve_closed(self.costs, done).sum())
        self.pieces.append((self._time_others(counts, own), busy))

    def _time_steps(self, costs: Costs, done: Work, activity: Activity) -> NDArray[np.float64]:
        if self.timing == "fast":
            return self._solve_closed(costs, done)
        self.times = self.times or Times.of(self.machine, costs)
        longest = follow(self.machine, costs, activity, self.account, times=self.times)
        return self._add_barrier(costs, longest)

    def _solve_closed(self, costs: Costs, done: Work) -> NDArray[np.float64]:
        """Return the time of each step in closed form; SANA-FE leaves the links out."""
        halves = (done.sending, done.receiving)
        cores = np.max([half.max(axis=1, initial=0.0) for half in halves], axis=0)
        return self._add_barrier(costs, cores if self.account == "sanafe" else done.longest)

    def _add_barrier(self, costs: Costs, longest: NDArray[np.float64]) -> NDArray[np.float64]:
        step = longest + (find_barrier_ns(self.machine, costs, self.account) or 0.0)
        return np.maximum(step, costs.set.step_floor_ns.value or 0.0)

    def _time_others(self, counts: Counts, own: float) -> dict[str, float]:
        """Return the time by every cost set, in closed form, for the range."""
        return {
            name: own
            if name == self.costs.name
            else float(self._solve_closed(other, measure_work(self.machine, other, counts)).sum())
            for name, other in self.sets.items()
        }

    @property
    def counts_updates(self) -> bool:
        """Whether updates of potentials are counted, which takes longer."""
        priced = any(s.find_price("neuron_updated") for s in self.sets.values())
        return self.account == "sanafe" or priced

    @property
    def others(self) -> dict[str, float]:
        """Seconds by cost set, of all pieces in their order."""
        return {name: sum(times[name] for times, _ in self.pieces) for name in self.sets}

    @property
    def busy(self) -> NDArray[np.float64]:
        """Seconds of each core's work, of all pieces in their order."""
        total = np.zeros(self.machine.layout.cores)
        for _, busy in self.pieces:
            total += busy
        return total

    def export(self) -> dict[str, NDArray[Any]]:
        """Return all that was added, for a ledger of another process to `take`."""
        return {
            "counts": self.counts,
            "sent": self.sent,
            "seconds": np.concatenate(self.seconds),
            "bound": np.concatenate(self.bound),
            "others": np.array([[times[n] for n in self.sets] for times, _ in self.pieces]),
            "busy": np.array([busy for _, busy in self.pieces]),
        }

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add further samples, which another ledger has exported."""
        self.counts += arrays["counts"]
        self.sent += arrays["sent"]
        self.seconds.append(arrays["seconds"])
        self.bound.append(arrays["bound"])
        for times, busy in zip(arrays["others"].tolist(), arrays["busy"], strict=True):
            self.pieces.append((dict(zip(self.sets, times, strict=True)), busy))

    def close(self) -> Estimate:
        """Return the means over all samples."""
        seconds, bound = np.concatenate(self.seconds), np.concatenate(self.bound)
        means = self.counts / len(seconds)
        untimed = self._list_untimed(means)
        seconds = self._hide_unknown(seconds, means)
        known = ~np.isnan(seconds)
        latency = float(np.nansum(seconds, axis=1).mean()) if known.any() else None
        rows = tuple(_make_rows(self.machine, self.costs, means, latency))
        biases = _count_host_biases(self.machine)
        if biases:
            untimed = tuple(sorted((*untimed, HOST_BIAS)))
            name = self.machine.program.network.input.name
            rows += (Row(name, HOST_BIAS, float(biases), None, "not in any cost set"),)
        names = name_bounds(self.machine)
        frequencies = Counter(bound[known].tolist()).most_common()
        missing = (
            *(f"{ENERGY}{event}" for event in list_unpriced(rows, untimed)),
            *(f"{TIME}{event}" for event in untimed),
        )
        return Estimate(
            chip=self.costs.chip.name,
            timing=self.timing,
            account=self.account,
            costs=self.costs.name,
            title=self.costs.set.title,
            note=self.costs.set.note,
            samples=len(seconds),
            steps=self.steps,
            latency_s=latency,
            rows=rows,
            missing=missing,
            range=self._find_range(means, latency),
            utilisation=self._find_utilisation(float(np.nansum(seconds)), bool(untimed)),
            assumed=self._list_assumed(),
            bounds={names[i]: times / np.count_nonzero(known) for i, times in frequencies},
            by_step=Steps(
                parts=self.machine.layout.parts,
                events=EVENTS,
                counts=means,
                energy_pj=self.costs.energy_pj,
                time_ns=self.costs.known_time_ns,
                seconds=seconds,
                bound=bound,
                bound_names=names,
                links=self.machine.ways.links,
                link_messages=self.sent @ self.machine.ways.incidence / len(seconds),
            ),
        )

    def _find_barrier_ns(self) -> float | None:
        return find_barrier_ns(self.machine, self.costs, self.account)

    def _list_untimed(self, means: NDArray[np.float64]) -> tuple[str, ...]:
        """Return what occurred and has no time in the cost set."""
        occurred = means.sum(axis=(0, 1)) > 0
        untimed = {self.costs.labels[i] for i in np.flatnonzero(self.costs.untimed & occurred)}
        if self._find_barrier_ns() is None:
            untimed.add("barrier sync")
        if self.costs.set.step_floor_ns.evidence == "unknown":
            untimed.add("shortest time step")
        return tuple(sorted(filter(None, untimed)))

    def _hide_unknown(
        self, seconds: NDArray[np.float64], means: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the time of each step, NaN where no time of what occurred in it is known."""
        occurred = (means[..., self.costs.untimed] > 0).any(axis=(1, 2))
        unknown = occurred | (self._find_barrier_ns() is None)
        return np.where((seconds == 0) & unknown, np.nan, seconds)

    def _find_utilisation(self, seconds: float, lacking: bool) -> float | None:
        """Return the share of the time in which cores work; None: no time of their work is known.

        Args:
            seconds: time of all steps of all samples.
            lacking: whether the time of anything that occurred is not known.
        """
        cores = self.busy[: len(self.machine.program.mapping.sites)]
        if lacking and not cores.any():
            return None
        return float(cores.mean() / (seconds or 1.0)) if len(cores) else 0.0

    def _find_range(self, means: NDArray[np.float64], latency: float | None) -> Range:
        """Return the range: the set's own lowest and highest numbers, else the spread of the chip's
        cost sets and the set's own error.
        """
        others = self.others
        own = others[self.costs.name] or 1.0
        energies, latencies, lacking = {}, {}, {}
        for name, costs in self.sets.items():
            other = others[name]
            time = latency * other / own if latency is not None and other else None
            rows = _make_rows(self.machine, costs, means, time)
            energies[name], latencies[name] = add_energies(rows), time
            lacking[name] = list_unpriced(rows, ())
        because = [self._describe_sets(lacking)] if len(self.sets) > 1 else []
        spread = []
        for values, error, quantity in (
            (energies, self.costs.set.energy_error, "energy"),
            (latencies, self.costs.set.latency_error, "latency"),
        ):
            known = [value for value in values.values() if value is not None]
            middle = values[self.costs.name]
            if error is not None and error.value is not None and middle is not None:
                known += [middle * (1 - error.value), middle * (1 + error.value)]
                because.append(
                    f"{error.value:.0%} error of {quantity} published for {self.costs.name}"
                )
            spread.append((min(known), max(known)) if middle is not None else None)
        return Range(spread[0], spread[1], tuple(because))

    def _describe_sets(self, lacking: dict[str, tuple[str, ...]]) -> str:
        """Return the names of the cost sets, each with what it lacks and the own set has."""
        if self.costs.set.has_ends:
            return f"the lowest and the highest of the measurements behind {self.costs.name}"
        own = set(lacking[self.costs.name])
        names = [
            name + (f" (energy{format_lacking(events)})" if set(events) != own else "")
            for name, events in lacking.items()
        ]
        how = " (latencies of the others: scaled as the closed form says)"
        return f"the cost sets {', '.join(names)}{how if self.timing == 'cycle' else ''}"

    def _list_assumed(self) -> tuple[str, ...]:
        arrangement = self.machine.mesh.assumed
        several = self.machine.program.mapping.chips > 1
        return (arrangement,) if arrangement and several else ()


def _count_host_biases(machine: Machine) -> int:
    """Return the biases that the host writes for a sample, one per neuron."""
    return sum(len(layer.bias) for layer in machine.program.network.input.host)


def _make_rows(
    machine: Machine, costs: Costs, means: NDArray[np.float64], latency: float | None
) -> list[Row]:
    layers, names = machine.layout.parts, machine.layout.names
    totals: dict[tuple[str, str], float] = {}
    for layer in names:
        of_layer = means[:, [p.layer == layer for p in layers]].sum(axis=(0, 1))
        for column, label in enumerate(costs.labels):
            if label is not None and (of_layer[column] or _is_shown(layer, names, label)):
                key = (layer, label)
                totals[key] = totals.get(key, 0.0) + float(of_layer[column])
    rows = [_make_row(layer, event, total, costs) for (layer, event), total in totals.items()]
    return rows + _make_chip_rows(machine, costs, len(means), latency)


def _is_shown(layer: str, names: tuple[str, ...], label: str) -> bool:
    """Whether a layer has a row for an event that did not occur: not the input, no overheads."""
    return (
        layer != names[0]
        and label != "chip_crossing"
        and not label.startswith(("host_", "synaptic_op_"))
    )


def _make_row(layer: str, event: str, total: float, costs: Costs) -> Row:
    price = costs.find_price(event)
    number = price.energy_pj if price else None
    joules = None if number is None or number.value is None else number.value * 1e-12
    return Row(layer, event, total, joules, costs.describe_origin(number))


def _make_chip_rows(machine: Machine, costs: Costs, steps: int, latency: float | None) -> list[Row]:
    """Return the rows of the chip as a whole: barrier sync and static power."""
    chips = machine.program.mapping.chips
    barrier, static = costs.set.barrier_energy_pj, costs.set.static_w
    joules = None if barrier is None or barrier.value is None else barrier.value * 1e-12
    watts = None if static.value is None else static.value * chips
    return [
        Row("chip", "barrier sync", float(steps * chips), joules, costs.describe_origin(barrier)),
        Row("chip", STATIC, latency, watts, costs.describe_origin(static)),
    ]


__all__ = ["Estimate", "Ledger", "Row", "estimate_cycle", "estimate_fast"]
