"""Compare an imported network with the module it came from: every neuron layer, every time step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from snncompile.errors import ImportMismatchError, InputError, list_briefly
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.arguments import Arguments, find_tensors
from snncompile.frontends.torch.build_network import ImportedNetwork, Origin
from snncompile.frontends.torch.cells.record import CallRecorder
from snncompile.frontends.torch.host_layers import join_outputs
from snncompile.frontends.torch.host_part import SEED, keep_output
from snncompile.frontends.torch.precise import in_float64
from snncompile.frontends.torch.run_module import (
    NONE,
    call,
    carry_states,
    cast_inputs,
    find_own_dtype,
    make_working_copy,
    summarize_error,
)
from snncompile.frontends.torch.silent_layers import list_louder
from snncompile.frontends.torch.ties import Ties, find_ties
from snncompile.frontends.torch.time_layouts import Layout, split_calls, split_steps
from snncompile.ir.graph import Network, Population
from snncompile.reference import simulate

LOG = logging.getLogger("snncompile.frontends.torch.from_torch")

MEMORY_BYTES = 256 * 2**20
"""Memory that recording a batch of samples may take, roughly."""

POTENTIAL_TOLERANCE = 1e-9
"""Largest difference of a readout's potentials, relative to the largest potential.

Float64 has 16 digits; sums of thousands of terms in another order and leaks over thousands of
time steps leave more than 9 of them.
"""

ANSWER = "what forward returns"
"""Key of a record that no population has."""
Record = dict[str, Tensor]
"""Output of each population, shape (samples, steps, size): its spikes, or a readout's potential."""


