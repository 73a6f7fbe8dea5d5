"""PilotNet LIF of lava-dl, which `make netx` installs, as its notebook recorded it on Loihi 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pilotnet_run
import pytest

NETX = Path(__file__).parents[3] / ".netx"
FILES = sorted(NETX.glob("lib/python3.10/site-packages/tests/**/pilotnet_lif/network.net"))


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="no .netx: make netx installs lava-dl")
def test_operations_of_the_busiest_cores_are_those_of_the_chip():
    program, _ = pilotnet_run.read(FILES[0])
    assert program.mapping.cores == 74
    busiest = pilotnet_run.count_busiest(FILES[0])
    means = {layer: float(np.mean(operations)) for layer, operations in busiest.items()}
    assert means == {
        "layer_1": 0,
        "layer_2": 131_010,
        "layer_3": 150_710,
        "layer_4": 52_581.5,
        "layer_5": 51_112,
    }
    for layer, mean in means.items():
        assert abs(mean - pilotnet_run.RECORDED[layer][1]) <= 430  # how well the plot can be read
