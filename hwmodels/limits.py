"""Limits of a chip: its mesh and boards, resources of a core, storage of synapses.

A limit that a chip does not have is left out of its file.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from snncompile.hwmodels.records import (
    Choices,
    Count,
    Known,
    KnownWhole,
    Number,
    Record,
    make_problem,
)

RowKind = Literal["sparse", "run_length", "dense1", "dense2"]
"""Ways to write a row of synapses; see `snncompile/cores/row_encoding.py`."""

ENDS = ("lowest", "highest")
MAX_BITS = 32
"""Bits of an index or a skip in a row; more neurons are on no core."""


class Mesh(Record):
    """Tiles in columns and rows; each tile is a router and its cores."""

    tile_columns: Known
    tile_rows: Known
    cores_per_tile: Known
    cores: Known
    """Cores that a program may use; fewer than in the mesh if some are reserved."""

    @model_validator(mode="after")
    def _cores_exist(self) -> Self:
        limits = (self.tile_columns, self.tile_rows, self.cores_per_tile, self.cores)
        columns, rows, per_tile, cores = (limit.whole or 0 for limit in limits)
        if not 0 < cores <= columns * rows * per_tile:
            raise ValueError(f"{cores} cores do not fit {columns} x {rows} tiles of {per_tile}")
        return self


class Board(Record):
    """Several chips that can be bought as one system."""

    title: str
    chips: Known
    columns: Count
    """Chips side by side; null where the arrangement is not public."""
    rows: Count

    @model_validator(mode="after")
    def _chips_have_a_place(self) -> Self:
        chips, columns, rows = self.chips.whole or 0, self.columns.whole, self.rows.whole
        if columns and rows and chips > columns * rows:
            raise make_problem(("chips",), f"{chips} chips do not fit {columns} x {rows} places")
        return self


class CoreLimits(Record):
    """Resources of one core; of the largest one if cores differ."""

    compartments: Count
    """Places that hold one neuron's state."""
    synapse_words: Count
    """Words of synaptic memory."""
    synapse_word_bits: Count
    axons_in: Count
    """Input axons: source neurons whose spikes the core receives."""
    axons_out: Count
    """Output axons: entries (source neuron, destination core)."""
    compartment_profiles: Count
    """Different decays of one core."""
    threshold_profiles: Count
    """Different thresholds of one core."""
    neuron_groups: Count | None = None
    """Different neuron models of one core."""
    axon_memory: Count | None = None
    """Words behind the output axons that lead to convolutions."""
    total_words: Count | None = None
    """Words of all tables of a core together: synapses, axons, axon memory, neurons and groups."""


class AxonEntries(Record):
    """Entries of `axons_out` that one axon takes, by its kind."""

    discrete: Known
    """Serves one source neuron."""
    population: Known
    """Serves all neurons of a source group whose rows lie side by side."""
    other_chip: KnownWhole
    """Additional entries if the destination is on another chip."""


class RowLearning(Record):
    """Synapses that learn in rows of a common format; all of a core learn, by one epoch, or none.

    Every projection that learns has input axons of its own, one per source and slice.
    """

    kinds: Annotated[tuple[RowKind, ...], Field(min_length=1)]
    """Ways to write their rows: without fillers, which would learn too."""
    kinds_source: str
    synapse_bits: Known
    """Weight and tag of one of them."""
    axon_entries: Known
    """Entries of `axons_in` of one of their sources."""
    cores_source: str
    """Origin of the rule that all synapses of a core learn, by one epoch, or none."""
    third_factor: bool
    """Whether a population can send a trace to single synapses."""
    third_factor_source: str


class RowMemory(Record):
    """Rows of synapses in entries of a common format: encoding `loihi1`."""

    kinds: Annotated[tuple[RowKind, ...], Field(min_length=1)]
    kinds_source: str
    entry_synapses: Known
    """Most synapses of one entry."""
    entry_head_bits: KnownWhole
    index_bits_lowest: KnownWhole
    index_bits_highest: Known
    skip_bits_lowest: KnownWhole
    skip_bits_highest: Known
    delay_bits: KnownWhole
    """Bits of a synapse's own delay, where it has one."""
    spare_bits: KnownWhole
    """A row that ends on a word, or at most this number of bits before its end, takes one more."""
    row_words: Known
    """Most words of one row."""
    formats: Known
    """Different synapse formats of one core."""
    destination_groups: Known
    """Groups of neurons that share rows through different bases, interleaved on one core."""
    learning: RowLearning | None = None
    """Synapses that learn; null where the chip has none, or nobody says what they take."""

    @model_validator(mode="after")
    def _bits_in_order(self) -> Self:
        for name in ("index_bits", "skip_bits"):
            lowest, highest = (getattr(self, f"{name}_{end}").whole for end in ENDS)
            if lowest > highest:
                raise make_problem((f"{name}_lowest",), f"is above {name}_highest, {highest}")
            if highest > MAX_BITS:
                raise make_problem(
                    (f"{name}_highest",), f"must be at most {MAX_BITS}, got {highest}"
                )
        return self


