"""Small networks of the kinds that people train, and what each becomes: one entry per network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (2, 12, 12)
"""Of a sample, unless an entry says otherwise."""


class Lines(nn.Module):
    """A module whose forward is a function of itself and x."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answers."""
        return self.run(self, x)


def conv(before: int = 2, channels: int = 4, kernel: int = 3, **options) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(before, channels, kernel, padding=kernel // 2, **options)


def head(channels: int = 4) -> list[nn.Module]:
    """Return layers that end a network of images."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]


def chain(*layers: nn.Module, channels: int = 4) -> nn.Module:
    """Return a convolution, the layers and an end."""
    return nn.Sequential(conv(), *layers, *head(channels))


def called(function: Callable[..., Tensor]) -> nn.Module:
    """Return a convolution, a function and an end."""
    return Lines(
        lambda self, x: self.end(function(self.first(x))), first=conv(), end=nn.Sequential(*head())
    )


def resnet_stem() -> nn.Module:
    """ResNet's first layers, and a block."""

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.first(x))))
        x = torch.relu(self.second(torch.relu(self.a(x))) + x)
        return self.end(x)

    layers = {"first": nn.Conv2d(2, 4, 7, 2, 3), "norm": nn.BatchNorm2d(4)}
    layers |= {"pool": nn.MaxPool2d(3, 2, 1), "a": conv(4), "second": conv(4)}
    return Lines(forward, end=nn.Sequential(*head()), **layers)


def squeeze_and_excitation(gate: nn.Module) -> nn.Module:
    """A block whose channels are multiplied by a gate."""

    def forward(self, x):
        x = torch.relu(self.first(x))
        weights = self.gate(self.up(torch.relu(self.down(x.mean((2, 3))))))
        return self.end(x * weights[:, :, None, None])

    layers = {"first": conv(), "down": nn.Linear(4, 2), "up": nn.Linear(2, 4), "gate": gate}
    return Lines(forward, end=nn.Sequential(*head()), **layers)


def inverted_residual(activation: type[nn.Module]) -> nn.Module:
    """MobileNetV2's block."""

    def forward(self, x):
        x = self.act(self.stem(x))
        y = self.act(self.norm(self.wide(x)))
        return self.end(self.narrow(self.act(self.depth(y))) + x)

    layers = {"stem": conv(), "wide": conv(4, 8, 1), "norm": nn.BatchNorm2d(8)}
    layers |= {"depth": conv(8, 8, 3, groups=8), "narrow": conv(8, 4, 1), "act": activation()}
    return Lines(forward, end=nn.Sequential(*head()), **layers)


def maxout() -> nn.Module:
    """Two branches, of which the larger one counts."""

    def forward(self, x):
        return self.end(torch.maximum(torch.relu(self.a(x)), self.b(x)))

    return Lines(forward, a=conv(), b=conv(), end=nn.Sequential(*head()))


def fire() -> nn.Module:
    """SqueezeNet's module: two convolutions side by side, and a pool of both."""

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        x = torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)
        return self.end(torch.relu(self.next(self.pool(x))))

    layers = {"squeeze": conv(), "one": conv(4, 4, 1), "three": conv(4, 6), "next": conv(10)}
    return Lines(forward, pool=nn.MaxPool2d(3, 2), end=nn.Sequential(*head()), **layers)


def text_cnn() -> nn.Module:
    """Convolutions along time of several lengths, each with its maximum over time."""

    def forward(self, x):
        found = [torch.relu(c(x)).amax(2) for c in (self.a, self.b)]
        return self.end(torch.cat(found, 1))

    return Lines(forward, a=nn.Conv1d(3, 4, 2), b=nn.Conv1d(3, 4, 3), end=nn.Linear(8, 3))


def unet() -> nn.Module:
    """One level down and up again, with a transposed convolution."""

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = torch.relu(self.low(functional.max_pool2d(x, 2)))
        y = functional.interpolate(y, scale_factor=2)
        return self.end(torch.relu(self.last(y)) + x)

    return Lines(forward, first=conv(), low=conv(4), last=conv(4), end=nn.Sequential(*head()))


def with_argmax() -> nn.Module:
    """A network that returns the class."""
    return Lines(lambda self, x: self.net(x).argmax(1), net=chain(nn.ReLU()))


