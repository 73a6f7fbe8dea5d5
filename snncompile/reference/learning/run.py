"""Run a network that learns: sample after sample, all populations behind it step by step.

Time is the target's own. In its step n a learning synapse adds up the weights of the spikes that
arrive, and then sees those spikes and the spikes that the target sent in its step n - 1, as the
chip and Lava do: their synapses work one step before the neurons. Neurons start every sample
afresh; weights, tags, traces and epochs go on from sample to sample.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
import torch
from numpy.typing import NDArray

from snncompile.arrays import Ints
from snncompile.errors import InputError
from snncompile.ir.graph import Graph, IntegerNetwork, Population, Progress, Projection
from snncompile.ir.learning_rule import POST_TRACES, LearningRule
from snncompile.ir.learning_state import LearningState
from snncompile.ir.view import make_digraph
from snncompile.neurons.base import BINARY
from snncompile.reference.learning.floating import FloatLearner
from snncompile.reference.learning.integer import IntegerLearner, begin_state
from snncompile.reference.runner import Runner, Session
from snncompile.reference.synapses import bind
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.sparse import Sparse

DENSE_LIMIT = 2**24
"""Synapses up to which the weights of a projection are kept as a full matrix."""


@dataclass(frozen=True)
class UpdateCount:
    """Updates of the synapses of one learning projection."""

    number: int
    """Of the projection."""
    synapses: int
    """Synapses times epochs with an update: of sources or targets that fired, or all by a uk."""
    epochs: int


@dataclass(frozen=True, eq=False)
class Learned:
    """Outcome of a run."""

    outputs: dict[str, NDArray[Any]]
    """Outputs that were asked for, shape (samples, steps, size)."""
    states: dict[int, LearningState]
    """By the numbers of the projections."""
    updates: tuple[UpdateCount, ...]
    charged: dict[str, NDArray[np.uint8]]
    """1 where a potential is not zero after a step, in the shape of outputs; empty if not asked."""


def run_learning(
    network: Graph,
    x: NDArray[Any],
    keep: Collection[str],
    progress: Progress | None = None,
    *,
    charged: bool = False,
) -> Learned:
    """Return outputs and learning states.

    Args:
        network: with projections that learn.
        x: checked input, shape (samples, steps, *input.shape).
        keep: the input or populations whose outputs are returned.
        progress: called after each sample.
        charged: whether to mark potentials that are not zero.

    Raises:
        InputError: the host feeds a population behind the learning.
    """
    return _LearningRun(network, charged).run(x, keep, progress)


class _Synapses:
    """Synapses of one projection that stay as they are."""

    def __init__(self, network: Graph, projection: Projection) -> None:
        synapses = projection.synapses
        matrix = synapses.wiring.matrix(synapses.weight.astype(_choose_type(network)))
        full = synapses.wiring.targets * synapses.wiring.sources <= DENSE_LIMIT
        self.matrix = matrix.T.toarray() if full else matrix.T.tocsr()
        self.exponent = synapses.exponent if isinstance(synapses, IntegerSynapses) else 0

    def add_up(self, sent: NDArray[Any]) -> NDArray[Any]:
        """Return the accumulated input of one step."""
        (fired,) = np.nonzero(sent)
        total = np.asarray(sent[fired] @ self.matrix[fired])
        return shift(total, self.exponent)


class _Learning:
    """One learning projection while it runs."""

    def __init__(self, network: Graph, projection: Projection) -> None:
        assert projection.rule is not None
        self.projection, self.rule = projection, projection.rule
        wiring, weight = projection.synapses.wiring, projection.synapses.weight
        self.number = network.number(projection)
        lags = {trace: network.third_lag(projection, p) for trace, p in self.rule.third_factor}
        self.lags = [lags.get(trace, 0) for trace in POST_TRACES]
        self.sources = [dict(self.rule.third_factor).get(trace) for trace in POST_TRACES]
        longest = max(lags.values(), default=0)
        start = projection.learned
        if start is None:
            start = begin_state(weight, wiring.sources, wiring.targets, longest)
        exact = isinstance(network, IntegerNetwork)
        rows, columns = _list_ends(wiring)
        rule = self.rule if exact else _fill_limit(self.rule, weight)
        make: Any = IntegerLearner if exact else FloatLearner
        self.learner: Any = make(rule, rows, columns, start)
        self.exponent = projection.synapses.exponent if exact else 0  # type: ignore[union-attr]
        self.waiting: NDArray[Any] = start.waiting
        self.third: list[NDArray[Any]] = list(start.third)
        if projection.learned is None:
            for _ in range(max(network.phase(projection.target), 1) - 1):
                self.learner.step(np.zeros(wiring.sources), self.waiting)

    def step(self, sent: NDArray[Any], outputs: dict[str, NDArray[Any]], t: int) -> NDArray[Any]:
        """Return the accumulated input of the target's step t, and learn."""
        third = None
        if self.rule.third_factor:
            third = np.stack([self._find_trace(k, outputs, t) for k in range(len(POST_TRACES))])
        return shift(self.learner.step(sent, self.waiting, third), self.exponent)

    def _find_trace(self, k: int, outputs: dict[str, NDArray[Any]], t: int) -> NDArray[Any]:
        source, lag = self.sources[k], self.lags[k]
        if source is None:
            return np.zeros(len(self.waiting), np.int64)
        row: NDArray[Any] = outputs[source][t] if lag == 0 else self.third[lag - 1][k]
        return row

    def finish_step(self, outputs: dict[str, NDArray[Any]], t: int) -> None:
        """Remember what the synapses see later."""
        self.waiting = outputs[self.projection.target][t]
        if self.third:
            none = np.zeros(len(self.waiting), np.int64)
            now = np.stack([none if s is None else outputs[s][t] for s in self.sources])
            self.third = [now, *self.third[:-1]]


