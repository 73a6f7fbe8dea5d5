"""Record what lava-dl makes of small `.net` files and Lava computes: NAME.net and NAME.npz each.

    python tests/recorded/record.py [FOLDER]

Needs lava-dl 0.6.0 and lava-nc 0.10.0, so Python 3.10; nothing of snncompile is used. The files
are drawn with fixed seeds in the layout of lava-dl's own exports (`tests/helpers/net_files.py`).
lava-dl's `netx.hdf5.Network` reads them and Lava's fixed-point processes run them. An npz holds
`x`, what was put in, and `out_0`, `out_1`, ..., what the layers of these numbers sent, each in a
run of the file up to there, and `u_0`, ..., the currents of current-based neurons; all of shape
(steps, *layer shape) with channels first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from net_files import conv, dense, flat, other_neuron, write

CUBA = {"iDecay": 1024, "vDecay": 415, "vThMant": 6}
TINY = {"type": "CUBA", "iDecay": 4096, "vDecay": 1024, "vThMant": 25}
SDNN = {"type": "SDNN", "vThMant": 20}
STEPS = 60


def even(rng: np.random.Generator, shape: tuple[int, ...], largest: int) -> np.ndarray:
    """Return even weights as a file has them."""
    return 2 * rng.integers(-largest // 2, largest // 2 + 1, shape)


def make_dense(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """Two dense layers of current-based neurons whose current has memory."""
    layers = [
        dense(even(rng, (12, 16), 60), neuron=CUBA),
        dense(even(rng, (8, 12), 254), neuron=CUBA),
    ]
    return layers, rng.random((STEPS, 16)) < 0.2


def make_resonators(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """Resonators that fire at a phase, behind complex weights."""
    real, imag = even(rng, (10, 14), 80), even(rng, (10, 14), 80)
    layer = dense(real, without=["weight"]) | {"weight/real": real, "weight/imag": imag}
    angle, kept = 2 * np.pi / 11, 0.95
    factors = {
        "sinDecay": int(kept * np.sin(angle) * 4096),
        "cosDecay": int(kept * np.cos(angle) * 4096),
    }
    neuron = {"type": "RF_PHASE", **factors, "vThMant": 25}
    return [other_neuron(layer, **neuron)], rng.random((STEPS, 14)) < 0.2


def make_tiny(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """An encoder of values, a convolution with biases and strides, a dense layer."""
    layers = [
        other_neuron(flat("input", 2, 7, 9), **TINY),
        conv(
            even(rng, (3, 2, 3, 3), 120),
            (3, 3, 4),
            neuron=TINY,
            bias=rng.integers(-8, 9, 3),
            stride=np.array([2, 2]),
        ),
        flat("flatten", 36),
        dense(even(rng, (5, 36), 120), neuron=TINY),
    ]
    return layers, np.broadcast_to(rng.integers(0, 20, (2, 7, 9)), (STEPS, 2, 7, 9))


def make_sigma_delta(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """Differences of values, a convolution of them with biases, sums at the end."""
    layers = [
        other_neuron(flat("input", 2, 6, 6), **SDNN),
        other_neuron(
            conv(
                even(rng, (3, 2, 3, 3), 40),
                (3, 4, 4),
                bias=rng.integers(-50, 51, 3),
            ),
            **SDNN,
            activation="relu",
        ),
        flat("flatten", 48),
        other_neuron(dense(even(rng, (5, 48), 60)), **SDNN, sigma_output=True),
    ]
    wave = np.sin(2 * np.pi * np.arange(STEPS) / 15)
    return layers, (wave[:, None, None, None] * rng.integers(20, 200, (2, 6, 6))).astype(int)


def make_hearing(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """Resonators that hear the input itself and fire above a threshold."""
    angle, kept = 2 * np.pi / 7, 0.95
    factors = {
        "sinDecay": int(kept * np.sin(angle) * 4096),
        "cosDecay": int(kept * np.cos(angle) * 4096),
    }
    neuron = {"type": "RF", **factors, "vThMant": 1}
    return [other_neuron(flat("input", 20), **neuron)], rng.random((STEPS, 20)) < 0.3


def make_unbiased(rng: np.random.Generator) -> tuple[list[Any], np.ndarray]:
    """As `make_tiny`, without biases: the whole file differs by the delay of its synapses alone."""
    layers = [
        other_neuron(flat("input", 2, 7, 9), **TINY),
        conv(even(rng, (3, 2, 3, 3), 180), (3, 3, 4), neuron=TINY, stride=np.array([2, 2])),
        flat("flatten", 36),
        dense(even(rng, (5, 36), 200), neuron=TINY),
    ]
    return layers, np.broadcast_to(rng.integers(0, 20, (2, 7, 9)), (STEPS, 2, 7, 9))


RECORDINGS: dict[str, Callable[[np.random.Generator], tuple[list[Any], np.ndarray]]] = {
    "dense": make_dense,
    "resonators": make_resonators,
    "tiny": make_tiny,
    "sigma_delta": make_sigma_delta,
    "hearing": make_hearing,
    "unbiased": make_unbiased,
}


def run(path: Path, layers: int, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the last of the first layers sent and its currents, if it has any.

    Both are of shape (steps, *shape), channels first.
    """
    from lava.lib.dl.netx.hdf5 import Network
    from lava.lib.dl.netx.utils import NetDict
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor
    from lava.proc.rf_iz.process import RF_IZ

    source = Source(data=turn(np.moveaxis(x, 0, -1)))
    first = NetDict(str(path))["layer"][0]
    if first["type"] != "input":
        network = Network(net_config=str(path), num_layers=layers)
        source.s_out.connect(network.inp)
        out, last = network.out, network.layers[-1].neuron
    else:  # whose block has neurons alone; netx leaves it to its user to feed them
        known = Network.get_neuron_params(first["neuron"], input=True)
        unused = ("neuron_proc", "bias_key", "num_message_bits")
        given = {name: value for name, value in known.items() if name not in unused}
        if known["neuron_proc"] is LIF:  # a value is a bias
            given["bias_mant"] = turn(x[0])
        encoder = known["neuron_proc"](shape=turn(x[0]).shape, **given)
        if (
            known["neuron_proc"] is RF_IZ
        ):  # both parts hear the input, as in lava-dl's own recording
            source.s_out.connect(encoder.a_real_in)
            source.s_out.connect(encoder.a_imag_in)
        elif known["neuron_proc"] is not LIF:
            source.s_out.connect(encoder.a_in)
        out, last = encoder.s_out, None  # its current is nothing: values are biases
        if layers > 1:
            rest = Network(net_config=str(path), num_layers=layers, skip_layers=1)
            out.connect(rest.inp)
            out, last = rest.out, rest.layers[-1].neuron
    sink = Sink(shape=out.shape, buffer=len(x))
    out.connect(sink.a_in)
    monitor = Monitor()
    if isinstance(last, LIF):
        monitor.probe(last.u, len(x))
    sink.run(condition=RunSteps(num_steps=len(x)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    found = {"out": np.moveaxis(turn(sink.data.get()), -1, 0)}
    if isinstance(last, LIF):
        (current,) = monitor.get_data().values()
        found["u"] = np.stack([turn(now) for now in current["u"]])
    sink.stop()
    return found


def turn(values: np.ndarray) -> np.ndarray:
    """Return (channels, y, x, ...) as (x, y, channels, ...), and the other way round."""
    return np.ascontiguousarray(values.swapaxes(0, 2) if values.ndim > 2 else values)


def save(path: Path, layers: Iterable[int], x: np.ndarray) -> None:
    """Record a file and write NAME.npz beside it: what each of the layers sends."""
    x = x.astype(np.int32)
    runs = {i: run(path, i + 1, x) for i in layers}
    sent = {f"{key}_{i}": found[key] for i, found in runs.items() for key in found}
    for key, values in sent.items():
        print(path.stem, key, values.shape, np.count_nonzero(values))
        assert np.abs(values).max() < 2**31
    small = {key: values.astype(np.int32) for key, values in {"x": x, **sent}.items()}
    np.savez_compressed(path.with_suffix(".npz"), **small)


def main(folder: Path) -> None:
    """Write all recordings."""
    for seed, (name, make) in enumerate(RECORDINGS.items()):
        layers, x = make(np.random.default_rng(seed))
        path = write(folder / f"{name}.net", *layers)
        save(path, [i for i, layer in enumerate(layers) if layer["type"][0] != b"flatten"], x)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
