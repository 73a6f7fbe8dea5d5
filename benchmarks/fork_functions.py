"""Run tests with one function changed, each in a fork of a process that has collected them all.

Nothing is imported anew: the code of the function is replaced where it is, in all functions that
have it. What was computed before, at the import, is still that of the old code; so a mutant that
survives here is tried again by `fork_tests.Bench`, which imports the whole file.
"""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from fork_tests import (
    KILLED,
    SURVIVED,
    TIMED_OUT,
    Tests,
    enter,
    fork,
    import_independent,
    list_kernels,
)
from mutate_source import Mutant

Attempt = Callable[[str, Mutant, list[str], float], tuple[str, str] | None]
"""Takes the file, the mutant, tests and seconds; returns how they end and the test that failed, or
None if the code cannot be replaced."""
PATCHED, NOT_PATCHED = 0, 97


class Loop(Tests):
    """Plug-in of pytest that collects tests, and gives a caller a way to run some with a change."""

    def __init__(self, copy: Path, files: list[str], work: Callable[[Attempt], None]) -> None:
        super().__init__(None)
        self.copy, self.files, self.work = copy, files, work
        self.items: dict[str, pytest.Item] = {}
        self.functions: dict[str, list[FunctionType]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Let the caller run what was collected."""
        self.items = {item.nodeid: item for item in session.items}
        self.functions = list_functions(self.copy, self.files)
        self.work(self.attempt)
        return True

    def attempt(
        self, file: str, mutant: Mutant, tests: list[str], seconds: float
    ) -> tuple[str, str] | None:
        """Run tests with a function of other source in a fork; see `Attempt`."""
        answer = self.copy / f"failed-{os.getpid()}.txt"
        answer.unlink(missing_ok=True)

        def run() -> int:
            if not replace_code(self.functions[file], mutant.where, mutant.source):
                return NOT_PATCHED
            answer.write_text(self._run_until_one_fails(tests))
            return PATCHED

        status, _ = fork(run, self.copy / f"log-{os.getpid()}.txt", seconds)
        if status is None:
            return TIMED_OUT, ""
        if status == NOT_PATCHED:
            return None
        failed = answer.read_text() if answer.exists() else "the process ended"
        return (KILLED, failed) if failed else (SURVIVED, "")

    def _run_until_one_fails(self, tests: list[str]) -> str:
        """Return the name of the first test that fails, or nothing."""
        items = [self.items[name] for name in tests]
        for item, after in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, log=False, nextitem=after)
            if any(report.failed for report in reports):
                return item.nodeid
        return ""


def collect_and_run(
    copy: Path, files: list[str], tests: list[str], work: Callable[[Attempt], None]
) -> int:
    """Import all, collect tests and let a function run them; return the exit status of pytest."""
    import_independent(copy, files)
    enter(copy, files, list_kernels(copy, files))
    return Loop(copy, files, work).run(sorted({test.split("::")[0] for test in tests}))


def replace_code(functions: list[FunctionType], where: str, source: str) -> bool:
    """Give a function, and those inside it, the code of other source; return whether one did.

    Args:
        functions: all of the file.
        where: qualified name of the function, with that of functions inside it behind.
        source: of the whole file.
    """
    fresh: dict[str, list[CodeType]] = {}
    for code in _walk_codes(compile(source, "mutant", "exec", dont_inherit=True)):
        fresh.setdefault(code.co_qualname, []).append(code)
    top = _find_top(where, fresh)
    replaced = False
    for function in functions:
        name = function.__code__.co_qualname
        if top and (name == top or name.startswith(f"{top}.<locals>.")):
            codes = fresh.get(name, [])
            if len(codes) != 1 or codes[0].co_freevars != function.__code__.co_freevars:
                return False
            function.__code__ = codes[0]
            replaced = True
    return replaced


def _find_top(where: str, codes: dict[str, Any]) -> str:
    """Return the outermost function of a name like `Class.method.inner`; empty if there is none."""
    parts = where.split(".")
    heads = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((head for head in heads if head in codes and _is_function(codes[head])), "")


def _is_function(codes: list[CodeType]) -> bool:
    return all(code.co_flags & inspect.CO_OPTIMIZED for code in codes)  # the body of a class is not


def _walk_codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _walk_codes(inner)


def list_functions(copy: Path, files: list[str]) -> dict[str, list[FunctionType]]:
    """Return the functions that exist of each file."""
    by_path: dict[str, list[FunctionType]] = {str(copy / file): [] for file in files}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename in by_path:
            by_path[thing.__code__.co_filename].append(thing)
    return {file: by_path[str(copy / file)] for file in files}
