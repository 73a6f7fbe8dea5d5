"""Run NIR files in spyx, by a Python that has it: run_in_spyx.py FILE.nir INPUT.npy OUTPUT.npy.

The input has shape (samples, steps, *shape), so has the output; images are channels first.
"""

import sys

import jax
import jax.numpy as jnp
import nir
import numpy as np
from spyx.nir import from_nir

jax.config.update("jax_platforms", "cpu")


def main(path: str, given: str, written: str) -> None:
    """Write the spikes that spyx computes."""
    x = np.moveaxis(np.load(given).astype(np.float32), 1, 0)
    if x.ndim == 5:  # spyx runs channels last
        x = np.moveaxis(x, 2, -1)
    _, outputs = from_nir(nir.read(path), jnp.asarray(x), dt=1)
    np.save(written, np.moveaxis(np.asarray(outputs), 0, 1))


main(*sys.argv[1:])