class Attention(nn.Module):
    """Self-attention written out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.q, self.k = conv(), nn.Linear(144, 8), nn.Linear(144, 8)
        self.last = nn.Linear(576, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answers."""
        x = torch.relu(self.first(x)).flatten(2)
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1)
        return self.last((weights @ x).flatten(1))


PLAIN = "rectifiers"
CONVERTS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "ReLU": (lambda: chain(nn.ReLU()), PLAIN),
    "ReLU6": (lambda: chain(nn.ReLU6()), PLAIN),
    "Hardtanh from 0": (lambda: chain(nn.Hardtanh(0, 2)), PLAIN),
    "Threshold at 0": (lambda: chain(nn.Threshold(0, 0)), PLAIN),
    "LeakyReLU that does not leak": (lambda: chain(nn.LeakyReLU(0)), PLAIN),
    "clamp(min=0)": (lambda: called(lambda x: x.clamp(min=0)), PLAIN),
    "clamp(0, 3)": (lambda: called(lambda x: torch.clamp(x, 0, 3)), PLAIN),
    "clip": (lambda: called(lambda x: x.clip(min=0)), PLAIN),
    "maximum with 0": (lambda: called(lambda x: torch.maximum(x, torch.zeros(1))), PLAIN),
    "max with 0": (lambda: called(lambda x: torch.max(x, torch.zeros_like(x))), PLAIN),
    "functional hardtanh": (lambda: called(lambda x: functional.hardtanh(x, 0, 6)), PLAIN),
    "functional threshold": (lambda: called(lambda x: functional.threshold(x, 0, 0)), PLAIN),
    "maximum of branches": (maxout, PLAIN),
    "minimum of branches": (
        lambda: Lines(
            lambda self, x: self.end(torch.relu(torch.minimum(self.a(x), self.b(x)))),
            a=conv(), b=conv(), end=nn.Sequential(*head()),
        ),
        PLAIN,
    ),
    "batch norm": (lambda: chain(nn.BatchNorm2d(4), nn.ReLU()), PLAIN),
    "instance norm with statistics": (
        lambda: chain(nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.ReLU()),
        PLAIN,
    ),
    "weight norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(conv()), nn.ReLU(), *head()
        ),
        PLAIN,
    ),
    "DataParallel": (lambda: nn.DataParallel(chain(nn.ReLU())), PLAIN),
    "softmax at the end": (
        lambda: nn.Sequential(chain(nn.ReLU()), nn.Softmax(1)), PLAIN,
    ),
    "log_softmax at the end": (
        lambda: Lines(lambda s, x: functional.log_softmax(s.net(x), 1), net=chain(nn.ReLU())),
        PLAIN,
    ),
    "sigmoid at the end": (lambda: nn.Sequential(chain(nn.ReLU()), nn.Sigmoid()), PLAIN),
    "argmax at the end": (with_argmax, PLAIN),
    "an image that forward normalizes": (
        lambda: Lines(lambda s, x: s.net((x - 0.5) / 0.25), net=chain(nn.ReLU())), PLAIN,
    ),
    "inverted residual": (lambda: inverted_residual(nn.ReLU6), PLAIN),
    "max pool": (lambda: chain(nn.ReLU(), nn.MaxPool2d(2)), PLAIN),
    "max pool before the rectifier": (
        lambda: chain(nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU()), PLAIN,
    ),
    "max pool as a function": (
        lambda: called(lambda x: functional.max_pool2d(torch.relu(x), 2)), PLAIN,
    ),
    "overlapping max pool": (lambda: chain(nn.ReLU(), nn.MaxPool2d(3, 2)), PLAIN),
    "padded max pool": (lambda: chain(nn.ReLU(), nn.MaxPool2d(3, 2, 1)), PLAIN),
    "max pool with ceil_mode": (
        lambda: chain(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)), PLAIN,
    ),
    "dilated max pool": (lambda: chain(nn.ReLU(), nn.MaxPool2d(2, 1, dilation=2)), PLAIN),
    "adaptive max pool": (lambda: chain(nn.ReLU(), nn.AdaptiveMaxPool2d(1)), PLAIN),
    "maximum over space": (
        lambda: Lines(
            lambda s, x: s.end(torch.relu(s.first(x)).amax((2, 3))),
            first=conv(), end=nn.Linear(4, 3),
        ),
        PLAIN,
    ),
    "two max pools in a row": (
        lambda: chain(nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)), PLAIN,
    ),
    "max pool of a sum without a rectifier": (
        lambda: chain(nn.ReLU(), conv(4), nn.MaxPool2d(2), conv(4), nn.ReLU()), PLAIN,
    ),
    "ResNet's first layers": (resnet_stem, PLAIN),
    "max pool of concatenated layers": (fire, PLAIN),
    "maximum over time": (text_cnn, PLAIN),
    **{
        kind.__name__: (lambda kind=kind: chain(kind()), f"1: {kind.__name__}")
        for kind in (
            nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.GELU,
            nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.RReLU, nn.Hardtanh,
        )
    },
    "PReLU per channel": (lambda: chain(nn.PReLU(4)), "1: PReLU"),
    "functional silu": (lambda: called(functional.silu), "silu: silu"),
    "clamp from -1": (lambda: called(lambda x: x.clamp(-1, 1)), "clamp: clamp"),
    "squeeze and excitation": (
        lambda: squeeze_and_excitation(nn.Sigmoid()), "gate: Sigmoid",
    ),
    "hard gate": (lambda: squeeze_and_excitation(nn.ReLU6()), "mul: product"),
    "MobileNetV3's block": (lambda: inverted_residual(nn.Hardswish), "act: Hardswish"),
}  # fmt: skip
"""Name -> network, and what it is made of: rectifiers (and maximum pools) alone, or the first layer
that is no rectifier, as rate methods name it."""

