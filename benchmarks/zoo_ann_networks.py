"""The networks of `zoo_ann.py`: how each is made, and what it is shown.

Those of tutorials and papers are written anew from the description of their layers. Weights are
drawn; `warm_up` then scales them on data, as training would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import zoo_ann_images as images
from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, ...]
GAIN, OFFSET = (0.5, 1.5), 0.3
"""Range of the drawn factors of batch norms, and spread of their biases."""


@dataclass(frozen=True)
class Entry:
    """A network, and the shape of its input."""

    make: Callable[[], nn.Module]
    shape: Shape = (3, 64, 64)
    end: Callable[[Tensor], Tensor] = torch.clone
    """What ends the module and keeps the answers' order, so that a conversion leaves it out."""

    def draw(self, samples: int, seed: int) -> Tensor:
        """Return random inputs, (samples, *shape): a coarse pattern, a finer one, and noise.

        They are whole numbers from -127 to 127, as of pixels less 128, shown to the chip as is.
        """
        draw = torch.Generator().manual_seed(seed)
        channels, *space = self.shape if len(self.shape) > 1 else (1, *self.shape)
        total = 0.4 * torch.randn(samples, channels, *space, generator=draw)
        for parts in (4, 16):
            sizes = [min(n, parts) for n in space]
            coarse = torch.randn(samples, channels, *sizes, generator=draw)
            total += functional.interpolate(coarse, space)
        return (24 * total).round().clamp(-127, 127).reshape(samples, *self.shape)


def warm_up(module: nn.Module, x: Tensor) -> nn.Module:
    """Set batch norms to data and scale the other layers, in the order in which they are called.

    Layers of weights get outputs of a root mean square of 1, the last one answers with a mean of 0
    and a variance of 1 each, so that no class always wins. Factors and biases of batch norms are
    drawn.

    Args:
        module: with drawn weights.
        x: inputs, shape (samples, *shape).
    """
    order: list[nn.Module] = []
    kinds = nn.Linear | nn.modules.conv._ConvNd | nn.modules.batchnorm._BatchNorm
    layers = [part for part in module.modules() if isinstance(part, kinds)]
    _run(module.eval(), x[:2], layers, lambda layer, given, out: order.append(layer))
    last = next(part for part in reversed(order) if not hasattr(part, "running_mean"))
    _run(module, x, layers, partial(_set_layer, last))
    return module


def _run(module: nn.Module, x: Tensor, layers: list[Any], hook: Callable[..., Any]) -> None:
    watched = [layer.register_forward_hook(hook) for layer in layers]
    with torch.no_grad():
        module(x)
    for watch in watched:
        watch.remove()


def _set_layer(last: nn.Module, layer: Any, given: Any, out: Any) -> Tensor:
    """Set one layer to what it is given, and return its new output."""
    norm = hasattr(layer, "running_mean")
    values = given[0] if norm else out
    axis = out.ndim - 1 if isinstance(layer, nn.Linear) else 1
    variance, mean = torch.var_mean(values, [i for i in range(out.ndim) if i != axis], correction=0)
    if norm:
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        layer.weight.uniform_(*GAIN)
        layer.bias.normal_(0.0, OFFSET)
    elif layer is not last:
        size = values.square().mean().sqrt()
        layer.weight /= size
        if layer.bias is not None:
            layer.bias /= size
    else:
        deviation = variance.sqrt()
        wide = (1, -1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1)
        layer.weight /= deviation.reshape(*wide, *(1 for _ in layer.weight.shape[2:]))
        if layer.bias is not None:
            layer.bias.copy_((layer.bias - mean) / deviation)
    again: Tensor = layer.forward(given[0])
    return again


def make_lenet() -> nn.Module:
    """LeNet-5 with maximum pools and rectifiers (LeCun et al. 1998)."""
    convs = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    convs += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*convs, *make_dense(400, 120, 84, 10))


def make_dense(*sizes: int, activation: images.Activation = nn.ReLU) -> list[nn.Module]:
    """Return dense layers with activations between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return layers[:-1]


def make_mlp(activation: images.Activation) -> nn.Module:
    """Three hidden layers of one activation, on 28 x 28 values."""
    return nn.Sequential(nn.Flatten(), *make_dense(784, 256, 128, 64, 10, activation=activation))


def make_glu_mlp() -> nn.Module:
    """Hidden layers of gated linear units (Dauphin et al. 2017): half of a layer times its gate."""
    first = [nn.Flatten(), nn.Linear(784, 256), nn.GLU(), nn.Linear(128, 128), nn.GLU()]
    return nn.Sequential(*first, nn.Linear(64, 10))


def make_norm_mlp(norm: Callable[[int], nn.Module]) -> nn.Module:
    """A hidden layer, a norm and a rectifier, twice."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(784, 128), norm(128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 64), norm(64), nn.ReLU(), nn.Linear(64, 10))


