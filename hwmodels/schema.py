"""Schema of a chip file: limits, formats and prices, each number with unit, evidence and source.

`hwmodels/toy.yaml` is the shortest complete example. A number nobody published is
`{value: null, unit: ..., evidence: unknown, source: ...}`: unknown is never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from snncompile.hwmodels import plug_ins
from snncompile.hwmodels.costs import CostSet
from snncompile.hwmodels.fidelity import Fidelity
from snncompile.hwmodels.limits import (
    AxonEntries,
    Board,
    ByteMemory,
    CoreLimits,
    Crossbar,
    HeadedRows,
    KernelCores,
    LayerLimits,
    Mesh,
    RowMemory,
    Variant,
    WeightRam,
)
from snncompile.hwmodels.records import (
    PROBLEM,
    Choices,
    Count,
    Evidence,
    Known,
    Location,
    Number,
    Record,
    Whole,
    list_names,
    list_numbers,
    make_problem,
    walk_numbers,
)

__all__ = ["PROBLEM", "Chip", "Choices", "CoreLimits", "Mesh", "Number", "list_numbers"]

ENCODINGS = (
    "one_word",
    "loihi1",
    "packed_rows",
    "loihi2",
    "crossbar",
    "kernels",
    "layers",
    "weight_ram",
    "bytes",
)
"""How synapses are stored and counted.

The first four are words in a memory, one function each in `snncompile/cores/memory_words.py`;
the others have rules of their own, one file each in `snncompile/cores/chip_rules/`. Other packages
add theirs through the entry point `snncompile.chip_rules`.
"""

SECTIONS: dict[str, str] = {
    "loihi1": "rows",
    "loihi2": "headed_rows",
    "crossbar": "crossbar",
    "kernels": "kernels",
    "layers": "layers",
    "weight_ram": "weight_ram",
    "bytes": "memory",
}
"""Section of a chip file that an encoding needs."""


class Formats(Record):
    """Widths and ranges of the chip's integers (meaning: `snncompile/neurons/fixed.py`)."""

    weight_bits: Choices
    """Bits of a weight including its sign; a signed 8-bit weight is an even number -256..254."""
    weight_exponent_lowest: int
    weight_exponent_highest: int
    weight_exponent_unit: Literal["1"] = "1"
    weight_exponent_evidence: Evidence | None = None
    """Evidence for both ends; None in a chip file that does not say."""
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
    input_payload: Count | None = None
    """Largest magnitude, of either sign, that an input message carries; 1: a spike and no number.
    None: the file does not say."""

    @model_validator(mode="after")
    def _exponents_in_order(self) -> Self:
        if self.weight_exponent_lowest > self.weight_exponent_highest:
            reason = f"is above weight_exponent_highest, {self.weight_exponent_highest}"
            raise make_problem(("weight_exponent_lowest",), reason)
        return self


