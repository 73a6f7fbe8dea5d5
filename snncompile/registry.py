"""Objects that can be chosen by name, in one table per kind. Values are imported on use.

Other packages add theirs through entry points: group `snncompile.backends`, `snncompile.frontends`
and so on, with the same kind of value. Two owners of one name is an error that names both.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint
from pkgutil import resolve_name
from typing import Any

from snncompile.errors import InputError, list_briefly

TABLES: dict[str, dict[str, str]] = {
    "neurons": {
        "accumulate": "snncompile.neurons.accumulate:Accumulate",
        "adaptive_lif": "snncompile.neurons.adaptive_lif:AdaptiveLif",
        "alpha_lif": "snncompile.neurons.alpha_lif:AlphaLif",
        "alpha_soft_lif": "snncompile.neurons.alpha_soft_lif:AlphaSoftLif",
        "bistable_fire": "snncompile.neurons.bistable_fire:BistableFire",
        "cuba_lif": "snncompile.neurons.cuba_lif:CubaLif",
        "graded": "snncompile.neurons.graded:Graded",
        "graded_delta": "snncompile.neurons.graded_delta:GradedDelta",
        "integrate_fire": "snncompile.neurons.integrate_fire:IntegrateFire",
        "multi_spike_lif": "snncompile.neurons.multi_spike_lif:MultiSpikeLif",
        "phase_fire": "snncompile.neurons.phase_fire:PhaseFire",
        "phase_maximum": "snncompile.neurons.phase_maximum:PhaseMaximum",
        "product": "snncompile.neurons.product:Product",
        "refractory_lif": "snncompile.neurons.refractory_lif:RefractoryLif",
        "signed_integrate_fire": ("snncompile.neurons.signed_integrate_fire:SignedIntegrateFire"),
        "synapse_filter": "snncompile.neurons.synapse_filter:SynapseFilter",
        "ternary_lif": "snncompile.neurons.ternary_lif:TernaryLif",
        "readout": "snncompile.neurons.readout:Readout",
        "window_readout": "snncompile.neurons.window_readout:WindowReadout",
        "resonate_fire": "snncompile.neurons.resonate_fire:ResonateFire",
        "resonate_fire_izhikevich": (
            "snncompile.neurons.resonate_fire_izhikevich:ResonateFireIzhikevich"
        ),
        "delta": "snncompile.neurons.delta:Delta",
        "sigma_delta": "snncompile.neurons.sigma_delta:SigmaDelta",
        "sigma": "snncompile.neurons.sigma:Sigma",
    },
    "wirings": {
        "dense": "snncompile.synapses.dense:Dense",
        "convolution": "snncompile.synapses.convolution:Convolution",
        "sparse": "snncompile.synapses.sparse:Sparse",
        "scale": "snncompile.synapses.scale:Scale",
        "transposed_convolution": (
            "snncompile.synapses.transposed_convolution:TransposedConvolution"
        ),
        "source_range": "snncompile.synapses.source_range:SourceRange",
    },
    "simulators": {
        "float": "snncompile.reference.simulate:run_float",
        "integer": "snncompile.reference.simulate:run_integer",
    },
    "frontends": {
        "torch": "snncompile.frontends.torch.from_torch:from_torch",
        "netx": "snncompile.frontends.netx.from_netx:from_netx",
        "nir": "snncompile.frontends.nir.from_nir:from_nir",
    },
    "natives": {
        "torch": "snncompile.frontends.torch.library_outputs:record_outputs",
    },
    "hosts": {
        "torch": "snncompile.frontends.torch.host_part:run_before",
    },
    "torch_libraries": {
        "by_hand": "snncompile.frontends.torch.libraries.by_hand:LIBRARY",
        "norse": "snncompile.frontends.torch.libraries.norse:LIBRARY",
        "own": "snncompile.frontends.torch.libraries.snncompile_training:LIBRARY",
        "sinabs": "snncompile.frontends.torch.libraries.sinabs:LIBRARY",
        "snntorch": "snncompile.frontends.torch.libraries.snntorch:LIBRARY",
        "spikingjelly": "snncompile.frontends.torch.libraries.spikingjelly:LIBRARY",
    },
    "conversions": {
        "balance": "snncompile.conversion.balance:Balance",
        "signed": "snncompile.conversion.signed:Signed",
        "bistable_rate": "snncompile.conversion.bistable:BistableRate",
        "bistable_phase": "snncompile.conversion.bistable:BistablePhase",
        "graded": "snncompile.conversion.graded:GradedMessages",
        "sigma_delta": "snncompile.conversion.sigma_delta:SigmaDeltaMessages",
    },
    "passes": {
        "retime": "snncompile.passes.timing.retime:Retime",
        "quantize": "snncompile.passes.quantize.quantize:Quantize",
        "measure": "snncompile.passes.analysis.measure:Measure",
        "prune": "snncompile.passes.prune.prune:Prune",
        "accumulate": "snncompile.passes.split_fan_in.split_fan_in:Accumulate",
        "sparsify": "snncompile.passes.sparsify:Sparsify",
        "partition": "snncompile.passes.partition.partition:Partition",
        "partition_intel": "snncompile.passes.partition.intel.partition:PartitionIntel",
        "partition_nxtf": "snncompile.passes.partition.nxtf.partition:PartitionNxtf",
        "place": "snncompile.passes.place.place:Place",
        "route": "snncompile.passes.route:Route",
    },
    "chip_rules": {
        "crossbar": "snncompile.cores.chip_rules.crossbar:fill_cores",
        "kernels": "snncompile.cores.chip_rules.layer_per_core:fill_cores",
        "layers": "snncompile.cores.chip_rules.fixed_layers:fill_cores",
        "weight_ram": "snncompile.cores.chip_rules.weight_ram:fill_cores",
        "bytes": "snncompile.cores.chip_rules.data_memory:fill_cores",
    },
    "checker_rules": {
        "crossbar": "snncompile.checker.chip_rules:check_crossbar",
        "kernels": "snncompile.checker.chip_rules:check_kernels",
        "layers": "snncompile.checker.chip_rules:check_layers",
        "weight_ram": "snncompile.checker.chip_rules:check_weight_ram",
        "bytes": "snncompile.checker.chip_rules:check_bytes",
    },
    "backends": {
        "reference": "snncompile.reference.backend",
        "lava": "snncompile.backends.lava.run",
    },
    "emitters": {
        "lava": "snncompile.backends.lava.emit:emit_program",
        "netx": "snncompile.backends.netx.write:emit_program",
        "nir": "snncompile.backends.nir.write:emit_program",
    },
    "lava_processes": {
        "LIFReset": "snncompile.backends.lava.neuron_processes:LIF_RESET",
        "CubaLif": "snncompile.backends.lava.neuron_processes:CUBA_LIF",
        "Readout": "snncompile.backends.lava.neuron_processes:READOUT",
        "Accumulate": "snncompile.backends.lava.neuron_processes:ACCUMULATE",
        "Graded": "snncompile.backends.lava.neuron_processes:GRADED",
        "GradedDelta": "snncompile.backends.lava.neuron_processes:GRADED_DELTA",
        "AdaptiveLif": "snncompile.backends.lava.neuron_processes:ADAPTIVE_LIF",
        "AlphaLif": "snncompile.backends.lava.neuron_processes:ALPHA_LIF",
        "AlphaSoftLif": "snncompile.backends.lava.neuron_processes:ALPHA_SOFT_LIF",
        "BistableFire": "snncompile.backends.lava.neuron_processes:BISTABLE_FIRE",
        "PhaseFire": "snncompile.backends.lava.neuron_processes:PHASE_FIRE",
        "PhaseMaximum": "snncompile.backends.lava.neuron_processes:PHASE_MAXIMUM",
        "MultiSpikeLif": "snncompile.backends.lava.neuron_processes:MULTI_SPIKE_LIF",
        "ProdNeuron": "snncompile.backends.lava.neuron_processes:PROD_NEURON",
        "Product": "snncompile.backends.lava.neuron_processes:PRODUCT",
        "RefractoryLif": "snncompile.backends.lava.neuron_processes:REFRACTORY_LIF",
        "SignedIntegrateFire": "snncompile.backends.lava.neuron_processes:SIGNED_INTEGRATE_FIRE",
        "SynapseFilter": "snncompile.backends.lava.neuron_processes:SYNAPSE_FILTER",
        "TernaryLif": "snncompile.backends.lava.neuron_processes:TERNARY_LIF",
        "WindowReadout": "snncompile.backends.lava.neuron_processes:WINDOW_READOUT",
        "ResonateFire": "snncompile.backends.lava.neuron_processes:RESONATE_FIRE",
        "ResonateFireIzhikevich": (
            "snncompile.backends.lava.neuron_processes:RESONATE_FIRE_IZHIKEVICH"
        ),
        "DeltaReset": "snncompile.backends.lava.neuron_processes:DELTA_RESET",
        "SigmaDeltaReset": "snncompile.backends.lava.neuron_processes:SIGMA_DELTA_RESET",
        "SigmaReset": "snncompile.backends.lava.neuron_processes:SIGMA_RESET",
        "Dense": "snncompile.backends.lava.network_processes:DENSE",
        "Sparse": "snncompile.backends.lava.network_processes:SPARSE",
        "LearningDense": "snncompile.backends.lava.network_processes:LEARNING_DENSE",
        "LearningSparse": "snncompile.backends.lava.network_processes:LEARNING_SPARSE",
        "Start": "snncompile.backends.lava.network_processes:START",
        "Delay": "snncompile.backends.lava.network_processes:DELAY",
        "Wrap": "snncompile.backends.lava.network_processes:WRAP",
        "SpikeSource": "snncompile.backends.lava.network_processes:SPIKE_SOURCE",
        "InputAdapter": "snncompile.backends.lava.network_processes:INPUT_ADAPTER",
        "ImageAdapter": "snncompile.backends.lava.network_processes:IMAGE_ADAPTER",
        "OutputAdapter": "snncompile.backends.lava.network_processes:OUTPUT_ADAPTER",
        "VoltageReader": "snncompile.backends.lava.network_processes:VOLTAGE_READER",
        "Probe": "snncompile.backends.lava.network_processes:PROBE",
        "StateProbe": "snncompile.backends.lava.network_processes:STATE_PROBE",
    },
    "estimators": {
        "fast": "snncompile.backends.energy.estimate:estimate_fast",
        "cycle": "snncompile.backends.energy.estimate:estimate_cycle",
    },
    "reports": {
        "html": "snncompile.report.html.write:report_program",
        "plots": "snncompile.report.plots:Plots",
    },
}

RENAMED = {"fits": "chip_rules"}
"""Table of the release before -> table. Its name and its entry points work for one release more."""
SINGULAR = {"passes": "pass"}
"""Name of a row in messages, where it is not the table's name without its last letter."""


