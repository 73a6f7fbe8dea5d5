"""Training steps beside SpikingJelly's and snnTorch's: time, memory, and equal gradients, one run.

    python benchmarks/training_speed.py [--rounds 7] [--cases layer loss convolutions dense] [--mkl]

One thread; processor time of a forward and backward pass, the least of some rounds that take turns.
`layer` is 32 x 4,096 hard-reset LIF neurons at T time steps, `convolutions` 3-32-64-64-128 channels
at 32 x 32 with batch 8 and T = 4, `dense` 784-512-512-10 with batch 32, T = 20. All have tau = 2,
the threshold 1, ATan with alpha 2 and a gradient through the reset. SpikingJelly runs its torch
backend, multi-step; snnTorch has a module called per step. Gradients are those of the input (layer)
and of the first weights, compared with SpikingJelly's in float64, relative to the largest. Memory:
the peak of three steps beyond what a process of its own holds between steps. With `--mkl` our
products of dense weights are those of torch, as theirs are, where they go to oneDNN otherwise. A
`layer` has no loss, but a gradient of its output that stays; `loss` is the same layer with the sum
of squares of its output, which takes as long for all.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import multiprocessing
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import snncompile
from snncompile import training
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.reference import dense_products
from snncompile.training import kept_memory
from snncompile.training.float_records import bind_record
from snncompile.training.fused import run_floats

sys.modules.setdefault("requests", types.ModuleType("requests"))  # SpikingJelly downloads with it
from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402

ATAN = surrogate.ATan(alpha=2.0)
STEPS = (4, 16, 64)
LAYERS = ("layer", "loss")
Step = Callable[[], Tensor]
"""A forward and a backward pass; returns the gradient that is compared."""


def lif() -> nn.Module:
    """Return SpikingJelly's layer."""
    return neuron.LIFNode(tau=2.0, surrogate_function=ATAN, step_mode="m", v_reset=0.0)


def build_stack(name: str, spiking: Callable[[], nn.Module], wrap: bool) -> list[nn.Module]:
    """Return the layers of a network in order; `wrap` gives SpikingJelly's multi-step ones."""
    stack: list[nn.Module] = []
    kinds = layer if wrap else nn
    more = {"step_mode": "m"} if wrap else {}
    if name == "convolutions":
        for before, width in ((3, 32), (32, 64), (64, 64), (64, 128)):
            stack += [kinds.Conv2d(before, width, 3, padding=1, bias=False, **more), spiking()]
        return [*stack, kinds.Flatten(**more), kinds.Linear(128 * 32 * 32, 10, bias=False, **more)]
    for before, width in ((784, 512), (512, 512), (512, 10)):
        stack += [kinds.Linear(before, width, bias=False, **more), spiking()]
    return stack


class PerStep(nn.Module):
    """snnTorch's modules, called once per step; input (steps, batch, ...)."""

    def __init__(self, stack: list[nn.Module]) -> None:
        super().__init__()
        self.stack = nn.ModuleList(stack)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of every time step."""
        memory: dict[int, Tensor] = {}
        outputs = []
        for step in x:
            for i, part in enumerate(self.stack):
                if hasattr(part, "init_leaky"):
                    before = memory[i] if i in memory else torch.zeros_like(step)
                    step, memory[i] = part(step, before)
                else:
                    step = part(step)
            outputs.append(step)
        return torch.stack(outputs)


def leaky() -> nn.Module:
    """Return snnTorch's layer; it adds its input undivided, which takes the same time."""
    import snntorch

    slope = snntorch.surrogate.atan(alpha=2.0)
    return snntorch.Leaky(beta=0.5, threshold=1.0, spike_grad=slope, reset_mechanism="zero")


def prepare_layer(who: str, steps: int, loss: bool) -> Step:
    """Return a step of one layer of neurons; with a given gradient, or with a loss."""
    torch.manual_seed(0)
    x = torch.randn(steps, 32, 4096).requires_grad_()
    gradient = torch.randn(steps, 32, 4096)

    def go_back(output: Tensor, of_output: Tensor) -> None:
        if loss:
            output.square().sum().backward()
        else:
            output.backward(of_output)

    if who == "ours":
        record = bind_record(CubaLif(1.0, 0.5, 1.0, reset="hard"), x.device, {}, x.dtype)
        unit = torch.ones(1)
        mine = (x.detach().transpose(0, 1) / 2).contiguous().requires_grad_()  # as weights are
        turned = gradient.transpose(0, 1).contiguous()

        def step() -> Tensor:
            mine.grad = None
            go_back(run_floats(record, unit, ATAN, mine), turned)
            return mine.grad.transpose(0, 1)

        return step
    module = lif() if who == "SpikingJelly" else PerStep([leaky()])

    def step() -> Tensor:
        x.grad = None
        functional.reset_net(module)
        go_back(module(x), gradient)
        return x.grad

    return step


