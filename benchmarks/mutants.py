"""Mutation test of the checker, bounds, quantization, routes and the cycle model's loop.

    make mutants                                            # 90 minutes on two cores at most
    python benchmarks/mutants.py --sample 20 --seed 3       # at most 20 mutants of each file
    python benchmarks/mutants.py --files checker/mapping    # files whose path has these words
    python benchmarks/mutants.py --files route --list       # only print the mutants

A mutant is the project with one small change (`mutate_source.py`); it is killed if a test fails or
takes far too long. Each file is tested by its own tests, the table `TARGETS`: of these by the ones
that run the changed line, the quickest first, until one fails. A changed function replaces the old
one in a process that has collected the tests; whatever survives that, and all changes outside of
functions, are tried with the whole file imported anew. Mutants are drawn by a seed and
tried until the file's share of the time is over. Too long is 20 s and five times the time of the
processor that the tests take, so that a busy machine kills no mutant, or ten times as much by the
clock; such mutants count as killed and have a column of their own. Those that change nothing a user
could see are named in `mutants_equivalent.toml`, each with the reason; they count as neither. If a
part is below the floor, the exit status is 1. All happens on a temporary copy of the project.

Why a runner of our own: mutmut 3.8 leaves out functions with decorators, which are all of the
compiled loop and much of the rest, and everything outside of functions, so the tables of rules.
cosmic-ray 8.7 starts the tests anew for each mutant: to import torch and numba takes longer than
most tests, and it changes the files where they are.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fork_functions import Attempt, collect_and_run
from fork_tests import (
    KILLED,
    SURVIVED,
    TIMED_OUT,
    Bench,
    Covered,
    copy_project,
    fork,
    measure_coverage,
)
from mutate_source import Mutant, list_mutants

ROOT = Path(__file__).parents[1]
RESULTS = "results.jsonl"
AGAIN = "again.json"
"""Files and numbers of the mutants for which the whole file is imported."""
FUNCTIONS = 0.6
"""Share of the time for mutants of functions; the rest is for those that are left."""
NO_FILE = "raise RuntimeError('no test may pass without this file')"
WHOLE = "*"
"""Change that stands for every change of a function."""
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.toml")
LIBRARIES = ("h5py", "networkx", "nir", "pydantic", "scipy.sparse", "torch", "yaml")
"""Imported once, before the first fork."""
PATIENCE = 20.0
"""A mutant is ended after these seconds and five times what its tests take."""


@dataclass(frozen=True)
class Target:
    """A part of the project: files, and the tests that should see every change of them."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]


CHECKER = (
    "chip_rules",
    "core_limits",
    "headed_rows",
    "learning",
    "mapping",
    "memory_words",
    "row_words",
    "shared_axons",
    "table_numbers",
    "weighted_rows",
    "wiring_reach",
)
TARGETS = (
    Target(
        "checker", tuple(f"snncompile/checker/{name}.py" for name in CHECKER), ("tests/checker",)
    ),
    Target(
        "bounds",
        ("snncompile/passes/analysis/bounds.py",),
        (
            "tests/passes/analysis/test_bounds.py",
            "tests/passes/analysis/test_bounds_networks.py",
            "tests/passes/analysis/test_bounds_of_changes.py",
            "tests/passes/analysis/test_bounds_of_host.py",
            "tests/passes/analysis/test_bounds_of_learning.py",
            "tests/passes/analysis/test_bounds_report.py",
            "tests/passes/analysis/test_silent_neurons.py",
        ),
    ),
    Target("quantize", ("snncompile/passes/quantize/quantize.py",), ("tests/passes/quantize",)),
    Target(
        "route",
        ("snncompile/passes/route.py",),
        (
            "tests/passes/test_route.py",
            "tests/passes/test_text_of_passes.py::test_after[route]",
        ),
    ),
    Target(
        "cycle kernels",
        ("backends/energy/cycle_kernels.py",),
        ("tests/backends/energy/test_cycle_kernels.py",),
    ),
)


@dataclass(frozen=True)
class Result:
    """How one mutant ended."""

    file: str
    line: int
    where: str
    change: str
    outcome: str
    test: str
    """The test that failed; empty if none did."""


