"""The networks of `zoo.py`: ready-made classes of the libraries, and the networks of tutorials.

Ready-made classes are built by the library's own functions. The tutorials' networks are written
anew from the description of their layers. All weights are random.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """A network, and what it is shown."""

    make: Callable[[int], nn.Module]
    """Returns the module for images of some side."""
    channels: int = 3
    """0: rows of numbers, side * side of them."""
    side: int = 224
    """Of an image at full size."""
    fixed: bool = False
    """Whether the layers hold this size, so that no other one is possible."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of `from_torch`."""

    def choose_side(self, size: int | None) -> int:
        """Return the side of the images, at most `size` where the network takes others."""
        return self.side if size is None or self.fixed else min(self.side, size)

    def draw(self, side: int, samples: int, steps: int) -> Tensor:
        """Return random spikes, shape (samples, steps, *shape); three of ten are 1."""
        shape = (self.channels, side, side) if self.channels else (side * side,)
        draw = torch.Generator().manual_seed(1)
        return (torch.rand(samples, steps, *shape, generator=draw) < 0.3).float()


def _stand_in_for_torchvision() -> None:
    """Let SpikingJelly's models find the function that downloads weights, which none needs here."""
    if "torchvision" not in sys.modules:
        names = ["torchvision", "torchvision.models", "torchvision.models.utils"]
        modules = [ModuleType(name) for name in names]
        modules[-1].load_state_dict_from_url = None  # type: ignore[attr-defined]
        sys.modules.update(zip(names, modules, strict=True))


def _spikingjelly(
    file: str, name: str, neuron: str = "IFNode", step_mode: str = "m", **options: Any
) -> Callable[..., nn.Module]:
    def make(side: int) -> nn.Module:
        _stand_in_for_torchvision()
        layers = import_module("spikingjelly.activation_based.neuron")
        surrogate = import_module("spikingjelly.activation_based.surrogate")
        functional = import_module("spikingjelly.activation_based.functional")
        models = import_module(f"spikingjelly.activation_based.model.{file}")
        given: dict[str, Any] = dict(options)
        if neuron:
            given |= {
                "spiking_neuron": getattr(layers, neuron),
                "surrogate_function": surrogate.ATan(),
                "detach_reset": True,
            }
        module: nn.Module = getattr(models, name)(**given)
        functional.set_step_mode(module, step_mode)
        return module

    return make


def _norse_conv(name: str) -> Callable[[int], nn.Module]:
    def make(side: int) -> nn.Module:
        models = import_module("norse.torch.models.conv")
        module: nn.Module = getattr(models, name)(feature_size=side)
        return module

    return make


def _norse_vgg(name: str) -> Callable[[int], nn.Module]:
    return lambda side: getattr(import_module("norse.torch.models.vgg"), name)()


def _norse_mobilenet(side: int) -> nn.Module:
    models = import_module("norse.torch.models.mobilenet")
    module: nn.Module = models.mobilenet_v2()
    return module


def _sinabs_from_model(
    *layers: Callable[[int], nn.Module], **options: Any
) -> Callable[[int], nn.Module]:
    def make(side: int) -> nn.Module:
        from_model = import_module("sinabs.from_torch").from_model
        analog = nn.Sequential(*(layer(side) for layer in layers))
        network = from_model(analog, synops=False, num_timesteps=4, **options)
        module: nn.Module = network.spiking_model
        return module

    return make


