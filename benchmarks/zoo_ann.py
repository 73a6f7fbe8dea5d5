"""Convert the networks that people train, on Loihi 2's integers; print what comes of each.

    python benchmarks/zoo_ann.py [--only ResNet MLP] [--methods graded signed] [--bits 8]

A row is a network and a method, in a process of its own: seconds (of a processor) and the peak of
memory are those of the row. "Captured": largest difference of the network read out of the module
and the module, in float64, relative to the largest answer. "Correlation": of the integers' answers
with the module's (before a sigmoid or softmax at its end), each less its mean over the test inputs.
"torch's 8 bits": the same of torch's own static quantization (`quantize_fx`, its defaults for x86,
calibrated on the same inputs); empty where it does not take the module. "Weights alone": that of
the module, all in floats, with its weights rounded to as many bits, each output channel by its
largest one: what no conversion reaches that rounds weights so.
"Classes": those that the module's answers to 64 inputs have. "Layers": those whose activations are
off by more than 5 % (root mean square, relative to the layer's own), on 16 test inputs at most.
Cores are those that compile takes on `loihi2`, or on its largest board; the smallest board with so
many is named. Weights are drawn and scaled by data (`zoo_ann_networks.warm_up`), so no accuracy
means anything here. A refusal is printed as it is.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from zoo_ann_networks import SMALL, ZOO, warm_up

import snncompile
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.build import Conversion
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert_captured
from snncompile.conversion.diagnosis import measure_errors
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import SnnCompileError
from snncompile.program import Program

GIB = 2**20
"""`ru_maxrss` is in units of 1024 bytes."""
CALIBRATION, FEWER = 128, 64
"""Inputs that the module is warmed up on and the conversion calibrated with; fewer images."""
TEST, DIAGNOSED = 64, 16
"""Other inputs, to compare."""
CHIP_BITS = 8
"""Of the weights of `loihi2`."""
FAR = 0.05
"""Error of a layer's activations above which it is named."""
METHODS: dict[str, tuple[Callable[[], Method], int | None]] = {
    "graded": (GradedMessages, None),
    "graded_sums": (partial(GradedMessages, bits="sums"), None),
    "signed": (Signed, 32),
    "balance": (Balance, 64),
    "bistable_phase": (BistablePhase, 6),
}
"""Methods and time steps."""
USUAL = tuple(name for name in METHODS if name != "graded_sums")
"""Methods of a run of all."""
HEADS = ("network", "method", "captured", "correlation", "torch's 8 bits", "weights alone")
COSTS = ("classes", "layers", "neurons", "cores", "convert, s", "compile, s", "run, s", "GiB")
EMPTY = " | " * (len(HEADS) + len(COSTS) - 3)
"""Cells behind the name, the method and a text."""
BOARD = "loihi2:hala-point"
BOARDS = {"loihi2": 120, "loihi2:kapoho-point": 8 * 120, BOARD: 1152 * 120}
"""Cores."""


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=[""], help="names that hold one of these")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=USUAL)
    parser.add_argument("--chip", help="loihi2 for small networks, Hala Point for the others")
    parser.add_argument("--bits", type=int, help="of weights; the chip's most if not given")
    parser.add_argument("--test", type=int, default=TEST, help="inputs to run")
    parser.add_argument("--minutes", type=float, default=30.0, help="limit of a row")
    options = parser.parse_args()
    print("|", " | ".join(HEADS + COSTS), "|")
    print("|" + "---|" * len(HEADS + COSTS))
    for name in ZOO:
        exact = [text for text in options.only if text in ZOO]
        others = [text for text in options.only if text not in ZOO]
        if name in exact or any(text in name for text in others):
            for method in options.methods:
                print(f"| {name} | {method} | {_run_apart(name, method, options)} |", flush=True)


