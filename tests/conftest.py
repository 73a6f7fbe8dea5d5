"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.pop("COLUMNS", None)  # workers of pytest-xdist have it; tables would obey it

# `golden` and builders of values are safe to share between the examples of one test.
settings.register_profile(
    "shared", suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
settings.load_profile("shared")

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare text with tests/golden/<path of the test file>/<test name>.txt."""
    file = Path(request.fspath).relative_to(HERE).with_suffix("")
    path = HERE / "golden" / file / f"{request.node.name}.txt"

    def check(text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no golden file {path}; run pytest --update-golden and read the diff"
        assert text == path.read_text()

    return check


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with data sets and trained networks that are no part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the data folder beside the project")
    return SHARED / "data"


@pytest.fixture(scope="session")
def lava():
    """The environment with Lava in it, installed now if it is not there."""
    from snncompile.backends.lava import environment

    environment.install(print)
    return environment.check()
