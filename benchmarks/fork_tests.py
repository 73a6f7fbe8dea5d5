"""Run tests in forked processes on a copy of the project: which lines each covers, or whether one
sees a mutant.

A process imports once what does not depend on the file under test; each run is a fork of it, which
imports the rest from the copy, where the mutant is. So a run takes a second, and nothing of one
run is left in the next. Functions of the file under test that numba would compile run as plain
Python, as do those that import it, so that no machine code of another run is used.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numba
import pytest
from hypothesis import HealthCheck, Phase, settings
from note_lines import NOTES, add_notes, list_spans

LEFT_OUT = (".git", ".venv", "build", ".hypothesis", ".*_cache", "*.egg-info", "dist")
MEMORY = 6 << 30
"""Bytes that one run may take of its own."""
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
EXAMPLES = 20
"""Examples of each law at most."""
LOG = "log.txt"
NOT_RUN = 98
"""Status of a run that passed without the file under test."""


def copy_project(root: Path, folder: Path) -> Path:
    """Return a copy of the project, with the two other folders where the package has them."""
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    for name in ("backends", "hwmodels"):
        (folder / "snncompile" / name).symlink_to(folder / name)
    return folder


@dataclass(frozen=True)
class Covered:
    """What one test does."""

    test: str
    seconds: float
    """Of processor time, while its lines are noted."""
    lines: dict[str, list[int]]
    """By file: lines that run in the test itself, so not those of an import."""


class Tests:
    """Plug-in of pytest: the same examples in every run, the chosen tests in the given order."""

    def __init__(self, chosen: list[str] | None) -> None:
        self.chosen = chosen
        self.failed = ""

    def pytest_sessionstart(self) -> None:
        """Make hypothesis draw the same each time, and not look for smaller examples."""
        settings.register_profile(
            "mutants",
            suppress_health_check=list(HealthCheck),
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
        )
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen tests, and laws short."""
        for item in items:
            law = getattr(item, "obj", None)
            given = getattr(law, "_hypothesis_internal_use_settings", None)
            if law is not None and given is not None and given.max_examples > EXAMPLES:
                shorter = settings(given, max_examples=EXAMPLES)
                law._hypothesis_internal_use_settings = shorter
        if self.chosen is not None:
            by_name = {item.nodeid: item for item in items}
            items[:] = [by_name[name] for name in self.chosen if name in by_name]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which test failed."""
        if report.failed:
            self.failed = report.nodeid

    def run(self, paths: list[str]) -> int:
        """Run tests until one fails; return the exit status of pytest."""
        options = ["-x", "-q", "--tb=short", "--assert=plain", "-p", "no:cacheprovider"]
        return int(pytest.main([*options, "-p", "no:xdist", *paths], plugins=[self]))


class Coverage(Tests):
    """Also notes the lines of some files that each test runs."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(None)
        self.spans = {file: list_spans(source) for file, source in files.items()}
        self.covered: list[Covered] = []
        notes = ModuleType(NOTES)
        self.hits: dict[str, set[int]] = {}
        notes.hits = self.hits  # type: ignore[attr-defined]
        sys.modules[NOTES] = notes

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Follow a test."""
        for lines in self.hits.values():
            lines.clear()
        begin = time.process_time()
        outcome = yield
        if outcome.excinfo is None:
            seconds = time.process_time() - begin
            noted = {
                file: sorted({line for first in lines for line in self.spans[file][first]})
                for file, lines in self.hits.items()
                if lines
            }
            self.covered.append(Covered(item.nodeid, seconds, noted))


def measure_coverage(copy: Path, files: list[str], tests: list[str]) -> list[Covered]:
    """Return what each of some tests covers of some files; end the program if one fails."""
    answer = copy / "coverage.json"

    def run() -> int:
        import_independent(copy, files)
        sources = {file: (copy / file).read_text() for file in files}
        plugin = Coverage(sources)
        try:
            for file in files:
                replace_source(copy, file, add_notes(sources[file], file))
            enter(copy, files, list_kernels(copy, files))
            status = plugin.run(tests)
        finally:
            for file in files:
                replace_source(copy, file, sources[file])
        answer.write_text(json.dumps([vars(c) for c in plugin.covered]))
        return status

    status, log = fork(run, copy / LOG)
    if status != 0:
        raise SystemExit(f"the tests fail without any mutant:\n{log[-3000:]}")
    return [Covered(**fields) for fields in json.loads(answer.read_text())]


def replace_source(copy: Path, file: str, source: str) -> None:
    """Write a file of a copy, and remove what was compiled from it."""
    path = copy / file
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        stale.unlink()
    path.write_text(source)


class Bench:
    """A process with everything imported that does not depend on one file; runs its mutants."""

    def __init__(self, copy: Path, file: str) -> None:
        self.copy, self.file = copy, file
        self.original = (copy / file).read_text()
        self.kernels = list_kernels(copy, [file])
        import_independent(copy, [file])

    def try_mutant(self, source: str, tests: list[str], seconds: float) -> tuple[str, str]:
        """Return how the tests end with other source in the file, and the test that failed."""
        path, answer = self.copy / self.file, self.copy / "failed.txt"
        answer.unlink(missing_ok=True)
        replace_source(self.copy, self.file, source)

        def run() -> int:
            sys.dont_write_bytecode = True  # two mutants of one size and second look alike
            enter(self.copy, [self.file], self.kernels)
            plugin = Tests(tests)
            status = plugin.run(sorted({test.split("::")[0] for test in tests}))
            answer.write_text(plugin.failed or "imports")
            module = sys.modules.get(_name_module(self.file))
            if status == 0 and (module is None or module.__file__ != str(path)):
                return NOT_RUN
            return status

        try:
            status, log = fork(run, self.copy / LOG, seconds)
        finally:
            path.write_text(self.original)
        if status is None:
            return TIMED_OUT, ""
        if status == NOT_RUN:
            raise SystemExit(f"{self.file}: the tests do not run the mutant:\n{log[-3000:]}")
        failed = answer.read_text() if answer.exists() else "the process ended"
        if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return SURVIVED, ""
        return KILLED, failed


def import_independent(copy: Path, files: list[str]) -> None:
    """Import, for good, all of the project that does not depend on some files of it.

    The chips are read, too: the YAML of those that most tests use takes longer than their imports.
    """
    _use_copy(copy)
    for name in list_independent(copy, files):
        with contextlib.suppress(ModuleNotFoundError):  # a library that few tests need
            importlib.import_module(name)
    chips = sys.modules.get("snncompile.hwmodels.chips")
    for name in chips.list_names() if chips else ():
        chips.load_chip(name)


def list_independent(copy: Path, files: list[str]) -> list[str]:
    """Return the modules of the project that import some files in no way."""
    paths = _list_modules(copy)
    imported = {name: _list_imports(path, paths) for name, path in paths.items()}
    reached, more = set[str](), {_name_module(file) for file in files}
    while more:
        reached |= more
        more = {name for name, uses in imported.items() if uses & reached} - reached
    return sorted(name for name in paths if name not in reached)


def list_kernels(copy: Path, files: list[str]) -> list[str]:
    """Return files that numba compiles, as modules, and the modules that import one of them."""
    paths = _list_modules(copy)
    kernels = {_name_module(file) for file in files if _is_compiled((copy / file).read_text())}
    callers = {name for name, path in paths.items() if _list_imports(path, paths) & kernels}
    return sorted(kernels | (callers if kernels else set()))


def _is_compiled(text: str) -> bool:
    return "njit" in text or "compile_function" in text


def _list_modules(copy: Path) -> dict[str, Path]:
    """Return the file of each module of a copy."""
    return {_name_module(str(path.relative_to(copy))): path for path in _list_files(copy)}


def _list_files(copy: Path) -> Iterator[Path]:
    for folder in ("snncompile", "backends", "hwmodels"):
        for path in (copy / folder).rglob("*.py"):
            if not {"processes", "templates", "cli"} & set(path.parts) and not path.is_symlink():
                yield path
    yield from (copy / "tests/helpers").glob("*.py")


def _list_imports(path: Path, known: dict[str, Path]) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & known.keys()


def _name_module(file: str) -> str:
    parts = Path(file).with_suffix("").parts
    if parts[:2] == ("tests", "helpers"):
        parts = parts[2:]
    elif parts[0] in ("backends", "hwmodels"):
        parts = ("snncompile", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _use_copy(copy: Path) -> None:
    """Import the project from a copy from now on."""
    if any(name.split(".")[0] == "snncompile" for name in sys.modules):
        where = Path(str(sys.modules["snncompile"].__file__)).parents[1]
        assert where == copy, f"the project is imported from {where}"
    paths = [str(copy), str(copy / "tests/helpers"), str(copy / "benchmarks")]
    sys.path[:] = [*paths, *(p for p in sys.path if p not in paths)]
    os.environ["PYTHONPATH"] = str(copy)
    os.chdir(copy)


def enter(copy: Path, files: list[str], kernels: list[str]) -> None:
    """Get ready to import files under test; import kernels and their callers as plain Python."""
    _use_copy(copy)
    early = {_name_module(file) for file in files} & sys.modules.keys()
    assert not early, f"imported too early: {early}"
    numba.config.DISABLE_JIT = True  # only meanwhile: numba compiles parts of its own later
    for name in kernels:
        importlib.import_module(name)
    numba.config.DISABLE_JIT = False
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def fork(
    run: Callable[[], int], log: Path | None = None, seconds: float | None = None
) -> tuple[int | None, str]:
    """Run a function in a forked process; return its status and text.

    Args:
        run: returns the status.
        log: file for its text; None: it is printed.
        seconds: of processor time that it may take, and ten times as much of any; then the status
            is None.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setsid()
            if log is not None:
                file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, 1)
                os.dup2(file, 2)
            if seconds is not None:
                limit = int(seconds) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            status = run()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            sys.stdout.flush()
            os._exit(status)
    end = None if seconds is None else time.monotonic() + 10 * seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            too_long = code in (-signal.SIGXCPU, -signal.SIGKILL)
            text = log.read_text(errors="replace") if log is not None else ""
            return None if too_long else code, text
        if end is not None and time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            end = None
        time.sleep(0.01)
