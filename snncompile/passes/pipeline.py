"""The passes of a compilation, in order."""

from __future__ import annotations

from snncompile.options import MappingOptions, Options
from snncompile.passes.base import Pass
from snncompile.passes.partition.nxtf.partition import PartitionNxtf
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.prune.prune import Prune
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.route import Route
from snncompile.passes.split_fan_in.split_fan_in import Accumulate
from snncompile.passes.timing.retime import Retime


def pipeline(options: Options) -> tuple[Pass, ...]:
    """Return the passes in the order in which they run."""
    return (
        Retime(),  # before quantize: calibration runs with the own delays, which retime keeps
        Quantize(options.quantize.bits, options.quantize.steps, options.quantize.formats),
        Prune(on=options.mapping.prune),  # after quantize, which rounds weights to zero
        Accumulate(),  # after prune, which may leave few enough sources
        _partition(options.mapping),  # after quantize: memory depends on weight bits
        Place(options.mapping.placement),
        Route(),  # last: its tables number what the passes before put on each core
    )


def _partition(options: MappingOptions) -> Pass:
    if options.partitioner == "nxtf":
        return PartitionNxtf(options.encoding or "sparse")
    return Partition(options.objective, options.share_cores)
