"""Graded messages of `conversion.py`: the same by a plain numpy loop, and streams of frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from snncompile.conversion.convert import convert
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.sigma_delta import SigmaDeltaMessages
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.neurons.graded import IntegerGraded
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

BATCH = 50
"""Images computed at a time."""
FRAMES = 64
BITS = (4, 5, 6, 8)
STREAM: tuple[GradedMessages, ...] = (
    GradedMessages(bits=6),
    SigmaDeltaMessages(bits=6),
    SigmaDeltaMessages(bits=6, least=2),
    GradedMessages(bits=8),
    SigmaDeltaMessages(bits=8),
    SigmaDeltaMessages(bits=8, least=2),
    SigmaDeltaMessages(bits=8, least=4),
    SigmaDeltaMessages(bits=8, least=8),
    SigmaDeltaMessages(bits=8, least=8, least_input=4),
)


def compute(network: IntegerNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each graded population sends for images, by its formula in plain numpy.

    Args:
        network: its populations but the last are graded, and have one step.
        x: messages of the input, shape (samples, size).
    """
    values = {network.input.name: x.astype(np.float64)}
    for population in network.populations:
        neuron = population.neuron
        if not isinstance(neuron, IntegerGraded):
            continue
        total = np.zeros((len(x), population.size), np.int64)
        for p in network.into(population.name):
            assert isinstance(p.synapses, IntegerSynapses)
            sums, e = add(p.synapses, values[p.source]), p.synapses.exponent
            total += sums << e if e >= 0 else sums >> -e
        half = (1 << neuron.shift) >> 1
        v = ((total + neuron.bias) * neuron.factor + half) >> neuron.shift
        v = np.clip(v, neuron.lowest, neuron.highest)
        sent = neuron.table[v - neuron.lowest] if neuron.table.size else v
        values[population.name] = sent.astype(np.float64)
    return values


def add(synapses: IntegerSynapses, x: np.ndarray) -> np.ndarray:
    """Return weights times values, shape (samples, targets); whole floats are exact below 2^53."""
    wiring, weight = synapses.wiring, synapses.weight.astype(np.float64)
    if not isinstance(wiring, Convolution) or len(wiring.kernel) != 2:
        return np.rint(wiring.matrix(weight) @ x.T).astype(np.int64).T
    (pad_y, pad_x), (step_y, step_x) = wiring.padding, wiring.stride
    image = x.reshape(len(x), *wiring.source_shape)
    image = np.pad(image, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    channels, rows, columns = wiring.target_shape
    total = np.zeros((len(x), channels, rows, columns))
    inner = wiring.source_shape[0] // wiring.groups
    outer = channels // wiring.groups
    for a in range(wiring.kernel[0]):
        for b in range(wiring.kernel[1]):
            top, left = a * wiring.dilation[0], b * wiring.dilation[1]
            seen = image[:, :, top : top + step_y * rows : step_y]
            seen = seen[:, :, :rows, left : left + step_x * columns : step_x][..., :columns]
            for g in range(wiring.groups):
                into, out = slice(g * outer, (g + 1) * outer), slice(g * inner, (g + 1) * inner)
                part = np.tensordot(weight[into, :, a, b], seen[:, out], axes=(1, 1))
                total[:, into] += part.swapaxes(0, 1)
    return np.rint(total).astype(np.int64).reshape(len(x), -1)


def count_differences(network: IntegerNetwork, x: np.ndarray) -> tuple[int, int]:
    """Return how many outputs differ from those of the formula, and how many there are."""
    differ = outputs = 0
    for first in range(0, len(x), BATCH):
        shown = network.input.present(x[first : first + BATCH])
        wanted = compute(network, shown.reshape(len(shown), -1))
        (trains,) = run_batches(network, check_spikes(network, shown))
        for name, sent in wanted.items():
            if name != network.input.name:
                differ += int((trains[name][:, 0].numpy() != sent).sum())
                outputs += sent.size
    return differ, outputs


def make_integers(model: nn.Module, calibration: np.ndarray, method: GradedMessages) -> Any:
    """Return the network of frames on Loihi 2's integers."""
    network = convert(model, calibration, method, coding="analog").network
    shown = network.input.present(calibration[:8, None])
    return Quantize()(Retime()(Design(network, chips.load_chip("loihi2"), shown))).network


def pan(images: np.ndarray, frames: int) -> np.ndarray:
    """Return a pan by a pixel a frame, (images, frames, *shape), over the image and its mirror."""
    wide = np.concatenate([images, images[..., ::-1]], axis=-1)
    width = images.shape[-1]
    return np.stack([np.roll(wide, -f, axis=-1)[..., :width] for f in range(frames)], axis=1)


def stream(model: nn.Module, calibration: np.ndarray, images: np.ndarray) -> None:
    """Print messages per frame and agreement with the model on the same frames."""
    x = pan(images, FRAMES)
    answers = answer(model, x)
    print(f"{len(images)} images panned by a pixel a frame, {FRAMES} frames")
    print(f"{'method':40} {'agrees':>7} {'messages a frame':>16} {'of the input':>12} {'run':>7}")
    for method in STREAM:
        start = time.process_time()
        network = make_integers(model, calibration, method)
        agrees, messages, encoded = follow(network, x, answers)
        seconds = time.process_time() - start
        least = f", least {method.least}" if isinstance(method, SigmaDeltaMessages) else ""
        more = f", input {method.least_input}" if getattr(method, "least_input", 1) > 1 else ""
        name = f"{method.name}, {method.bits} bits{least}{more}"
        print(
            f"{name:40} {agrees:7.2%} {messages:16,.0f} {encoded:12,.0f} {seconds:5.0f} s",
            flush=True,
        )


def answer(model: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray) -> np.ndarray:
    """Return the model's answer to each frame, (images, frames)."""
    with torch.no_grad():
        rows = [model(torch.tensor(frames).float()).argmax(1).numpy() for frames in x]
    return np.stack(rows)


def follow(
    network: IntegerNetwork, x: np.ndarray, answers: np.ndarray
) -> tuple[float, float, float]:
    """Return the share of equal answers, messages per frame, and those of the frame's holder."""
    equal, messages, encoded = 0, 0, 0
    for frames, wanted in zip(x, answers, strict=True):
        shown = check_spikes(network, network.input.present(frames[None]))
        for trains in run_batches(network, shown):
            output = trains[network.output][0].numpy()
            equal += int((output.argmax(axis=-1) == wanted).sum())
            for p in network.populations:
                if p.neuron.spikes:
                    messages += int(torch.count_nonzero(trains[p.name]))
                if p.name == "changes":
                    encoded += int(torch.count_nonzero(trains[p.name]))
    return equal / answers.size, messages / answers.size, encoded / answers.size
