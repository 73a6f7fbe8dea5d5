"""The image networks of `zoo_ann.py`, each written anew from the layers that its paper describes.

All have 1,000 classes. Pools that adapt to the size of the image stand before dense layers, as is
usual, so that images of 64 x 64 are taken too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Callable[[], nn.Module]
CLASSES = 1000


def make_conv(
    before: int,
    after: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Activation | None = nn.ReLU,
) -> nn.Sequential:
    """Return a convolution that keeps the size, a batch norm and an activation."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    end = [activation()] if activation else []
    return nn.Sequential(conv, nn.BatchNorm2d(after), *end)


def make_end(channels: int, *before: nn.Module) -> nn.Sequential:
    """Return the mean over all places and the classes."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), *before, nn.Linear(channels, CLASSES)
    )


class Residual(nn.Module):
    """A branch and a shortcut, added."""

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        activation: Activation | None = nn.ReLU,
    ) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()
        self.end = activation() if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, behind the activation."""
        out: Tensor = self.end(self.branch(x) + self.shortcut(x))
        return out


class Beside(nn.Module):
    """Branches of one input, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of all."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Gate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): channels times a gate of their means."""

    def __init__(self, channels: int, inner: int, activation: Activation, gate: Activation) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.pool, self.activation, self.gate = nn.AdaptiveAvgPool2d(1), activation(), gate()

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted channels."""
        gate: Tensor = self.gate(self.excite(self.activation(self.squeeze(self.pool(x)))))
        return x * gate


def make_alexnet() -> nn.Module:
    """Five convolutions and three dense layers (Krizhevsky 2014)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for before, after in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(before, after, 3, 1, 1), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), nn.Flatten()]
    return nn.Sequential(*layers, *_make_dense(256 * 36))


def _make_dense(size: int) -> Iterable[nn.Module]:
    """Return the dense layers that end AlexNet and VGG."""
    for before in (size, 4096):
        yield from (nn.Linear(before, 4096), nn.ReLU(), nn.Dropout())
    yield nn.Linear(4096, CLASSES)


VGG = {
    11: (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    16: (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
}
"""Channels of the convolutions; 0 is a maximum pool."""


def make_vgg(depth: int, norm: bool) -> nn.Module:
    """Convolutions of 3 x 3 and three dense layers (Simonyan and Zisserman 2015)."""
    layers: list[nn.Module] = []
    before = 3
    for channels in VGG[depth]:
        if not channels:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(before, channels, 3, padding=1))
        layers += [nn.BatchNorm2d(channels), nn.ReLU()] if norm else [nn.ReLU()]
        before = channels
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    return nn.Sequential(*layers, *_make_dense(512 * 49))


def make_resnet(blocks: Sequence[int], deep: bool) -> nn.Module:
    """Residual blocks of two convolutions, or of three where `deep` (He et al. 2016)."""
    layers: list[nn.Module] = [make_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for stage, count in enumerate(blocks):
        inner, after = 64 << stage, (256 if deep else 64) << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            if deep:
                branch = [make_conv(before, inner, 1), make_conv(inner, inner, 3, stride)]
                branch.append(make_conv(inner, after, 1, activation=None))
            else:
                branch = [make_conv(before, inner, 3, stride)]
                branch.append(make_conv(inner, after, activation=None))
            other = before != after or stride > 1
            shortcut = make_conv(before, after, 1, stride, activation=None) if other else None
            layers.append(Residual(nn.Sequential(*branch), shortcut))
            before = after
    return nn.Sequential(*layers, make_end(before))


def make_inverted(
    before: int,
    inner: int,
    after: int,
    kernel: int,
    stride: int,
    activation: Activation,
    gate: nn.Module | None = None,
) -> nn.Module:
    """Return an inverted residual: wide, along space for each channel, narrow."""
    layers: list[nn.Module] = []
    if inner != before:
        layers.append(make_conv(before, inner, 1, activation=activation))
    layers.append(make_conv(inner, inner, kernel, stride, inner, activation))
    layers += [gate] if gate is not None else []
    layers.append(make_conv(inner, after, 1, activation=None))
    branch = nn.Sequential(*layers)
    return Residual(branch, activation=None) if stride == 1 and before == after else branch


def make_mobilenet_v2() -> nn.Module:
    """Inverted residuals with ReLU6 (Sandler et al. 2018)."""
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2))
    stages += ((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))  # type: ignore[assignment]
    layers: list[nn.Module] = [make_conv(3, 32, 3, 2, activation=nn.ReLU6)]
    before = 32
    for wide, after, count, stride in stages:
        for block in range(count):
            step = 1 if block else stride
            layers.append(make_inverted(before, wide * before, after, 3, step, nn.ReLU6))
            before = after
    layers.append(make_conv(before, 1280, 1, activation=nn.ReLU6))
    return nn.Sequential(*layers, make_end(1280, nn.Dropout()))


