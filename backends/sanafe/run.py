"""Run a Program in SANA-FE; the only file that imports it."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.backends.energy.activity import Activity, record_sample
from snncompile.backends.energy.costs import Costs, find_costs
from snncompile.backends.sanafe import architecture
from snncompile.backends.sanafe.network import SanafeNetwork, translate
from snncompile.backends.sanafe.neurons import FIRE, REST, WRITE
from snncompile.errors import BackendError, InputError, UnsupportedError
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes


@dataclass(frozen=True, eq=False)
class SanafeRun:
    """SANA-FE's account of each time step of one sample, arrays of shape (steps,)."""

    fired: NDArray[np.int64]
    """Neurons that fired, those of the input included."""
    updated: NDArray[np.int64]
    """Neurons whose potential was written; input neurons that fired count, too."""
    synaptic_ops: NDArray[np.int64]
    messages: NDArray[np.int64]
    hops: NDArray[np.int64]
    energy_j: NDArray[np.float64]
    seconds: NDArray[np.float64]
    replayed: dict[str, str]
    """Population whose recorded spikes were replayed -> the reason."""


def import_sanafe() -> Any:
    """Return the module `sanafe`.

    Raises:
        BackendError: it is not installed.
    """
    try:
        return importlib.import_module("sanafe")
    except ImportError:
        raise BackendError("SANA-FE is not installed; install it with pip install sanafe") from None


def pad_sample(program: Program, x: ArrayLike) -> tuple[NDArray[Any], int]:
    """Return one sample with silence behind it, and the steps of the sample on the chip.

    Populations stop one after the other when a sample ends; SANA-FE's do not. With the silence they
    run on until the last one is through.
    """
    if program.network.input.host:
        raise UnsupportedError("SANA-FE has no biases that the host writes for each sample")
    spikes = check_spikes(program.network, x)
    if len(spikes) != 1:
        raise InputError(f"SANA-FE runs one sample, got {len(spikes)}")
    last = max(p.phase for p in program.network.populations)
    silence = np.zeros((1, last, *spikes.shape[2:]), spikes.dtype)
    return np.concatenate([spikes, silence], axis=1), spikes.shape[1] + last


def run(
    program: Program,
    x: ArrayLike,
    *,
    costs: str | None = None,
    timing: Literal["simple", "detailed"] = "detailed",
    replay: bool = False,
) -> SanafeRun:
    """Run one sample and return SANA-FE's account of each step.

    Args:
        program: on one chip, every projection with a delay of one step.
        x: spikes of shape (1, steps, *input.shape).
        costs: cost set with SANA-FE's events.
        timing: one of its models of time.
        replay: replay every population instead of computing it.
    """
    spikes, steps = pad_sample(program, x)
    activity = record_sample(program.network, spikes, updates=True)
    activity = activity.cut(steps)
    network = translate(program, replay=replay)
    library = import_sanafe()
    chip, populations = build_chip(library, network, find_costs(program.chip, costs), activity)
    traces = []
    for step in range(steps):
        _set_biases(network, populations, activity, step)
        traces.append(chip.sim(1, timing_model=timing, processing_threads=1, perf_trace=True))
    return _make_result(network, traces)


def build_chip(
    library: Any, network: SanafeNetwork, costs: Costs, activity: Activity
) -> tuple[Any, dict[str, Any]]:
    """Return SANA-FE's chip with the network loaded, and its mapped neurons by group."""
    inputs = int(network.unit.max(initial=0)) + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "architecture.yaml"
        path.write_text(architecture.make_architecture(costs, inputs))
        arch = library.load_arch(path)
    net = library.Network()
    groups = _build_groups(network, net, arch.cores(), activity)
    for edges in network.edges:
        target = groups[edges.target]
        for neuron in target:
            neuron.set_attributes(default_synapse_hw_name=edges.synapse)
        pairs = list(zip(edges.pre.tolist(), edges.post.tolist(), strict=True))
        groups[edges.source].connect_neurons_sparse(
            target, {"weight": edges.weight.tolist()}, pairs
        )
    chip = library.SpikingChip(arch)
    chip.load(net)
    return chip, chip.mapped_neuron_groups


