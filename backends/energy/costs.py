"""A cost set as arrays: cost of each kind of event, and the unknown costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.backends.energy.events import EVENTS, OVERHEADS, SYNAPTIC
from snncompile.errors import InputError
from snncompile.hwmodels.costs import CostSet, Price
from snncompile.hwmodels.records import Number
from snncompile.hwmodels.schema import Chip


@dataclass(frozen=True, eq=False)
class Costs:
    """One cost set of a chip, per column of `EVENTS`."""

    chip: Chip
    name: str
    set: CostSet
    labels: tuple[str | None, ...]
    """Name under which an event is priced; None: part of another event's price."""
    energy_pj: Floats
    """NaN: not known; 0 where the label is None."""
    time_ns: Floats
    """0 where it is not known or the label is None."""
    untimed: NDArray[np.bool_]
    """Whether the event has a label and no known time."""

    def find_price(self, event: str) -> Price | None:
        """Return the price of an event in this set; None: it has none."""
        return _find_price(self.set, event)[1]

    def describe_origin(self, number: Number | None) -> str:
        """Return evidence and source of a number."""
        if number is None:
            return "unknown: not in this cost set"
        return f"{number.evidence}: {self.chip.sources[number.source]}"

    def barrier_ns(self, tiles: int, chips: int) -> float | None:
        """Return the time of the next larger entry (of the last beyond the table); None: unknown.

        With more than one chip in use, the entries for chips count instead of those for tiles.
        """
        entries = [(entry.tiles, entry.time_ns) for entry in self.set.barrier]
        if chips > 1:
            entries, tiles = [(e.chips, e.time_ns) for e in self.set.barrier_chips], chips
        if not entries:
            return None
        return next((time for least, time in entries if least >= tiles), entries[-1][1]).value

    def barrier_below_ns(self, tiles: int) -> float | None:
        """Return the time of the next smaller entry, as SANA-FE reads its table; None: unknown."""
        below = [e.time_ns.value for e in self.set.barrier if e.tiles <= tiles]
        return below[-1] if below else 0.0

    @property
    def known_time_ns(self) -> Floats:
        """Time of each event; NaN: not known."""
        return np.where(self.untimed, np.nan, self.time_ns)


def find_costs(chip: Chip, name: str | None) -> Costs:
    """Return a cost set of a chip; None for its default.

    Raises:
        InputError: the chip has no such set.
    """
    name = name or chip.default_costs
    if name not in chip.costs:
        raise InputError(
            f"{chip.name} has no cost set {name!r}; it has {', '.join(chip.costs) or 'none'}"
        )
    return _make_costs(chip, name, chip.costs[name])


def list_spread(chosen: Costs) -> dict[str, Costs]:
    """Return the sets whose totals are the range of an estimate, the chosen one among them.

    Its own lowest and highest numbers where it states any, else all sets of the chip.
    """
    if not chosen.set.has_ends:
        return {name: find_costs(chosen.chip, name) for name in chosen.chip.costs}
    low, high = (
        _make_costs(chosen.chip, chosen.name, chosen.set.at_end(end)) for end in ("low", "high")
    )
    return {chosen.name: chosen, "its lowest numbers": low, "its highest numbers": high}


def _make_costs(chip: Chip, name: str, costs: CostSet) -> Costs:
    prices = [_find_price(costs, event) for event in EVENTS]
    times = [_get_value(price.time_ns if price else None) for _, price in prices]
    labels = tuple(label for label, _ in prices)
    return Costs(
        chip=chip,
        name=name,
        set=costs,
        labels=labels,
        energy_pj=np.array(
            [
                0.0 if label is None else _get_value(price.energy_pj if price else None)
                for label, price in prices
            ]
        ),
        time_ns=np.nan_to_num(np.array(times)),
        untimed=np.array([label is not None for label in labels]) & np.isnan(times),
    )


def _find_price(costs: CostSet, event: str) -> tuple[str | None, Price | None]:
    """Return the name under which an event is priced, and the price."""
    prices: dict[str, Price] = dict(costs.prices.items())
    if event in prices:
        return event, prices[event]
    if event in SYNAPTIC and "synaptic_op" in prices:
        return "synaptic_op", prices["synaptic_op"]
    if event in OVERHEADS or event in SYNAPTIC:
        return event, None
    return None, None


def _get_value(number: Number | None) -> float:
    return np.nan if number is None or number.value is None else number.value
