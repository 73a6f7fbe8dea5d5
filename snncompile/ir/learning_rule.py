"""The rule by which the synapses of a projection learn while the network runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, fields, replace
from functools import cached_property
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from snncompile.errors import InputError
from snncompile.ir.products import LONGEST_SHOWN, Product, read_products, write_products

TRACES = ("x1", "x2", "y1", "y2", "y3")
POST_TRACES = ("y1", "y2", "y3")
LARGEST_TRACE = 127
"""Traces have 7 bits."""
IMPULSE_PARTS = 256
"""Impulses are whole multiples of 1 / 256."""
LONGEST_EPOCH = 63
"""Time steps of an epoch: spike times within it have 6 bits."""
LARGEST_SEED = 2**31 - 5
"""Of the generators, four of which are seeded with seed .. seed + 3."""
TAU_OF_THIRD = 65535
"""Time constant of traces that a population sends: Lava's `Loihi3FLearningRule`."""
Sign = Literal["mixed", "positive"]


@dataclass(frozen=True)
class LearningRule:
    """Change of weights and tags, in the notation and with the parameters of Lava.

    At the end of every epoch of `epoch` time steps, for each synapse

        w = w + dw
        t = t + dt

    where dw and dt are sums of products, see `snncompile/ir/products.py`. A trace grows by its
    impulse with each spike of the source (x1, x2) or target (y1, y2, y3) and shrinks by
    exp(-1 / tau) in each time step; tau 0 clears it after one step. In a product with x0 traces are
    read at the source's last spike of the epoch, with y0 at the target's, with uk at its end.

    On a chip traces have 7 bits, weights 9 and tags 9; fractions are rounded up with their
    probability. In a `Network` the rule is in the unit of its float weights, and quantizing makes
    the integer one of it; in an `IntegerNetwork` it is the chip's.

    Raises:
        InputError: a rule cannot be read, or a number is outside its range; the message names the
            nearest that can be held.
    """

    dw: str = ""
    """Rule of the weights: `2^-2*x1*y0 - 2^-3*y1*x0`."""
    dt: str = ""
    """Rule of the tags, which start at 0."""
    x1_impulse: float = 0.0
    """0..127, a multiple of 1/256; so are the others."""
    x1_tau: float = 0.0
    """Time steps in which the trace falls to 1/e, 0 or more; so are the others."""
    x2_impulse: float = 0.0
    x2_tau: float = 0.0
    y1_impulse: float = 0.0
    y1_tau: float = 0.0
    y2_impulse: float = 0.0
    y2_tau: float = 0.0
    y3_impulse: float = 0.0
    y3_tau: float = 0.0
    epoch: int = 1
    """Time steps between updates, 1..63."""
    seed: int = 1
    """Of the random numbers with which traces are rounded; weights have their own."""
    third_factor: tuple[tuple[str, str], ...] = ()
    """Traces y1, y2, y3 that are the outputs of populations instead, as (trace, population), or a
    dict: `{"y2": "reward"}`. The population has as many neurons as the target; the other traces of
    the target are 0 then."""
    sign: Sign = "mixed"
    """mixed: weights of -256..255; positive: they stay within 0..255."""
    limit: float | None = None
    """In a `Network`: magnitude at which weights stop, which becomes the chip's largest weight.
    None: the largest magnitude that the projection starts with. In an `IntegerNetwork` None."""
    dd: InitVar[str] = ""
    """Refused: delays do not learn."""

    def __post_init__(self, dd: str) -> None:
        """Read the rules and refuse numbers outside their ranges."""
        self._check_kinds()
        if dd:
            raise InputError(
                f"learning rule dd = {dd!r}: delays do not learn, in Lava a rule on them has no"
                " effect; use dt, which changes the tags"
            )
        if not (self.dw or self.dt):
            raise InputError("a learning rule needs dw, dt or both")
        for name in ("dw", "dt"):
            text = getattr(self, name)
            if text:
                written = write_products(read_products(name, text))
                object.__setattr__(self, name, written)
        self._check_decimation()
        self._check_numbers()
        object.__setattr__(self, "third_factor", _read_third_factor(self.third_factor))
        self._check_third_factor()

    def _check_kinds(self) -> None:
        """Refuse what is no text or no number."""
        for name in ("dw", "dt"):
            if not isinstance(getattr(self, name), str):
                raise InputError(
                    f"{name} must be a rule as text, such as '2^-2*x1*y0', got"
                    f" {_show(getattr(self, name))}"
                )
        names = [f"{trace}_{number}" for trace in TRACES for number in ("impulse", "tau")]
        for name in [*names, "limit"]:
            value = getattr(self, name)
            if name != "limit" or value is not None:
                check_numbers(**{name: value})

    def _check_decimation(self) -> None:
        every = {p.decimation for p in (*self.weight_products, *self.tag_products)}
        used = {p.decimation for p in self.products if p.dependency == "u"}
        if len(used) > 1:
            names = " and ".join(f"u{k}" for k in sorted(every & used))
            raise InputError(
                f"learning rule: dw and dt use {names}; a chip has one interval for all rules"
            )

    def _check_numbers(self) -> None:
        for trace in TRACES:
            impulse, tau = self.impulse(trace), self.tau(trace)
            if not 0 <= impulse <= LARGEST_TRACE or impulse * IMPULSE_PARTS % 1:
                within = min(max(0, impulse), LARGEST_TRACE)  # 0 of nan
                nearest = round(within * IMPULSE_PARTS) / IMPULSE_PARTS
                raise InputError(
                    f"{trace}_impulse {impulse:g} is no multiple of 1/{IMPULSE_PARTS} within"
                    f" 0..{LARGEST_TRACE}; the nearest is {nearest:.10g}"
                )
            if not 0 <= tau < np.inf:
                raise InputError(f"{trace}_tau must be 0 or more, got {tau:g}")
        for name, low, high in (("epoch", 1, LONGEST_EPOCH), ("seed", 0, LARGEST_SEED)):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise InputError(f"{name} must be a whole number of {low}..{high}, got {value}")
        if self.sign not in get_args(Sign):
            raise InputError(f"sign must be one of {', '.join(get_args(Sign))}, got {self.sign!r}")
        if self.limit is not None and not 0 < self.limit < np.inf:
            raise InputError(f"limit must be above 0, got {self.limit:g}")

    def _check_third_factor(self) -> None:
        names = [trace for trace, _ in self.third_factor]
        for trace in names:
            if trace not in POST_TRACES or names.count(trace) > 1:
                raise InputError(
                    f"third_factor: {trace!r} must be one of {', '.join(POST_TRACES)}, each once"
                )
        for trace in POST_TRACES if names else ():
            if self.impulse(trace) or self.tau(trace):
                raise InputError(
                    f"{trace}_impulse and {trace}_tau must be 0 where the rule has a third factor:"
                    " Lava then takes every trace of the target from populations"
                )

    def impulse(self, trace: str) -> float:
        """Return the impulse of `x1`, `x2`, `y1`, `y2` or `y3`."""
        return float(getattr(self, f"{trace}_impulse"))

    def tau(self, trace: str) -> float:
        """Return the time constant of `x1`, `x2`, `y1`, `y2` or `y3`."""
        return float(getattr(self, f"{trace}_tau"))

    @cached_property
    def weight_products(self) -> tuple[Product, ...]:
        """Summands of dw."""
        return read_products("dw", self.dw) if self.dw else ()

    @cached_property
    def tag_products(self) -> tuple[Product, ...]:
        """Summands of dt."""
        return read_products("dt", self.dt) if self.dt else ()

    @property
    def products(self) -> tuple[Product, ...]:
        """Summands of both."""
        return self.weight_products + self.tag_products

    @property
    def variables(self) -> frozenset[str]:
        """Traces, weights, tags and spikes that its factors read."""
        return frozenset(f.variable for p in self.products for f in p.factors)

    @property
    def uses_tags(self) -> bool:
        """Whether synapses keep a tag."""
        return bool(self.dt)

    @property
    def decimation(self) -> int | None:
        """k of its uk; None without one."""
        return next((p.decimation for p in self.products if p.dependency == "u"), None)

    def explain_idle(self) -> str:
        """Return why a variable of it never changes, for messages; empty if all can."""
        given = {trace for trace, _ in self.third_factor}
        for name in sorted(self.variables):
            if name in TRACES and name not in given and not self.impulse(name):
                remedy = "third_factor" if self.third_factor and name[0] == "y" else "an impulse"
                return f"the rule reads {name}, which stays 0; give it {remedy}"
        if "t" in self.variables and not self.dt:
            return "the rule reads the tag t, which stays 0; give it a dt"
        return ""

    def explain_misfit(self) -> str:
        """Return why the chip's integers cannot hold it; empty if they can."""
        if self.limit is not None:
            return f"limit {self.limit:g} is of float weights; integer ones stop at 255"
        return next(filter(None, (p.explain_misfit() for p in self.products)), "")

    def change(self, **values: Any) -> LearningRule:
        """Return the rule with other values."""
        return replace(self, **values)

    def __str__(self) -> str:
        """Text form: every value that is not the default."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                text = (
                    ",".join(f"{t}={p}" for t, p in value) if field.name == "third_factor" else ""
                )
                text = text or (f"{value:.10g}" if isinstance(value, float) else str(value))
                parts.append(f"{field.name}={text!r}" if " " in text else f"{field.name}={text}")
        return " ".join(parts)


def _read_third_factor(given: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a dict, or of pairs, in their order.

    Raises:
        InputError: it is neither.
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    known = isinstance(pairs, Iterable) and not isinstance(pairs, str)
    listed = list(pairs) if known else [given]
    for pair in listed:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(name, str) for name in pair):
            raise InputError(
                f"third_factor must name a population for a trace, such as {{'y2': 'reward'}}, got"
                f" {_show(given)}"
            )
    return tuple(sorted((trace, source) for trace, source in listed))


def check_fields(function: str, more: Mapping[str, Any], *own: str) -> None:
    """Refuse names that are no field of a rule.

    Args:
        function: for the message.
        more: arguments.
        own: fields that the function fills itself.

    Raises:
        InputError: with the names that there are.
    """
    names = [f.name for f in fields(LearningRule) if f.name not in own]
    for name in more:
        if name not in names:
            known = ", ".join(names)
            raise InputError(f"{function}: no argument {name!r}; of a rule it takes {known}")


def check_numbers(**numbers: Any) -> None:
    """Refuse arguments that are no numbers.

    Raises:
        InputError: with the name of the first one.
    """
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InputError(f"{name} must be a number, got {_show(value)}")


def _show(value: Any) -> str:
    """Return a value in short, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
