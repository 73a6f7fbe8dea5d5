"""Rules: the process of Lava's library that computes a projection bit for bit.

Read in lava-nc 0.10.0, `proc/{dense,sparse,conv}/models.py`. Conv ignores `weight_exp` and
`num_weight_bits`, and wraps what it sends to 24 bits; delays of DelayDense and DelaySparse are 0 to
63 and come on top of the one step that every synapse takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.backends.lava.network_processes import DENSE, SPARSE
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.base import BINARY
from snncompile.neurons.fixed import CONV_BITS, STATE_LIMIT
from snncompile.passes.analysis.bounds import bound_accumulator, find_wrap
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense

CONV = LavaProcess(name="Conv", library="lava.proc.conv.process")
DELAY_DENSE = LavaProcess(name="DelayDense", library="lava.proc.dense.process")
DELAY_SPARSE = LavaProcess(name="DelaySparse", library="lava.proc.sparse.process")

LONGEST_DELAY = 63
"""Largest delay of a synapse in Lava, 6 bits."""
MESSAGE_BITS = (16, 24)
"""Bits of a message that lava-dl's netx and its tests give to graded spikes."""


@dataclass(frozen=True)
class SynapseFit:
    """The process of a projection."""

    process: LavaProcess
    delay: int = 0
    """Of its synapses, on top of the step that each takes; only where the process has delays."""
    wait: int = 0
    """Time steps that spikes wait before it, in a process of ours: what no delay of Lava holds."""
    silent: int = 0
    """First own steps of a sample in which these spikes must not arrive."""
    remark: str = ""
    """Why a convolution is unrolled, or spikes wait in a process of ours."""


def fit_synapses(network: IntegerNetwork, projection: Projection) -> SynapseFit:
    """Return the process of a projection."""
    wiring = projection.synapses.wiring
    extra = projection.delay - 1
    if extra > LONGEST_DELAY:
        remark = f"delay {projection.delay}: Lava's processes have {LONGEST_DELAY + 1} at most"
        return SynapseFit(DENSE if isinstance(wiring, Dense) else SPARSE, wait=extra, remark=remark)
    if isinstance(wiring, Dense):
        return SynapseFit(DELAY_DENSE, extra) if extra else SynapseFit(DENSE)
    remark = ""
    if isinstance(wiring, Convolution):
        remark = find_obstacle(network, projection)
        if not remark:
            return SynapseFit(CONV)
        remark = f"convolution unrolled: {remark}"
    remark += _describe_wrap(network, projection, remark)
    return SynapseFit(DELAY_SPARSE if extra else SPARSE, extra, remark=remark)


def find_obstacle(network: IntegerNetwork, projection: Projection) -> str:
    """Return why Lava's Conv does not compute a convolution; empty if it does."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if projection.delay > 1:
        return "Lava's Conv has no delays"
    if synapses.exponent:
        return f"Lava's Conv ignores weight_exp, here {synapses.exponent} (processes=library: 0)"
    largest = _find_largest_sum(network, projection)
    if largest >= STATE_LIMIT and synapses.sum_bits != CONV_BITS:
        return f"its sums may reach {largest:,}, and Lava's Conv wraps them to 24 bits"
    return ""


def _describe_wrap(network: IntegerNetwork, projection: Projection, before: str) -> str:
    """Return what is not proved of other synapses, where the reference wraps as a Conv does."""
    bits = find_wrap(network, projection)
    if bits is None:
        return ""
    text = f"equal while its sums stay within {bits} bits in each step, which is not proved"
    return f"; {text}" if before else text


def _find_largest_sum(network: IntegerNetwork, projection: Projection) -> int:
    """Return the largest magnitude of what a projection brings in one time step, not wrapped."""
    synapses, source = projection.synapses, network.payload(projection.source)
    assert isinstance(synapses, IntegerSynapses)
    synapses = replace(synapses, sum_bits=None)
    reach = bound_accumulator(network.population(projection.target).size, [(synapses, source)])
    return int(max(-reach.low.min(initial=0), reach.high.max(initial=0)))


def choose_message_bits(end: Input | Population) -> int:
    """Return the message bits of what an end sends; 0 for plain spikes."""
    if isinstance(end, Population) and not end.neuron.spikes:
        return MESSAGE_BITS[-1]
    payload = end.payload if isinstance(end, Input) else end.neuron.payload
    if payload == BINARY:
        return 0
    narrow, wide = MESSAGE_BITS
    half = 1 << (narrow - 1)
    return narrow if -half <= payload.low and payload.high < half else wide


def find_image_shapes(
    network: IntegerNetwork, fits: list[SynapseFit]
) -> tuple[dict[str, Shape], list[SynapseFit]]:
    """Return the image of each end of a Conv, and the fits in which no two images of one differ.

    Where two convolutions see one population as different images, only the first is a Conv.

    Returns:
        Name of a population or the input to (channels, height, width) or (channels, length), and
        the process of each projection.
    """
    images: dict[str, Shape] = {}
    kept = []
    for projection, fit in zip(network.projections, fits, strict=True):
        wiring = projection.synapses.wiring
        if fit.process == CONV and isinstance(wiring, Convolution):
            ends = {projection.source: wiring.source_shape, projection.target: wiring.target_shape}
            if any(images.get(name, shape) != shape for name, shape in ends.items()):
                remark = "convolution unrolled: another one sees the same neurons as another image"
                remark += _describe_wrap(network, projection, remark)
                kept.append(SynapseFit(SPARSE, remark=remark))
                continue
            images |= ends
        kept.append(fit)
    return images, kept
