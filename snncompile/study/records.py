"""The record of a study: what is varied, what is measured and what is wanted.

Read from YAML by `read_study`. Relative paths are relative to the study file; they are checked with
the rest, so that all mistakes of a file come at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import nan
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from snncompile.conversion.auto import list_candidates
from snncompile.conversion.graded import MOST_BITS
from snncompile.hwmodels import chips
from snncompile.registry import list_names
from snncompile.report.units import parse_quantity
from snncompile.study.chip_fields import check_fields
from snncompile.study.values import Bits, Count, Range, Record, Several, Steps, Text, Values

AUTO = "auto"
Objective = Literal["accuracy", "agreement", "energy", "latency", "cores"]
HIGHEST = ("accuracy", "agreement")
"""Objectives of which more is better; of the others less is."""


def find_path(path: str, folder: Path | None) -> str:
    """Return the absolute path of a file, relative to the folder of the study file."""
    return str((folder or Path()).resolve() / os.path.expanduser(path))


def _get_folder(info: ValidationInfo) -> Path | None:
    return (info.context or {}).get("folder")


def _check_file(path: str, info: ValidationInfo) -> str:
    whole = find_path(path, _get_folder(info))
    if not Path(whole).exists():
        raise ValueError(f"no such file: {whole}")
    return whole


def _check_model(model: str, info: ValidationInfo) -> str:
    """Return the argument MODEL of the command line with an absolute path."""
    path, colon, function = model.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{_check_file(path, info)}:{function}"
    if colon and path in list_names("frontends"):
        return f"{path}:{_check_file(function, info)}"
    return _check_file(model, info)


def _suggest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


File = Annotated[Text, AfterValidator(_check_file)]
Model = Annotated[Text, AfterValidator(_check_model)]


def _check_message_bits(bits: Any) -> Any:
    if bits == "sums" or (type(bits) is int and 1 <= bits <= MOST_BITS):
        return bits
    raise ValueError(f"expected 1 to {MOST_BITS}, or sums, got {bits!r}")


MessageBits = Annotated[int | Literal["sums"], BeforeValidator(_check_message_bits)]


@dataclass(frozen=True)
class MethodChoice:
    """A conversion method with its options, and steps of its own."""

    method: str
    calibrate_bias: bool = False
    message_bits: int | Literal["sums"] | None = None
    least: int | None = None
    steps: tuple[int, ...] | Range | None = None
    """Steps of a layer's window; those of the study if None."""

    @property
    def label(self) -> str:
        """Name with its options, as tables show it."""
        bits = "bits by sums" if self.message_bits == "sums" else f"{self.message_bits} bits"
        options = {
            "calibrated": self.calibrate_bias,
            bits: self.message_bits,
            f"{self.least} least": self.least,
        }
        return " ".join((self.method, *(name for name, given in options.items() if given)))


class MethodOptions(Record):
    """A conversion method as a file has it; each option is a value or a list of values to try."""

    method: Text
    calibrate_bias: Annotated[tuple[Annotated[bool, Field(strict=True)], ...], *Several] = (False,)
    message_bits: Annotated[tuple[MessageBits, ...], *Several] | None = None
    least: Annotated[tuple[Count, ...], *Several] | None = None
    steps: Steps | None = None

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        known = [*list_names("conversions"), AUTO]
        if self.method not in known:
            near = _suggest(self.method, known)
            raise ValueError(f"no method called {self.method!r}; known: {', '.join(known)}{near}")
        if self.method == AUTO and self.model_fields_set != {"method"}:
            raise ValueError("auto chooses options and steps itself; drop the others")
        return self

    def list_choices(self) -> list[MethodChoice]:
        """Return one choice for each combination of options; those of `auto` are its candidates."""
        if self.method == AUTO:
            return [
                MethodChoice(
                    method.name,
                    getattr(method, "calibrate_bias", False),
                    getattr(method, "bits", None),
                    steps=steps,
                )
                for method, steps in list_candidates()
            ]
        options = product(self.calibrate_bias, self.message_bits or (None,), self.least or (None,))
        return [MethodChoice(self.method, *values, steps=self.steps) for values in options]


def _read_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


Method = Annotated[MethodOptions, BeforeValidator(_read_method)]


class ModelChoice(Record):
    """A network, or a trained ANN to convert."""

    network: Model | None = None
    """As `snncompile compile` takes it: .net or .nir file, file.py:function, saved network."""
    ann: Model | None = None
    """As `snncompile convert` takes it: .onnx file or file.py:function."""
    given: Literal["network", "ann"] | None = None
    """An object that Python gives to `sweep`, in place of a file."""
    data: File | None = None
    """npz with x and label; the study's if not given."""
    calibration: File | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if [self.network, self.ann, self.given].count(None) != 2:
            raise ValueError("give either network or ann")
        return self

    @property
    def is_ann(self) -> bool:
        """Whether it has to be converted."""
        return self.ann is not None or self.given == "ann"


def _list_ends(values: tuple[Any, ...] | Range) -> tuple[Any, ...]:
    """Return values that stand for all: of a range, which may be a long one, both ends."""
    return (values.low, values.high) if isinstance(values, Range) else values


