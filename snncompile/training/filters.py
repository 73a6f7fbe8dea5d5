"""Filters without labels: convolution layers that learn by spike-timing dependent plasticity.

In: spikes of images, or of a layer before. Out: weights, and a torch layer that fires with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Generator, Tensor, nn
from torch.nn.functional import conv2d

from snncompile.errors import InputError
from snncompile.training.neurons import IntegrateFire
from snncompile.training.stdp import BoundedStdp, FilterRule

FIRST_IMAGES = 16
"""Images by which learning finds its first thresholds."""
HALVINGS = 24
"""Of the range in which `build_filter_layer` looks for a filter's scale."""


class Winner(NamedTuple):
    """A neuron that fires first, and learns."""

    step: int
    filter: int
    row: int
    column: int


@torch.no_grad()
def learn_filters(
    x: ArrayLike | Tensor,
    count: int,
    size: int,
    *,
    rule: FilterRule | None = None,
    winners: int = 4,
    radius: int | None = None,
    pace: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """Return the weights of filters that learned from spikes, shape (count, channels, size, size).

    In each image the filters compete: a neuron at every row and column adds up its input, weighted
    by its filter less the filter's mean, as if its patch had inhibition by all it receives. The
    first neurons to exceed their thresholds win, see `choose_winners`; their filters learn by the
    rule, at most once per image. Thresholds keep filters at work: that of a winner is multiplied by
    exp(pace * (1 - winners / count)), that of any other by exp(-pace * winners / count).

    Images come in random order, each once. For a second layer, pass the spikes of the first. Where
    few inputs spike, all weights of a filter may fall to 0, and it wins no more: a larger `rise` or
    a smaller `fall` of the rule prevents that.

    Args:
        x: spikes, 0 and 1, shape (samples, steps, channels, rows, columns).
        count: filters.
        size: rows and columns of a filter.
        rule: `BoundedStdp()`, which is also meant by None, or `BinaryStdp()`, or any that has
            their methods.
        winners: per image, at most.
        radius: rows and columns around a winner in which no other neuron wins; None: size // 2.
        pace: of the thresholds.
        seed: of the start, the order and the rule; the same seed gives the same weights.

    Raises:
        InputError: x has another shape or other numbers, or no spikes; a filter is larger than an
            image; a number is out of its range.
    """
    spikes = _read_spikes(x)
    radius = size // 2 if radius is None else radius
    _check_whole(count=count, size=size, winners=winners, radius=radius, seed=seed)
    _check_numbers(spikes, count=count, size=size, winners=winners)
    if not 0 < pace < np.inf:
        raise InputError(f"pace must be positive, got {pace}")
    rule = BoundedStdp() if rule is None else rule
    if isinstance(rule, type) or not (hasattr(rule, "start") and hasattr(rule, "update")):
        raise InputError(f"rule must be an object like BoundedStdp(), got {rule!r}")
    if radius < 0:
        raise InputError(f"radius must be 0 or more, got {radius}")
    generator = torch.Generator().manual_seed(seed)
    shape = (count, spikes.shape[2], size, size)
    weight = rule.start((count, int(np.prod(shape[1:]))), generator).reshape(shape)
    order = torch.randperm(len(spikes), generator=generator).tolist()
    threshold = np.full(count, _find_first_threshold(spikes[order[:FIRST_IMAGES]], weight))
    for number in order:
        image = torch.from_numpy(spikes[number]).float()
        chosen = choose_winners(add_up(image, weight).numpy(), threshold, winners, radius)
        for winner in chosen:
            weight[winner.filter] = _learn(rule, weight[winner.filter], image, winner, generator)
        won = np.isin(np.arange(count), [winner.filter for winner in chosen])
        threshold = threshold * np.exp(pace * (won - winners / count))
    return weight


def add_up(image: Tensor, weight: Tensor) -> Tensor:
    """Return the potentials of neurons that never reset, shape (steps, filters, rows, columns).

    Args:
        image: spikes, shape (steps, channels, rows, columns).
        weight: shape (filters, channels, size, size); the mean of each filter is subtracted.
    """
    return conv2d(image, centre(weight)).cumsum(0)


def centre(weight: Tensor) -> Tensor:
    """Return filters less the mean of each."""
    return weight - weight.mean((1, 2, 3), keepdim=True)


def choose_winners(
    potential: NDArray[np.floating], threshold: NDArray[np.floating], count: int, radius: int
) -> list[Winner]:
    """Return the neurons that win, the first one first.

    The earliest step in which a potential is above the threshold of its filter wins; among equals
    the largest excess over it, then the lowest filter, row and column. A filter wins once, and no
    two winners are within `radius` rows and columns of each other.

    Args:
        potential: shape (steps, filters, rows, columns).
        threshold: of each filter, shape (filters,).
        count: winners at most; fewer where fewer fire.
        radius: rows and columns.
    """
    steps, filters, _, _ = potential.shape
    excess = potential - threshold.reshape(1, filters, 1, 1)
    above = excess > 0
    first = np.where(above.any(0), above.argmax(0), steps)
    height = np.take_along_axis(excess, first.clip(max=steps - 1)[None], 0)[0]
    return list(islice(_pick(first, height, steps, radius), count))


def _pick(
    first: NDArray[np.intp], height: NDArray[np.floating], steps: int, radius: int
) -> Iterator[Winner]:
    """Yield winners until no neuron is left; `first` is `steps` for neurons that do not fire."""
    first = first.copy()
    while (step := int(first.min())) < steps:
        best = np.where(first == step, height, -np.inf).argmax()
        number, row, column = (int(i) for i in np.unravel_index(best, first.shape))
        yield Winner(step, number, row, column)
        first[number] = steps
        rows = slice(max(0, row - radius), row + radius + 1)
        first[:, rows, max(0, column - radius) : column + radius + 1] = steps


def _learn(
    rule: FilterRule, weight: Tensor, image: Tensor, winner: Winner, generator: Generator
) -> Tensor:
    """Return the next weights of a winner's filter, shape (channels, size, size)."""
    step, _, row, column = winner
    size = weight.shape[-1]
    patch = image[: step + 1, :, row : row + size, column : column + size]
    return rule.update(weight.flatten(), patch.flatten(1), generator).reshape(weight.shape)


def _find_first_threshold(spikes: NDArray[np.uint8], weight: Tensor) -> float:
    """Return the largest potential of an image, mean of some: thresholds fall until neurons win."""
    largest = [add_up(torch.from_numpy(s).float(), weight).max() for s in spikes]
    return max(float(torch.stack(largest).mean()), 1e-6)


@torch.no_grad()
def build_filter_layer(
    weight: Tensor, x: ArrayLike | Tensor, rate: float = 0.03, *, padding: int = 0
) -> nn.Sequential:
    """Return filters as a convolution and integrate-and-fire neurons with the threshold 1.

    Each filter, less its mean, is multiplied by the number with which its neurons fire at `rate` on
    x: filters with many weights of 1 would fire all the time beside others. A filter whose weights
    are all equal has no number and stays silent.

    Args:
        weight: shape (filters, channels, size, size).
        x: spikes by which rates are measured, shape (samples, steps, channels, rows, columns); 100
            images are enough.
        rate: spikes per neuron and time step, above 0 and below 1.
        padding: rows and columns of silence around an image.

    Raises:
        InputError: x or weight have another shape, or rate is out of its range.
    """
    spikes = _read_spikes(x)
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        raise InputError("weight must be a tensor of floats, as learn_filters returns it")
    if not weight.isfinite().all():
        raise InputError("weight holds values that are not finite")
    if weight.ndim != 4 or weight.shape[1] != spikes.shape[2]:
        raise InputError(
            f"weight must have shape (filters, {spikes.shape[2]}, size, size) for these spikes,"
            f" got {tuple(weight.shape)}"
        )
    if not 0 < rate < 1:
        raise InputError(f"rate must be above 0 and below 1, got {rate}")
    filters, channels, *size = weight.shape
    _check_whole(padding=padding)
    if padding < 0 or any(a > b + 2 * padding for a, b in zip(size, spikes.shape[3:], strict=True)):
        raise InputError(
            f"filters of {size[0]} x {size[1]} do not fit images of {spikes.shape[3]} x"
            f" {spikes.shape[4]} with a padding of {padding}"
        )
    conv = nn.Conv2d(channels, filters, (size[0], size[1]), padding=padding, bias=False)
    conv.weight.copy_(centre(weight))
    drive = [conv(torch.from_numpy(spikes[:, step]).float()) for step in range(spikes.shape[1])]
    conv.weight.mul_(_find_scales(drive, rate)[:, None, None, None])
    return nn.Sequential(conv, IntegrateFire(threshold=1.0))


def _find_scales(drive: list[Tensor], rate: float) -> Tensor:
    """Return by which number the input of each filter is multiplied to fire at a rate, or below.

    Sums of a few weights have few values, so rates have steps at which many potentials equal the
    threshold. The number is the middle of the range with its rate, as far from such ties as it is.

    Args:
        drive: of each step, shape (samples, filters, rows, columns).
        rate: spikes per neuron and step.
    """
    largest = torch.stack([d.abs().amax((0, 2, 3)) for d in drive]).amax(0)
    highest = torch.where(largest > 0, 2 / largest.clamp(min=1e-12), 0.0)
    target = torch.full_like(highest, rate)
    upper = _halve(drive, highest * 2.0**-HALVINGS, highest, target)
    lower = _halve(drive, upper / 2, upper, _measure_rates(drive, upper))
    return (lower * upper).sqrt()


def _halve(drive: list[Tensor], low: Tensor, high: Tensor, rate: Tensor) -> Tensor:
    """Return the largest scales between two at which filters fire less than their rates."""
    for _ in range(HALVINGS):
        middle = (low * high).sqrt()
        slow = _measure_rates(drive, middle) < rate
        low, high = torch.where(slow, middle, low), torch.where(slow, high, middle)
    return low


def _measure_rates(drive: list[Tensor], scale: Tensor) -> Tensor:
    """Return the spikes per neuron and step of each filter, shape (filters,)."""
    neuron, total = IntegrateFire(threshold=1.0), torch.zeros_like(scale)
    for step in drive:
        total += neuron(step * scale[:, None, None]).mean((0, 2, 3))
    return total / len(drive)


def _read_spikes(x: ArrayLike | Tensor) -> NDArray[np.uint8]:
    """Return spikes as bytes, shape (samples, steps, channels, rows, columns)."""
    if isinstance(x, Tensor):
        wide = x.float() if x.is_floating_point() else x
        array = wide.detach().cpu().numpy()
    else:
        try:
            array = np.asarray(x)
        except ValueError as error:
            raise InputError(f"x must be an array of spikes: {error}") from None
    if array.ndim != 5 or 0 in array.shape:
        raise InputError(
            f"x must have shape (samples, steps, channels, rows, columns), got {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"x must be spikes, 0 and 1, got {array.dtype}")
    with np.errstate(invalid="ignore"):  # the comparison below finds what no byte holds
        spikes = array.astype(np.uint8)
    if not np.array_equal(spikes, array) or spikes.max() > 1:
        raise InputError("x must be spikes, 0 and 1; encode_images makes some of images")
    if not spikes.any():
        raise InputError("x has no spikes, so there is nothing to learn from")
    return spikes


def _check_whole(**numbers: int) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or not -(2**31) <= number < 2**31:
            raise InputError(f"{name} must be a whole number below 2^31, got {number!r}")


def _check_numbers(spikes: NDArray[np.uint8], **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise InputError(f"{name} must be positive, got {number}")
    rows, columns = spikes.shape[3:]
    if numbers["size"] > min(rows, columns):
        raise InputError(
            f"a filter of {numbers['size']} x {numbers['size']} is larger than the images,"
            f" {rows} x {columns}"
        )