def main() -> int:
    """Print the table; return 1 if a part is below the floor."""
    arguments = _read_arguments()
    end = time.monotonic() + 60 * arguments.minutes
    chosen = {
        target: [f for f in target.files if any(word in f for word in arguments.files)]
        for target in TARGETS
    }
    mutants = {file: _draw(file, arguments.seed) for files in chosen.values() for file in files}
    equivalent = read_equivalent()
    refuse_stale(equivalent)
    if arguments.list:
        for file, own in mutants.items():
            for mutant in sorted(own, key=lambda m: m.lines):
                print(f"{file}:{mutant.lines[0]}: {mutant.where}: {mutant.change}")
        return 0
    for library in LIBRARIES:
        importlib.import_module(library)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copy_project(ROOT, Path(folder) / str(i)) for i in range(arguments.jobs)]
        covered: dict[str, list[Covered]] = {}
        for target, files in chosen.items():
            if files:
                _report(f"running the tests of {', '.join(files)}")
                covered |= dict.fromkeys(
                    files, measure_coverage(copies[0], files, list(target.tests))
                )
        work = Work(mutants, covered, equivalent, end, arguments.sample, arguments.tests)
        results = _try_all(work, chosen, copies)
    equal = {f: sum(work.is_equivalent(f, m) for m in own) for f, own in mutants.items()}
    parts = {target.name: files for target, files in chosen.items() if files}
    return _print_table(parts, mutants, results, equal, arguments.floor)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=85, help="for all together")
    parser.add_argument("--jobs", type=int, default=2, help="processes beside each other")
    parser.add_argument("--sample", type=int, default=10**9, help="mutants of each file at most")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--tests", type=float, default=20, help="seconds of the tests of one mutant at most"
    )
    parser.add_argument("--floor", type=float, default=95, help="percent killed of every part")
    parser.add_argument("--files", nargs="+", default=[""], help="words in the paths of files")
    parser.add_argument("--list", action="store_true", help="print the mutants, try none")
    return parser.parse_args()


def _draw(file: str, seed: int) -> list[Mutant]:
    """Return the mutants of a file in the order in which they are tried."""
    mutants = list_mutants((ROOT / file).read_text())
    random.Random(f"{file} {seed}").shuffle(mutants)
    return mutants


def read_equivalent() -> dict[tuple[str, str, str], str]:
    """Return the reason by (file, function, change)."""
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {(e["file"], e["where"], e["change"]): e["reason"] for e in entries}


def refuse_stale(equivalent: dict[tuple[str, str, str], str]) -> None:
    """End the program if an entry of the file of equivalents names no mutant."""
    known = {
        (file, m.where, change)
        for file in {file for file, _, _ in equivalent}
        for m in list_mutants((ROOT / file).read_text())
        for change in (m.change, WHOLE)
    }
    for entry in equivalent:
        if entry not in known:
            raise SystemExit(f"{EQUIVALENT.name} names what is no mutant: {' | '.join(entry)}")


@dataclass(frozen=True)
class Work:
    """What all processes share."""

    mutants: dict[str, list[Mutant]]
    covered: dict[str, list[Covered]]
    equivalent: dict[tuple[str, str, str], str]
    end: float
    sample: int
    seconds: float
    """Of all tests of one mutant together."""

    def choose_sample(self, file: str) -> list[Mutant]:
        """Return the mutants that are tried, in this order."""
        return [m for m in self.mutants[file][: self.sample] if not self.is_equivalent(file, m)]

    def is_equivalent(self, file: str, mutant: Mutant) -> bool:
        """Whether the file of equivalents names the mutant, or its whole function."""
        changes = (mutant.change, WHOLE)
        return any((file, mutant.where, change) in self.equivalent for change in changes)


def _try_all(work: Work, targets: dict[Target, list[str]], copies: list[Path]) -> list[Result]:
    """Return the results: first of functions, all in the first copy, then of what is left."""
    shares = {file: work.choose_sample(file) for file in work.mutants}
    left: list[tuple[str, int]] = []
    chosen = [files for files in targets.values() if files]
    for place, files in enumerate(chosen):
        now = time.monotonic()
        end = now + FUNCTIONS * (work.end - now) / (len(chosen) - place)
        _wait([_start(_try_target, work, copies[0], files, shares, end, len(copies))])
    for path in copies[0].glob(f"{AGAIN}*"):
        left += [(file, number) for file, number in json.loads(path.read_text())]
    left.sort(key=lambda one: (list(shares).index(one[0]), one[1]))
    _wait(
        [
            _start(_try_left, work, copy, left[number :: len(copies)], shares)
            for number, copy in enumerate(copies)
        ]
    )
    paths = [path for copy in copies for path in copy.glob(f"{RESULTS}*")]
    return [Result(**json.loads(line)) for p in paths for line in p.read_text().splitlines()]


