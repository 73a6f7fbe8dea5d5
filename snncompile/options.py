"""Options of `compile`, each stated once; stored in the Program.

An option is one field of a section: `snncompile.compile` takes it as a keyword, the
command line as `--name`, and both documentations and `docs/options.md` are written from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from snncompile.errors import InputError

RENAMED = {"rules": "partitioner"}
"""Old names of options, until 0.1, and their new ones; older Programs hold them."""


class Section(BaseModel):
    """Options of one stage. Field names are keywords of `compile`: no two sections share one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QuantizeOptions(Section):
    """Integers of the chip in place of floats."""

    bits: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="bits of a weight including its sign; unless given, 8 or the most below 8 that"
        " the chip has",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        description="time steps of one sample, which the bounds may rely on; unless given, those"
        " of the calibration data, and without data any number",
    )
    formats: Literal["chip", "netx"] = Field(
        default="chip",
        description="numbers to use: those of the chip, or netx for those of a .net file",
    )
    scales: Literal["neuron", "channel", "population"] = Field(
        default="neuron",
        description="weights that share a scale: of a neuron (of a channel, where a kernel is"
        " shared; of the population, where its values are compared or sent), of a channel, or of"
        " the population; chips with few threshold profiles have groups of neurons",
    )
    processes: Literal["any", "library"] = Field(
        default="any",
        description="any: neurons as they are; library: those of Lava's library of processes, for"
        " emit --for hardware: resets to 0, one scale per population, convolutions without"
        " exponent; the loss is measured against the network as it was",
    )


class MappingOptions(Section):
    """Neurons on cores, and cores on the chip."""

    prune: bool = Field(default=True, description="drop neurons that cannot change any output")
    partitioner: Literal["free", "nxtf", "intel"] = Field(
        default="free",
        description="how the network is cut: free, nxtf as Intel's own compiler for Loihi 1, or"
        " intel as that for Loihi 2",
    )
    encoding: Literal["sparse", "run_length", "dense1", "dense2"] | None = Field(
        default=None,
        description="of all rows under partitioner nxtf: sparse (Intel's default), run_length,"
        " dense1 or dense2",
    )
    objective: Literal["cores", "traffic", "latency"] = Field(
        default="cores",
        description="cores: as few as possible; traffic: spikes of the calibration data travel as"
        " little as possible, and slices, cores and sites are chosen together; latency: the work"
        " spread evenly over the cores of the chip",
    )
    placement: Literal["annealed", "bisection", "greedy", "linear", "random"] = Field(
        default="annealed",
        description="how cores are put on the mesh: annealed, or bisection, greedy, linear or"
        " random to compare with",
    )
    sparse: Literal["auto", "off"] = Field(
        default="auto",
        description="zeros of dense projections and convolutions: auto, dropped where single"
        " synapses take fewer operations and no more memory, or off",
    )
    share_cores: bool = Field(
        default=True, description="let small slices of different populations share a core"
    )

    @model_validator(mode="after")
    def _check_encoding(self) -> Self:
        if self.encoding is not None and self.partitioner != "nxtf":
            raise ValueError(
                f"encoding is chosen for you by partitioner {self.partitioner}; give partitioner"
                " nxtf too"
            )
        return self


class LossOptions(Section):
    """Loss of the integers on the calibration data beyond which there is a warning."""

    strict: bool = Field(
        default=False, description="refuse to compile where there would be a warning"
    )
    max_answer_loss: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="largest share of answers in which integers may differ from floats without a"
        " warning",
    )
    max_silenced: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="largest share of the neurons of a population that fire as floats (5 times or"
        " more) and may never fire as integers without a warning",
    )
    max_rate_error: float = Field(
        default=0.1,
        ge=0,
        allow_inf_nan=False,
        description="largest rate error of a population without a warning, as a share of its rates",
    )


class Options(BaseModel):
    """Options of `compile`, in sections.

    Reads the flat form too, `Options(bits=6, objective="traffic")`, which Programs held before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantize: QuantizeOptions = QuantizeOptions()
    mapping: MappingOptions = MappingOptions()
    loss: LossOptions = LossOptions()

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, values: Any) -> Any:
        """Put flat options into their sections; leave what has sections as it is."""
        if not isinstance(values, Mapping) or values.keys() & cls.model_fields.keys():
            return values
        section_of = {option.name: option.section for option in list_options(cls)}
        sections: dict[Any, Any] = {}
        for key, value in values.items():
            name = RENAMED.get(key, key) if isinstance(key, str) else key
            if name in section_of:
                sections.setdefault(section_of[name], {})[name] = value
            else:
                sections[key] = value
        return sections

    def flat(self) -> dict[str, Any]:
        """Return the value of every option by its name."""
        return {option.name: option.value(self) for option in list_options(type(self))}

    def change(self, **values: Any) -> Self:
        """Return options with other values for some, checked again."""
        return type(self)(**self.flat() | values)


@dataclass(frozen=True)
class Option:
    """One option, as its field states it."""

    section: str
    name: str
    annotation: Any
    default: Any
    description: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values to choose from; none where any number or a switch is meant."""
        types = get_args(self.annotation) if self.optional else (self.annotation,)
        kinds = (kind for kind in types if get_origin(kind) is Literal)
        return tuple(choice for kind in kinds for choice in get_args(kind))

    @property
    def text(self) -> str:
        """Description of the option, with every value to choose from."""
        missing = [c for c in self.choices if not re.search(rf"\b{c}\b", self.description)]
        return f"{self.description} ({', '.join(self.choices)})" if missing else self.description

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return get_origin(self.annotation) in (Union, UnionType)

    def value(self, options: Options) -> Any:
        """Return the value that the option has among options."""
        return getattr(getattr(options, self.section), self.name)


def list_options(record: type[Options] = Options) -> Iterator[Option]:
    """Yield every option in the order in which it is stated."""
    for section, field in record.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section), f"{section} is no section"
        for name, stated in field.annotation.model_fields.items():
            assert stated.description, f"{name} needs a description"
            yield Option(section, name, stated.annotation, stated.default, stated.description)


def collect(values: Mapping[str, Any], options: Options | None = None) -> Options:
    """Return options given one by one, or all together.

    Raises:
        InputError: an option has no such value, options are given both ways or as no `Options`.
    """
    if options is not None:
        if not isinstance(options, Options):
            raise InputError(f"options: expected Options, got {type(options).__name__}")
        if values:
            raise InputError(f"{', '.join(values)}: give it in `options` or by itself, not both")
        return options
    try:
        return Options(**values)
    except ValidationError as error:
        raise InputError(_describe_mistake(error)) from None


def _describe_mistake(error: ValidationError) -> str:
    """Return the first mistake in one line."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    return f"{first['loc'][-1]}: {first['msg']}, got {first['input']!r}"
