"""Compiled functions run where nothing can be kept on disk, and where what was kept is damaged."""

import importlib.util
import resource

import pytest
from rights import no_right_to_write_anywhere

from snncompile.machine_code import compile_function

SOURCE = "def double(a):\n    return 2 * a\n"


@pytest.fixture
def double(tmp_path, monkeypatch):
    """Return a function that compiles `double` of a package anew, as a new process would."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no home"))
    file = tmp_path / "package" / "doubles.py"
    file.parent.mkdir()
    file.write_text(SOURCE)

    def compile_again():
        spec = importlib.util.spec_from_file_location("doubles", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return compile_function(module.double)

    return compile_again


def _list_kept(tmp_path):
    return sorted(file.suffix for file in tmp_path.rglob("*.nb?"))


def test_is_kept_beside_the_package_and_found_again(double, tmp_path):
    assert double()(3) == 6
    assert _list_kept(tmp_path) == [".nbc", ".nbi"]
    again = double()
    assert (again(3), sum(again.stats.cache_hits.values())) == (6, 1)


def test_of_a_package_and_a_home_that_are_read_only(double, tmp_path):
    for folder in (tmp_path / "package", tmp_path):
        folder.chmod(0o500)
    try:
        with no_right_to_write_anywhere():
            assert double()(3) == 6
    finally:
        tmp_path.chmod(0o700)
        (tmp_path / "package").chmod(0o700)
    assert _list_kept(tmp_path) == []


@pytest.mark.parametrize("limit, kept", [(0, []), (2_000, [".nbi"])])
def test_on_a_disk_that_is_full(double, tmp_path, limit, kept):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        assert double()(3) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert _list_kept(tmp_path) == kept
    assert double()(3) == 6
    assert _list_kept(tmp_path) == [".nbc", ".nbi"]


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("change", [lambda b: b"", lambda b: b[:40], lambda b: b"no pickle" + b])
def test_of_damaged_code(double, tmp_path, suffix, change):
    assert double()(3) == 6
    (file,) = tmp_path.rglob(f"*{suffix}")
    file.write_bytes(change(file.read_bytes()))
    assert double()(3) == 6