def _start(function: Callable[..., int], *arguments: Any) -> int:
    """Return the process that a function runs in."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = function(*arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child


def _wait(children: list[int]) -> None:
    if any([os.waitpid(child, 0)[1] for child in children]):
        raise SystemExit("a process failed; see above")


def _try_target(
    work: Work,
    copy: Path,
    files: list[str],
    shares: dict[str, list[Mutant]],
    end: float,
    jobs: int,
) -> int:
    """Try the mutants of functions; leave behind which ones have to be tried with their file."""
    todo = [(file, number) for file in files for number in range(len(shares[file]))]
    random.Random(len(todo)).shuffle(todo)  # each file has its part of the time

    def work_beside(attempt: Attempt) -> None:
        _wait([_start(try_share, attempt, todo[job::jobs]) for job in range(jobs)])

    def try_share(attempt: Attempt, own: list[tuple[str, int]]) -> int:
        again = []
        for file, number in own:
            if time.monotonic() > end:
                break
            mutant = shares[file][number]
            tests, seconds = _choose_tests(work, file, mutant)
            outcome = None
            if tests and mutant.where != "module":
                outcome = attempt(file, mutant, tests, seconds)
            if outcome is None or outcome[0] == SURVIVED:
                again.append((file, number))
            else:
                _note_result(copy, file, mutant, *outcome)
        (copy / f"{AGAIN}.{os.getpid()}").write_text(json.dumps(again))
        return 0

    tests = [c.test for file in files for c in work.covered[file]]
    status = collect_and_run(copy, files, tests, work_beside)
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


def _try_left(
    work: Work, copy: Path, left: list[tuple[str, int]], shares: dict[str, list[Mutant]]
) -> int:
    """Try mutants, each with its file imported anew; a process for each file."""
    files = list(dict.fromkeys(file for file, _ in left))
    for place, file in enumerate(files):
        now = time.monotonic()
        end = now + (work.end - now) / (len(files) - place)
        own = [shares[file][number] for name, number in left if name == file]
        status, _ = fork(partial(_try_file, work, copy, file, own, end))
        if status != 0:
            return 1
    return 0


def _try_file(work: Work, copy: Path, file: str, mutants: list[Mutant], end: float) -> int:
    """Try the mutants that are left until the file's share of the time is over."""
    bench = Bench(copy, file)
    outcome, _ = bench.try_mutant(NO_FILE, *_choose_tests(work, file, None))
    if outcome != KILLED:
        raise SystemExit(f"{file}: the tests pass without the file")
    for mutant in mutants:
        if time.monotonic() > end:
            break
        tests, seconds = _choose_tests(work, file, mutant)
        outcome, test = SURVIVED, ""
        if tests:
            outcome, test = bench.try_mutant(mutant.source, tests, seconds)
        _note_result(copy, file, mutant, outcome, test)
        if outcome == SURVIVED:
            reason = "" if tests else " (no test runs this line)"
            line = mutant.lines[0]
            _report(f"survived{reason}: {file}:{line}: {mutant.where}: {mutant.change}")
    return 0


def _note_result(copy: Path, file: str, mutant: Mutant, outcome: str, test: str) -> None:
    result = Result(file, mutant.lines[0], mutant.where, mutant.change, outcome, test)
    with (copy / f"{RESULTS}.{os.getpid()}").open("a") as results:
        results.write(json.dumps(vars(result)) + "\n")


def _choose_tests(work: Work, file: str, mutant: Mutant | None) -> tuple[list[str], float]:
    """Return the tests of a mutant, the quickest first, and the seconds that they may take.

    These are the tests that run its lines; if none does, of its statement; if none does either, as
    with defaults and names, which are read at the import, all.
    """
    ordered = sorted(work.covered[file], key=lambda c: c.seconds)
    if mutant is not None and mutant.where != "module":
        spans = (range(a, b + 1) for a, b in (mutant.lines, mutant.statement))
        chosen = (
            [c for c in ordered if not span_misses(c.lines.get(file, ()), span)] for span in spans
        )
        ordered = next((tests for tests in chosen if tests), ordered)
    tests, total = [], 0.0
    for c in ordered:
        if tests and total + c.seconds > work.seconds:
            break
        tests.append(c.test)
        total += c.seconds
    return tests, PATIENCE + 5 * total


def span_misses(lines: Iterable[int], span: range) -> bool:
    """Whether none of some lines is in a span."""
    return not any(line in span for line in lines)


def _print_table(
    parts: dict[str, list[str]],
    mutants: dict[str, list[Mutant]],
    results: list[Result],
    equivalent: dict[str, int],
    floor: float,
) -> int:
    """Print a row per file and per part; return 1 if a part is below the floor."""
    by_file: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        by_file[result.file][result.outcome] += 1
    print("| | mutants | tried | killed | timed out | survived | equivalent | killed |")
    print("|---|---|---|---|---|---|---|---|")
    below = []
    for part, files in parts.items():
        total: Counter[str] = Counter()
        for file in files:
            known = Counter(mutants=len(mutants[file]), equivalent=equivalent[file])
            total += by_file[file] + known
            if len(files) > 1:
                _print_row(file, by_file[file] + known)
        if _print_row(f"**{part}**", total) < floor:
            below.append(part)
    for part in below:
        print(f"{part} is below {floor:g} %", file=sys.stderr)
    return 1 if below else 0


def _print_row(name: str, counts: Counter[str]) -> float:
    """Print a row; return the percentage of the mutants tried that a test noticed."""
    noticed = counts[KILLED] + counts[TIMED_OUT]
    tried = noticed + counts[SURVIVED]
    percent = 100 * noticed / tried if tried else 0.0
    columns = [counts["mutants"], tried, counts[KILLED], counts[TIMED_OUT], counts[SURVIVED]]
    columns.append(counts["equivalent"])
    print(f"| {name} | {' | '.join(map(str, columns))} | {percent:.1f} % |")
    return percent


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