def list_names(table: str) -> tuple[str, ...]:
    """Return the known names of a table, sorted."""
    return tuple(sorted(_list_rows(_translate_table(table))))


def load(table: str, name: str) -> Any:
    """Return the object called `name`.

    Raises:
        InputError: the name is not in the table; the message lists the known ones.
    """
    table = _translate_table(table)
    rows = _list_rows(table)
    if name not in rows:
        kind = SINGULAR.get(table, table.removesuffix("s"))
        raise InputError(
            f"no {kind} called {name[:40]!r}; known: {list_briefly(sorted(rows), 200)}"
        )
    return _resolve_row(table, name, rows[name])


def load_all(table: str) -> dict[str, Any]:
    """Return every object of a table by its name: ours in their order, then those of others."""
    table = _translate_table(table)
    return {name: _resolve_row(table, name, value) for name, value in _list_rows(table).items()}


def _resolve_row(table: str, name: str, value: str) -> Any:
    """Return the object of a row; refuse one that another package promises and does not have."""
    if name in TABLES[table]:
        return resolve_name(value)
    try:
        return resolve_name(value)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{table}: {name!r} is {value} of another package, which cannot be loaded: {error};"
            " mend or uninstall that package"
        ) from error


def _translate_table(table: str) -> str:
    """Return the current name of a table."""
    if table in RENAMED:
        _warn_of_old_name(f"the table {table!r}", f"{RENAMED[table]!r}")
    return RENAMED.get(table, table)