BY_INPUT = (
    " takes its mean and variance from each input, which no fixed weights do; train with batch"
    " norm, or with instance norm and track_running_stats=True"
)
RECURRENT = (
    " has a state from step to step; a converted network answers each input alone: write it as"
    " spiking neurons and import it (from_torch), or take a convolution along time"
)
ATTENTION = (
    " multiplies values by other values that are normalized by their sum; no spiking neuron does:"
    " take convolutions or dense layers"
)
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "group norm": (
        lambda: chain(nn.GroupNorm(2, 4), nn.ReLU()), f"1: GroupNorm{BY_INPUT}",
    ),
    "layer norm": (
        lambda: chain(nn.LayerNorm([4, 12, 12]), nn.ReLU()), f"1: LayerNorm{BY_INPUT}",
    ),
    "RMS norm": (
        lambda: chain(nn.RMSNorm([4, 12, 12]), nn.ReLU()), f"1: RMSNorm{BY_INPUT}",
    ),
    "layer norm as a function": (
        lambda: called(lambda x: functional.layer_norm(torch.relu(x), (12, 12))),
        f"layer_norm: layer_norm{BY_INPUT}",
    ),
    "local response norm": (
        lambda: chain(nn.ReLU(), nn.LocalResponseNorm(2)), f"2: LocalResponseNorm{BY_INPUT}",
    ),
    "instance norm without statistics": (
        lambda: chain(nn.InstanceNorm2d(4), nn.ReLU()),
        "1: InstanceNorm2d without running statistics normalizes by the input itself; use"
        " track_running_stats=True",
    ),
    "LSTM": (
        lambda: nn.Sequential(nn.Flatten(2), nn.LSTM(144, 3)), f"1: LSTM{RECURRENT}",
    ),
    "attention": (
        lambda: nn.Sequential(
            nn.Flatten(2), nn.TransformerEncoderLayer(144, 2, batch_first=True)
        ),
        f"1: TransformerEncoderLayer{ATTENTION}",
    ),
    "max pool with indices": (
        lambda: chain(nn.ReLU(), nn.MaxPool2d(2, return_indices=True)),
        "2: MaxPool2d returns indices too, which no spike carries; use return_indices=False",
    ),
    "uneven adaptive max pool": (
        lambda: chain(nn.ReLU(), nn.AdaptiveMaxPool2d(5)),
        "2: AdaptiveMaxPool2d from 12x12 to 5x5 has windows of different sizes; use a size that"
        " divides the input's",
    ),
    "a quotient of layers": (
        lambda: called(lambda x: torch.relu(x) / (1 + torch.relu(-x).sum((2, 3), keepdim=True))),
        "div: divides by values of the network, which no neuron does; multiply by a gate, or train"
        " with batch norm",
    ),
    "attention written out": (
        Attention,
        "torch.Tensor.matmul between relu and q and k and last is not known; a product with a"
        " matrix of weights is known; attention multiplies values of two layers, use a"
        " convolution or a linear layer in its place",
    ),
}  # fmt: skip
"""Name -> network, and the whole message."""
