"""Analysis: refuse an input whose numbers the messages of a chip do not carry."""

from __future__ import annotations

from collections.abc import Iterator

from snncompile.errors import UnsupportedError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph
from snncompile.neurons.base import BINARY
from snncompile.passes.quantize.host_biases import find_largest_mantissa

FEWEST = 31
"""Steps of a bias of the host, on each side of 0, below which nothing sensible is left: 6 bits."""


def check_input_messages(network: Graph, chip: Chip) -> tuple[str, ...]:
    """Refuse a network whose input sends numbers, on a chip whose messages are spikes alone.

    An image of a converted network, the same numbers in every step, is no message but a bias per
    neuron and sample in hardware, see `Coding`: it gives a line for the log.

    Raises:
        UnsupportedError: the message says what to do instead, and which chips carry numbers.
    """
    source = network.input
    if source.host and find_largest_mantissa(chip) < FEWEST:
        raise UnsupportedError(
            f"{source.name}: biases of {chip.name} hold {find_largest_mantissa(chip)} steps of the"
            f" host's values, fewer than {FEWEST}; take another chip, or make spikes of the values"
        )
    if source.payload == BINARY or carries(chip, network):
        return ()
    if _is_image(network):
        line = (
            f"input: messages of {chip.name} are spikes alone, so the numbers of an image mean a"
            " bias per neuron and sample there; they are run and counted as messages here"
        )
        return (line,)
    low, high = source.payload
    others = ", ".join(_list_carriers(network)) or "no chip here"
    constant = source.coding is not None and source.coding.steps > 1
    images = 'import it with input="biases", ' if constant else ""
    raise UnsupportedError(
        f"{source.name}: sends numbers from {low} to {high}, and messages of {chip.name} are spikes"
        f" alone; {images}make spikes (0 or 1) of the values and train with them, or take a chip"
        f" whose messages carry numbers: {others}"
    )


def _is_image(network: Graph) -> bool:
    coding = network.input.coding
    return coding is not None and coding.kind == "constant"


def can_show(chip: Chip, network: Graph) -> bool:
    """Whether a chip can be shown what the network is shown."""
    return network.input.payload == BINARY or _is_image(network) or carries(chip, network)


def carries(chip: Chip, network: Graph) -> bool:
    """Whether messages of the chip carry the numbers of an input, as far as its file says."""
    limit = chip.formats.input_payload
    largest = int(max(-network.input.payload.low, network.input.payload.high))
    signed = network.input.payload.low < 0
    if limit is None or limit.whole is None:
        return True
    return limit.whole >= largest and not (limit.whole == 1 and signed)


def _list_carriers(network: Graph) -> Iterator[str]:
    """Yield the chips of ours whose messages carry the numbers."""
    for name in chips.list_names():
        if name != "toy" and carries(chips.load_chip(name), network):
            yield name
