"""Fixtures of the tests of Lava."""

from __future__ import annotations

import os

import pytest
from lava_machine import UV_FINDS_NOTHING, script

from snncompile.backends.lava import environment


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any Python 3.10, whose uv finds nothing."""
    monkeypatch.delenv("SNNCOMPILE_PYTHON310", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([f"{tmp_path}/one", "", f"{tmp_path}/two"]))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(tmp_path / "lava"))
    uv = script(tmp_path / "uv", UV_FINDS_NOTHING)
    monkeypatch.setattr(environment, "find_uv_bin", lambda: str(uv))
    return tmp_path