def prepare_network(who: str, name: str) -> Step:
    """Return a step of a network."""
    torch.manual_seed(0)
    steps, batch, shape = (4, 8, (3, 32, 32)) if name == "convolutions" else (20, 32, (784,))
    net = nn.Sequential(*build_stack(name, lif, wrap=True))
    x = (torch.rand(steps, batch, *shape) < 0.4).to(torch.get_default_dtype())
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(8.0)
    if who == "ours":
        network = snncompile.from_torch(net, x[:, :2].numpy(), time="first")
        module = training.from_network(network, surrogate=ATAN)
        shown = x.transpose(0, 1).numpy()

        def step() -> Tensor:
            module.zero_grad()
            (module(shown) - 0.5).square().sum().backward()
            return module.projections[0].weight.grad.flatten()

        return step
    if who == "snnTorch":
        weights = [p.detach() for p in net.parameters()]
        net = PerStep(build_stack(name, leaky, wrap=False))  # type: ignore[assignment]
        with torch.no_grad():
            for mine, given in zip(net.parameters(), weights, strict=True):
                mine.copy_(given)
    first = next(net.parameters())

    def step() -> Tensor:
        net.zero_grad()
        functional.reset_net(net)
        (net(x) - 0.5).square().sum().backward()
        return first.grad.flatten()

    return step


def prepare(who: str, name: str) -> Step:
    """Return the step of a case, by its name."""
    kind, _, steps = name.partition(" ")
    if kind in LAYERS:
        return prepare_layer(who, int(steps), kind == "loss")
    return prepare_network(who, name)


def compare_gradients(name: str) -> float:
    """Return the largest difference of a gradient from SpikingJelly's, relative to the largest.

    In float64: in float32 a potential that rounds otherwise flips a spike now and then.
    """
    torch.set_default_dtype(torch.float64)
    try:
        ours, theirs = (prepare(who, name)() for who in WHO[:2])
    finally:
        torch.set_default_dtype(torch.float32)
    ours = ours / 2 if name.startswith(LAYERS) else ours  # its input is halved before
    return float((ours - theirs).abs().max() / theirs.abs().max())


WHO = ("ours", "SpikingJelly", "snnTorch")


def measure_memory(who: str, name: str, answer: multiprocessing.SimpleQueue) -> None:
    """Put MiB that three steps take beyond what the process had before."""
    torch.set_num_threads(1)
    import snntorch  # noqa: F401

    step = prepare(who, name)
    step()
    gc.collect()
    kept_memory.give_back()  # so that it counts
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free goes back to the system
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = read_status("VmRSS")
    for _ in range(3):
        step()
    answer.put((read_status("VmHWM") - before) / 1024)


def read_status(key: str) -> int:
    """Return a size of this process in KiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def read_memory(who: str, name: str) -> float:
    """Return MiB of one process."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=measure_memory, args=(who, name, answer))
    process.start()
    process.join()
    return float(answer.get())


def main() -> None:
    """Time all in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="*", default=[*LAYERS, "convolutions", "dense"])
    parser.add_argument("--mkl", action="store_true", help="no products by oneDNN")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.mkl:
        dense_products.has_faster_library = lambda: False
    names = [f"{kind} {t}" for kind in LAYERS if kind in options.cases for t in STEPS]
    names += [name for name in options.cases if name not in LAYERS]
    print("case              ms ours  SpikingJelly   snnTorch   gradient  MiB of each", flush=True)
    for name in names:
        steps = {who: prepare(who, name) for who in WHO}
        difference = compare_gradients(name)
        seconds: dict[str, list[float]] = {who: [] for who in WHO}
        for _ in range(options.rounds):
            for who, step in steps.items():
                begin = time.process_time()
                step()
                seconds[who].append(time.process_time() - begin)
        best = {who: min(found) for who, found in seconds.items()}
        ours = best["ours"]
        memory = ", ".join(f"{read_memory(who, name):.0f}" for who in WHO)
        print(
            f"{name:15} {1e3 * ours:9.1f} {best['SpikingJelly'] / ours:12.2f}x"
            f" {best['snnTorch'] / ours:9.2f}x {difference:10.1e}  {memory}",
            flush=True,
        )


if __name__ == "__main__":
    main()
