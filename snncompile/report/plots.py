"""Figures for papers, with matplotlib: vector graphics with a readable size and few colours."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from snncompile.errors import InputError
from snncompile.ir.host_part import take
from snncompile.ir.input import read_array
from snncompile.program import Program
from snncompile.registry import load
from snncompile.report.html.attempts import Measured
from snncompile.report.html.chart import INK, PALE, color_of
from snncompile.report.html.charts.core_map import find_fullest, list_chips, make_plan
from snncompile.report.html.facts import Facts
from snncompile.report.html.request import Request

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.3
"""Inches: the text of an A4 page."""


@dataclass(frozen=True)
class Plots:
    """Figures of a Program; `.savefig("cores.pdf")` or `"cores.svg"` writes one.

    Raises:
        InputError: matplotlib is missing.
    """

    program: Program

    def cores(self) -> Figure:
        """Return the cores on the mesh, coloured by the limit of which each uses most."""
        facts = _gather(self.program)
        plan = make_plan(facts)
        figure, axes = _make_axes(WIDTH * plan.height / max(plan.width, 1) + 0.8)
        for _, x, y in list_chips(facts, plan):
            axes.add_patch(_outline(x, y, facts.mesh.columns, facts.mesh.rows, plan.pitch))
        fullest = {core.core: find_fullest(facts, core.core) for core in facts.usage}
        names = list(dict.fromkeys(name for name, _ in fullest.values()))
        for i, name in enumerate(names):
            own = [core for core, (limit, _) in fullest.items() if limit == name]
            for core in own:
                share = fullest[core][1]
                axes.add_patch(
                    _square(plan.column[core], plan.row[core], color_of(i),
                            0.5 if share is None else 0.15 + 0.85 * min(share, 1.0))
                )  # fmt: skip
            axes.plot([], [], "s", color=color_of(i), label=f"{name}: {len(own):,}")
        axes.set_xlim(-1, plan.width * plan.pitch)
        axes.set_ylim(plan.height * plan.pitch, -1)
        axes.set_aspect("equal")
        axes.axis("off")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        return figure

    def raster(self, x: ArrayLike, sample: int = 0, *, host: Any = None) -> Figure:
        """Return the spikes of a sample, layer above layer.

        Args:
            x: input, shape (samples, steps, *input.shape).
            sample: number of the sample.
            host: the torch module, if the host computes layers of it.

        Raises:
            InputError: there is no such sample, or the network cannot take x.
        """
        given = read_array(x)
        if not 0 <= sample < len(given):
            raise InputError(f"x has {len(given)} samples, numbered from 0; got sample {sample}")
        network = self.program.network
        shown = take(network.input.host_part, given[sample : sample + 1], host)
        trains = load("backends", "reference").spike_trains(network, np.asarray(shown))
        layers = [p.name for p in network.populations if p.neuron.spikes]
        figure, axes = _make_axes(1 + 0.9 * max(len(layers), 1))
        base, middles = 0, []
        for i, name in enumerate(layers):
            train = trains[name][0]
            step, neuron = np.nonzero(train)
            axes.plot(step, base + neuron, "|", color=color_of(i), markersize=3, rasterized=False)
            middles.append(base + train.shape[1] / 2)
            base += train.shape[1] + max(1, train.shape[1] // 20)
        axes.set_yticks(middles, layers)
        axes.set_ylim(max(base, 1), -1)
        axes.set_xlabel("time step of the layer")
        return figure

    def energy(self, x: ArrayLike, costs: str | None = None, *, host: Any = None) -> Figure:
        """Return the energy of each layer, stacked by kind of event.

        Args:
            x: input, shape (samples, steps, *input.shape).
            costs: name of a cost set of the chip; None for its default.
            host: the torch module, if the host computes layers of it.

        Raises:
            InputError: nothing has a known energy, or there is no such cost set.
        """
        estimate = self.program.estimate(x, costs, host=host)
        rows = [row for row in estimate.rows if row.energy_j]
        if not rows:
            missing = ", ".join(estimate.missing)
            raise InputError(
                f"cost set {estimate.costs} knows no energy of what occurred: {missing}"
            )
        layers = list(dict.fromkeys(row.layer for row in rows))
        figure, axes = _make_axes(2.8)
        bottom = np.zeros(len(layers))
        for i, event in enumerate(dict.fromkeys(row.event for row in rows)):
            of_event = [r for r in rows if r.event == event]
            sums = [sum(r.energy_j or 0.0 for r in of_event if r.layer == n) for n in layers]
            axes.bar(layers, np.array(sums) * 1e6, bottom=bottom * 1e6, color=color_of(i),
                     label=event)  # fmt: skip
            bottom += sums
        lacking = "\n(without " + ", ".join(estimate.unpriced) + ")" if estimate.unpriced else ""
        axes.set_ylabel("energy per inference (uJ)")
        axes.set_title(f"cost set {estimate.costs}{lacking}", fontsize=8, loc="left")
        axes.tick_params(axis="x", rotation=45 if len(layers) > 6 else 0)
        axes.legend(frameon=False, fontsize=7)
        return figure


def _gather(program: Program) -> Facts:
    return Facts(
        program.network.title, program, Request(), program.usage(), Measured.count(program)
    )


def _make_axes(height: float) -> tuple[Figure, Any]:
    """Return a figure of its own, which no window and no global state knows."""
    try:
        module = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise InputError("plots need matplotlib: pip install 'snncompile[plot]'") from None
    figure = module.Figure(figsize=(WIDTH, float(min(height, 9.0))), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _outline(x: int, y: int, columns: int, rows: int, pitch: int) -> Any:
    """Return the border of a chip whose first tile is at x, y."""
    patches = importlib.import_module("matplotlib.patches")
    return patches.Rectangle(
        (x - 0.85, y - 0.85), columns * pitch - 0.3, rows * pitch - 0.3, fill=False,
        edgecolor=INK, linewidth=0.5,
    )  # fmt: skip


def _square(column: int, row: int, color: str, share: float) -> Any:
    patches = importlib.import_module("matplotlib.patches")
    return patches.Rectangle(
        (column - 0.45, row - 0.45), 0.9, 0.9, facecolor=color, alpha=share, edgecolor=PALE,
        linewidth=0.3,
    )  # fmt: skip
