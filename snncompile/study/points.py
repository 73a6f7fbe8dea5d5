"""The points of a study: one choice of model, chip, fields, bits, method and steps each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from snncompile.conversion.convert import (
    add_bias_calibration,
    find_method,
    set_messages,
)
from snncompile.conversion.method import Method
from snncompile.study.records import (
    ChipChoice,
    MethodChoice,
    ModelChoice,
    Range,
    Study,
    list_values,
)

Values = tuple[Any, ...] | Range
Pick = Callable[[str, Values], Any]
"""Given the name of a parameter and its values, returns one of them."""


@dataclass(frozen=True)
class Point:
    """One choice of everything that a study varies."""

    model: str
    chip: str
    """Label of the chip."""
    fields: tuple[tuple[str, Any], ...] = ()
    """Fields of the chip with their values."""
    bits: int | None = None
    scales: str | None = None
    method: str | None = None
    """Label of the method; None for a network that is no ANN."""
    steps: int | None = None
    """Of a layer's window; None: the method's own, or no ANN."""
    mapping: str | None = None
    params: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    """Name and value of each parameter, as Optuna has them."""

    @property
    def options(self) -> dict[str, Any]:
        """Options of `compile` that are given."""
        options = {"bits": self.bits, "scales": self.scales, "objective": self.mapping}
        return {name: value for name, value in options.items() if value is not None}

    def __str__(self) -> str:
        """One line: what is varied."""
        chip = ", ".join([self.chip, *(f"{name} {value}" for name, value in self.fields)])
        bits = "" if self.bits is None else f", {self.bits} bits"
        steps = "" if self.steps is None else f" {self.steps}"
        method = "" if self.method is None else f", {self.method}{steps}"
        others = "".join(f", {word}" for word in (self.scales, self.mapping) if word)
        return f"{self.model} on {chip}{method}{bits}{others}"


def choose_point(study: Study, pick: Pick) -> Point:
    """Return the point of some picks; parameters that a choice does not have are not asked for."""
    params: list[tuple[str, Any]] = []

    def ask(name: str, values: Values | None) -> Any:
        if values is None:
            return None
        value = pick(name, values)
        params.append((name, value))
        return value

    model = ask("model", tuple(study.models))
    chip = find_chip(study, ask("chip", tuple(c.label for c in study.chips)))
    fields = tuple((path, ask(f"{chip.label} {path}", v)) for path, v in chip.fields.items())
    method, steps = None, None
    if study.models[model].is_ann:
        method = ask("method", tuple(c.label for c in study.choices))
        steps = ask(f"steps of {method}", _list_steps(study, find_choice(study, method)))
    return Point(
        model=model,
        chip=chip.label,
        fields=fields,
        bits=ask("bits", study.bits),
        scales=ask("scales", study.scales),
        method=method,
        steps=steps,
        mapping=ask("mapping", study.mapping),
        params=tuple(params),
    )


def list_points(study: Study) -> Iterator[Point]:
    """Yield every point of the grid, the last parameters varying first."""
    index: list[int] = []
    while True:
        sizes: list[int] = []

        def pick(name: str, values: Values, sizes: list[int] = sizes) -> Any:
            known = list_values(values)
            if len(sizes) == len(index):
                index.append(0)
            sizes.append(len(known))
            return known[index[len(sizes) - 1]]

        yield choose_point(study, pick)
        while index and index[-1] + 1 >= sizes[len(index) - 1]:
            index.pop()
        if not index:
            return
        index[-1] += 1


def find_chip(study: Study, label: str) -> ChipChoice:
    """Return the chip with a label."""
    return next(chip for chip in study.chips if chip.label == label)


def find_choice(study: Study, label: str) -> MethodChoice:
    """Return the method with a label."""
    return next(choice for choice in study.choices if choice.label == label)


def find_model(study: Study, point: Point) -> ModelChoice:
    """Return the model of a point."""
    return study.models[point.model]


def make_method(choice: MethodChoice) -> Method:
    """Return the conversion method of a choice.

    Raises:
        InputError: the method has no such option.
    """
    method: Method = find_method(choice.method)
    if choice.calibrate_bias:
        method = find_method(add_bias_calibration(method))
    if (choice.message_bits, choice.least) != (None, None):
        method = find_method(set_messages(method, choice.message_bits, choice.least))
    return method


def _list_steps(study: Study, choice: MethodChoice) -> Values | None:
    """Return the steps of a method; None where it takes its own."""
    if choice.steps is not None:
        return choice.steps
    return None if find_method(choice.method).longest_window == 1 else study.steps
