"""Run .net files in lava-dl's netx, by a Python that has it: run_in_netx.py FOLDER.

FOLDER holds for each network NAME.net and NAME.npy, its input, shape (samples, steps, *shape) with
images as (channels, height, width). NAME.out.npy gets the spikes of the last layer, shape
(samples, steps, n), in the order of the input's axes, and names.txt the processes that netx builds.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from lava.lib.dl import netx
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc import io


def main(folder: Path) -> None:
    """Run all networks of a folder."""
    names = []
    for path in sorted(folder.glob("*.net")):
        x = np.load(path.with_suffix(".npy"))
        out, built = run(path, x)
        np.save(path.with_suffix(".out.npy"), out)
        names.append(f"{path.stem}: {built}\n")
    (folder / "names.txt").write_text("".join(names))


def run(path: Path, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the spikes of the last layer, and the processes of all layers."""
    samples, steps = x.shape[:2]
    # Layer 1 works on a sample's first step in time step 2; netx' own offset of 1 is too early.
    network = netx.hdf5.Network(net_config=str(path), reset_interval=steps, reset_offset=1)
    layers = len(network)
    shape = network.inp.shape
    spikes = x.reshape(samples * steps, *x.shape[2:]).astype(np.int32)
    spikes = spikes.transpose(0, *range(spikes.ndim)[:0:-1]) if len(shape) > 1 else spikes
    spikes = spikes.reshape(samples * steps, *shape)
    data = np.concatenate([np.moveaxis(spikes, 0, -1), np.zeros((*shape, layers), np.int32)], -1)
    source = io.source.RingBuffer(data=data)
    sink = io.sink.RingBuffer(shape=network.out.shape, buffer=samples * steps + layers)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.run(
        condition=RunSteps(num_steps=samples * steps + layers),
        run_cfg=Loihi2SimCfg(select_tag="fixed_pt"),
    )
    seen = np.moveaxis(sink.data.get().astype(np.int32), -1, 0)[layers:]
    network.stop()
    seen = seen.transpose(0, *range(seen.ndim)[:0:-1]) if seen.ndim > 2 else seen
    parts = [part for layer in network.layers for part in (layer.synapse, layer.neuron)]
    built = Counter(type(part).__name__ for part in parts)
    names = ", ".join(f"{count} {name}" for name, count in sorted(built.items()))
    return seen.reshape(samples, steps, -1), names


if __name__ == "__main__":
    main(Path(sys.argv[1]))