class HeadedRows(Record):
    """Rows with a head, and kernels that all pixels share: encoding `loihi2`."""

    head_bits: KnownWhole
    """Head of a row, and of each piece of a kernel."""
    index_bits: KnownWhole
    """Target of a synapse; the synapses of a kernel have none."""
    learning_bits: Known
    """All of a synapse that learns, its tag and its target included."""
    delay_bits: KnownWhole
    """Bits of a synapse's own delay, where it has one."""
    weight_bits: Choices
    """Bits that a weight is stored in."""
    convolution_axon_memory: KnownWhole
    """Words of axon memory of a slice that sends to convolutions."""
    assumed: dict[str, str]
    """What no recorded table shows -> how it is counted; on the safe side."""


class Variant(Record):
    """The same chip under another release of its compiler: numbers that differ."""

    title: str
    core: dict[str, Number] = Field(default={})
    headed_rows: dict[str, Number] = Field(default={})


class Crossbar(Record):
    """Every axon of a core meets every neuron of it: encoding `crossbar`."""

    axons: Known
    neurons: Known
    synapse_bits: Known
    """Bits of the magnitude at each crossing; 1: there is a synapse or there is none."""
    sign: Literal["type", "source"]
    """Origin of a synapse's sign: the neuron's weight for the axon's type, or the source."""
    axon_types: Known
    """Types an axon can have; each neuron has one weight per type."""
    type_weight_bits: Count | None = None
    """Bits of the weight for a type, including its sign."""
    destinations: Count
    """Cores that one neuron can send to."""
    inputs_are_neurons: bool = False
    """Whether an input line takes the place of a neuron, because axon i is neuron i's."""


class KernelCores(Record):
    """One convolution layer per core, cores of different size: encoding `kernels`."""

    kernel_words: Choices
    """Words of kernel memory of each core."""
    neuron_words: Choices
    """Words of neuron memory of each core."""
    kernel: Known
    """Largest side of a kernel."""
    strides: Choices
    pools: Choices
    """Sides of the sum pooling behind a layer."""
    destinations: Known
    """Layers that one layer can send to."""

    @model_validator(mode="after")
    def _one_of_each_per_core(self) -> Self:
        kernels, neurons = len(self.kernel_words.values), len(self.neuron_words.values)
        if kernels != neurons:
            raise make_problem(
                ("neuron_words", "values"), f"{neurons} values, but {kernels} cores have kernels"
            )
        return self


class LayerLimits(Record):
    """One network of input, hidden and output neurons on the whole chip: encoding `layers`."""

    inputs: Known
    hidden: Known
    outputs: Known
    fan_out: Known
    """Hidden neurons that a hidden neuron can reach; inputs and outputs have full matrices."""
    input_spikes: Known
    """Most spikes of an input line, a hidden and an output neuron in one time step."""
    hidden_spikes: Known
    output_spikes: Known


class WeightRam(Record):
    """Lines of weight bits, one or more per neuron: encoding `weight_ram`."""

    lines: Known
    """Lines of a core: neurons of it, if one line each is enough."""
    line_bits: Known
    """Bits of a line: fan-in times weight bits, if one line is enough."""
    extension: Known
    """Most lines of one neuron; a power of two."""


class ByteMemory(Record):
    """Programs on ordinary processors with a data memory of their own: encoding `bytes`."""

    data_bytes: Count
    """Data memory of one core."""
    neuron_bytes: Count
    """State and parameters of a neuron."""
    input_bytes: Count
    """Buffer of a neuron for input of later steps, one of each sign."""
    buffered_steps: Count
    """Steps that the buffer of a neuron covers."""
    shared_bytes: Count
    """Memory of the chip for the synapses of all cores."""
    synapse_bytes: Count
    router_entries: Count
    """Routes of a chip, one per slice of a population that sends spikes."""
