"""The passes of a compilation, in order: read from text or made from options, and run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from snncompile.errors import ContractError, InputError, SnnCompileError, format_pass_line
from snncompile.ir.design import Design
from snncompile.options import MappingOptions, Options, collect
from snncompile.passes.analysis.measure import Measure
from snncompile.passes.base import Pass
from snncompile.passes.partition.intel.partition import PartitionIntel
from snncompile.passes.partition.nxtf.partition import PartitionNxtf
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.prune.prune import Prune
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.route import Route
from snncompile.passes.sparsify import Sparsify
from snncompile.passes.split_fan_in.split_fan_in import Accumulate
from snncompile.passes.text import read_passes, write_passes
from snncompile.passes.timing.retime import Retime

PassProgress = Callable[[Pass, float], None]
"""Called with (pass that starts, share of the passes that are done), last with a share of 1."""


@dataclass(frozen=True, eq=False)
class Step:
    """One pass that ran, with the design before and after it."""

    a_pass: Pass
    before: Design
    after: Design
    seconds: float
    """Time that the pass took, without its contract."""
    number: int = 0
    """Position of the pass in the pipeline."""
    names: tuple[str, ...] = ()
    """Names of all passes of the pipeline, in order."""

    @property
    def ran(self) -> tuple[str, ...]:
        """Names of the passes before this one."""
        return self.names[: self.number]


PARTITIONS = ("partition", "partition_intel", "partition_nxtf")
"""Passes of which the option `partitioner` chooses one."""
OPTION_OF = {
    "quantize": {name: name for name in ("bits", "steps", "formats", "scales", "processes")},
    "prune": {"on": "prune"},
    "partition": {"objective": "objective", "share": "share_cores"},
    "partition_nxtf": {"encoding": "encoding"},
    "place": {"placement": "placement"},
    "sparsify": {"sparse": "sparse"},
}
"""Pass -> its fields that are options of `compile`."""
Hook = Callable[[Step], None]
"""Called between two passes, and after the last."""


@dataclass(frozen=True)
class Pipeline:
    """Passes in the order in which they run; `compile`, `fit` and `auto` run this."""

    passes: tuple[Pass, ...]

    @classmethod
    def default(cls, options: Options) -> Pipeline:
        """Return the passes of `compile`; `passes/__init__.py` shows them."""
        return cls(
            (
                Retime(),  # before quantize: calibration runs with the own delays, which it keeps
                Quantize(**options.quantize.model_dump()),
                Measure(),  # after quantize, before populations change
                Prune(on=options.mapping.prune),  # after quantize, which rounds weights to zero
                Accumulate(),  # after prune, which may leave few enough sources
                _choose_wirings(options.mapping),  # after accumulate, which splits kernels only
                _choose_partition(options.mapping),  # after quantize: memory depends on weight bits
                Place(options.mapping.placement),
                Route(),  # last: its tables number the synapses and axons of each core
            )
        )

    @classmethod
    def parse(cls, text: str, default: Pipeline | None = None) -> Pipeline:
        """Return the passes of a text such as `retime,quantize{bits=6 steps=10},prune`.

        Args:
            text: names of the registry's `passes`, each with options in braces if some differ.
            default: passes that give the options missing in the text.

        Raises:
            InputError: the text cannot be read, or names an unknown pass or option.
        """
        return cls(read_passes(text, default.passes if default else ()))

    def adopt_options(self, options: Options) -> Options:
        """Return the options with those of the passes in their place, as a Program keeps them.

        Raises:
            InputError: the partitioner is another one than the options ask for, or an option of a
                pass is out of range.
        """
        usual = {a_pass.name: a_pass for a_pass in self.default(options).passes}
        for name in {*PARTITIONS} & {*self.names} - {*usual}:
            asked = options.mapping.partitioner
            raise InputError(f"passes name {name}, but partitioner is {asked}; change one of them")
        changed = {
            option: getattr(a_pass, field)
            for a_pass in self.passes
            for field, option in OPTION_OF.get(a_pass.name, {}).items()
            if getattr(a_pass, field) != getattr(usual[a_pass.name], field)
        }
        return collect(options.flat() | changed) if changed else options

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the passes, in order."""
        return tuple(a_pass.name for a_pass in self.passes)

    def without(self, names: Iterable[str]) -> Pipeline:
        """Return the pipeline without the passes of these names.

        Raises:
            InputError: there is no such pass in it.
        """
        names = tuple(names)
        for name in names:
            check_pass_name(name, self.names)
        return replace(self, passes=tuple(p for p in self.passes if p.name not in names))

    def until(self, name: str) -> Pipeline:
        """Return the passes before the first one of this name.

        Raises:
            InputError: there is no such pass in it.
        """
        check_pass_name(name, self.names)
        return replace(self, passes=self.passes[: self.names.index(name)])

    def change(self, name: str, **options: Any) -> Pipeline:
        """Return the pipeline with other options of the passes of this name.

        Raises:
            InputError: there is no such pass in it.
        """
        check_pass_name(name, self.names)
        passes = (replace(p, **options) if p.name == name else p for p in self.passes)
        return replace(self, passes=tuple(passes))

    def run(
        self, design: Design, progress: PassProgress | None = None, hooks: Iterable[Hook] = ()
    ) -> Design:
        """Return the design after all passes.

        Args:
            design: input of the first pass.
            progress: called before each pass, and after the last.
            hooks: called after each pass with its step.

        Raises:
            ContractError: a pass lacks what it requires, or breaks what it ensures.
            SnnCompileError: as a pass raises it, with the name of the pass.
        """
        hooks = tuple(hooks)
        for number, a_pass in enumerate(self.passes):
            if progress:
                progress(a_pass, number / len(self.passes))
            step = self._run_pass(number, design)
            design = step.after
            for hook in hooks:
                hook(step)
        if progress and self.passes:
            progress(self.passes[-1], 1.0)
        return design

    def _run_pass(self, number: int, design: Design) -> Step:
        """Run one pass; check what it requires before and what it ensures after."""
        a_pass, ran = self.passes[number], self.names[:number]
        with _name_failure(a_pass, ran):
            if lacks := a_pass.requires(design):
                raise _contract_error(a_pass, ran, f"requires {lacks}")
            start = perf_counter()
            after = a_pass(design)
            seconds = perf_counter() - start
            if broken := a_pass.ensures(design, after):
                raise _contract_error(a_pass, ran, f"does not ensure {broken}")
        return Step(a_pass, design, after, seconds, number, self.names)

    def __str__(self) -> str:
        """Text with every option, which `parse` reads."""
        return write_passes(self.passes)