def _build_groups(
    network: SanafeNetwork, net: Any, cores: list[Any], activity: Activity
) -> dict[str, Any]:
    source, *populations = network.groups
    spike_trains = input_spike_trains(activity, source.size)
    neuron_groups = {source.name: net.create_neuron_group(source.name, source.size)}
    for i, neuron in enumerate(neuron_groups[source.name]):
        unit = f"{architecture.INPUT}[{network.unit[i]}]"
        neuron.set_attributes(soma_hw_name=unit, model_attributes={"spikes": spike_trains[i]})
        neuron.map_to_core(cores[source.core[i]])
    for group in populations:
        shared = {k: v if isinstance(v, str) else float(v) for k, v in group.attributes.items()
                  if isinstance(v, str) or np.ndim(v) == 0}  # fmt: skip
        neuron_groups[group.name] = net.create_neuron_group(
            group.name, group.size, shared, soma_hw_name=architecture.LIF
        )
        for i, neuron in enumerate(neuron_groups[group.name]):
            own = {k: float(v[i]) for k, v in group.attributes.items() if k not in shared}
            if own:
                neuron.set_attributes(model_attributes=own)
            neuron.map_to_core(cores[group.core[i]])
    return neuron_groups


def input_spike_trains(activity: Activity, inputs: int) -> list[list[bool]]:
    """Return the spike train of each input neuron."""
    spiked = np.zeros((inputs, len(activity.step_start) - 1), bool)
    step = np.repeat(np.arange(spiked.shape[1]), np.diff(activity.step_start))
    own = activity.neuron < inputs
    spiked[activity.neuron[own], step[own]] = True
    spike_trains: list[list[bool]] = spiked.tolist()
    return spike_trains


def _set_biases(
    network: SanafeNetwork, populations: dict[str, Any], activity: Activity, step: int
) -> None:
    """Set the biases that change with this step."""
    layout = network.machine.layout
    for group in network.groups[1:]:
        if group.bias is not None:
            if step == group.phase:
                _change_biases(populations[group.name], group.bias, np.zeros(group.size))
            continue
        now = _make_replayed_biases(activity, layout.find_neurons(group.name), step)
        before = (
            now * 0
            if step == 0
            else _make_replayed_biases(activity, layout.find_neurons(group.name), step - 1)
        )
        _change_biases(populations[group.name], now, before)


def _make_replayed_biases(activity: Activity, neurons: slice, step: int) -> NDArray[np.float64]:
    assert activity.updates
    bias = np.where(activity.status[step, neurons] > 0, WRITE, REST)
    fired = activity.neuron[activity.step_start[step] : activity.step_start[step + 1]]
    own = fired[(fired >= neurons.start) & (fired < neurons.stop)]
    bias[own - neurons.start] = FIRE
    return bias


def _change_biases(neurons: Any, now: NDArray[np.float64], before: NDArray[np.float64]) -> None:
    for i in np.flatnonzero(now != before):
        neurons[i].set_attributes(model_attributes={"bias": float(now[i])})


def _make_result(network: SanafeNetwork, traces: list[dict[str, Any]]) -> SanafeRun:
    def column(name: str, dtype: type) -> NDArray[Any]:
        return np.array([t["perf_trace"][name][0] for t in traces], dtype)

    return SanafeRun(
        fired=column("fired", np.int64),
        updated=column("updated", np.int64),
        synaptic_ops=column("spikes", np.int64),
        messages=np.array([t["packets_sent"] for t in traces]),
        hops=column("hops", np.int64),
        energy_j=column("total_energy", np.float64),
        seconds=column("sim_time", np.float64),
        replayed={g.name: g.replayed for g in network.groups if g.replayed},
    )