class _LearningRun:
    """A network that learns, ready to run."""

    def __init__(self, network: Graph, charged: bool) -> None:
        self.network = network
        self.charged: dict[str, list[NDArray[np.uint8]]] | None = {} if charged else None
        self.dtype = _choose_type(network)
        whole = make_digraph(network)
        behind = {p.target for p in network.plastic}
        behind |= {name for target in behind for name in nx.descendants(whole, target)}
        for name in behind:
            if network.input.find_host(name) is not None:
                raise InputError(f"{name}: the host feeds it, and synapses before it learn")
        self.before = [p for p in network.populations if p.name not in behind]
        self.order = self._order(behind)
        self.learning = {id(p): _Learning(network, p) for p in network.plastic}
        self.static = {
            id(p): _Synapses(network, p)
            for name in self.order
            for p in network.into(name)
            if p.rule is None and p.source in behind
        }
        known = {network.input.name, *(p.name for p in self.before)}
        self.early = {
            id(p): bind(p.synapses, network.payload(p.source))
            for name in self.order
            for p in network.into(name)
            if p.rule is None and p.source in known
        }
        self.runner = self._make_runner()

    def _order(self, behind: set[str]) -> list[str]:
        """Return the populations that run step by step, each after those of the same step."""
        instant = make_digraph(self.network, lambda p: self.network.own_delay(p) == 0)
        for projection in self.network.plastic:
            assert projection.rule is not None
            for _, source in projection.rule.third_factor:
                if self.network.third_lag(projection, source) == 0:
                    instant.add_edge(source, projection.target)
        rank = {p.name: i for i, p in enumerate(self.network.populations)}
        if not nx.is_directed_acyclic_graph(instant):
            loop = [edge[0] for edge in nx.find_cycle(instant)]
            raise InputError(
                f"third factors close the loop {' -> '.join([*loop, loop[0]])} within one step;"
                " let the third factor come from a population that starts no earlier"
            )
        order = nx.lexicographical_topological_sort(instant, key=rank.__getitem__)
        return [name for name in order if name in behind]

    def _make_runner(self) -> Runner | None:
        """Return the runner of the populations before the learning."""
        names = {self.network.input.name, *(p.name for p in self.before)}
        if not self.before:
            return None
        projections = tuple(p for p in self.network.projections if p.target in names)
        output = self.before[-1].name
        sub = replace(
            self.network,
            populations=tuple(self.before),
            projections=projections,
            output=output,
        )
        return Runner(sub, charged=self.charged is not None)

    def run(self, x: NDArray[Any], keep: Collection[str], progress: Progress | None) -> Learned:
        """Run all samples."""
        kept: dict[str, list[NDArray[Any]]] = {name: [] for name in keep}
        for done, sample in enumerate(x):
            outputs = self._run_sample(sample[np.newaxis])
            for name in keep:
                kept[name].append(outputs[name])
            if progress:
                progress(done + 1, len(x))
        learned = self.learning.values()
        marks = {name: np.stack(parts) for name, parts in (self.charged or {}).items()}
        return Learned(
            {name: np.stack(parts) for name, parts in kept.items()},
            {layer.number: layer.learner.snapshot(layer.waiting, layer.third) for layer in learned},
            tuple(
                UpdateCount(layer.number, layer.learner.updates, layer.learner.epochs)
                for layer in learned
            ),
            marks,
        )

    def _run_before(self, sample: NDArray[Any]) -> dict[str, torch.Tensor]:
        """Return the outputs of the input and of the populations before the learning."""
        source = self.network.input
        silent = isinstance(self.network, IntegerNetwork) or bool(source.host)
        sent = source.send(sample) if silent else sample
        flat = np.ascontiguousarray(sent).reshape(*sent.shape[:2], -1)
        tensor = torch.from_numpy(flat)
        trains = {source.name: tensor}
        if self.runner is not None:
            session = Session(1, biases=self.runner.compute_biases(sample))
            trains |= self.runner.run(session, tensor, [p.name for p in self.before])
            for name, marks in session.charged.items():
                self._mark(name, marks[0].numpy())
        return trains

    def _mark(self, name: str, marks: NDArray[Any]) -> None:
        """Remember where the potentials of a sample are not zero."""
        if self.charged is not None:
            self.charged.setdefault(name, []).append(marks.astype(np.uint8))

    def _run_sample(self, sample: NDArray[Any]) -> dict[str, NDArray[Any]]:
        trains = self._run_before(sample)
        outputs = {name: _as_numbers(train[0].numpy()) for name, train in trains.items()}
        steps = sample.shape[1]
        early = {
            id(p): self.early[id(p)](trains[p.source])[0].numpy()
            for name in self.order
            for p in self.network.into(name)
            if id(p) in self.early
        }
        populations = [self.network.population(name) for name in self.order]
        states = {p.name: p.neuron.begin(np.zeros(p.size, self.dtype)) for p in populations}
        for p in populations:
            outputs[p.name] = np.zeros((steps, p.size), _choose_output_type(p, self.dtype))
        marks = {p.name: np.zeros((steps, p.size), np.uint8) for p in populations}
        for t in range(steps):
            for p in populations:
                drive = self._add_up(p, outputs, early, t)
                states[p.name], output = p.neuron.step(states[p.name], drive)
                outputs[p.name][t] = output
                potential = p.neuron.states.index(p.neuron.potential)
                marks[p.name][t] = states[p.name][potential] != 0
            for learning in self.learning.values():
                learning.finish_step(outputs, t)
        for name, marked in marks.items():
            self._mark(name, marked)
        return outputs

    def _add_up(
        self,
        population: Population,
        outputs: dict[str, NDArray[Any]],
        early: dict[int, NDArray[Any]],
        t: int,
    ) -> NDArray[Any]:
        """Return the accumulated input of a population in its step t."""
        ports = (len(population.neuron.ports),) if population.neuron.ports else ()
        drive = np.zeros((*ports, population.size), self.dtype)
        for p in self.network.into(population.name):
            at = t - self.network.own_delay(p)
            into = drive[self.network.port(p)] if ports else drive
            if id(p) in self.learning:
                sent = outputs[p.source]
                arriving = sent[at] if at >= 0 else np.zeros_like(sent[0])
                into += self.learning[id(p)].step(arriving, outputs, t)
            elif at >= 0 and id(p) in early:
                into += early[id(p)][at]
            elif at >= 0:
                into += self.static[id(p)].add_up(outputs[p.source][at])
        return drive


