"""Finding Python 3.10 and making the environment, with made-up executables and no network."""

import os
import threading

import pytest
from lava_machine import GOOD, WORKS, quiet, script, uv_that_makes

from snncompile.backends.lava import environment
from snncompile.errors import LINE_LENGTH, BackendError, list_reasons

SHIM = 'echo "pyenv: python3.10: command not found" >&2; echo "Note: see pyenv help" >&2; exit 127'
PYTHON_39 = "echo 'is Python 3.9' >&2; exit 1"


UV = """
case "$*" in
  "python install 3.10") touch {folder}/installed ;;
  "python find --no-project 3.10") {find} ;;
  "python find --no-project --python-preference only-managed 3.10") echo {folder}/uv-own ;;
  *) exit 9 ;;
esac"""


def test_takes_the_first_that_starts(machine):
    """Everything is there; what is found is removed, one after the other."""
    expected = [
        script(machine / "given", GOOD),
        script(machine / "one" / "python3.10", GOOD),
        script(machine / "two" / "python3.10", GOOD),
        script(machine / "pyenv" / "versions" / "3.10.13" / "bin" / "python", GOOD),
        script(machine / "pyenv" / "versions" / "3.10.9" / "bin" / "python", GOOD),
        script(machine / "uv-found", GOOD),
        script(machine / "uv-own", GOOD),
    ]
    script(machine / "pyenv" / "versions" / "3.11.7" / "bin" / "python", GOOD)
    script(machine / "uv", UV.format(folder=machine, find=f"echo {machine}/uv-found"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNCOMPILE_PYTHON310", str(expected[0]))
        assert environment.find_python(quiet) == expected[0]
    for path in expected[1:]:
        assert environment.find_python(quiet) == path
        assert (machine / "installed").exists() == (path.name == "uv-own")
        script(path, SHIM)


def test_says_what_was_tried(machine):
    script(machine / "one" / "python3.10", SHIM)
    script(machine / "two" / "python3.10", PYTHON_39)
    (machine / "pyenv" / "versions").mkdir(parents=True)
    with pytest.raises(BackendError) as error:
        environment.find_python(quiet)
    begin = "found no Python 3.10, which Lava needs; tried "
    end = "; install Python 3.10 and set SNNCOMPILE_PYTHON310 to its path"
    tried = [
        f"{machine}/one/python3.10: pyenv: python3.10: command not found",
        f"{machine}/two/python3.10: is Python 3.9",
        f"pyenv: no 3.10.* in {machine}/pyenv/versions",
        "uv python find: No interpreter found",
        "uv python install: No interpreter found",
    ]
    room = LINE_LENGTH - len(begin) - len(end) - 1
    assert str(error.value) == begin + list_reasons(tried, room) + end
    assert len(str(error.value)) < LINE_LENGTH


@pytest.mark.parametrize(
    "text, reason",
    [
        (PYTHON_39, "is Python 3.9"),
        (None, "No such file or directory"),
        ("exit 3", "exit status 3"),
    ],
)
def test_does_not_replace_the_python_the_user_names(machine, monkeypatch, text, reason):
    script(machine / "one" / "python3.10", GOOD)
    if text:
        script(machine / "mine", text)
    monkeypatch.setenv("SNNCOMPILE_PYTHON310", str(machine / "mine"))
    with pytest.raises(BackendError) as error:
        environment.find_python(quiet)
    assert str(error.value) == (
        f"SNNCOMPILE_PYTHON310={machine}/mine is no Python 3.10 that starts: {reason}"
    )


REASONS = [
    (
        "Traceback (most recent call last):\n  File x\nImportError: no lava\n",
        "ImportError: no lava",
    ),
    (
        "error: Failed to fetch x\n  Caused by: a\n  Caused by: no route\n",
        "Failed to fetch x Caused by: no route",
    ),
    ("  \u00d7 No solution found:\n  ╰─▶ Because y\n", "No solution found: ╰─▶ Because y"),
    ("warning: old\n\n", ""),
]


@pytest.mark.parametrize("errors, reason", REASONS)
def test_reduces_errors_to_one_line(errors, reason):
    assert environment._find_reason(errors) == reason


def test_installs_once(machine):
    uv_that_makes(machine)
    said = []
    assert environment.install(said.append) == machine / "lava"
    assert said == [
        f"installing lava-nc 0.10.0 for {machine}/one/python3.10 in {machine}/lava",
        f"lava-nc 0.10.0 on Python 3.10.13 in {machine}/lava",
    ]
    said.clear()
    assert environment.install(said.append) == machine / "lava"
    assert said == [f"lava-nc 0.10.0 on Python 3.10.13 in {machine}/lava"]
    assert (machine / "log").read_text() == "made\n"
    assert environment.locate_python() == machine / "lava" / "bin" / "python"
    assert environment.check() == environment.LavaState(
        path=machine / "lava",
        installed=True,
        python="3.10.13",
        lava="0.10.0",
        message=f"lava-nc 0.10.0 on Python 3.10.13 in {machine}/lava",
    )


def test_of_two_at_once_one_builds(machine):
    uv_that_makes(machine, sleep=0.5)
    said: list[str] = []
    threads = [threading.Thread(target=environment.install, args=(said.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (machine / "log").read_text() == "made\n"
    assert said.count("another process is installing Lava; waiting for it") == 2
    assert said.count(f"lava-nc 0.10.0 on Python 3.10.13 in {machine}/lava") == 3


BROKEN = [
    ({"pip": 'echo "error: no network" >&2; exit 2'}, "no network"),
    ({"python": "echo ImportError: no lava >&2; exit 1"}, "ImportError: no lava"),
]


@pytest.mark.parametrize("broken, reason", BROKEN)
def test_leaves_nothing_half_made(machine, broken, reason):
    uv_that_makes(machine, **broken)
    with pytest.raises(BackendError) as error:
        environment.install(quiet)
    assert str(error.value) == f"cannot install Lava in {machine}/lava: {reason}"
    assert sorted(p.name for p in machine.iterdir()) == ["log", "one", "uv"]
    uv_that_makes(machine)
    environment.install(quiet)
    assert environment.check().installed


def test_makes_a_broken_or_outdated_environment_anew(machine):
    uv_that_makes(machine)
    environment.install(quiet)
    for damage in (
        lambda: (machine / "lava" / "bin" / "python").unlink(),
        lambda: script(machine / "lava" / "bin" / "python", "exit 1"),
        lambda: (machine / "lava" / environment.MARK).write_text("lava-nc==0.9.0\n"),
    ):
        damage()
        environment.install(quiet)
        assert environment.check().installed
    assert (machine / "log").read_text() == "made\n" * 4


def test_deletes_nothing_that_is_not_ours(machine):
    uv_that_makes(machine)
    (machine / "lava").mkdir()
    (machine / "lava" / "thesis.txt").write_text("mine")
    with pytest.raises(BackendError) as error:
        environment.install(quiet)
    assert str(error.value) == (
        f"{machine}/lava is there and is no Lava environment made by snncompile; remove it or set"
        " SNNCOMPILE_LAVA_ENV to another folder"
    )
    assert (machine / "lava" / "thesis.txt").read_text() == "mine"


def test_takes_an_environment_the_user_made(machine):
    script(machine / "lava" / "bin" / "python", WORKS)
    environment.install(quiet)
    assert environment.check().installed
    assert sorted(p.name for p in machine.iterdir()) == ["lava", "uv"]


def test_says_why_a_folder_cannot_be_made(machine, monkeypatch):
    (machine / "file").write_text("")
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(machine / "file" / "lava"))
    with pytest.raises(BackendError) as error:
        environment.install(quiet)
    assert str(error.value) == (
        f"cannot install Lava in {machine}/file/lava: {machine}/file: File exists"
    )


STATES = [
    (None, None, None, "Lava is not installed in {lava}; run `snncompile lava install`"),
    (
        "echo ImportError: no >&2; exit 1",
        None,
        None,
        "Lava does not start in {lava}: ImportError: no; run `snncompile lava install`",
    ),
    (
        "echo 3.10.1 0.9.0",
        "3.10.1",
        "0.9.0",
        "lava-nc 0.9.0 on Python 3.10.1 in {lava}; 0.10.0 is needed, run `snncompile lava install`",
    ),
]


@pytest.mark.parametrize("text, python, lava, message", STATES)
def test_tells_the_state(machine, text, python, lava, message):
    if text:
        script(machine / "lava" / "bin" / "python", text)
    assert environment.check() == environment.LavaState(
        machine / "lava", False, python, lava, message.format(lava=machine / "lava")
    )


def test_lives_in_the_cache_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("SNNCOMPILE_LAVA_ENV", raising=False)
    assert environment.locate_folder().parts[-2:] == ("snncompile", "lava-0.10.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", "here")
    assert environment.locate_folder() == tmp_path / "here"


def test_a_user_without_a_home_has_to_name_the_folder(monkeypatch):
    for name in ("SNNCOMPILE_LAVA_ENV", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # whom no list of users has
    with pytest.raises(BackendError) as error:
        environment.check()
    assert str(error.value) == (
        "this user has no home folder, where Lava would be; set HOME, or SNNCOMPILE_LAVA_ENV to"
        " the folder of its environment"
    )


def test_a_folder_that_cannot_be_looked_into(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(tmp_path / ("n" * 256)))
    for ask in (environment.check, environment.locate_python, lambda: environment.install(print)):
        with pytest.raises(BackendError) as error:
            ask()
        assert str(error.value) == (
            f"cannot look for Lava in {tmp_path}/{'n' * 256}: File name too long"
        )


def test_the_packages_are_pinned():
    lines = environment.CONSTRAINTS.read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert f"lava-nc=={environment.LAVA}" in packages
    assert all("==" in line for line in packages)
