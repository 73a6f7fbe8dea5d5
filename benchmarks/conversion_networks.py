"""Networks and data of `conversion.py`: trained ResNets, and small ones trained in minutes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels over 255, per channel: what the trained ResNet-20 expects."""


class Padded(nn.Module):
    """A shortcut of He et al. 2016, option A: every other pixel, and new channels that are 0."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.more, self.stride = before, (channels - before) // 2, stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations where a block adds them."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.more, self.more))

    def convolution(self) -> nn.Conv2d:
        """Return a convolution that does the same."""
        made = nn.Conv2d(self.channels, self.channels + 2 * self.more, 1, self.stride, bias=False)
        with torch.no_grad():
            made.weight.zero_()
            made.weight[self.more : self.more + self.channels, :, 0, 0] = torch.eye(self.channels)
        return made


class Block(nn.Module):
    """Two convolutions and a shortcut; He et al. 2016, option A where the shape changes."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act1, self.act2 = nn.ReLU(), nn.ReLU()
        self.shortcut = nn.Identity() if stride == 1 else Padded(before, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's activations."""
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(y + self.shortcut(x))


class ResNet(nn.Module):
    """He et al. 2016 for CIFAR-10, as in `models/resnet20_cifar10.th`; takes pixels.

    Args:
        depth: layers with weights, 6 n + 2: 20, 32, 44.
    """

    def __init__(self, depth: int = 20) -> None:
        super().__init__()
        self.blocks = (depth - 2) // 6
        self.norm = pixels()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act = nn.ReLU()
        self.layer1 = self._layer(16, 16, 1)
        self.layer2 = self._layer(16, 32, 2)
        self.layer3 = self._layer(32, 64, 2)
        self.pool, self.flatten, self.linear = nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10)

    def _layer(self, before: int, channels: int, stride: int) -> nn.Sequential:
        others = (Block(channels, channels, 1) for _ in range(self.blocks - 1))
        return nn.Sequential(Block(before, channels, stride), *others)

    def forward(self, x: Tensor) -> Tensor:
        """Return the ten answers for pixels."""
        x = self.act(self.bn1(self.conv1(self.norm(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(self.flatten(self.pool(x)))


def pixels() -> nn.BatchNorm2d:
    """Return the normalization of pixels 0..255 as a batch norm that does not learn."""
    norm = nn.BatchNorm2d(3, eps=0.0, momentum=0.0, affine=False)
    norm.running_mean = torch.tensor(MEAN) * 255
    norm.running_var = (torch.tensor(STD) * 255) ** 2
    return norm.eval()


def resnet(data: Path, depth: int = 20) -> nn.Module:
    """Return a trained network of 20, 32 or 44 layers."""
    model = ResNet(depth)
    path = data / "models" / f"resnet{depth}_cifar10.th"
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    own = {name.replace("module.", ""): value for name, value in state.items()}
    missing, _ = model.load_state_dict(own, strict=False)
    assert all(name.startswith("norm.") for name in missing)
    return model.eval()


def cnn() -> nn.Module:
    """Return a small network for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def deep() -> nn.Module:
    """Return a narrow network of ten convolutions for MNIST, which needs many steps for a rate."""
    layers: list[nn.Module] = []
    before = 1
    for width, count in ((8, 4), (16, 3), (32, 3)):
        for i in range(count):
            stride = 2 if i == 0 else 1
            convolution = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def vgg(pool: type[nn.Module] = nn.AvgPool2d) -> nn.Module:
    """Return VGG-16's thirteen convolutions with a quarter of its channels, and pools."""
    layers: list[nn.Module] = [pixels()]
    before = 3
    for width, count in ((16, 2), (32, 2), (64, 3), (128, 3), (128, 3)):
        for _ in range(count):
            convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(pool(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10))


def lenet() -> nn.Module:
    """Return LeNet-5's layout with ReLUs and maximum pools, for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def mobilenet() -> nn.Module:
    """Return depthwise and pointwise convolutions in turn, as in MobileNet."""
    layers: list[nn.Module] = [pixels(), *_unit(3, 16, 3, 1)]
    before = 16
    for width, stride in ((32, 1), (48, 2), (48, 1), (96, 2), (96, 1)):
        layers += _unit(before, before, 3, stride, groups=before) + _unit(before, width, 1, 1)
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def _unit(before: int, width: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU6()]


def train(
    model: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    rate: float = 3e-3,
    *,
    mirrored: bool = False,
) -> None:
    """Train with Adam and a rate that rises and falls; leaves the model in eval mode.

    Args:
        model: changed in place.
        x: pixels, shape (samples, channels, rows, columns).
        y: labels.
        epochs: passes over x.
        rate: the highest rate of learning.
        mirrored: show a random half of each batch left to right.
    """
    torch.manual_seed(0)
    images, labels = torch.tensor(x), torch.tensor(y, dtype=torch.long)
    steps = epochs * -(-len(x) // 128)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    model.train()
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.train(norm.affine)  # that of the pixels keeps its statistics
    for _ in range(epochs):
        for part in _batches(len(x)):
            shown = images[part].float()
            if mirrored:
                other_way = torch.rand(len(part)) < 0.5
                shown[other_way] = shown[other_way].flip(3)
            loss = functional.cross_entropy(model(shown), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def _batches(samples: int) -> Iterator[Tensor]:
    yield from torch.randperm(samples).split(128)


def mnist(data: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (n, 1, 28, 28) and labels."""
    with np.load(data / f"mnist_{split}.npz") as file:
        return file["x"][:count, None], file["y"][:count].astype(np.int64)


def lossless(data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (n, 3, 32, 32) and labels of the CIFAR-10 images that were never JPEGs."""
    with np.load(data / f"cifar10_{split}_lossless_part.npz") as file:
        return file["images"].transpose(0, 3, 1, 2), file["labels"].astype(np.int64)


def jpeg(data: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (n, 3, 32, 32) and labels of the CIFAR-10 images kept as JPEGs."""
    from PIL import Image

    with np.load(data / f"cifar10_{split}_jpeg.npz") as file:
        blob, offset, label = file["jpeg"].tobytes(), file["offset"], file["label"]
    many = range(min(count, len(label)))
    images = [np.asarray(Image.open(io.BytesIO(blob[offset[i] : offset[i + 1]]))) for i in many]
    return np.stack(images).transpose(0, 3, 1, 2), label[:count].astype(np.int64)