def verify(
    module: nn.Module,
    x: Tensor,
    time: Layout,
    imported: ImportedNetwork,
    given: Arguments = NONE,
    ties: Ties = "refuse",
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

    Returns:
        A note if layers were silent on all of it, and so are not verified.

    Raises:
        ImportMismatchError: the first layer, sample, time step and neuron that differ.
    """
    counts = {name: _Counts() for name in imported.origins}
    for start, batch in split_batches(x, imported):
        exact = record_module(
            module, batch, time, imported, torch.float64, given, keep_precision=True
        )
        batch = exact.pop(imported.network.input.name, batch)
        ours = _simulate(imported, batch)
        try:
            for name in imported.origins:
                _compare(imported.network.population(name), exact[name], ours[name], start)
            if imported.checked:
                _compare_answer(imported, exact, ours, start)
        except ImportMismatchError as error:
            layers = {name: exact[name] for name in imported.origins}
            _take_ties(imported.network, batch, layers, start, ties, error)
        own = exact
        if imported.network.input.host_part is None:  # whose encoders may draw other numbers
            own = record_module(module, batch, time, imported, find_own_dtype(module), given)
        for name, count in counts.items():
            count.add(exact[name], own[name])
    for name, count in counts.items():
        _log(imported.network.population(name), count, find_own_dtype(module))
    silent = {name for name, count in counts.items() if count.active == 0}
    return _verify_silent(_Run(module, time, imported, given), x, silent)


@dataclass(frozen=True, eq=False)
class _Run:
    """Runs of module and network on the same input."""

    module: nn.Module
    time: Layout
    imported: ImportedNetwork
    given: Arguments

    def list_active(self, x: Tensor, silent: set[str]) -> set[str]:
        """Return the populations that are equal and active, up to the first that differs.

        Raises:
            ImportMismatchError: the first that differs is a silent one.
        """
        exact = record_module(
            self.module, x, self.time, self.imported, torch.float64, self.given, keep_precision=True
        )
        ours = _simulate(self.imported, exact.pop(self.imported.network.input.name, x))
        active: set[str] = set()
        for name in self.imported.origins:
            try:
                _compare(self.imported.network.population(name), exact[name], ours[name], 0)
            except ImportMismatchError:
                if name in silent:
                    raise
                return active
            if exact[name].any():
                active.add(name)
        return active


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

    def add(self, exact: Tensor, own: Tensor) -> None:
        """Count one more batch."""
        self.outputs += exact.numel()
        self.active += int((exact != 0).sum())
        self.rounded += int((own != exact).sum())


def split_batches(x: Tensor, imported: ImportedNetwork) -> Iterator[tuple[int, Tensor]]:
    """Yield (first sample, batch)."""
    neurons = imported.network.input.size + sum(p.size for p in imported.network.populations)
    size = max(1, MEMORY_BYTES // (32 * x.shape[1] * neurons))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def _simulate(imported: ImportedNetwork, x: Tensor) -> Record:
    batches = list(simulate.run_batches(imported.network, x.numpy()))
    names = {*imported.origins, imported.network.output}
    return {name: torch.cat([batch[name] for batch in batches]).double() for name in names}


def record_module(
    module: nn.Module,
    x: Tensor,
    time: Layout,
    imported: ImportedNetwork,
    dtype: torch.dtype,
    given: Arguments = NONE,
    *,
    keep_precision: bool = False,
) -> Record:
    """Return the outputs of the module's neuron layers, computed in the given type.

    Under `ANSWER` is the returned tensor that the network answers with, shape (samples, size). With
    layers on the host, what they give the network is there under the name of its input.
    """
    samples, steps = x.shape[:2]
    runner = make_working_copy(module, samples, steps).to(dtype)
    recorded: dict[str, list[Tensor]] = {name: [] for name in imported.origins}
    of_calls = {c: recorded[name] for name, o in imported.origins.items() for c in o.calls}
    recorder = CallRecorder(runner, of_calls, imported.network.input.host_part)
    cast_inputs(runner, dtype)
    if keep_precision:
        _keep_precision(runner)
    hooked = {name: origin for name, origin in imported.origins.items() if not origin.calls}
    for name, origin in hooked.items():
        layer = _find_layer(runner, origin.path)
        layer.register_forward_hook(_make_recorder(origin, recorded[name], samples))
    shown = _record_host(runner, imported)
    recorder.finish()
    inputs = list(split_calls(x.to(dtype), time))  # before functions are counted
    try:
        with in_float64() if dtype == torch.float64 else nullcontext(), recorder:
            result = _run_steps(runner, inputs, given)
    except Exception as error:
        failure = f"{type(module).__name__} cannot run the sample in {dtype}"
        raise InputError(f"{failure}, {summarize_error(error)}") from error
    record = {
        name: _order_by_step(recorded[name], origin, (samples, steps))
        for name, origin in imported.origins.items()
    }
    if imported.checked:
        returned, checked = list(find_tensors(result)), imported.checked
        compared = (checked.returned, *(number for number, _ in checked.others))
        record[ANSWER] = torch.cat([returned[n].double().flatten(1) for n in compared], 1)
    host_part = imported.network.input.host_part
    if shown and host_part:
        record[imported.network.input.name] = join_outputs(
            shown, host_part.held, samples, steps
        ).double()
    return record


def _keep_precision(runner: nn.Module) -> None:
    for layer in runner.modules():
        library = known_layers.find_library(layer)
        if library and library.knows(layer):
            library.keep_precision(layer)


def _record_host(runner: nn.Module, imported: ImportedNetwork) -> list[Tensor]:
    """Return a list that gets each output of the host's last layer in front of the chip's."""
    shown: list[Tensor] = []
    host_part = imported.network.input.host_part
    if host_part and host_part.output:
        torch.manual_seed(SEED)
        _find_layer(runner, host_part.output).register_forward_hook(keep_output(shown))
    return shown


def _run_steps(runner: nn.Module, inputs: Iterable[Tensor], given: Arguments) -> Any:
    """Call a copy of the module for all steps and return its last result."""
    result: Any = None
    for call_input in inputs:
        result = call(runner, call_input, given)
        given = carry_states(runner, result, given)
    return result


def _make_recorder(origin: Origin, record: list[Tensor], samples: int) -> Callable[..., None]:
    """Return the hook that appends the compared outputs: time steps, or rows of a linear layer."""

    def hook(module: nn.Module, args: object, out: Any) -> None:
        if origin.compared in ("steps", "samples"):
            record.append(out)
            return
        library = known_layers.find_neuron_library(module)
        output, states = library.read_result(module, out)
        if origin.compared == "state":
            record.append(states[library.potential].clone())
        else:
            record.extend(split_steps(output.clone(), library.find_time(module), samples))

    return hook


def _order_by_step(record: list[Tensor], origin: Origin, shape: tuple[int, int]) -> Tensor:
    """Return the record in float64, shape (samples, steps, size)."""
    samples, steps = shape
    if origin.compared == "samples":
        return torch.cat(record).double().reshape(samples, steps, -1)
    if origin.compared == "steps":
        rows = torch.cat([out.reshape(-1, out.shape[-1]) for out in record])
        return rows.double().reshape(steps, samples, -1).transpose(0, 1)
    outputs = [out.reshape(samples, -1).double() for out in record]
    late = steps - len(outputs)  # code that shows its spikes later than it could
    return torch.stack([torch.zeros_like(outputs[0])] * late + outputs, 1)


def _find_layer(runner: nn.Module, path: str) -> nn.Module:
    """Return the layer at a path; the path of a module that is a layer itself is its class name."""
    layers: dict[str, nn.Module] = dict(runner.named_modules())
    return layers.get(path, runner)


def _compare_answer(imported: ImportedNetwork, native: Record, ours: Record, start: int) -> None:
    """Refuse an answer that differs from what forward returns."""
    network, checked = imported.network, imported.checked
    assert checked is not None
    output = network.population(network.output)
    answer = torch.tensor(network.answer.reduce(ours[network.output].numpy())).double()
    answer = checked.factor * answer
    if checked.columns:
        columns = [*checked.columns, *chain.from_iterable(more for _, more in checked.others)]
        answer = answer[:, columns]
    for function in checked.functions:
        apply = getattr(torch, function)
        shaped = answer.reshape(len(answer), *output.shape)
        answer = (apply(shaped) if function == "sigmoid" else apply(shaped, -1)).flatten(1)
    tolerance = POTENTIAL_TOLERANCE * float(native[ANSWER].abs().max())
    wrong = ~((native[ANSWER] - answer).abs() <= tolerance)
    if wrong.any():
        sample, neuron = (int(i) for i in wrong.nonzero()[0])
        expected, actual = native[ANSWER][sample, neuron], answer[sample, neuron]
        raise ImportMismatchError(
            f"{output.name}: sample {start + sample}, neuron {neuron}: forward returns"
            f" {expected:.10g}, the imported network's answer, {network.answer.kind} over time, is"
            f" {actual:.10g}; {int(wrong.sum()):,} of {wrong.numel():,} differ"
        )


def _compare(population: Population, native: Tensor, ours: Tensor, start: int) -> None:
    """Refuse outputs that differ; `start` is the number of the first sample."""
    if population.neuron.spikes:
        tolerance, quantity = 0.0, "output"
    else:
        tolerance, quantity = POTENTIAL_TOLERANCE * float(native.abs().max()), "potential"
    wrong = ~((native - ours).abs() <= tolerance)
    if not wrong.any():
        return
    sample, step, neuron = (int(i) for i in wrong.nonzero()[0])
    expected, actual = native[sample, step, neuron], ours[sample, step, neuron]
    raise ImportMismatchError(
        f"{population.name}: sample {start + sample}, time step {step}, neuron {neuron}: the"
        f" module's {quantity} is {expected:.10g}, the imported network's is {actual:.10g};"
        f" {int(wrong.sum()):,} of {wrong.numel():,} differ"
    )


def _take_ties(
    network: Network, x: Tensor, native: Record, start: int, ties: Ties, error: Exception
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
