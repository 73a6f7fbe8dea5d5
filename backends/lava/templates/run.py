"""Run the network of `network.py` on Lava processes on the CPU.

    python run.py --input ../x.npz --output ../out.npz [--all] [--states]
        [--weights-every N] [--on chip]

x.npz holds `x` of shape (samples, steps, *input shape): 0 and 1, whole numbers within the
PAYLOAD of network.py, or analog values where it has their UNIT. out.npz gets `spikes` of shape
(samples, steps, *output shape), the potentials if the output is a readout; with --all also
`spikes.NAME` of every population. --states, for a network that was written for it, adds
`state.NAME.STATE`: what the neurons keep after each time step. If projections learn, it gets their
weights, tags and traces at the end, `learned.NUMBER.weights` and so on (the numbers of LEARNING in
network.py); with --weights-every, which only they take, also `learned.NUMBER.weights.SAMPLES`, the
weights after so many.
A network that was prepared for a chip takes --on chip, which needs Intel's package; see its README.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from multiprocessing.connection import wait
from pathlib import Path

import network
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg


def read_input(path):
    """Return x, checked."""
    try:
        x = np.load(path, allow_pickle=False)["x"]
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        sys.exit(f"{path}: is no npz file with x: {error}")
    if x.ndim < 3 or 0 in x.shape or x.shape[2:] != network.INPUT_SHAPE:
        expected = ", ".join(["samples", "steps", *map(str, network.INPUT_SHAPE)])
        sys.exit(f"{path}: x has shape {x.shape}, expected ({expected})")
    low, high = network.PAYLOAD
    if hasattr(network, "HOST"):
        return x
    unit = getattr(network, "UNIT", None)
    if unit is not None:
        x = x.astype(np.float64) / unit
        if not ((x >= low - 0.5) & (x <= high + 0.5)).all():
            sys.exit(f"{path}: x must hold values from {low * unit:g} to {high * unit:g}")
        x = np.clip(np.rint(x), low, high)
    if not ((x >= low) & (x <= high) & (x == np.rint(x))).all():
        what = "0 and 1 only" if (low, high) == (0, 1) else f"whole numbers from {low} to {high}"
        sys.exit(f"{path}: x must hold {what}")
    proved = getattr(network, "PROVED_STEPS", None)
    if proved is not None and x.shape[1] > proved:
        sys.stderr.write(
            f"warning: bounds were proved for {proved} time steps, {path} has {x.shape[1]}: a"
            " potential may leave its width, and then wraps or saturates as Lava's does\n"
        )
    return x.astype(np.uint8 if (low, high) == (0, 1) else np.int32)


def compute_biases(x):
    """Return, by population, what its neurons get in each step: one row per time step in all.

    The host multiplies an image with the weights of the first layer, adds the bias, and rounds to
    whole multiples of a unit.
    """
    from scipy.sparse import csr_matrix

    samples, steps = x.shape[:2]
    images = np.ascontiguousarray(x[:, 0].reshape(samples, -1).T, np.float64)
    rows = {}
    for population, (name, shape, unit, limit, phase) in network.HOST.items():
        parts = [network.ARRAYS[f"{name}.{array}"] for array in ("data", "indices", "indptr")]
        drive = (csr_matrix(tuple(parts), shape=shape) @ images).T + network.ARRAYS[f"{name}.bias"]
        biases = np.rint(drive / unit).astype(np.int32)
        if np.abs(biases).max() > limit:
            sys.exit(f"biases of {population} reach {np.abs(biases).max()}, beyond {limit}")
        late = np.zeros((phase, shape[0]), np.int32)
        rows[population] = np.concatenate([late, np.repeat(biases, steps, axis=0)])
    return rows


def say(text):
    """Print a line now."""
    print(text, flush=True)  # noqa: T201 - a script prints


def simulate(x, names, folder, guard, every, on):
    """Return what is called `names`: outputs of populations, and states, "population.state".

    Each has the shape (samples, steps, *shape of the population). Also return what was learned,
    with weights after every `every` samples if that is not 0.
    """
    shown = x.shape[1]
    x = lengthen(x)
    samples, steps = x.shape[:2]
    probes = {name: str(Path(folder, f"{name}.npy")) for name in names}
    more = {}
    if hasattr(network, "HOST"):
        more = {"biases": compute_biases(x)}
        x = np.zeros(x.shape, np.uint8)
    learning, learned = {}, {}
    if hasattr(network, "LEARNING"):
        more["learning"] = learning
    configuration = Loihi2SimCfg(select_tag="fixed_pt")
    if hasattr(network, "choose_run_configuration"):
        more["on"] = on
        configuration = network.choose_run_configuration(on)
    process = network.build(x.reshape(samples * steps, -1), steps, probes, **more)
    process.create_runtime(run_cfg=configuration)
    finished = watch(guard)
    chunk = every or max(1, samples // 50)  # samples between two lines of progress
    for done in range(0, samples, chunk):
        if every and done:
            for number, synapses in learning.items():
                weights = read_learned(number, synapses)[f"learned.{number}.weights"]
                learned[f"learned.{number}.weights.{done}"] = weights
        say(f"samples {done} of {samples}")
        process.run(condition=RunSteps(num_steps=steps * (min(done + chunk, samples) - done)))
    kept = {name: network.POPULATIONS[name.partition(".")[0]] for name in names}
    last = max(phase for _, phase, _ in kept.values()) + getattr(network, "LATE", 0)
    learned |= finish(process, learning, last)
    say(f"samples {samples} of {samples}")
    finished.set()
    process.stop()
    outputs = {n: np.load(probes[n]).reshape(samples, steps, *kept[n][0]) for n in names}
    return {name: output[:, :shown] for name, output in outputs.items()}, learned


def lengthen(x):
    """Return x with empty time steps after each sample, where the network needs them."""
    if not hasattr(network, "choose_period"):
        return x
    more = network.choose_period(x.shape[1]) - x.shape[1]
    return np.pad(x, [(0, 0), (0, more), *[(0, 0)] * (x.ndim - 2)])


def run_each(x, output, arguments):
    """Run each sample in a program of its own, of neurons that start only once; save all."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        one, out = str(Path(folder, "x.npz")), str(Path(folder, "out.npz"))
        for number, sample in enumerate(x):
            say(f"samples {number} of {len(x)}")
            np.savez(one, x=sample[None])
            files = ["--input", one, "--output", out]
            command = [sys.executable, *sys.orig_argv[1 : -len(sys.argv)], __file__, *files]
            done = subprocess.run([*command, *arguments], stdout=subprocess.DEVNULL, check=False)
            if done.returncode:
                sys.exit(done.returncode)
            with np.load(out) as arrays:
                parts.append({name: arrays[name] for name in arrays.files})
    say(f"samples {len(x)} of {len(x)}")
    np.savez(output, **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def finish(process, learning, last):
    """Run the steps in which the last sample is still on its way; return what was learned.

    The synapses of a late population finish a sample as late as its neurons, one step before them.
    """
    learned, ran = {}, 0
    cuts = {number: cut for number, (_, cut) in getattr(network, "LEARNING", {}).items()}
    for step in sorted({*cuts.values(), last}):
        if step > ran:
            process.run(condition=RunSteps(num_steps=step - ran))
            ran = step
        for number in (n for n, cut in cuts.items() if cut == step):
            learned |= read_learned(number, learning[number])
    return learned


def read_learned(number, synapses):
    """Return weights, tags and traces of synapses that learn, by their names in out.npz."""
    values = {}
    for key in ("weights", "tag_1", "x1", "x2", "y1", "y2", "y3"):
        variable = getattr(synapses, key)
        if hasattr(variable.init, "tocsr"):  # Var.get cannot read a matrix in which zeros stand
            values[key] = read_sparse(synapses, variable)
        else:
            values[key] = np.asarray(variable.get())
    return {f"learned.{number}.{key}": np.int64(value) for key, value in values.items()}


def read_sparse(synapses, variable):
    """Return a matrix as an array of shape (target, source)."""
    from lava.utils.sparse import find

    matrix = np.zeros(variable.init.shape)
    if variable.init.nnz:
        row, column, _ = find(variable.init, explicit_zeros=True)
        matrix[row, column] = synapses.runtime.get_var(variable.id, None)
    return matrix


def watch(guard):
    """Until the returned event is set: when a process of the network ends, end the program.

    Lava itself would wait for ever, and not say what went wrong. `guard` are files whose end is
    the end as well.
    """
    finished = threading.Event()
    children = multiprocessing.active_children()

    def wait_for_the_first():
        ended = wait([*(child.sentinel for child in children), *guard])
        if not finished.is_set():
            for child in children:
                if child.sentinel in ended:
                    error = getattr(child, "exception", None)
                    lost = "a process of the network ended early (out of memory?)"
                    sys.stderr.write(f"{error[1] if error else lost}\n")
            give_up()

    threading.Thread(target=wait_for_the_first, daemon=True).start()
    return finished


def give_up():
    """Kill every process: after an error Lava's stop() waits for ever, and so do they."""
    sys.stderr.flush()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(1)


def main():
    """Read the input, run, write the output."""
    parser = argparse.ArgumentParser(description="Run the network on Lava processes on the CPU.")
    parser.add_argument("--input", required=True, help="npz file with x")
    parser.add_argument("--output", required=True, help="npz file to write")
    parser.add_argument("--all", action="store_true", help="record every population")
    parser.add_argument("--states", action="store_true", help="record what the neurons keep")
    if hasattr(network, "LEARNING"):
        parser.add_argument(
            "--weights-every", type=int, help="samples between two readings of weights"
        )
    parser.add_argument("--guarded", action="store_true", help="end when standard input ends")
    if hasattr(network, "choose_run_configuration"):
        parser.add_argument("--on", choices=("cpu", "chip"), default="cpu", help="what runs it")
    options = parser.parse_args()
    every = getattr(options, "weights_every", None)
    if every is not None and every < 1:
        sys.exit(f"--weights-every must be 1 or more, got {every}")
    on = getattr(options, "on", "cpu")
    if hasattr(network, "check_package"):
        network.check_package(on)
    x = read_input(options.input)
    if getattr(network, "ONE_BY_ONE", False) and len(x) > 1:
        more = [*["--all"] * options.all, *["--guarded"] * options.guarded, "--on", on]
        return run_each(np.load(options.input)["x"], options.output, more)
    names = list(network.POPULATIONS) if options.all else [network.OUTPUT]
    states = list(getattr(network, "STATES", ())) if options.states else []
    with tempfile.TemporaryDirectory() as folder:
        guard = [sys.stdin] if options.guarded else []
        outputs, learned = simulate(x, names + states, folder, guard, every or 0, on)
    everything = {f"spikes.{name}": outputs[name] for name in names} if options.all else {}
    everything |= learned
    everything |= {f"state.{name}": outputs[name] for name in states}
    np.savez(options.output, spikes=outputs[network.OUTPUT], **everything)


if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
        give_up()
