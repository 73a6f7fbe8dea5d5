"""Files written for spyx, read and run by spyx: it needs jax, so it has an environment of its own.

python -m venv SPYX && SPYX/bin/pip install spyx==1.0.0
SPYX_PYTHON=SPYX/bin/python make slow
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snncompile import to_nir
from snncompile.backends.nir.write import write_nir
from snncompile.errors import UnsupportedError

DOCS = Path(__file__).parents[3] / "docs"
sys.path.insert(0, str(DOCS))
from cases_nir import NETWORKS, draw_spikes  # noqa: E402

PYTHON = os.environ.get("SPYX_PYTHON", "")
SCRIPT = Path(__file__).parents[2] / "helpers" / "run_in_spyx.py"
LAYERS = 2
LATE = (
    "LIF, delayed soft",
    "no leak, soft",
    "current, soft",
    "bias, delayed soft",
    "two convolutions, delayed soft",
)
"""Networks of the table in `docs/nir.md` that spyx reads; the others are refused by name."""


@pytest.mark.parametrize("name", NETWORKS)
def test_what_spyx_is_given(name, tmp_path):
    if name in LATE:
        write_nir(NETWORKS[name](), tmp_path / "some.nir", reader="spyx")
        return
    with pytest.raises(UnsupportedError) as error:
        write_nir(NETWORKS[name](), tmp_path / "some.nir", reader="spyx")
    assert "spyx 1.0.0" in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="SPYX_PYTHON names no Python with spyx")
@pytest.mark.parametrize("name", LATE)
def test_spyx_fires_as_the_network_one_step_later_per_layer(name, tmp_path):
    network = NETWORKS[name]()
    x = draw_spikes(network)
    files = [str(tmp_path / file) for file in ("some.nir", "x.npy", "out.npy")]
    to_nir(network, files[0], reader="spyx")
    np.save(files[1], x)
    subprocess.run([PYTHON, str(SCRIPT), *files], check=True, capture_output=True, timeout=600)
    theirs, ours = np.load(files[2]), network.run(x).spikes
    if theirs.ndim == 5:
        theirs = np.moveaxis(theirs, -1, 2)
    theirs = theirs.reshape(*theirs.shape[:2], -1)[:, LAYERS:]
    ours = ours.reshape(*ours.shape[:2], -1)[:, :-LAYERS]
    assert ours.any()
    first = LAYERS if name.startswith("bias") else 0
    np.testing.assert_array_equal(theirs[:, first:], ours[:, first:])
