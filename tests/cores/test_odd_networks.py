"""Networks of odd shapes: every chip places them or refuses them in one line, soon."""

from __future__ import annotations

import pytest
from odd_networks import ODD, make_network

import snncompile
from snncompile.errors import LINE_LENGTH, FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.chips import list_names, load_chip


def answer(name: str, chip: str) -> None:
    """Compile; a refusal is about the network and fits a line."""
    network = make_network(name, load_chip(chip))
    try:
        snncompile.compile(network, chip=chip, prune=False)
    except (FitError, UnsupportedError, QuantizeError) as error:
        first, *others = str(error).splitlines()
        assert max(map(len, (first, *others))) < LINE_LENGTH
        assert not others or first.endswith("things stand in the way:")


@pytest.mark.parametrize("chip", list_names())
@pytest.mark.parametrize("name", ["prime sizes", "shortcut"])
def test_is_placed_or_refused(name, chip):
    answer(name, chip)


@pytest.mark.parametrize("chip", ["odin", "speck2", "spinnaker2"])
def test_many_layers_are_refused_in_one_line(chip):
    answer("200 layers", chip)


@pytest.mark.slow
@pytest.mark.parametrize("chip", list_names())
@pytest.mark.parametrize("name", ODD)
def test_every_odd_network_is_placed_or_refused(name, chip):
    answer(name, chip)
