"""Small networks, and importers of NIR files that run them: what `docs/nir.md` says of readers."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

STEPS = 30


def _draw(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(0.15, 0.5, shape)


def make_chain(neuron: FloatNeuron, bias: bool = False, recurrent: bool = False) -> Network:
    """Return 12 inputs, 20 neurons and 5 neurons of one kind."""
    rng = np.random.default_rng(6)
    constant = {"bias": _draw(rng, 20) / 4} if bias else {}
    hidden = type(neuron)(**{f: getattr(neuron, f) for f in _list_fields(neuron)} | constant)
    projections = [
        Projection("input", "a", dense(_draw(rng, 20, 12))),
        Projection("a", "b", dense(_draw(rng, 5, 20))),
    ]
    if recurrent:
        projections.insert(1, Projection("a", "a", dense(_draw(rng, 20, 20) / 2), delay=1))
    populations = (Population("a", (20,), hidden), Population("b", (5,), neuron))
    return Network(Input("input", (12,)), populations, tuple(projections), "b")


def _list_fields(neuron: FloatNeuron) -> list[str]:
    names = [name for name in neuron.parameters() if name != "initial"]
    return [*names, "reset"] if hasattr(neuron, "reset") else names


def make_convolution(neuron: FloatNeuron) -> Network:
    """Return an image of 2x6x6, 3x6x6 neurons behind a 3x3 kernel, and 5 neurons."""
    rng = np.random.default_rng(7)
    wiring = Convolution((2, 6, 6), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    first = Synapses(wiring, _draw(rng, *wiring.weight_shape))
    projections = (Projection("input", "a", first), Projection("a", "b", dense(_draw(rng, 5, 108))))
    populations = (Population("a", (3, 6, 6), neuron), Population("b", (5,), neuron))
    return Network(Input("input", (2, 6, 6)), populations, projections, "b")


def make_images(neuron: FloatNeuron) -> Network:
    """Return an image of 2x6x6, and two layers of neurons behind a 3x3 kernel each."""
    rng = np.random.default_rng(10)
    first = Convolution((2, 6, 6), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    second = Convolution((3, 6, 6), 2, (3, 3), (2, 2), (1, 1), (1, 1))
    kernels = (Synapses(w, _draw(rng, *w.weight_shape)) for w in (first, second))
    ends = (("input", "a"), ("a", "b"))
    projections = tuple(Projection(*pair, k) for pair, k in zip(ends, kernels, strict=True))
    populations = (Population("a", (3, 6, 6), neuron), Population("b", (2, 3, 3), neuron))
    return Network(Input("input", (2, 6, 6)), populations, projections, "b")


def make_skip(neuron: FloatNeuron) -> Network:
    """Return 12 inputs, 20 neurons, and 5 neurons that the inputs reach too."""
    chain, rng = make_chain(neuron), np.random.default_rng(9)
    more = Projection("input", "b", dense(_draw(rng, 5, 12)))
    return Network(chain.input, chain.populations, (*chain.projections, more), "b")


LIF, CUBA = (1.0, 0.25, 0.83), (0.4, 0.25, 1.27)
NETWORKS: dict[str, Callable[[], Network]] = {
    "LIF, hard": lambda: make_chain(CubaLif(*LIF, reset="hard")),
    "LIF, soft": lambda: make_chain(CubaLif(*LIF, reset="soft")),
    "LIF, delayed soft": lambda: make_chain(CubaLif(*LIF, reset="delayed_soft")),
    "several spikes, soft": lambda: make_chain(MultiSpikeLif(*LIF)),
    "no leak, soft": lambda: make_chain(IntegrateFire(0.83, 0.0, "soft")),
    "no leak, hard": lambda: make_chain(IntegrateFire(0.83, 0.0, "hard")),
    "current, hard": lambda: make_chain(CubaLif(*CUBA, reset="hard")),
    "current, soft": lambda: make_chain(CubaLif(*CUBA, reset="soft")),
    "bias, hard": lambda: make_chain(CubaLif(*LIF, reset="hard"), bias=True),
    "bias, delayed soft": lambda: make_chain(CubaLif(*LIF, reset="delayed_soft"), bias=True),
    "two convolutions, delayed soft": lambda: make_images(CubaLif(*LIF, reset="delayed_soft")),
    "convolution, hard": lambda: make_convolution(CubaLif(*LIF, reset="hard")),
    "skip, hard": lambda: make_skip(CubaLif(*LIF, reset="hard")),
    "recurrent, hard": lambda: make_chain(CubaLif(*LIF, reset="hard"), recurrent=True),
    "recurrent current, hard": lambda: make_chain(CubaLif(*CUBA, reset="hard"), recurrent=True),
}
"""What a row of the table is called -> the network."""


def draw_spikes(network: Network) -> Any:
    """Return an input of shape (2, steps, *input)."""
    rng = np.random.default_rng(8)
    return (rng.random((2, STEPS, *network.input.shape)) < 0.3).astype(np.uint8)


def _load(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def run_snntorch(path: Path, network: Network, x: Any) -> Any:
    """Run the file in snnTorch."""
    read = _load("snntorch.import_nir").import_from_nir
    return _run_samples(lambda: read(nir.read(path)), x)


def run_norse(path: Path, network: Network, x: Any) -> Any:
    """Run the file in norse."""
    read = _load("norse.torch.utils.import_nir").from_nir
    return _run_samples(lambda: read(nir.read(path)), x)


def _run_samples(read: Callable[[], Any], x: Any) -> Any:
    """Run each sample in a module read anew, step by step, without an axis for samples."""
    samples = []
    for sample in torch.tensor(x).float():
        module, state, out = read(), None, []
        for step in sample:
            result = module(step, state)
            spikes, state = result if isinstance(result, tuple) else (result, state)
            out.append(spikes)
        samples.append(torch.stack(out))
    return torch.stack(samples).numpy()


def run_sinabs(path: Path, network: Network, x: Any) -> Any:
    """Run the file in sinabs, with the spike function and the reset that the note names."""
    layers, activation = _load("sinabs.layers"), _load("sinabs.activation")
    module = _load("sinabs.nir").from_nir(nir.read(path), batch_size=len(x))
    neuron: Any = network.populations[0].neuron
    for layer in module.modules():
        if isinstance(layer, layers.LIFSqueeze) and neuron.name != "multi_spike_lif":
            layer.spike_fn = activation.SingleSpike
            if neuron.reset == "hard":
                layer.reset_fn = activation.MembraneReset()
    flat = torch.tensor(x).float().flatten(0, 1)
    result = module(flat)
    return (result[0] if isinstance(result, tuple) else result).unflatten(0, x.shape[:2]).numpy()


READERS: dict[str, Callable[[Path, Network, Any], Any]] = {
    "snntorch": run_snntorch,
    "norse": run_norse,
    "sinabs": run_sinabs,
}
"""Reader -> function that runs a file in it; spikes of shape (samples, steps, ...)."""


def run_reader(reader: str, path: Path, network: Network, x: Any) -> Any:
    """Return the spikes that a reader makes of a file; what it prints is dropped."""
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return READERS[reader](path, network, x)
