"""Compare an imported network with the module it came from: every neuron layer, every time step.

The module's outputs are kept as bits, the network's are made and compared block after block of time
steps, so that memory grows neither with the samples nor, beyond those bits, with the steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from snncompile.errors import ImportMismatchError, InputError, list_briefly
from snncompile.frontends.torch.arguments import Arguments
from snncompile.frontends.torch.build_network import ImportedNetwork
from snncompile.frontends.torch.compare_outputs import Difference, compare_answer
from snncompile.frontends.torch.output_record import OutputRecord
from snncompile.frontends.torch.record_module import Recording, record_module
from snncompile.frontends.torch.run_module import NONE, find_own_dtype, free_copies
from snncompile.frontends.torch.silent_layers import list_louder
from snncompile.frontends.torch.ties import Ties, find_ties
from snncompile.frontends.torch.time_layouts import Layout
from snncompile.ir.graph import Network, Population
from snncompile.reference import simulate

LOG = logging.getLogger("snncompile.frontends.torch.from_torch")

MEMORY_BYTES = 256 * 2**20
"""Memory that recording a batch of samples may take, roughly."""
LARGEST_RECORD = 2**33
"""Outputs of one sample, neurons times time steps, that are all compared: 1 GiB of bits."""
DRAWN = 1000
"""Neurons of each layer that are compared beyond that, and the output of the network."""
LARGEST_TIED = 2**27
"""Outputs of a batch up to which ties are told from other differences; all are in memory then."""


def verify(
    module: nn.Module,
    x: Tensor,
    time: Layout,
    imported: ImportedNetwork,
    given: Arguments = NONE,
    ties: Ties = "refuse",
    *,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[str, ...]:
    """Refuse a network whose outputs on the sample differ from the module's, both in float64.

    Where a layer is silent on the sample, both run on louder input too.

    The module is run in its own floating-point type too. Spikes that differ there and not in
    float64 come from its rounding; they are counted in the log.

    Args:
        module: the module; copies of it are run.
        x: the sample, float64, shape (samples, steps, *shape).
        time: how the module takes its time axis.
        imported: the network to check.
        given: further arguments of forward.
        ties: whether to take outputs that differ because rounding decides, see `ties.py`.
        progress: called with the share that is done.

    Returns:
        Notes: layers that were silent on all of it, and so are not verified; whether neurons were
        drawn, as there are too many to compare all.

    Raises:
        ImportMismatchError: the first layer, sample, time step and neuron that differ.
    """
    run = _Run(module, time, imported, given, _draw_neurons(imported, x.shape[1]))
    counts = {name: _Counts() for name in imported.origins}
    for start, batch in split_batches(x, imported):
        first, size = start / len(x), len(batch) / len(x)
        progress(first)
        exact = run.record(batch, torch.float64)
        free_copies(module)
        batch = batch if exact.shown is None else exact.shown
        try:
            run.compare(batch, exact, start, _Span(progress, first + size / 3, size / 3))
        except ImportMismatchError as error:
            if not _may_hold_ties(exact.outputs):
                raise
            layers = {name: record.read() for name, record in exact.outputs.items()}
            _take_ties(imported.network, batch, layers, start, ties, error)
        own = exact
        if imported.network.input.host_part is None:  # whose encoders may draw other numbers
            progress(first + size * 2 / 3)
            own = run.record(batch, find_own_dtype(module))
        for name, count in counts.items():
            count.add(exact.outputs[name], own.outputs[name])
    for name, count in counts.items():
        _log(imported.network.population(name), count, find_own_dtype(module))
    silent = {name for name, count in counts.items() if count.active == 0}
    return (*run.describe(), *_verify_silent(run, x, silent))


@dataclass(frozen=True, eq=False)
class _Span:
    """Part of a progress: from a share on, of a size."""

    progress: Callable[[float], None]
    first: float
    size: float

    def __call__(self, share: float) -> None:
        """Say that a share of the part is done."""
        self.progress(self.first + self.size * share)


@dataclass(frozen=True, eq=False)
class _Run:
    """Runs of module and network on the same input."""

    module: nn.Module
    time: Layout
    imported: ImportedNetwork
    given: Arguments
    neurons: dict[str, Tensor] = field(default_factory=dict)
    """The neurons to compare, of populations whose neurons are not all compared."""

    def record(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """Run the module."""
        return record_module(
            self.module,
            x,
            self.time,
            self.imported,
            dtype,
            self.given,
            keep_precision=dtype == torch.float64,
            neurons=self.neurons,
        )

    def compare(self, x: Tensor, exact: Recording, start: int, progress: _Span) -> None:
        """Run the network; refuse outputs, or an answer, other than the module's.

        Args:
            x: input of the network.
            exact: the module's outputs on it.
            start: number of the first sample.
            progress: called with the share of this comparison that is done.
        """
        differences, answering = self.find_differences(x, exact, progress)
        for name, difference in differences.items():
            if difference.count:
                raise ImportMismatchError(f"{name}: {difference.describe(start)}")
        if self.imported.checked:
            assert exact.answer is not None
            compare_answer(self.imported, exact.answer, answering, start)

    def find_differences(
        self, x: Tensor, exact: Recording, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[dict[str, Difference], Tensor]:
        """Return the differences by population, and what the network answers with, step by step."""
        network = self.imported.network
        differences = {
            name: Difference.start(network.population(name), record)
            for name, record in exact.outputs.items()
        }
        answering: list[Tensor] = []
        for (block,) in simulate.run_together((network,), x.numpy()):
            progress((block.first_sample + block.first_step / x.shape[1]) / len(x))
            for name, difference in differences.items():
                ours = block.spike_trains[name]
                neurons = self.neurons.get(name)
                ours = ours if neurons is None else ours[..., neurons]
                difference.add(exact.outputs[name], ours, block.first_sample, block.first_step)
            if self.imported.checked:
                train = block.spike_trains[network.output].double()
                if block.first_step:
                    answering[-1] = torch.cat([answering[-1], train], 1)
                else:
                    answering.append(train.clone())
        return differences, torch.cat(answering) if answering else torch.empty(0)

    def list_active(self, x: Tensor, silent: set[str]) -> set[str]:
        """Return the populations that are equal and active, up to the first that differs.

        Raises:
            ImportMismatchError: the first that differs is a silent one.
        """
        exact = self.record(x, torch.float64)
        differences, _ = self.find_differences(x if exact.shown is None else exact.shown, exact)
        active: set[str] = set()
        for name, difference in differences.items():
            if difference.count:
                if name in silent:
                    raise ImportMismatchError(f"{name}: {difference.describe(0)}")
                return active
            if exact.outputs[name].find_largest() > 0:
                active.add(name)
        return active

    def describe(self) -> tuple[str, ...]:
        """Return a note that says which neurons are compared, unless all are."""
        if not self.neurons:
            return ()
        number = sum(p.size for p in self.imported.network.populations)
        note = (
            f"verified on the answer and {DRAWN:,} neurons of each layer, drawn with seed 0: all"
            f" {number:,} neurons would be more than {LARGEST_RECORD:,} outputs per sample"
        )
        LOG.info("%s", note)
        return (note,)


def _draw_neurons(imported: ImportedNetwork, steps: int) -> dict[str, Tensor]:
    """Return the neurons to compare by population; empty if all are compared."""
    sizes = {name: imported.network.population(name).size for name in imported.origins}
    if steps * sum(sizes.values()) <= LARGEST_RECORD:
        return {}
    draw = torch.Generator().manual_seed(0)
    return {
        name: torch.randperm(size, generator=draw)[:DRAWN].sort().values
        for name, size in sizes.items()
        if size > DRAWN and name != imported.network.output
    }


def _verify_silent(run: _Run, x: Tensor, silent: set[str]) -> tuple[str, ...]:
    """Verify layers that are silent on the sample on louder input; return a note of the others."""
    for description, louder in list_louder(x, static=run.time == "inside"):
        if not silent:
            break
        try:
            active = run.list_active(louder, silent)
        except InputError:  # forward refuses such input
            continue
        except ImportMismatchError as error:
            raise ImportMismatchError(f"on {description}, as it is silent: {error}") from None
        for name in sorted(silent & active):
            LOG.info("%s: no spike on the sample, verified on %s", name, description)
        silent = silent - active
    if not silent:
        return ()
    names = list_briefly(sorted(silent))
    note = f"not verified: {names}: no spike on the sample, nor on louder input"
    LOG.warning("%s; give a livelier sample", note)
    return (note,)


@dataclass
class _Counts:
    """Outputs of one population over the whole sample."""

    outputs: int = 0
    active: int = 0
    """Outputs other than zero."""
    rounded: int = 0
    """Outputs that differ between the module's own type and float64."""

    def add(self, exact: OutputRecord, own: OutputRecord) -> None:
        """Count one more batch."""
        for native, rounded in zip(exact, own, strict=True):
            self.outputs += native.numel()
            self.active += int((native != 0).sum())
            self.rounded += int((rounded != native).sum())