def _run_apart(name: str, method: str, options: Any) -> str:
    """Return the rest of a line, made by a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_send_row, args=(send, name, method, options))
    process.start()
    send.close()
    try:
        if receive.poll(60 * options.minutes):
            return str(receive.recv())
        return f"not done in {options.minutes:g} minutes" + EMPTY
    except EOFError:
        process.join()
        return f"ended with code {process.exitcode}" + EMPTY
    finally:
        process.kill()


def _send_row(send: Connection, name: str, method: str, options: Any) -> None:
    try:
        send.send(run_row(name, method, options))
    except Exception as error:  # ours or torch's: a row of the table as well
        text = str(error) if isinstance(error, SnnCompileError) else f"failed: {error!r}"
        text = " ".join(text.split())
        send.send(text.replace("|", "\\|")[:400] + EMPTY + f"{read_peak():.2f}")


def run_row(name: str, method: str, options: Any) -> str:
    """Return the rest of a line; what it does goes to the error stream as it goes."""
    torch.manual_seed(0)
    entry, begin = ZOO[name], time.perf_counter()

    def show(text: Any, share: float | None = None) -> None:
        seconds = time.perf_counter() - begin
        print(f"{name}, {method}: {seconds:6.1f} s, {read_peak():.2f} GiB: {text}", file=sys.stderr)

    show("warming up")
    x = entry.draw(CALIBRATION if name in SMALL else FEWER, 1)
    module = warm_up(entry.make(), x)
    peer = copy.deepcopy(module).eval()
    test, calibration = entry.draw(TEST, 2).numpy(), x.double().numpy()
    wanted = answer(module, test)
    classes, test, wanted = count_classes(wanted), test[: options.test], wanted[: options.test]
    make, steps = METHODS[method]
    start = time.process_time()
    show("reading the module")
    ann = capture(module, calibration, name)
    logits = ann.compute_activations(test.astype(np.float64))[ann.layers[-1].name].double()
    difference = compare_answers(entry.end(logits).numpy(), wanted)
    chosen = make()
    conversion = convert_captured(ann, calibration, chosen, steps or chosen.default_steps, say=show)
    converted = time.process_time()
    shown = conversion.network.input.present(calibration[:8])
    given = {} if options.bits is None else {"bits": options.bits}
    program = snncompile.compile(
        conversion.network,
        chip=options.chip or ("loihi2" if name in SMALL else BOARD),
        calibration=shown,
        prune=False,
        progress=show,
        **given,
    )
    compiled = time.process_time()
    show("running")
    found = program.run(conversion.network.input.present(test)).answer.reshape(logits.shape)
    seconds = time.process_time() - compiled
    show("measuring layers")
    layers, peak = describe_layers(conversion, test, program), read_peak()
    cells = [f"{difference:.1e}", f"{correlate(found, logits.numpy()):.4f}"]
    cells += [measure_torch(peer, x, torch.tensor(test), wanted)]
    rounded = answer(round_weights(module, options.bits or CHIP_BITS), test)
    cells += [f"{correlate(rounded, wanted):.4f}", str(classes), layers]
    cells += [f"{ann.neurons:,}", count_cores(program)]
    cells += [f"{converted - start:.1f}", f"{compiled - converted:.1f}", f"{seconds:.1f}"]
    return " | ".join([*cells, f"{peak:.2f}"])


def answer(module: nn.Module, test: np.ndarray) -> np.ndarray:
    """Return the module's answers in float64, (samples, *shape)."""
    module = module.double()
    with torch.no_grad():
        parts = torch.tensor(test).double().split(8)
        found: np.ndarray = torch.cat([module(part) for part in parts]).numpy()
    return found


def compare_answers(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference, relative to the largest answer."""
    difference = np.abs(found.reshape(wanted.shape) - wanted).max()
    return float(difference / np.abs(wanted).max())


def correlate(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the correlation of answers, each less its mean over the inputs."""
    a, b = (values - values.mean(axis=0) for values in (found.astype(np.float64), wanted))
    return float((a * b).sum() / max(1e-12, np.sqrt((a * a).sum() * (b * b).sum())))


def measure_torch(module: nn.Module, x: Tensor, test: Tensor, wanted: np.ndarray) -> str:
    """Return the correlation of torch's own 8-bit network; empty where it takes no such module.

    Args:
        module: in float32.
        x: inputs to calibrate with.
        test: inputs to compare, shape (samples, *shape).
        wanted: the module's answers to them.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            prepared = prepare_fx(module, get_default_qconfig_mapping("x86"), (x[:1],))
            for some in x.split(8):
                prepared(some)
            quantized = convert_fx(prepared)
            found = torch.cat([quantized(some) for some in test.float().split(8)])
        except Exception as error:  # torch's own, of whatever kind: a cell without a number
            print(f"torch's 8 bits: {error!r}"[:200], file=sys.stderr)
            return ""
    return f"{correlate(found.numpy(), wanted):.4f}"


def round_weights(module: nn.Module, bits: int) -> nn.Module:
    """Return the module with the weights of its layers rounded, of each output channel by the
    largest; it is changed in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            channels = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
            axes = [axis for axis in range(layer.weight.ndim) if axis != channels]
            largest = layer.weight.detach().abs().amax(axes, keepdim=True).clamp(min=1e-30)
            unit = largest / (2 ** (bits - 1) - 1)
            layer.weight.data = (layer.weight.data / unit).round() * unit
    return module


def count_classes(wanted: np.ndarray) -> int:
    """Return how many places of the answer are the largest of some input."""
    return len(set(wanted.reshape(len(wanted), -1).argmax(axis=1).tolist()))


def describe_layers(conversion: Conversion, test: np.ndarray, program: Program) -> str:
    """Return the layers whose activations are off by more than `FAR`, the worst three by name."""
    samples = test[:DIAGNOSED].astype(np.float64)
    errors = measure_errors(conversion, samples, program.network)
    far = {name: error for name, error in errors.items() if not error <= FAR}
    worst = sorted(far, key=lambda name: -far[name])[:3]
    named = ", ".join(f"{name} {far[name]:.1%}" for name in worst)
    return f"{len(far)} of {len(errors)}" + (f": {named}" if far else "")


def count_cores(program: Program) -> str:
    """Return the cores, and the smallest of the chip and its boards that has so many."""
    cores = program.mapping.cores
    fits = next((name for name, limit in BOARDS.items() if cores <= limit), "none")
    return f"{cores:,} ({fits})"


def read_peak() -> float:
    """Return the most memory that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


sys.path.insert(0, str(Path(__file__).parent))
if __name__ == "__main__":
    main()
