"""Tell the host's layers in front of the chip's from those behind, once all neurons are known."""

from __future__ import annotations

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import FunctionValues, InputValues, NeuronValues


def settle_host(trace: Trace) -> None:
    """Find the layer of the host whose output is the network's input.

    Linear layers in front of it are computed by the host too.

    Raises:
        UnsupportedError: the chip's layers read several, or the sample too.
        HostMisfitError: the output of a layer in front of the chip's holds no time steps.
    """
    if trace.host.paths:
        in_front = _move_behind(trace)
        trace.host.check_front(trace.samples)
        _drop_linear_layers(trace, in_front)
        trace.host.output = _find_input(trace)


def _move_behind(trace: Trace) -> set[int]:
    """Move layers that read neurons written out in code; return what the others are made of."""
    in_front: set[int] = set()
    for path, drives in list(trace.host.taken.items()):
        sources = [v for drive in drives for v in trace.origins.walk_sources(drive)]
        if any(isinstance(values, NeuronValues) for values in sources):
            values = trace.host.move_behind(path)
            arguments = tuple(drives)
            behind = FunctionValues(values.start, values.shape, path, arguments)
            trace.origins.replace(behind)
        else:
            in_front |= {values.start for values in sources}
    return in_front


def _drop_linear_layers(trace: Trace, in_front: set[int]) -> None:
    trace.linear_calls = [call for call in trace.linear_calls if call.start not in in_front]


def _find_input(trace: Trace) -> str:
    drives = [call.inputs for call in trace.linear_calls]
    drives += [call.drive for calls in trace.calls.values() for call in calls]
    read = {
        values.start: trace.host.find_path(values)
        for drive in drives
        for values in trace.origins.walk_sources(drive)
        if isinstance(values, InputValues)
    }
    if len(read) > 1:
        names = " and ".join(read[start] or "the sample" for start in sorted(read))
        raise UnsupportedError(
            f"the chip's layers read {names}; a network has one input, so leave the layers that"
            " read the others on the host too: host=[...]"
        )
    return next(iter(read.values()), "")
