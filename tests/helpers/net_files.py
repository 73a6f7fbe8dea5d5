"""`.net` files as lava-dl writes them."""

from __future__ import annotations

import h5py
import numpy as np

NEURON = {
    "type": "CUBA",
    "iDecay": 1024,
    "vDecay": 128,
    "vThMant": 80,
    "refDelay": 1,
    "gradedSpike": False,
}


def dense(weight, *, neuron=None, without=(), **others):
    """Return a dense layer as lava-dl writes it, with some datasets changed or left out."""
    weight = np.asarray(weight)
    layer = {
        "type": np.array([b"dense"]),
        "shape": np.array(weight.shape[:1]),
        "inFeatures": weight.shape[-1],
        "outFeatures": weight.shape[0],
        "weight": weight.astype(np.float32),
        **others,
        **{f"neuron/{key}": value for key, value in {**NEURON, **(neuron or {})}.items()},
    }
    return {name: value for name, value in layer.items() if name not in without}


def flat(kind, *shape, **others):
    return {"type": np.array([kind.encode()]), "shape": np.array(shape), **others}


def write(path, *layers):
    with h5py.File(path, "w") as file:
        file.create_group("layer")
        for index, layer in enumerate(layers):
            for name, value in layer.items():
                file[f"layer/{index}/{name}"] = value
    return path


def conv(weight, shape, *, neuron=None, without=(), **others):
    """Return a convolution layer; weight (out, in, height, width), shape of what it sends."""
    weight = np.asarray(weight)
    layer = {
        "type": np.array([b"conv"]),
        "shape": np.array(shape),
        "inChannels": weight.shape[1] * others.get("groups", 1),
        "outChannels": weight.shape[0],
        "kernelSize": np.array(weight.shape[2:4]),
        "stride": np.array([1, 1]),
        "padding": np.array([0, 0]),
        "dilation": np.array([1, 1]),
        "groups": 1,
        "weight": weight.astype(np.float32),
        **others,
        **{f"neuron/{key}": value for key, value in {**NEURON, **(neuron or {})}.items()},
    }
    return {name: value for name, value in layer.items() if name not in without}


def other_neuron(layer, **neuron):
    """Return a layer with neurons of another kind, without the parameters of CUBA."""
    kept = {name: value for name, value in layer.items() if not name.startswith("neuron/")}
    return kept | {f"neuron/{key}": value for key, value in neuron.items()}