class CifarTutorial(nn.Module):
    """The network of "Training a classifier"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return ten classes."""
        x = self.pool(functional.relu(self.conv1(x)))
        x = torch.flatten(self.pool(functional.relu(self.conv2(x))), 1)
        out: Tensor = self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x)))))
        return out


class MnistExample(nn.Module):
    """The network of the MNIST example, with its dropout and log softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithms of shares."""
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        x = torch.flatten(self.dropout1(functional.max_pool2d(x, 2)), 1)
        return functional.log_softmax(self.fc2(self.dropout2(functional.relu(self.fc1(x)))), dim=1)


class NnTutorial(nn.Module):
    """The network of "What is torch.nn really?": three strided convolutions, rows as images."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((1, 16), (16, 16), (16, 10))
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in sizes])

    def forward(self, x: Tensor) -> Tensor:
        """Return ten classes, each a mean over the places of a channel."""
        x = x.view(-1, 1, 28, 28)
        for conv in self.convs:
            x = functional.relu(conv(x))
        return functional.avg_pool2d(x, 4).view(-1, x.size(1))


class SpatialTransformer(nn.Module):
    """The network of the spatial transformer tutorial: it moves the image by what it sees."""

    def __init__(self) -> None:
        super().__init__()
        first = [nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 10, 5)]
        self.locate = nn.Sequential(*first, nn.MaxPool2d(2), nn.ReLU(), nn.Flatten())
        self.move = nn.Sequential(*make_dense(90, 32, 6))
        self.rest = make_lenet()

    def forward(self, x: Tensor) -> Tensor:
        """Return ten classes of the moved image."""
        theta = self.move(self.locate(x)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        out: Tensor = self.rest(functional.grid_sample(x, grid, align_corners=False))
        return out


def make_super_resolution() -> nn.Module:
    """The network of the ONNX tutorial: sub-pixel convolution (Shi et al. 2016)."""
    layers: list[nn.Module] = [nn.Conv2d(1, 64, 5, 1, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1)]
    layers += [nn.ReLU(), nn.Conv2d(64, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 9, 3, 1, 1)]
    return nn.Sequential(*layers, nn.PixelShuffle(3))


def make_discriminator() -> nn.Module:
    """The discriminator of the DCGAN tutorial (Radford et al. 2016)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for before, after in ((64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False), nn.Sigmoid())


def make_autoencoder() -> nn.Module:
    """Strided convolutions down to 32 numbers, and transposed ones back."""
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)]
    layers += [nn.ReLU(), nn.Flatten(), nn.Linear(1568, 32), nn.ReLU(), nn.Linear(32, 1568)]
    layers += [nn.ReLU(), nn.Unflatten(1, (32, 7, 7)), nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(16, 1, 2, 2), nn.Sigmoid())


def make_m5() -> nn.Module:
    """M5 on raw audio (Dai et al. 2017), as in the speech command tutorial: 35 words."""
    layers: list[nn.Module] = []
    sizes = ((1, 32, 80, 16), (32, 32, 3, 1), (32, 64, 3, 1), (64, 64, 3, 1))
    for before, after, kernel, stride in sizes:
        layers += [nn.Conv1d(before, after, kernel, stride), nn.BatchNorm1d(after), nn.ReLU()]
        layers.append(nn.MaxPool1d(4))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 35))


