"""What a chip file may say: limits, formats and prices, each number with unit, evidence and source.

`hwmodels/toy.yaml` is the shortest complete example. A number nobody published is
`{value: null, unit: ..., evidence: unknown, source: ...}`: unknown is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Evidence = Literal["primary", "quoted", "derived", "assumed", "made up", "unknown"]
"""How we know a number.

primary: read in an original artefact (source, log, data sheet); quoted: a text that quotes the
original; derived: computed from such numbers; assumed: a stand-in, said so; made up: a chip for
tests; unknown: not public, the value is null.
"""

Encoding = Literal["one_word", "loihi1", "packed_rows"]
"""How synaptic memory is counted; one function each in `snncompile/passes/synapse_memory.py`."""

Event = Literal[
    "synaptic_op",
    "neuron_active",
    "neuron_inactive",
    "neuron_mapped",
    "neuron_updated",
    "spike",
    "message_within_tile",
    "message_out",
    "message_in",
    "hop_east_west",
    "hop_north_south",
]
"""What the estimator can count; see `backends/energy/counts.py` for the meaning of each."""


Location = tuple[int | str, ...]
"""Where a field stands in a record: names and, in lists, positions."""

PROBLEM = "chip_problem"
"""Type of the errors that `_problem` makes."""


def _problem(location: Location, reason: str) -> PydanticCustomError:
    """Return an error at a field further inside, which a plain ValueError cannot name."""
    return PydanticCustomError(PROBLEM, "{reason}", {"location": location, "reason": reason})


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(_Record):
    """One number about hardware, and why we believe it."""

    value: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str
    """A key of `Chip.sources`."""

    @model_validator(mode="after")
    def _unknown_is_null(self) -> Self:
        if (self.value is None) != (self.evidence == "unknown"):
            raise ValueError("a number is null exactly when its evidence is unknown")
        return self

    @property
    def whole(self) -> int | None:
        """The value as an integer; None if unknown."""
        return None if self.value is None else int(self.value)


def _whole(number: Number) -> Number:
    if number.value is not None and number.value != int(number.value):
        raise ValueError(f"must be a whole number, got {number.value:g}")
    return number


def _at_least_one(number: Number) -> Number:
    if number.value == 0:
        raise ValueError("must be at least 1; a number nobody published is null")
    return number


def _known(number: Number) -> Number:
    if number.value is None:
        raise ValueError("must be known")
    return number


def _in_unit(unit: str) -> AfterValidator:
    def check(number: Number) -> Number:
        if number.unit != unit:
            raise ValueError(f"the unit must be {unit}, got {number.unit!r}")
        return number

    return AfterValidator(check)


Whole = Annotated[Number, AfterValidator(_whole)]
Count = Annotated[Number, AfterValidator(_whole), AfterValidator(_at_least_one)]
Known = Annotated[Count, AfterValidator(_known)]
Picojoules = Annotated[Number, _in_unit("pJ")]
Nanoseconds = Annotated[Number, _in_unit("ns")]
Watts = Annotated[Number, _in_unit("W")]


class Choices(_Record):
    """A number that can take only some values."""

    values: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]
    unit: str = Field(min_length=1)
    evidence: Evidence
    source: str


class Mesh(_Record):
    """Tiles in columns and rows; each tile is a router and its cores."""

    tile_columns: Known
    tile_rows: Known
    cores_per_tile: Known
    cores: Known
    """Cores a program may use; fewer than the mesh holds where some are reserved."""

    @model_validator(mode="after")
    def _cores_exist(self) -> Self:
        parts = (self.tile_columns, self.tile_rows, self.cores_per_tile, self.cores)
        columns, rows, per_tile, cores = (part.whole or 0 for part in parts)
        if not 0 < cores <= columns * rows * per_tile:
            raise ValueError(f"{cores} cores do not fit {columns} x {rows} tiles of {per_tile}")
        return self


class CoreLimits(_Record):
    """What one core can hold."""

    compartments: Count
    """Places that hold one neuron's state."""
    synapse_words: Count
    """Words of synaptic memory."""
    synapse_word_bits: Count
    axons_in: Count
    """Source neurons the core can listen to."""
    axons_out: Count
    """Entries (source neuron, destination core) the core can send to."""
    compartment_profiles: Count
    """Different decays of one core."""
    threshold_profiles: Count
    """Different thresholds of one core."""