def _list_rows(table: str) -> dict[str, str]:
    rows = dict(TABLES[table])
    for point in _list_entry_points(table):
        if point.name in rows:
            raise InputError(
                f"{table}: {point.name!r} is defined by {rows[point.name]} and by {point.value};"
                " uninstall one of the two packages"
            )
        rows[point.name] = point.value
    return rows


def _list_entry_points(table: str) -> list[EntryPoint]:
    """Return the rows of other packages, with those under the table's old name."""
    points = list(entry_points(group=f"snncompile.{table}"))
    for old in (old for old, new in RENAMED.items() if new == table):
        for point in entry_points(group=f"snncompile.{old}"):
            name = f"entry point {point.name!r} of snncompile.{old}"
            _warn_of_old_name(name, f"snncompile.{table}")
            points.append(point)
    return points


def entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group, of all packages on the path."""
    points: Iterable[EntryPoint] = _read_packages(tuple(sys.path)).select(group=group)
    return points


@cache
def _read_packages(path: tuple[str, ...]) -> Any:
    """Return all entry points; reading those of a hundred packages takes milliseconds."""
    return metadata.entry_points()


def _warn_of_old_name(old: str, new: str) -> None:
    message = f"{old} is called {new} now and goes with the next release"
    warnings.warn(message, DeprecationWarning, stacklevel=4)