class Chip(Record):
    """One chip: limits to meet, integer formats, prices of events."""

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    fidelity: Fidelity
    """Whether its spikes are those that we compute, and what this model leaves out."""
    sources: dict[str, str]
    """Short name -> paper, file, table or page."""
    mesh: Mesh
    core: CoreLimits
    boards: dict[str, Board] = Field(default={})
    """Systems of several chips, by name; see `board`."""
    board: str | None = None
    """The chosen system (`loihi2:hala-point`); None for one chip."""
    variants: dict[str, Variant] = Field(default={})
    """Other releases of the chip's compiler, by name; see `variant`."""
    variant: str | None = None
    """The chosen release (`loihi2:2022-09`), whose numbers are in their places; None: the last."""
    encoding: str
    """One of `ENCODINGS`, or of those of other packages."""
    encoding_source: str
    rows: RowMemory | None = None
    headed_rows: HeadedRows | None = None
    crossbar: Crossbar | None = None
    kernels: KernelCores | None = None
    layers: LayerLimits | None = None
    weight_ram: WeightRam | None = None
    memory: ByteMemory | None = None
    rule_limits: dict[str, Number] = Field(default={})
    """Limits for the rules of another package, by names that these rules choose."""
    axon_entries: AxonEntries | None = None
    """None: each axon is one entry."""
    formats: Formats
    neurons: dict[str, Known]
    """Neuron kind -> compartments of one neuron; the chip has no other kinds."""
    costs: dict[str, CostSet]
    default_costs: str
    zero_weights: Literal["counted", "skipped"] = "counted"
    """Whether synapses stored with weight zero are operations where a message reads them."""
    zero_weights_source: str | None = None

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        if self.default_costs not in self.costs:
            reason = f"{self.default_costs!r} is not one of the costs: {', '.join(self.costs)}"
            raise make_problem(("default_costs",), reason)
        for location, source in self._walk_sources():
            if source not in self.sources:
                reason = f"{source[:40]!r} is not one of the sources: {list_names(self.sources)}"
                raise make_problem(location, reason)
        return self

    @model_validator(mode="after")
    def _encoding_exists(self) -> Self:
        if self.encoding not in ENCODINGS:
            known = (*ENCODINGS, *plug_ins.list_encodings())
            if self.encoding not in known:
                reason = f"{self.encoding!r} is not one of the encodings: {', '.join(known)}"
                raise make_problem(("encoding",), reason)
        return self

    @model_validator(mode="after")
    def _section_of_its_encoding(self) -> Self:
        if self.rule_limits and self.encoding in ENCODINGS:
            reason = f"belongs to another encoding than {self.encoding!r}"
            raise make_problem(("rule_limits",), reason)
        need = SECTIONS.get(self.encoding)
        for section in SECTIONS.values():
            given = getattr(self, section) is not None
            if given and section != need:
                raise make_problem(
                    (section,), f"belongs to another encoding than {self.encoding!r}"
                )
            if not given and section == need:
                raise make_problem(("encoding",), f"{self.encoding!r} needs the section {section}")
        return self

    @model_validator(mode="after")
    def _words_of_all_tables(self) -> Self:
        for name in ("axon_memory", "total_words"):
            if getattr(self.core, name) is not None and self.headed_rows is None:
                raise make_problem(("core", name), "needs the section headed_rows")
        return self

    @model_validator(mode="after")
    def _indices_reach_all_compartments(self) -> Self:
        compartments = self.core.compartments.whole
        if self.rows is None or compartments is None:
            return self
        bits = self.rows.index_bits_highest.whole or 0
        if compartments > 1 << bits:
            reason = f"{bits} bits cannot count {compartments:,} compartments of a core"
            raise make_problem(("rows", "index_bits_highest"), reason)
        return self

    @model_validator(mode="after")
    def _board_exists(self) -> Self:
        if self.board is not None and self.board not in self.boards:
            known = ", ".join(self.boards) or "none"
            raise make_problem(("board",), f"{self.board!r} is not one of the boards: {known}")
        return self

    @model_validator(mode="after")
    def _variants_exist(self) -> Self:
        if self.variant is not None and self.variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            reason = f"{self.variant!r} is not one of the variants: {known}"
            raise make_problem(("variant",), reason)
        for name, variant in self.variants.items():
            if name in self.boards:
                raise make_problem(("variants", name), "is already the name of a board")
            for section in ("core", "headed_rows"):
                fields = getattr(variant, section)
                standard = getattr(self, section)
                unknown = [key for key in fields if getattr(standard, key, None) is None]
                if unknown:
                    reason = f"{unknown[0]} is no number of {section} in this file"
                    raise make_problem(("variants", name, section), reason)
        return self

    def select_variant(self, name: str) -> Self:
        """Return the chip with the numbers of one of its variants, checked again."""
        fields = self.model_dump(mode="json")
        chosen = fields["variants"][name]
        for section in ("core", "headed_rows"):
            fields[section] = (fields[section] or {}) | chosen[section] or None
        return type(self).model_validate(fields | {"variant": name})

    @property
    def full_name(self) -> str:
        """The name by which the chip is loaded, with its variant and board."""
        return ":".join(name for name in (self.name, self.variant, self.board) if name)

    @property
    def sections(self) -> tuple[Record, ...]:
        """The sections of its encoding and of its axons, if the file has them."""
        sections = (*(getattr(self, name) for name in SECTIONS.values()), self.axon_entries)
        return tuple(section for section in sections if section is not None)

    @property
    def chips(self) -> int:
        """Number of chips that a program may use: the board's, else one."""
        return 1 if self.board is None else self.boards[self.board].chips.whole or 1

    def describe_fidelity(self, kinds: Collection[str] = ()) -> str:
        """Return one sentence: whether its spikes are those computed here, proved against what.

        Args:
            kinds: the kinds of neuron of a network; all of the chip if not given.
        """
        return self.fidelity.describe(self.name, kinds)

    @property
    def has_cycles(self) -> bool:
        """Whether some times depend on a clock that the user chooses."""
        return any(costs.has_cycles for costs in self.costs.values())

    def at_clock(self, mhz: float) -> Chip:
        """Return the chip with times instead of cycles, at a clock of `mhz`."""
        costs = {name: costs.at_clock(mhz) for name, costs in self.costs.items()}
        return self.model_copy(update={"costs": costs})

    @model_validator(mode="after")
    def _barriers_reach_all_tiles(self) -> Self:
        tiles = (self.mesh.tile_columns.whole or 0) * (self.mesh.tile_rows.whole or 0)
        for name, costs in self.costs.items():
            last = costs.barrier[-1].tiles
            if last < tiles:
                reason = f"ends at {last} of {tiles} tiles"
                raise make_problem(("costs", name, "barrier"), reason)
        return self

    def _walk_sources(self) -> Iterator[tuple[Location, str]]:
        yield ("encoding_source",), self.encoding_source
        if self.fidelity.source is not None:
            yield ("fidelity", "source"), self.fidelity.source
        if self.zero_weights_source is not None:
            yield ("zero_weights_source",), self.zero_weights_source
        if self.rows is not None:
            yield ("rows", "kinds_source"), self.rows.kinds_source
            if (learning := self.rows.learning) is not None:
                yield ("rows", "learning", "kinds_source"), learning.kinds_source
                yield ("rows", "learning", "cores_source"), learning.cores_source
                third = learning.third_factor_source
                yield ("rows", "learning", "third_factor_source"), third
        yield ("formats", "weight_exponent_source"), self.formats.weight_exponent_source
        for location, number in walk_numbers(self, ()):
            yield (*location, "source"), number.source