def make_ds_cnn() -> nn.Module:
    """DS-CNN small on cepstral coefficients (Zhang et al. 2017): 12 words."""
    first = nn.Conv2d(1, 64, (10, 4), (2, 2), (5, 1), bias=False)
    layers: list[nn.Module] = [first, nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += [images.make_conv(64, 64, 3, groups=64), images.make_conv(64, 64, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


def make_conv1d(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution along time that keeps the length, and a batch norm."""
    conv = nn.Conv1d(before, after, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm1d(after)]


def make_tc_resnet() -> nn.Module:
    """TC-ResNet8: coefficients are channels, convolutions go along time (Choi et al. 2019)."""
    layers: list[nn.Module] = [nn.Conv1d(40, 16, 3, padding=1, bias=False)]
    for before, after in ((16, 24), (24, 32), (32, 48)):
        first = [*make_conv1d(before, after, 9, 2), nn.ReLU()]
        branch = nn.Sequential(*first, *make_conv1d(after, after, 9))
        shortcut = nn.Sequential(*make_conv1d(before, after, 1, 2), nn.ReLU())
        layers.append(images.Residual(branch, shortcut))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, 12))


def make_ecg_network() -> nn.Module:
    """Residual blocks on one heartbeat (Kachuee et al. 2018): five kinds."""
    layers: list[nn.Module] = [nn.Conv1d(1, 32, 5, padding=2)]
    for _ in range(5):
        first = [nn.Conv1d(32, 32, 5, padding=2), nn.ReLU()]
        branch = nn.Sequential(*first, nn.Conv1d(32, 32, 5, padding=2))
        layers += [images.Residual(branch), nn.MaxPool1d(5, 2)]
    return nn.Sequential(*layers, nn.Flatten(), *make_dense(64, 32, 32, 5))


class RowsLstm(nn.Module):
    """An LSTM over the rows of an image: recurrent."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.end = nn.LSTM(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return ten classes."""
        out: Tensor = self.end(self.lstm(x.squeeze(1))[0][:, -1])
        return out


RESNETS: dict[str, tuple[tuple[int, ...], bool]] = {
    "ResNet-18": ((2, 2, 2, 2), False),
    "ResNet-34": ((3, 4, 6, 3), False),
    "ResNet-50": ((3, 4, 6, 3), True),
}
X_400MF: Any = ((1, 2, 7, 12), (32, 64, 160, 400), 16, False)
Y_400MF: Any = ((1, 3, 6, 6), (48, 104, 208, 440), 8, True)
MLPS: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: kind
    for kind in (
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU),
        *(nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Hardshrink, nn.Sigmoid),
        *(nn.LogSigmoid, nn.Tanh, nn.Tanhshrink, nn.Softplus, nn.Softshrink, nn.Softsign),
    )
}
DIGIT = (1, 28, 28)

SMALL: dict[str, Entry] = {
    "LeNet": Entry(make_lenet, DIGIT),
    "tutorial: training a classifier": Entry(CifarTutorial, (3, 32, 32)),
    "tutorial: quickstart": Entry(
        lambda: nn.Sequential(nn.Flatten(), *make_dense(784, 512, 512, 10)), DIGIT
    ),
    "tutorial: nn": Entry(NnTutorial, (784,)),
    "tutorial: DCGAN discriminator": Entry(make_discriminator, end=torch.sigmoid),
    "tutorial: super resolution": Entry(make_super_resolution, (1, 32, 32)),
    "tutorial: spatial transformer": Entry(SpatialTransformer, DIGIT),
    "example: MNIST": Entry(MnistExample, DIGIT, partial(torch.log_softmax, dim=1)),
    "M5, audio": Entry(make_m5, (1, 8000)),
    "DS-CNN, audio": Entry(make_ds_cnn, (1, 49, 10)),
    "TC-ResNet8, audio": Entry(make_tc_resnet, (40, 101)),
    "ECG network": Entry(make_ecg_network, (1, 187)),
    "LSTM over rows": Entry(RowsLstm, DIGIT),
    "autoencoder, dense": Entry(
        lambda: nn.Sequential(nn.Flatten(), *make_dense(784, 128, 64, 12, 64, 128, 784)), DIGIT
    ),
    "autoencoder, convolutions": Entry(make_autoencoder, DIGIT, torch.sigmoid),
    "MLP, LayerNorm": Entry(partial(make_norm_mlp, nn.LayerNorm), DIGIT),
    "MLP, BatchNorm1d": Entry(partial(make_norm_mlp, nn.BatchNorm1d), DIGIT),
    "MLP, GLU": Entry(make_glu_mlp, DIGIT),
    **{f"MLP, {name}": Entry(partial(make_mlp, kind), DIGIT) for name, kind in MLPS.items()},
}
LARGE: dict[str, Entry] = {
    "U-Net": Entry(images.UNet),
    "SqueezeNet 1.1": Entry(images.make_squeezenet),
    "ShuffleNetV2 x1.0": Entry(images.make_shufflenet),
    "MobileNetV3 small": Entry(partial(images.make_mobilenet_v3, images.V3_SMALL, 576, 1024)),
    "MobileNetV2": Entry(images.make_mobilenet_v2),
    "MNASNet 1.0": Entry(images.make_mnasnet),
    "MobileNetV3 large": Entry(partial(images.make_mobilenet_v3, images.V3_LARGE, 960, 1280)),
    "RegNetX-400MF": Entry(partial(images.make_regnet, *X_400MF)),
    "RegNetY-400MF": Entry(partial(images.make_regnet, *Y_400MF)),
    "EfficientNet-B0": Entry(images.make_efficientnet),
    "GoogLeNet": Entry(images.make_googlenet),
    **{name: Entry(partial(images.make_resnet, *way)) for name, way in RESNETS.items()},
    "DenseNet-121": Entry(images.make_densenet),
    "AlexNet": Entry(images.make_alexnet),
    **{
        f"VGG-{depth}{', batch norm' if norm else ''}": Entry(partial(images.make_vgg, depth, norm))
        for depth in (11, 16)
        for norm in (False, True)
    },
    "MobileNetV2 at 224": Entry(images.make_mobilenet_v2, (3, 224, 224)),
    "ResNet-18 at 224": Entry(partial(images.make_resnet, *RESNETS["ResNet-18"]), (3, 224, 224)),
}
ZOO: dict[str, Entry] = SMALL | LARGE
"""Networks by name, the smaller ones first."""
