"""Spikes of a chosen sample, layer above layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.report.html.chart import Cell, Chart, Figure, Numbers, color_of, label, make_figure
from snncompile.report.html.facts import Facts

MOST_POINTS = 20_000
"""Spikes drawn of one sample; beyond, neurons are left out evenly."""
MOST_NEURONS = 400
"""Neurons drawn of one layer."""


def chart_raster(facts: Facts) -> Chart:
    """Return one figure per sample that ran."""
    trains = facts.spike_trains
    if not trains:
        why = facts.why_not or "the network did not run"
        return Chart("raster", "Spikes of a sample", f"Unknown: {why}.", Numbers((), ()))
    network = facts.program.network
    names = [name for name in (network.input.name, *facts.layers) if name in trains]
    samples = len(trains[network.output])
    figures = {f"sample {i}{_name_label(facts, i)}": _draw(facts, names, i) for i in range(samples)}
    rows: list[tuple[Cell, ...]] = []
    for i in range(samples):
        for name in names:
            train = trains[name][i]
            if _spikes(facts, name):
                rows.append((i, name, int(np.count_nonzero(train)),
                             int((train != 0).any(axis=0).sum()), train.shape[1]))  # fmt: skip
    numbers = Numbers.of(("sample", "layer", "spikes", "neurons that fire", "neurons"), rows)
    counts = [int(row[2]) for row in rows if row[0] == 0 and row[1] != network.input.name]  # type: ignore[arg-type]
    text = f"Sample 0: {sum(counts):,} spikes of {len(counts):,} layers."
    return Chart("raster", "Spikes of a sample", text, numbers, figures)


def _name_label(facts: Facts, i: int) -> str:
    labels = facts.request.label
    return "" if labels is None else f", label {int(labels[i])}"


def _spikes(facts: Facts, name: str) -> bool:
    network = facts.program.network
    return name == network.input.name or network.population(name).neuron.spikes


def _draw(facts: Facts, names: list[str], sample: int) -> Figure:
    assert facts.spike_trains is not None
    trains = {name: facts.spike_trains[name][sample] for name in names if _spikes(facts, name)}
    every = {name: max(1, -(-t.shape[1] // MOST_NEURONS)) for name, t in trains.items()}
    drawn = sum(int(np.count_nonzero(t[:, :: every[n]])) for n, t in trains.items())
    thin = max(1, -(-drawn // MOST_POINTS))
    data, ticks, texts, base = [], [], [], 0
    phases = {name: facts.program.network.phase(name) for name in trains}
    steps = max(t.shape[0] + phases[name] for name, t in trains.items())
    for i, (name, train) in enumerate(trains.items()):
        stride = every[name] * thin
        data.append(_draw_layer(train, name, phases[name], stride, base, color_of(i)))
        rows = -(-train.shape[1] // stride)
        ticks.append(base + rows / 2)
        texts.append(label(name, 20) + (f" (1 of {stride})" if stride > 1 else ""))
        base += rows + max(2, rows // 20)
    return make_figure(
        data, height=int(min(900, 140 + max(base * 3, 60 * len(trains)))),
        xaxis={"title": {"text": "time step"}, "range": [-0.5, steps - 0.5]}
        | ({"dtick": 1} if steps <= 12 else {}),
        yaxis={"tickvals": ticks, "ticktext": texts, "range": [base, -1], "showgrid": False,
               "zeroline": False},
        showlegend=False,
    )  # fmt: skip


def _draw_layer(
    train: NDArray[Any], name: str, phase: int, stride: int, base: int, color: str
) -> dict[str, Any]:
    step, neuron = np.nonzero(train[:, ::stride])
    return {
        "type": "scatter", "mode": "markers", "name": label(name), "x": (step + phase).tolist(),
        "y": (neuron + base).tolist(),
        "marker": {"size": 4, "symbol": "line-ns-open", "color": color},
        "customdata": (neuron * stride).tolist(),
        "hovertemplate": f"{label(name)}, neuron %{{customdata}}, step %{{x}}<extra></extra>",
    }  # fmt: skip
