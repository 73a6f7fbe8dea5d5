"""Analysis: refuse an input whose numbers the messages of a chip do not carry."""

from __future__ import annotations

from collections.abc import Iterator

from snncompile.errors import UnsupportedError
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph
from snncompile.neurons.base import BINARY


def check_input_messages(network: Graph, chip: Chip) -> tuple[str, ...]:
    """Refuse a network whose input sends numbers, on a chip whose messages are spikes alone.

    An image of a converted network, the same numbers in every step, is no message but a bias per
    neuron and sample in hardware, see `Coding`: it gives a line for the log.

    Raises:
        UnsupportedError: the message says what to do instead, and which chips carry numbers.
    """
    source = network.input
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
    raise UnsupportedError(
        f"{source.name}: sends numbers from {low} to {high}, and messages of {chip.name} are spikes"
        f" alone; make spikes (0 or 1) of the values and train with them, or take a chip whose"
        f" messages carry numbers: {others}"
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