def shift(total: NDArray[Any], exponent: int) -> NDArray[Any]:
    """Return sums times 2^exponent, rounded down."""
    return total << exponent if exponent > 0 else total >> -exponent if exponent else total


def _list_ends(wiring: Wiring) -> tuple[Ints, Ints]:
    """Return target and source of each synapse, in the order of the weights."""
    if isinstance(wiring, Sparse):
        return wiring.target.astype(np.int64), wiring.source.astype(np.int64)
    rows, columns = np.divmod(np.arange(wiring.synapses), wiring.sources)
    return rows, columns


def _fill_limit(rule: LearningRule, weight: NDArray[Any]) -> LearningRule:
    """Return the rule with a limit: the largest magnitude of the weights where it has none."""
    largest = float(np.abs(weight).max(initial=0))
    return rule if rule.limit is not None or not largest else rule.change(limit=largest)


def _choose_type(network: Graph) -> Any:
    return np.int64 if isinstance(network, IntegerNetwork) else np.float64


def _choose_output_type(population: Population, numbers: Any) -> Any:
    """Return the type of an output: bytes for spikes of 0 and 1."""
    plain = population.neuron.spikes and tuple(population.neuron.payload) == BINARY
    return np.uint8 if plain else numbers


def _as_numbers(train: NDArray[Any]) -> NDArray[Any]:
    return train.view(np.uint8) if train.dtype == np.bool_ else train
