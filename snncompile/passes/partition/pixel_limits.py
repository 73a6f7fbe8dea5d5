"""Pixels of a convolution that fit a core beside each number of its channels.

Where channels are cut into powers of two, 8 of them may take fewer words than 7: the widest tile
that fits is not found by halving. The use of every resource grows evenly with the pixels, so two
tiles per number of channels tell all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from snncompile.cores.headed_rows import count_pieces
from snncompile.ir.graph import Shape

FEW_PIECES = 2
"""Numbers of channels with at most so many pieces are tried, beside those of equal parts."""


@dataclass(frozen=True)
class PixelLimits:
    """The most pixels of a tile by its channels."""

    pixels: dict[int, float]

    @classmethod
    def measure(
        cls, shape: Shape, count_use: Callable[[Shape], dict[str, int]], limits: dict[str, int]
    ) -> PixelLimits:
        """Return the limits of a population.

        Args:
            shape: of the population, channels first.
            count_use: returns the use of each resource by a tile of an extent.
            limits: of a core, by resource.
        """
        pixel = (1,) * (len(shape) - 1)
        axis = next((i for i, length in enumerate(shape[1:]) if length > 1), None)
        pair = pixel if axis is None else (*pixel[:axis], 2, *pixel[axis + 1 :])
        pixels = {}
        for channels in list_channels(shape[0]):
            first, second = count_use((channels, *pixel)), count_use((channels, *pair))
            growth = {name: second[name] - first[name] for name in limits if name in first}
            pixels[channels] = min(
                (
                    _count_pixels(limits[name] - first[name], grown)
                    for name, grown in growth.items()
                ),
                default=inf,
            )
        return cls(pixels)

    def list_fitting(self, pixels: int) -> list[int]:
        """Return the numbers of channels that fit beside so many pixels."""
        return [channels for channels, room in self.pixels.items() if room >= pixels]


def _count_pixels(spare: int, growth: int) -> float:
    """Return the pixels that fit, the first one included; 0 for none."""
    if spare < 0:
        return 0
    return 1 + spare // growth if growth else inf


def list_channels(count: int) -> list[int]:
    """Return the numbers of channels worth trying, rising: equal parts, and those of few pieces."""
    equal = {ceil(count / parts) for parts in range(1, count + 1)}
    few = {n for n in range(1, count + 1) if count_pieces(n) <= FEW_PIECES}
    return sorted(equal | few)
