"""The host's part of an input: the first linear layer, whose result is a bias per neuron."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.arrays import Floats
from snncompile.errors import InputError
from snncompile.synapses.base import Synapses


@dataclass(frozen=True, eq=False)
class HostLayer:
    """Synapses and bias that the host computes for one population, once per sample.

        bias of a neuron = sum of weight * value + bias         added in each time step

    An integer network adds the nearest whole number to it / unit, in the unit of accumulated
    weights: on the chip it is that number as mantissa of a bias, with an exponent of 6.
    """

    target: str
    """The population."""
    synapses: Synapses
    """From the values of an image to the neurons, float."""
    bias: Floats
    """One per neuron."""
    largest: float
    """Largest magnitude of a bias on the sample of the import."""
    unit: float = 1.0
    """Bias that is 1 in an integer network; chosen by quantize."""
    limit: int | None = None
    """Largest whole number that the chip holds; None in a float network."""

    @cached_property
    def matrix(self) -> csr_array:
        """The weights, shape (neurons, values)."""
        return csr_array(self.synapses.wiring.matrix(self.synapses.weight))

    def compute(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the biases of images of shape (samples, values): (samples, neurons).

        Floats of a float network, int64 of an integer network.

        Raises:
            InputError: a bias is beyond the range of the chip.
        """
        values = np.ascontiguousarray(image.T, np.float64)
        drive = np.asarray(self.matrix @ values).T + self.bias
        if self.limit is None:
            return drive
        biases: NDArray[np.int64] = np.rint(drive / self.unit).astype(np.int64)
        if biases.size and np.abs(biases).max() > self.limit:
            raise InputError(
                f"{self.target}: the host's biases reach {np.abs(drive).max():g}, the Program holds"
                f" {self.limit * self.unit:g}, twice those of the sample; import the network with a"
                " sample of such images"
            )
        return biases


def list_fed(hosts: tuple[HostLayer, ...]) -> tuple[str, ...]:
    """Return the populations to which the host gives biases."""
    return tuple(layer.target for layer in hosts)