class ChipChoice(Record):
    """A chip, or one with other fields."""

    extends: Text
    """Name of a chip, or path of a chip file."""
    name: Text | None = None
    fields: dict[Text, Values] = Field(default_factory=dict)
    """Path of a field, `core.synapse_words` for example -> values to try."""

    @model_validator(mode="after")
    def _check_chip(self, info: ValidationInfo) -> Self:
        path = locate_chip(self.extends, _get_folder(info))
        try:
            chip = chips.load_chip(path)
        except chips.ChipError as error:
            near = _suggest(self.extends, chips.list_names())
            raise ValueError(f"{error}{near}") from None
        check_fields(chip, {name: _list_ends(values) for name, values in self.fields.items()})
        return self.model_copy(update={"extends": path})

    @property
    def label(self) -> str:
        """Name, as tables show it."""
        if self.name is not None:
            return self.name
        return Path(self.extends).stem if "/" in self.extends else self.extends


def locate_chip(chip: str, folder: Path | None) -> str:
    """Return a chip's name, or the absolute path of its file."""
    path, colon, board = chip.partition(":")
    if path.endswith((".yaml", ".yml")) or "/" in path:
        return find_path(path, folder) + colon + board
    return chip


def _read_chip(value: Any) -> Any:
    return {"extends": value} if isinstance(value, str) else value


Chip = Annotated[ChipChoice, BeforeValidator(_read_chip)]


def _read_joules(value: Any) -> Any:
    return parse_quantity(value, "J") if isinstance(value, str) else value


def _read_seconds(value: Any) -> Any:
    return parse_quantity(value, "s") if isinstance(value, str) else value


def _read_share(value: Any) -> float:
    """Return 0.95 of `95 %` or 0.95."""
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = nan
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share such as 0.95 or 95 %, got {value!r}")
    return share


Above = Annotated[float, BeforeValidator(_read_share)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Budgets(Record):
    """Limits of a trial; None: no limit. A value that is not known keeps no limit."""

    accuracy_above: Above | None = None
    """Least accuracy, 0..1 or `95 %`; the value itself is enough."""
    agreement_above: Above | None = None
    """Least share of answers that are the model's."""
    energy_below: Annotated[Positive, BeforeValidator(_read_joules)] | None = None
    """Joules of an inference, or `1 mJ`."""
    latency_below: Annotated[Positive, BeforeValidator(_read_seconds)] | None = None
    """Seconds of an inference, or `5 ms`."""
    cores_below: Count | None = None
    """Most cores, the number itself included."""


class Search(Record):
    """Trials that Optuna chooses, in place of the whole grid."""

    trials: Count
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    generation: Count = 8
    """Trials that are chosen together, from the results of those before: the same ones whatever
    workers there are and whatever is killed."""
    pruner: Literal["median", "halving", "hyperband", "percentile"] | None = None
    """Stops trials on few samples that are worse than others; needs `rungs` and one objective."""
    rungs: Annotated[tuple[Count, ...], *Several] | None = None
    """Numbers of samples, growing, before all of them."""

    @model_validator(mode="after")
    def _check_rungs(self) -> Self:
        if (self.pruner is None) != (self.rungs is None):
            raise ValueError("pruner and rungs come together")
        if self.sampler == "nsga2" and self.generation < 2:
            raise ValueError("nsga2 needs a generation of at least 2 trials")
        if self.rungs is not None and list(self.rungs) != sorted(self.rungs):
            raise ValueError("rungs must grow")
        return self


class Study(Record):
    """What a sweep tries and measures."""

    name: Annotated[Text, Field(max_length=200)] = "study"
    models: Annotated[dict[Text, ModelChoice], Field(min_length=1)]
    data: File | None = None
    """npz with x (samples, ...) and label, to measure with."""
    calibration: File | None = None
    """npz with x, to convert and to quantize with; needed by ANNs."""
    chips: Annotated[tuple[Chip, ...], *Several]
    bits: Bits | None = None
    scales: Annotated[tuple[Literal["neuron", "channel", "population"], ...], *Several] | None = (
        None
    )
    methods: Annotated[tuple[Method, ...], *Several] = (MethodOptions(method="signed"),)
    """Of ANNs; `auto` stands for the candidates of `convert --method auto`."""
    steps: Steps | None = None
    """Time steps of a layer's window, of methods that do not say their own."""
    mapping: Annotated[tuple[Literal["cores", "traffic", "latency"], ...], *Several] | None = None
    """Objectives of the mapping."""
    objectives: Annotated[tuple[Objective, ...], *Several] = ("accuracy", "energy")
    budgets: Budgets = Budgets()
    separate: bool = False
    """Whether each model has a front of its own; else models are alternatives to each other."""
    samples: Count | None = None
    """Samples of the data that are run, from the first; all if not given."""
    priced: Count = 8
    """Samples whose activity gives energy and latency."""
    calibrated: Count = 8
    """Calibration samples that `compile` is shown."""
    timing: Literal["fast", "cycle"] = "fast"
    costs: Text | None = None
    search: Search | None = None

    @property
    def choices(self) -> tuple[MethodChoice, ...]:
        """Every method with one value of each of its options; those of `auto` last."""
        rows = sorted(self.methods, key=lambda row: row.method == AUTO)
        return tuple(choice for row in rows for choice in row.list_choices())

    @property
    def wanted(self) -> frozenset[str]:
        """Quantities that are measured: the objectives, and those with a budget."""
        limited = {name.rpartition("_")[0] for name, _ in list_limits(self.budgets)}
        return frozenset({*self.objectives, *limited})


def list_limits(budgets: Budgets) -> list[tuple[str, float]]:
    """Return the limits that are given, by name."""
    return [(name, limit) for name, limit in budgets if limit is not None]