class Formats(_Record):
    """Widths and ranges of the chip's integers (meaning: `snncompile/neurons/fixed.py`)."""

    weight_bits: Choices
    """Bits of a weight including its sign; a signed 8-bit weight is an even number -256..254."""
    weight_exponent_lowest: int
    weight_exponent_highest: int
    weight_exponent_source: str
    decay_bits: Count
    threshold_mantissa: Count
    """Largest mantissa; a threshold is mantissa * 2^6."""
    bias_mantissa: Whole
    """Largest magnitude of the mantissa; a bias is mantissa * 2^exponent."""
    bias_exponent: Whole
    delay: Whole
    """Largest extra delay of a synapse, on top of the one step every synapse takes."""
    refractory: Whole
    """Longest refractory period of `refractory_lif`: silent steps after a spike."""
    state_bits: Count
    """Width of u and v including the sign."""
    accumulator_bits: Count
    """Width of one time step's sum of weights including the sign, before it is scaled by 2^6."""

    @model_validator(mode="after")
    def _exponents_in_order(self) -> Self:
        if self.weight_exponent_lowest > self.weight_exponent_highest:
            reason = f"is above weight_exponent_highest, {self.weight_exponent_highest}"
            raise _problem(("weight_exponent_lowest",), reason)
        return self


class Price(_Record):
    """Cost of one event. An energy or time nobody published is null and is reported as missing."""

    energy_pj: Picojoules
    time_ns: Nanoseconds


class Barrier(_Record):
    """Barrier sync of a chip with so many tiles in use; in between, the next larger entry holds."""

    tiles: Annotated[int, Field(gt=0)]
    time_ns: Nanoseconds


class CostSet(_Record):
    """Prices from one origin. Sets are never mixed."""

    title: str
    note: str
    prices: dict[Event, Price]
    barrier: Annotated[tuple[Barrier, ...], Field(min_length=1)]
    step_floor_ns: Nanoseconds
    """Shortest possible time step."""
    static_w: Watts
    """Power of one chip in use that no event accounts for."""

    @model_validator(mode="after")
    def _barrier_grows(self) -> Self:
        tiles = [entry.tiles for entry in self.barrier]
        if tiles != sorted(set(tiles)):
            raise _problem(("barrier",), f"the tiles must grow, got {tiles}")
        return self


class Chip(_Record):
    """One chip: limits the compiler meets, formats it quantizes to, prices it adds up."""

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    fidelity: str = Field(min_length=1)
    """What this model of the chip gets right and what it leaves out."""
    sources: dict[str, str]
    """Short name -> paper, file, table or page."""
    mesh: Mesh
    core: CoreLimits
    encoding: Encoding
    encoding_source: str
    formats: Formats
    neurons: dict[str, Known]
    """Compartments one neuron takes, by neuron kind; a kind that is not listed cannot be built."""
    costs: dict[str, CostSet]
    default_costs: str

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        if self.default_costs not in self.costs:
            reason = f"{self.default_costs!r} is not one of the costs: {', '.join(self.costs)}"
            raise _problem(("default_costs",), reason)
        for location, source in self._used_sources():
            if source not in self.sources:
                reason = f"{source!r} is not one of the sources: {', '.join(self.sources)}"
                raise _problem(location, reason)
        return self

    @model_validator(mode="after")
    def _barriers_reach_all_tiles(self) -> Self:
        tiles = (self.mesh.tile_columns.whole or 0) * (self.mesh.tile_rows.whole or 0)
        for name, costs in self.costs.items():
            last = costs.barrier[-1].tiles
            if last < tiles:
                reason = f"ends at {last} of {tiles} tiles"
                raise _problem(("costs", name, "barrier"), reason)
        return self

    def _used_sources(self) -> Iterator[tuple[Location, str]]:
        yield ("encoding_source",), self.encoding_source
        yield ("formats", "weight_exponent_source"), self.formats.weight_exponent_source
        for location, number in _numbers(self, ()):
            yield (*location, "source"), number.source


def numbers(record: BaseModel) -> list[Number | Choices]:
    """Return every sourced number in a record, in the order of its fields."""
    return [number for _, number in _numbers(record, ())]


def _numbers(part: Any, location: Location) -> Iterator[tuple[Location, Number | Choices]]:
    if isinstance(part, Number | Choices):
        yield location, part
        return
    for name, value in _inside(part):
        yield from _numbers(value, (*location, name))


def _inside(part: Any) -> Iterable[tuple[int | str, Any]]:
    if isinstance(part, BaseModel):
        return part
    if isinstance(part, dict):
        return part.items()
    return enumerate(part) if isinstance(part, tuple) else ()