SINABS_CNN = (
    lambda side: nn.Conv2d(2, 8, 3, padding=1, bias=False),
    lambda side: nn.ReLU(),
    lambda side: nn.AvgPool2d(2),
    lambda side: nn.Conv2d(8, 16, 3, padding=1, bias=False),
    lambda side: nn.ReLU(),
    lambda side: nn.AvgPool2d(2),
    lambda side: nn.Flatten(),
    lambda side: nn.Linear(16 * (side // 4) ** 2, 10, bias=False),
    lambda side: nn.ReLU(),
)


class SnnTorchDense(nn.Module):
    """Tutorial 5: 784-1000-10, leaky neurons, spikes and potentials recorded step by step."""

    def __init__(self, side: int) -> None:
        super().__init__()
        snn = import_module("snntorch")
        self.fc1, self.lif1 = nn.Linear(side * side, 1000), snn.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(1000, 10), snn.Leaky(beta=0.95)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run over (steps, samples, size)."""
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            potentials.append(mem2)
        return torch.stack(spikes), torch.stack(potentials)


def _snntorch_csnn(side: int) -> nn.Module:
    """Return tutorial 6: 12C5-MP2-64C5-MP2-10, the pools before the neurons."""
    snn = import_module("snntorch")
    last = ((side - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(1, 12, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Conv2d(12, 64, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(64 * last * last, 10),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )


def _snntorch_events(side: int) -> nn.Module:
    """Return tutorial 7: events of a sensor, 12C5-MP2-32C5-MP2-10."""
    snn = import_module("snntorch")
    last = ((side - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(2, 12, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Conv2d(12, 32, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(32 * last * last, 10),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )


def _snntorch_synaptic(side: int) -> nn.Module:
    """Return the second-order neurons of tutorial 4, behind a dense layer each."""
    snn = import_module("snntorch")
    return nn.Sequential(
        nn.Linear(side * side, 100),
        snn.Synaptic(alpha=0.9, beta=0.8, init_hidden=True),
        nn.Linear(100, 10),
        snn.Synaptic(alpha=0.9, beta=0.8, init_hidden=True, output=True),
    )


class NorseDense(nn.Module):
    """The MNIST tutorial: 100 recurrent neurons and a leaky readout, maximum over time."""

    def __init__(self, side: int) -> None:
        super().__init__()
        norse = import_module("norse.torch")
        self.l1 = norse.LIFRecurrentCell(side * side, 100)
        self.fc_out, self.out = nn.Linear(100, 10, bias=False), norse.LICell()

    def forward(self, x: Tensor) -> Tensor:
        """Run over (steps, samples, size)."""
        s1 = so = None
        voltages = []
        for step in range(len(x)):
            z, s1 = self.l1(x[step], s1)
            v, so = self.out(self.fc_out(z), so)
            voltages.append(v)
        return torch.stack(voltages).max(0).values


def _norse_sequential(side: int) -> nn.Module:
    """Return the sequential convolutional network of the documentation."""
    norse = import_module("norse.torch")
    last = ((side - 4) // 2 - 4) // 2
    return norse.SequentialState(
        nn.Conv2d(1, 20, 5),
        norse.LIFCell(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        norse.LIFCell(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(50 * last * last, 500),
        norse.LIFCell(),
        norse.LILinearCell(500, 10),
    )


def _spikingjelly_dense(side: int) -> nn.Module:
    """Return the single-layer network of the tutorials: 784-10."""
    layer = import_module("spikingjelly.activation_based.layer")
    neuron = import_module("spikingjelly.activation_based.neuron")
    return nn.Sequential(
        layer.Flatten(), layer.Linear(side * side, 10, bias=False), neuron.LIFNode(tau=2.0)
    )


def _spikingjelly_csnn(side: int) -> nn.Module:
    """Return the network for FashionMNIST of the tutorials: 128C3-BN-IF-MP2 twice, two dense."""
    layer = import_module("spikingjelly.activation_based.layer")
    neuron = import_module("spikingjelly.activation_based.neuron")
    functional = import_module("spikingjelly.activation_based.functional")
    last = side // 4
    module = nn.Sequential(
        layer.Conv2d(1, 128, 3, padding=1, bias=False),
        layer.BatchNorm2d(128),
        neuron.IFNode(),
        layer.MaxPool2d(2, 2),
        layer.Conv2d(128, 128, 3, padding=1, bias=False),
        layer.BatchNorm2d(128),
        neuron.IFNode(),
        layer.MaxPool2d(2, 2),
        layer.Flatten(),
        layer.Linear(128 * last * last, 128 * 4 * 4, bias=False),
        neuron.IFNode(),
        layer.Linear(128 * 4 * 4, 10, bias=False),
        neuron.IFNode(),
    )
    functional.set_step_mode(module, "m")
    return module


def _sinabs_sequential(side: int) -> nn.Module:
    """Return the network for N-MNIST of the documentation, integrate-and-fire by step."""
    layers = import_module("sinabs.layers")
    squeeze = {"batch_size": 1, "min_v_mem": -1.0}
    last = side // 8
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        layers.IAFSqueeze(**squeeze),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        layers.IAFSqueeze(**squeeze),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1, stride=2, bias=False),
        layers.IAFSqueeze(**squeeze),
        nn.Flatten(),
        nn.Linear(16 * last * last, 10, bias=False),
        layers.IAFSqueeze(**squeeze),
    )


RESNETS = ["18", "34", "50", "101", "152"]
WIDE = ["resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"]
VGGS = ["11", "13", "16", "19"]
PLIF = "ParametricLIFNode"
IMAGENET, SEW = "spiking_resnet", "sew_resnet"

SPIKINGJELLY = {
    **{f"spiking_resnet{d}": Entry(_spikingjelly(IMAGENET, f"spiking_resnet{d}")) for d in RESNETS},
    **{f"spiking_{n}": Entry(_spikingjelly(IMAGENET, f"spiking_{n}")) for n in WIDE},
    **{
        f"sew_resnet{d} {cnf}": Entry(_spikingjelly(SEW, f"sew_resnet{d}", cnf=cnf))
        for d in RESNETS
        for cnf in ("ADD", "AND", "IAND")
        if cnf == "ADD" or d in ("18", "34")
    },
    **{f"sew_{n} ADD": Entry(_spikingjelly(SEW, f"sew_{n}", cnf="ADD")) for n in WIDE},
    "ms_resnet18": Entry(_spikingjelly("ms_resnet", "ms_resnet18", neuron="")),
    "ms_resnet34": Entry(_spikingjelly("ms_resnet", "ms_resnet34", neuron="")),
    "max_resnet18": Entry(_spikingjelly("ms_resnet", "max_resnet18", neuron=""), side=32),
    "att_ms_resnet18": Entry(_spikingjelly("masnn", "att_ms_resnet18", neuron="")),
    **{
        f"spiking_vgg{d}{bn}": Entry(_spikingjelly("spiking_vgg", f"spiking_vgg{d}{bn}"))
        for d in VGGS
        for bn in ("", "_bn")
    },
    **{
        f"ottt_spiking_vgg{d}{ws}": Entry(
            _spikingjelly("spiking_vggws_ottt", f"ottt_spiking_vgg{d}{ws}", "", "s"), side=32
        )
        for d in ("11",)
        for ws in ("", "_ws")
    },
    "MNISTNet": Entry(_spikingjelly("parametric_lif_net", "MNISTNet", PLIF), 1, 28, True),
    "FashionMNISTNet": Entry(
        _spikingjelly("parametric_lif_net", "FashionMNISTNet", PLIF), 1, 28, True
    ),
    "NMNISTNet": Entry(_spikingjelly("parametric_lif_net", "NMNISTNet", PLIF), 2, 34, True),
    "CIFAR10Net": Entry(_spikingjelly("parametric_lif_net", "CIFAR10Net", PLIF), 3, 32, True),
    "CIFAR10DVSNet": Entry(
        _spikingjelly("parametric_lif_net", "CIFAR10DVSNet", PLIF), 2, 128, True
    ),
    "DVSGestureNet": Entry(
        _spikingjelly("parametric_lif_net", "DVSGestureNet", PLIF), 2, 128, True
    ),
    "MASNN": Entry(_spikingjelly("masnn", "masnn_dvs128_gesture", neuron=""), 2, 32, True),
    "Spikformer": Entry(_spikingjelly("spikformer", "spikformer_ti", neuron="")),
    "SpikeDrivenTransformer": Entry(
        _spikingjelly("spike_driven_transformer", "sdt_8_384", neuron="")
    ),
    "QKFormer": Entry(_spikingjelly("qkformer", "qkformer_10_384", neuron="")),
    "MaxFormer": Entry(_spikingjelly("maxformer", "maxformer_10_384", neuron="")),
}

NORSE = {
    "ConvNet": Entry(_norse_conv("ConvNet"), 1, 28),
    "ConvNet4": Entry(_norse_conv("ConvNet4"), 1, 28),
    **{f"vgg{d}{bn}": Entry(_norse_vgg(f"vgg{d}{bn}")) for d in VGGS for bn in ("", "_bn")},
    "mobilenet_v2": Entry(_norse_mobilenet),
}

SINABS = {
    "from_model": Entry(_sinabs_from_model(*SINABS_CNN, batch_size=1), 2, 34),
    "from_model, spike_threshold 0.5": Entry(
        _sinabs_from_model(*SINABS_CNN, batch_size=1, spike_threshold=torch.tensor(0.5)), 2, 34
    ),
}

TUTORIALS = {
    "snnTorch 4, Synaptic": Entry(_snntorch_synaptic, 0, 28),
    "snnTorch 5, 784-1000-10": Entry(SnnTorchDense, 0, 28),
    "snnTorch 6, 12C5-MP2-64C5-MP2-10": Entry(_snntorch_csnn, 1, 28),
    "snnTorch 7, events": Entry(_snntorch_events, 2, 34),
    "norse, recurrent MNIST": Entry(NorseDense, 0, 28),
    "norse, SequentialState": Entry(_norse_sequential, 1, 28),
    "SpikingJelly, 784-10": Entry(_spikingjelly_dense, 1, 28),
    "SpikingJelly, FashionMNIST": Entry(_spikingjelly_csnn, 1, 28),
    "sinabs, N-MNIST": Entry(_sinabs_sequential, 2, 32),
}

ZOO: dict[str, dict[str, Entry]] = {
    "SpikingJelly": SPIKINGJELLY,
    "norse": NORSE,
    "sinabs": SINABS,
    "tutorials": TUTORIALS,
}
"""Entries by name, of each library."""


LOUDER = 4.0
"""Factor of the weights of layers that no batch normalization follows."""


def wake(module: nn.Module, x: Tensor) -> None:
    """Set batch normalizations to the sample, so that untrained networks are not silent.

    Dense layers, and convolutions of networks without normalizations, get larger weights.

    Args:
        module: what an entry made.
        x: sample, shape (samples, steps, *shape).
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    plain = (nn.Linear,) if norms else (nn.Linear, nn.Conv2d)
    for layer in (m for m in module.modules() if isinstance(m, plain)):
        layer.weight.data.mul_(LOUDER)  # type: ignore[operator]
    for norm in norms:
        norm.momentum = None
        if norm.affine:
            norm.bias.data.fill_(0.3)
    if norms:
        module.train()
        with torch.no_grad():
            module(torch.cat([x, 1 - x]).transpose(0, 1))
        functional = import_module("spikingjelly.activation_based.functional")
        functional.reset_net(module)
    module.eval()
