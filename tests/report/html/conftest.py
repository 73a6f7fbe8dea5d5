"""Programs whose reports are tested, and a browser to open them."""

from __future__ import annotations

import numpy as np
import pytest
from browser import Browser, find_browser
from report_networks import EVIL, make_network

import snncompile
from snncompile.hwmodels.chips import load_chip
from snncompile.report.html.write import make_report


@pytest.fixture(scope="session")
def x():
    return (np.random.default_rng(3).random((8, 10, 12)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="session")
def label():
    return np.random.default_rng(4).integers(0, 3, 8)


@pytest.fixture(scope="session")
def program(x):
    return snncompile.compile(make_network(), chip="loihi2", calibration=x)


@pytest.fixture(scope="session")
def evil(x):
    """A Program whose title, layer and sources want to be code; the rule on names looks away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snncompile.ir.verify.check_graph", lambda graph: None)
        return _compile_evil(x)


def _compile_evil(x):
    return snncompile.compile(make_network(EVIL), chip="loihi1", calibration=x)


@pytest.fixture(scope="session")
def page(program, x, label):
    """The report of one Program, with changes tried."""
    pytest.importorskip("plotly")
    return make_report([("small", program)], x, label)


@pytest.fixture(scope="session")
def many_cores():
    """A Program on more than 1,000 cores of several chips, one neuron on each core."""
    chip = load_chip("loihi2:hala-point")
    one = chip.core.compartments.model_copy(update={"value": 1})
    chip = chip.model_copy(update={"core": chip.core.model_copy(update={"compartments": one})})
    return snncompile.compile(
        make_network(neurons=1100), chip=chip, placement="linear", share_cores=False, prune=False
    )


@pytest.fixture
def open_browser():
    """Start a browser; skipped where there is none."""
    path = find_browser()
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium, or SNNCOMPILE_CHROMIUM=/its/path")
    browsers = []

    def start(width: int = 1280, mobile: bool = False) -> Browser:
        browser = Browser(path)
        browsers.append(browser)
        browser.resize(width, 900, mobile)
        return browser

    yield start
    for browser in browsers:
        browser.__exit__()
