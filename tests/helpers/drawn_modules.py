"""Random modules of four libraries: maps of all kinds, nearly all linear, before their neurons."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

LIBRARIES = ("snntorch", "spikingjelly", "norse", "sinabs")
STEPS, SAMPLES = 6, 2


class Drawn(NamedTuple):
    """A module, a sample for it and how it takes time."""

    module: nn.Module
    x: np.ndarray
    """Shape (samples, steps, channels, height, width)."""
    time: str
    """Of `from_torch`."""
    maps: tuple[str, ...]
    """Names of the linear maps in it."""


class Call(nn.Module):
    """A function with weights of its own."""

    def __init__(self, function: Any, **weights: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def draw(seed: int) -> Drawn:
    """Return the module of a seed."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    library = LIBRARIES[seed % len(LIBRARIES)]
    shape = (int(rng.integers(1, 4)), int(rng.integers(4, 7)), int(rng.integers(4, 7)))
    x = (rng.random((SAMPLES, STEPS, *shape)) < 0.4).astype(np.float64)
    layers, maps, current = [], [], torch.zeros(1, *shape)
    for _ in range(int(rng.integers(1, 4))):
        for _ in range(int(rng.integers(1, 3))):
            name = str(rng.choice(list(MAPS)))
            layer = MAPS[name](rng, tuple(current.shape[1:]))
            if layer is None:
                continue
            current = layer.eval()(current).detach()
            layers.append(layer)
            maps.append(name)
        # A weight of its own for each channel: sums of pools alone would meet thresholds exactly.
        layers.append(_make_norm(rng, current.shape[1]))
        layers.append(_make_neuron(library, rng))
    return Drawn(_join(library, layers).eval(), x, TIMES[library], tuple(maps))


TIMES = {"snntorch": "step", "spikingjelly": "step", "norse": "step", "sinabs": "folded"}


def _join(library: str, layers: list[nn.Module]) -> nn.Module:
    if library == "norse":
        return import_module("norse.torch").SequentialState(*layers)
    return nn.Sequential(*layers)


def _make_norm(rng: Any, channels: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels)
    norm.running_mean = torch.tensor(rng.normal(0, 0.3, channels)).float()
    norm.running_var = torch.tensor(rng.uniform(0.2, 1.5, channels)).float()
    return norm


def _make_neuron(library: str, rng: Any) -> nn.Module:
    threshold, decay = float(rng.uniform(0.3, 1.2)), float(rng.uniform(0.3, 0.95))
    soft = bool(rng.random() < 0.5)
    if library == "snntorch":
        reset = str(rng.choice(["subtract", "zero"]))
        options = {"threshold": threshold, "init_hidden": True, "reset_mechanism": reset}
        module = import_module("snntorch")
        kind = rng.random()
        if kind < 0.3:
            return module.Synaptic(alpha=0.6, beta=decay, **options)
        if kind < 0.5:
            reset = str(rng.choice(["zero", "subtract", "none"]))
            options |= {"reset_mechanism": reset, "threshold": threshold / 4}
            return module.Alpha(alpha=decay, beta=decay * float(rng.uniform(0, 0.9)), **options)
        return module.Leaky(beta=decay, reset_delay=soft, **options)
    if library == "spikingjelly":
        return _make_node(rng, threshold, decay, soft)
    if library == "norse":
        module = import_module("norse.torch")
        own = {"tau_mem_inv": 1000 * (1 - decay), "v_th": threshold}
        tensors = {name: torch.as_tensor(value) for name, value in own.items()}
        return module.LIFBoxCell(module.LIFBoxParameters(**tensors))
    module, activation = import_module("sinabs.layers"), import_module("sinabs.activation")
    return module.LIFSqueeze(
        tau_mem=-1 / float(np.log(decay)),
        spike_threshold=torch.tensor(threshold),
        spike_fn=activation.SingleSpike if soft else activation.MultiSpike,
        min_v_mem=None if rng.random() < 0.5 else -threshold,
        norm_input=False,
        batch_size=1,
    )


def _make_node(rng: Any, threshold: float, decay: float, soft: bool) -> nn.Module:
    """Return a neuron layer of SpikingJelly, perhaps with a filter behind it."""
    module = import_module("spikingjelly.activation_based.neuron")
    kind = str(rng.choice(["LIFNode", "IFNode", "KLIFNode"]))
    options = {} if kind == "IFNode" else {"tau": 1 / (1 - decay)}
    if kind == "KLIFNode":
        options["scale_reset"] = bool(rng.random() < 0.5)
    reset = None if soft else 0.0
    node = getattr(module, kind)(v_threshold=threshold, v_reset=reset, **options)
    if kind == "KLIFNode":
        nn.init.constant_(node.k, float(rng.uniform(0.6, min(1.4, 1 / decay))))
    if rng.random() < 0.3:
        layer = import_module("spikingjelly.activation_based.layer")
        learnable = bool(rng.random() < 0.5)
        return nn.Sequential(node, layer.SynapseFilter(float(rng.uniform(1.5, 9)), learnable))
    return node