def split_batches(x: Tensor, imported: ImportedNetwork) -> Iterator[tuple[int, Tensor]]:
    """Yield (first sample, batch)."""
    neurons = imported.network.input.size + sum(p.size for p in imported.network.populations)
    size = max(1, MEMORY_BYTES // (32 * x.shape[1] * neurons))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def _may_hold_ties(outputs: dict[str, OutputRecord]) -> bool:
    """Return whether all outputs fit in memory at once, which the search for ties needs."""
    records = outputs.values()
    return sum(prod(r.shape) for r in records) <= LARGEST_TIED and all(
        r.neurons is None for r in records
    )


def _take_ties(
    network: Network,
    x: Tensor,
    native: dict[str, Tensor],
    start: int,
    ties: Ties,
    error: Exception,
) -> None:
    """Take differences that are ties, or refuse them as such; other differences are the error."""
    tied = find_ties(network, x, native)
    if tied is None or not any(bool(where.any()) for where in tied.values()):
        raise error
    name, where = next((name, where) for name, where in tied.items() if bool(where.any()))
    count = sum(int(where.sum()) for where in tied.values())
    total = sum(where.numel() for where in tied.values())
    if ties == "refuse":
        sample, step, neuron = (int(i) for i in where.nonzero()[0])
        raise ImportMismatchError(
            f"{name}: sample {start + sample}, time step {step}, neuron {neuron}: a tie, the"
            f" potential meets the threshold and rounding decides; {count:,} of {total:,} outputs"
            " are ties that the module decides otherwise, nothing else differs; take them with"
            " ties='accept', or move the threshold a little"
        )
    LOG.warning(
        "%s of %s outputs are ties that the module decides otherwise: a potential meets the"
        " threshold, and rounding decides",
        f"{count:,}",
        f"{total:,}",
    )


def _log(population: Population, count: _Counts, dtype: torch.dtype) -> None:
    if count.rounded and population.neuron.spikes:
        LOG.info(
            "%s: %s of %s outputs differ between the module in %s and in float64: its rounding",
            population.name,
            f"{count.rounded:,}",
            f"{count.outputs:,}",
            dtype,
        )