def share_progress(progress: PassProgress | None, number: int, count: int) -> PassProgress | None:
    """Return a callback for one of several runs that reports the share of all of them.

    Args:
        progress: callback for all runs together.
        number: runs that are done.
        count: runs in all.
    """
    if progress is None:
        return None
    return lambda a_pass, share: progress(a_pass, (number + share) / count)


def check_pass_name(name: str, names: tuple[str, ...]) -> None:
    """Raise InputError for the name of a pass that a pipeline lacks."""
    if name not in names:
        raise InputError(f"no pass {name!r} to run; there are {', '.join(names)}")


def _contract_error(a_pass: Pass, ran: tuple[str, ...], failure: str) -> ContractError:
    before = ", ".join(ran) or "nothing"
    return ContractError(f"pass {a_pass.name} {failure}; ran: {before}")


@contextmanager
def _name_failure(a_pass: Pass, ran: tuple[str, ...]) -> Iterator[None]:
    """Note the pass on an error that it raises; the message stays as it is."""
    try:
        yield
    except SnnCompileError as error:
        if error.failed_pass is None:
            error.failed_pass, error.passes_run = a_pass.name, ran
            if error.where_it_failed:
                error.add_note(error.where_it_failed)
        raise
    except Exception as error:
        error.add_note(format_pass_line(a_pass.name, ran))
        raise


def _choose_wirings(options: MappingOptions) -> Pass:
    """Return the pass that drops zeros; Intel's compilers keep the wirings that they are given."""
    return Sparsify(options.sparse if options.partitioner == "free" else "off")


def _choose_partition(options: MappingOptions) -> Pass:
    if options.partitioner == "intel":
        return PartitionIntel()
    if options.partitioner == "nxtf":
        return PartitionNxtf(options.encoding or "sparse")
    return Partition(options.objective, options.share_cores)
