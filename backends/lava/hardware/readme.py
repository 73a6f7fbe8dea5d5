"""The README of a folder for a chip: per population and projection what computes it, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snncompile.backends.lava import python_text
from snncompile.backends.lava.hardware.plan import Plan, PlannedNeuron
from snncompile.backends.lava.hardware.rules import describe_chip_model, find_nearest
from snncompile.ir.graph import Population
from snncompile.ir.loss import Loss


@dataclass(frozen=True)
class Origin:
    """How the integers of a network were made."""

    library: bool = False
    """Whether with `compile(processes="library")`."""
    loss: Loss = field(default_factory=Loss)
    """Of `compile`, against the network as it was."""


UNKNOWN = Origin()


def write_readme(plan: Plan, title: str, origin: Origin) -> str:
    """Return the text of the README."""
    network = plan.network
    output = network.population(network.output)
    rows = [_write_neuron(p, plan.neurons[p.name]) for p in network.populations]
    rows += [
        {
            "name": f"{p.source} -> {p.target}",
            "process": fit.process.name,
            "kind": "library" if not fit.wait and not fit.silent else "library, and our `Delay`",
            "remarks": [fit.remark] if fit.remark else [],
        }
        for p, fit in zip(network.projections, plan.synapses, strict=True)
    ]
    library = [n.fit.process.name for n in plan.neurons.values() if not n.obstacle]
    library += [fit.process.name for fit in plan.synapses]
    return python_text.load_template("hardware/README.md.j2").render(
        title=title,
        input_shape=", ".join(map(str, network.input.shape)),
        output_shape=", ".join(map(str, output.shape)),
        output=output.name,
        rows=rows,
        sources=[(name, describe_chip_model(name)) for name in dict.fromkeys(library)],
        obstacles=[
            (
                p.name,
                plan.neurons[p.name].obstacle,
                find_nearest(p.neuron, origin.library, p.name == network.output),
            )
            for p in network.populations
            if plan.neurons[p.name].obstacle
        ],
        waiting=any(fit.wait or fit.silent for fit in plan.synapses),
        read=[name for name, n in plan.neurons.items() if n.fit.read],
        starts=[
            p.name for p in network.populations if plan.neurons[p.name].fit.first_step is not None
        ],
        hosts=[layer.target for layer in network.input.host],
        apart=plan.apart,
        library_made=origin.library,
        loss=origin.loss,
        losses=[
            (row.population, _format_share(row.different, "-"), _format_share(row.rate_error))
            for row in origin.loss.populations
        ],
    )


def _format_share(share: float | None, nothing: str = "from none") -> str:
    return nothing if share is None else f"{share:.2%}"


def _write_neuron(population: Population, planned: PlannedNeuron) -> dict[str, Any]:
    return {
        "name": population.name,
        "process": planned.fit.process.name,
        "kind": "needs microcode" if planned.obstacle else "library",
        "remarks": [planned.obstacle] if planned.obstacle else planned.fit.remarks,
    }
