"""What a report is asked to show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.errors import InputError
from snncompile.ir.graph import Graph
from snncompile.ir.input import read_array

SAMPLES = 32
"""Samples that are run where the caller does not say."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a report is asked to show."""

    x: NDArray[Any] | None = None
    """Input, shape (samples, steps, *input.shape)."""
    label: NDArray[np.int64] | None = None
    """Class of each sample."""
    available: int = 0
    """Samples of the input, of which `x` are the first."""
    samples: int | None = None
    """Samples to run, at most."""
    costs: str | None = None
    timing: str = "fast"
    lava: bool = False
    """Whether to run Lava, too."""
    seconds: float = 60.0
    """Time for trying changes; 0: none are tried."""
    host: Any = None
    images: NDArray[Any] | None = None
    """Values from which converted networks make their input, shape (samples, *shape)."""
    model: Any = None
    """The trained torch module of which a network was converted, to try other methods."""

    @property
    def shown(self) -> NDArray[Any]:
        """The input, where there is one."""
        assert self.x is not None
        return self.x

    def show_to(self, network: Graph) -> Request:
        """Return the request with the images as the input of a network, where there are images.

        Raises:
            InputError: the network has no coding, or takes other images.
        """
        if self.images is None or self.x is not None:
            return self
        return replace(self, x=network.input.present(self.images[: self.count]))

    @property
    def count(self) -> int | None:
        """Samples that run; None: not said."""
        return None if self.samples is None else min(self.samples, self.available)

    @classmethod
    def of(
        cls,
        x: ArrayLike | None,
        label: ArrayLike | None = None,
        samples: int | None = SAMPLES,
        images: ArrayLike | None = None,
        **more: Any,
    ) -> Request:
        """Return the request for the first samples of an input, or of images.

        Raises:
            InputError: there is not one label per sample; x and images are given; a model is given
                and no images.
        """
        if x is not None and images is not None:
            raise InputError("a report takes x or images, of which converted networks make x")
        if more.get("model") is not None and images is None:
            raise InputError("other methods of conversion are tried on images; give images, not x")
        shown = x if images is None else images
        if shown is None:
            return cls(**more)
        whole = read_array(shown)
        labels = None if label is None else np.asarray(label)
        if labels is not None and labels.shape != (len(whole),):
            raise InputError(f"label has shape {labels.shape}, expected ({len(whole)},)")
        cut = None if labels is None else labels[:samples]
        count = len(whole) if samples is None else samples
        if images is not None:
            return cls(None, cut, len(whole), count, images=whole, **more)
        return cls(whole[:samples], cut, len(whole), count, **more)