V3_LARGE = (
    "3 16 16 - R 1|3 64 24 - R 2|3 72 24 - R 1|5 72 40 S R 2|5 120 40 S R 1|5 120 40 S R 1|"
    "3 240 80 - H 2|3 200 80 - H 1|3 184 80 - H 1|3 184 80 - H 1|3 480 112 S H 1|3 672 112 S H 1|"
    "5 672 160 S H 2|5 960 160 S H 1|5 960 160 S H 1"
)
V3_SMALL = (
    "3 16 16 S R 2|3 72 24 - R 2|3 88 24 - R 1|5 96 40 S H 2|5 240 40 S H 1|5 240 40 S H 1|"
    "5 120 48 S H 1|5 144 48 S H 1|5 288 96 S H 2|5 576 96 S H 1|5 576 96 S H 1"
)
"""The papers' tables: kernel, width, channels, gate (S) or none, ReLU or hard swish, stride."""


def make_mobilenet_v3(table: str, wide: int, dense: int) -> nn.Module:
    """Inverted residuals, some with a gate, half of them with hard swish (Howard et al. 2019)."""
    layers: list[nn.Module] = [make_conv(3, 16, 3, 2, activation=nn.Hardswish)]
    before = 16
    for row in table.split("|"):
        kernel, inner, after, gated, kind, stride = row.split()
        activation = nn.ReLU if kind == "R" else nn.Hardswish
        gate = Gate(int(inner), _round_to_8(int(inner) / 4), nn.ReLU, nn.Hardsigmoid)
        sizes = before, int(inner), int(after), int(kernel), int(stride)
        layers.append(make_inverted(*sizes, activation, gate if gated == "S" else None))
        before = int(after)
    layers.append(make_conv(before, wide, 1, activation=nn.Hardswish))
    return nn.Sequential(*layers, make_end(dense, nn.Linear(wide, dense), nn.Hardswish()))