def _convolve(rng: Any, shape: Any) -> nn.Module:
    return nn.Conv2d(shape[0], int(rng.integers(1, 4)), 3, padding=1)


def _transpose(rng: Any, shape: Any) -> nn.Module | None:
    if max(shape[1:]) > 12:
        return None
    kernel, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    if (min(shape[1:]) - 1) * stride + kernel - 2 * (kernel // 2) < 1:
        return None  # nothing would be left
    return nn.ConvTranspose2d(shape[0], int(rng.integers(1, 4)), kernel, stride, kernel // 2)


def _upsample(rng: Any, shape: Any) -> nn.Module | None:
    if max(shape[1:]) > 12:
        return None
    if rng.random() < 0.5:
        return nn.Upsample(scale_factor=2)
    size = tuple(int(n) for n in rng.integers(3, 9, 2))
    mode, corners = [("nearest", None), ("bilinear", False), ("bilinear", True)][rng.integers(3)]
    return Call(lambda m, x: F.interpolate(x, size=size, mode=mode, align_corners=corners))


def _pad(rng: Any, shape: Any) -> nn.Module | None:
    if min(shape[1:]) < 2:
        return None
    kinds = nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d
    return kinds[rng.integers(3)](tuple(int(n) for n in rng.integers(0, 2, 4)))


def _convolve_padded(rng: Any, shape: Any) -> nn.Module | None:
    if min(shape[1:]) < 2:
        return None
    mode = str(rng.choice(["reflect", "replicate", "circular"]))
    return nn.Conv2d(shape[0], 3, 3, padding=1, stride=int(rng.integers(1, 3)), padding_mode=mode)


def _pool(rng: Any, shape: Any) -> nn.Module | None:
    if min(shape[1:]) < 3:
        return None
    if rng.random() < 0.5:
        return nn.AdaptiveAvgPool2d(tuple(int(n) for n in rng.integers(2, 6, 2)))
    counted = bool(rng.random() < 0.5)
    return nn.AvgPool2d(3, 2, 1, ceil_mode=bool(rng.random() < 0.7), count_include_pad=counted)


def _shuffle(rng: Any, shape: Any) -> nn.Module:
    before = nn.Conv2d(shape[0], 4, 3, padding=1)
    after = nn.PixelShuffle(2) if rng.random() < 0.5 else nn.ChannelShuffle(2)
    return nn.Sequential(before, after)


def _unshuffle(rng: Any, shape: Any) -> nn.Module | None:
    return None if shape[1] % 2 or shape[2] % 2 else nn.PixelUnshuffle(2)


def _convolve_volume(rng: Any, shape: Any) -> nn.Module:
    volume = nn.Conv3d(1, 2, (1, 3, 3), padding=(0, 1, 1))
    return nn.Sequential(nn.Unflatten(1, (1, shape[0])), volume, nn.Flatten(1, 2))


def _multiply(rng: Any, shape: Any) -> nn.Module:
    size, wanted = int(np.prod(shape)), 8
    weight = torch.tensor(rng.normal(0, 2 / size**0.5, (size, wanted))).float()
    return Call(lambda m, x: (x.flatten(1) @ m.weight).reshape(len(x), 2, 2, 2), weight=weight)


def _add(rng: Any, shape: Any) -> nn.Module:
    offset = torch.tensor(rng.normal(0, 0.3, shape)).float()
    return Call(lambda m, x: (x - 0.3) / 0.7 + m.offset, offset=offset)


def _rectify(rng: Any, shape: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(shape[0], 2, 3, padding=1), nn.ReLU())


class _Gated(nn.Module):
    """Currents times others, or times what arrives."""

    def __init__(self, channels: int, *, both: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 1) if both else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.gate(x)


def _gate(rng: Any, shape: Any) -> nn.Module:
    return _Gated(shape[0], both=bool(rng.random() < 0.5))


MAPS = {
    "convolution": _convolve,
    "transposed": _transpose,
    "upsampling": _upsample,
    "padding": _pad,
    "padded convolution": _convolve_padded,
    "pool": _pool,
    "shuffle": _shuffle,
    "unshuffle": _unshuffle,
    "volume": _convolve_volume,
    "matmul": _multiply,
    "rectifier": _rectify,
    "product": _gate,
    "constants": _add,
}
"""Name -> function that draws a map of a grid of a shape; None: the grid does not suit."""
