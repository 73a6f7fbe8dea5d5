"""The record of a study: what is varied, what is measured and what is wanted.

Read from YAML by `read_study`. Relative paths are relative to the study file; they are checked with
the rest, so that all mistakes of a file come at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from snncompile.conversion.auto import list_candidates
from snncompile.hwmodels import chips
from snncompile.registry import list_names
from snncompile.report.units import parse_quantity
from snncompile.study.chip_fields import check_fields

AUTO = "auto"
Objective = Literal["accuracy", "agreement", "energy", "latency", "cores"]
HIGHEST = ("accuracy", "agreement")
"""Objectives of which more is better; of the others less is."""


class Record(BaseModel):
    """A section of a study file; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Text = Annotated[str, Field(strict=True, min_length=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def find_path(path: str, folder: Path | None) -> str:
    """Return the absolute path of a file, relative to the folder of the study file."""
    return str((folder or Path()).resolve() / Path(path).expanduser())


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


def _wrap(value: Any) -> Any:
    """Return a list of a single value."""
    return value if isinstance(value, list | tuple) else [value]


def _check_several(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("the list is empty; leave the key out for the default")
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is there twice")
    return values


File = Annotated[Text, AfterValidator(_check_file)]
Model = Annotated[Text, AfterValidator(_check_model)]
Several = BeforeValidator(_wrap), AfterValidator(_check_several)


class Range(Record):
    """Numbers from `low` to `high` in steps."""

    low: Annotated[int, Field(strict=True)]
    high: Annotated[int, Field(strict=True)]
    step: Count = 1

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high must be above low, got {self.low} to {self.high}")
        if (self.high - self.low) % self.step:
            raise ValueError(f"{self.high} is not {self.low} plus a multiple of {self.step}")
        return self


def _check_scalar(value: Any) -> Any:
    if not isinstance(value, int | float | str):
        raise ValueError(f"expected a number, a word, true or false, got {type(value).__name__}")
    return value


def _name_kind(value: Any) -> str:
    return "range" if isinstance(value, dict | Range) else "list"


Scalar = Annotated[Any, AfterValidator(_check_scalar)]
Values = Annotated[
    Annotated[tuple[Scalar, ...], *Several, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(_name_kind),
]
"""A list of values, one value, or a range of whole numbers."""
Steps = Annotated[
    Annotated[tuple[Count, ...], *Several, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(_name_kind),
]
KINDS = ("list", "range")
"""Names that pydantic puts into the path of a mistake, and that no file has."""


def list_values(values: tuple[Any, ...] | Range) -> tuple[Any, ...]:
    """Return every value."""
    if isinstance(values, Range):
        return tuple(range(values.low, values.high + 1, values.step))
    return values


@dataclass(frozen=True)
class MethodChoice:
    """A conversion method with its options, and steps of its own."""

    method: str
    calibrate_bias: bool = False
    message_bits: int | None = None
    least: int | None = None
    steps: tuple[int, ...] | Range | None = None
    """Steps of a layer's window; those of the study if None."""

    @property
    def label(self) -> str:
        """Name with its options, as tables show it."""
        options = ("calibrated" * self.calibrate_bias, self.message_bits, self.least)
        names = ("", " bits", " least")
        given = [f"{o}{n}" for o, n in zip(options, names, strict=True) if o]
        return " ".join((self.method, *given))


class MethodOptions(Record):
    """A conversion method as a file has it; each option is a value or a list of values to try."""

    method: Text
    calibrate_bias: Annotated[tuple[Annotated[bool, Field(strict=True)], ...], *Several] = (False,)
    message_bits: (
        Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=8)], ...], *Several] | None
    ) = None
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
        check_fields(chip, {name: list_values(values) for name, values in self.fields.items()})
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


def _read_share(value: Any) -> Any:
    """Return 0.95 of `95 %`."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return float(value.rstrip().rstrip("%")) / 100
    return value


Above = Annotated[Share, BeforeValidator(_read_share)]
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
        if self.rungs is not None and list(self.rungs) != sorted(self.rungs):
            raise ValueError("rungs must grow")
        return self


class Study(Record):
    """What a sweep tries and measures."""

    name: Text = "study"
    models: Annotated[dict[Text, ModelChoice], Field(min_length=1)]
    data: File | None = None
    """npz with x (samples, ...) and label, to measure with."""
    calibration: File | None = None
    """npz with x, to convert and to quantize with; needed by ANNs."""
    chips: Annotated[tuple[Chip, ...], *Several]
    bits: (
        Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=32)], ...], *Several] | None
    ) = None
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

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        problems = [*_list_name_problems(self), *_list_data_problems(self)]
        if self.search is not None:
            problems += _list_search_problems(self.search, self.objectives, self.samples)
        if problems:
            raise ValueError("\n".join(problems))
        return self

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


def _list_name_problems(study: Study) -> list[str]:
    problems = []
    for kind, labels, remedy in (
        ("chips", [chip.label for chip in study.chips], "give one a name"),
        ("methods", [choice.label for choice in study.choices], "list their steps together"),
    ):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        problems += [f"{kind}: two are called {label}; {remedy}" for label in twice]
    return problems


def _list_data_problems(study: Study) -> list[str]:
    problems = []
    answered = {"accuracy", "agreement", "energy", "latency"} & study.wanted
    for name, model in study.models.items():
        if answered and model.data is None and study.data is None:
            problems.append(f"models.{name}: {', '.join(sorted(answered))} need data")
        if model.is_ann and model.calibration is None and study.calibration is None:
            problems.append(f"models.{name}: an ann needs calibration")
    return problems


def _list_search_problems(
    search: Search, objectives: tuple[str, ...], samples: int | None
) -> list[str]:
    if search.pruner is None or search.rungs is None:
        return []
    problems = []
    if len(objectives) > 1:
        problems.append(
            f"search.pruner compares one objective, there are {len(objectives)}; give one objective"
            " and budgets for the others, or drop the pruner"
        )
    if samples is not None and search.rungs[-1] >= samples:
        problems.append(f"search.rungs must stay below samples ({samples})")
    return problems