def _round_to_8(width: float) -> int:
    """Return the nearest multiple of 8, at most a tenth below `width`."""
    near = max(8, int(width + 4) // 8 * 8)
    return near if near >= 0.9 * width else near + 8


def make_mnasnet() -> nn.Module:
    """Inverted residuals found by search, without gates: B1 (Tan et al. 2019)."""
    stages = ((3, 3, 24, 3, 2), (5, 3, 40, 3, 2), (5, 6, 80, 3, 2))
    stages += ((3, 6, 96, 2, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1))  # type: ignore[assignment]
    layers: list[nn.Module] = [make_conv(3, 32, 3, 2)]
    layers += [make_conv(32, 32, 3, groups=32), make_conv(32, 16, 1, activation=None)]
    before = 16
    for kernel, wide, after, count, stride in stages:
        for block in range(count):
            sizes = before, wide * before, after, kernel, 1 if block else stride
            layers.append(make_inverted(*sizes, nn.ReLU))
            before = after
    return nn.Sequential(*layers, make_conv(before, 1280, 1), make_end(1280))


class DenseLayer(nn.Sequential):
    """Norms and rectifiers before convolutions; its channels stand beside those of its input."""

    def __init__(self, before: int, growth: int) -> None:
        norm, inner = nn.BatchNorm2d(before), 4 * growth
        narrow = make_conv(before, inner, 1)
        super().__init__(norm, nn.ReLU(), narrow, nn.Conv2d(inner, growth, 3, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of the input and the new ones."""
        return torch.cat([x, super().forward(x)], 1)


def make_densenet(blocks: Sequence[int] = (6, 12, 24, 16), growth: int = 32) -> nn.Module:
    """Layers that read all layers before them in their block (Huang et al. 2017)."""
    channels = 2 * growth
    layers: list[nn.Module] = [make_conv(3, channels, 7, 2), nn.MaxPool2d(3, 2, 1)]
    for number, count in enumerate(blocks):
        for _ in range(count):
            layers.append(DenseLayer(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if number < len(blocks) - 1:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, make_end(channels))


INCEPTION = """
192 64 96 128 16 32 32|256 128 128 192 32 96 64|P|480 192 96 208 16 48 64|512 160 112 224 24 64 64
|512 128 128 256 24 64 64|512 112 144 288 32 64 64|528 256 160 320 32 128 128|P
|832 256 160 320 32 128 128|832 384 192 384 48 128 128
"""
"""The paper's table: channels before, and of the four branches; P is a maximum pool."""


def make_googlenet() -> nn.Module:
    """Four branches side by side, batch norms behind convolutions (Szegedy et al. 2015)."""
    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    layers: list[nn.Module] = [make_conv(3, 64, 7, 2), pool(), make_conv(64, 64, 1)]
    layers += [make_conv(64, 192), pool()]
    for row in INCEPTION.replace("\n", "").split("|"):
        if row == "P":
            layers.append(pool())
            continue
        before, one, narrow, three, thin, five, pooled = map(int, row.split())
        layers.append(
            Beside(
                make_conv(before, one, 1),
                nn.Sequential(make_conv(before, narrow, 1), make_conv(narrow, three)),
                nn.Sequential(make_conv(before, thin, 1), make_conv(thin, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), make_conv(before, pooled, 1)),
            )
        )
    return nn.Sequential(*layers, make_end(1024, nn.Dropout()))


def make_squeezenet() -> nn.Module:
    """Fire modules, pools with ceil_mode, the classes by a convolution: 1.1 (Iandola et al.)."""

    def fire(before: int, inner: int, after: int) -> nn.Module:
        one = nn.Sequential(nn.Conv2d(inner, after, 1), nn.ReLU())
        three = nn.Sequential(nn.Conv2d(inner, after, 3, padding=1), nn.ReLU())
        return nn.Sequential(nn.Conv2d(before, inner, 1), nn.ReLU(), Beside(one, three))

    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()]
    layers += [fire(64, 16, 64), fire(128, 16, 64), pool()]
    layers += [fire(128, 32, 128), fire(256, 32, 128), pool()]
    layers += [fire(256, 48, 192), fire(384, 48, 192), fire(384, 64, 256), fire(512, 64, 256)]
    layers += [nn.Dropout(), nn.Conv2d(512, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten())


class Shuffle(nn.Module):
    """Half of the channels pass, the other half through a branch; then both are interleaved."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.split, half = stride == 1, after // 2
        inner = half if self.split else before
        depth = make_conv(half, half, 3, stride, half, None)
        self.branch = nn.Sequential(make_conv(inner, half, 1), depth, make_conv(half, half, 1))
        shortcut = make_conv(before, before, 3, stride, before, None)
        passing = nn.Sequential(shortcut, make_conv(before, half, 1))
        self.passing = nn.Identity() if self.split else passing

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of both, by turns."""
        first, second = x.chunk(2, 1) if self.split else (x, x)
        both = torch.stack([self.passing(first), self.branch(second)], 2)
        return both.flatten(1, 2)


def make_shufflenet() -> nn.Module:
    """Units that shuffle channels, width 1.0 (Ma et al. 2018)."""
    layers: list[nn.Module] = [make_conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    before = 24
    for after, count in ((116, 4), (232, 8), (464, 4)):
        for block in range(count):
            layers.append(Shuffle(before, after, 1 if block else 2))
            before = after
    return nn.Sequential(*layers, make_conv(before, 1024, 1), make_end(1024))


def make_regnet(depths: Sequence[int], widths: Sequence[int], group: int, gated: bool) -> nn.Module:
    """Bottlenecks with grouped convolutions; Y has gates (Radosavovic et al. 2020)."""
    layers: list[nn.Module] = [make_conv(3, 32, 3, 2)]
    before = 32
    for count, width in zip(depths, widths, strict=True):
        for block in range(count):
            stride = 1 if block else 2
            branch = [make_conv(before, width, 1)]
            branch.append(make_conv(width, width, 3, stride, width // group))
            if gated:
                branch.append(Gate(width, round(before / 4), nn.ReLU, nn.Sigmoid))  # type: ignore[arg-type]
            branch.append(make_conv(width, width, 1, activation=None))
            shortcut = None if block else make_conv(before, width, 1, stride, activation=None)
            layers.append(Residual(nn.Sequential(*branch), shortcut))
            before = width
    return nn.Sequential(*layers, make_end(before))


def make_efficientnet() -> nn.Module:
    """Inverted residuals with gates and SiLU: B0 (Tan and Le 2019)."""
    stages = ((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2))
    stages += ((5, 6, 112, 3, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1))  # type: ignore[assignment]
    layers: list[nn.Module] = [make_conv(3, 32, 3, 2, activation=nn.SiLU)]
    before = 32
    for kernel, wide, after, count, stride in stages:
        for block in range(count):
            gate = Gate(wide * before, before // 4, nn.SiLU, nn.Sigmoid)
            sizes = before, wide * before, after, kernel, 1 if block else stride
            layers.append(make_inverted(*sizes, nn.SiLU, gate))
            before = after
    layers.append(make_conv(before, 1280, 1, activation=nn.SiLU))
    return nn.Sequential(*layers, make_end(1280, nn.Dropout()))


class UNet(nn.Module):
    """Levels down and up again, each beside its shortcut (Ronneberger et al. 2015), padded."""

    def __init__(self, channels: Sequence[int] = (32, 64, 128, 256), classes: int = 4) -> None:
        super().__init__()
        pairs = list(zip((3, *channels), channels, strict=False))
        self.down = nn.ModuleList([self._make_level(a, b) for a, b in pairs])
        back = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.wide = nn.ModuleList([nn.ConvTranspose2d(a, b, 2, 2) for a, b in back])
        self.up = nn.ModuleList([self._make_level(2 * b, b) for _, b in back])
        self.end = nn.Conv2d(channels[0], classes, 1)

    @staticmethod
    def _make_level(before: int, after: int) -> nn.Module:
        return nn.Sequential(make_conv(before, after), make_conv(after, after))

    def forward(self, x: Tensor) -> Tensor:
        """Return the classes of each place."""
        kept: list[Tensor] = []
        for level in self.down:
            x = level(functional.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        for wide, level, shortcut in zip(self.wide, self.up, kept[-2::-1], strict=True):
            x = level(torch.cat([shortcut, wide(x)], 1))
        out: Tensor = self.end(x)
        return out
