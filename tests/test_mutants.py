"""`make mutants`: what it changes, and that tests run what it wrote, on a copy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import mutants
import pytest
from fork_functions import replace_code
from mutate_source import list_mutants
from note_lines import NOTES, add_notes, list_spans

# Source of a function; what is changed of it.
CHANGES = {
    "return a < b": ["a < b -> a <= b"],
    "return a == b != c": ["a == b != c -> a != b != c", "a == b != c -> a == b == c"],
    "return a and b": ["a and b -> a or b"],
    "return not a": ["not a -> a"],
    "return -a": ["-a -> a"],
    "return a + b * c": ["a + b * c -> a - b * c", "b * c -> b + c"],
    "a += b": ["a += b -> a -= b"],
    "return a[7]": ["a[7] -> a[8]"],
    "return True": ["return True -> return False"],
    "return f(None, 'word')": ["f(None, 'word') -> f(None, 'XXword')"],
    "return f'of {a:,}'": ["f'of {a:,}' -> f'XXof {a:,}'"],
    "return min(a)": ["min(a) -> max(a)"],
    "return np.any(a)": ["np.any(a) -> np.all(a)"],
    "f(a)": ["f(a) -> pass"],
    "yield a": ["yield a -> pass"],
    "raise a": ["raise a -> pass"],
    "if a: return": ["a -> not a"],
    "return b if a else c": ["a -> not a"],
    "return [b for b in a if b]": ["b -> not b"],
    "while a < b: break": ["a < b -> a <= b", "break -> continue"],
    # What states a belief, a type or a text for readers stays.
    "assert a < 3": [],
    "a: int | None = b": [],
    "A = Literal['b', 'c']": [],
    "'a docstring'": [],
    "return zip(a, b, strict=True)": [],
}


@pytest.mark.parametrize("line", CHANGES)
def test_changes(line):
    assert [m.change for m in list_mutants(f"def f(a, b, c):\n    {line}\n")] == CHANGES[line]


def test_a_mutant_is_the_whole_file_with_one_change():
    source = "import numpy\n\nA = 1\n\n\nclass C:\n    def f(self):\n        return A - 1\n"
    first, second, third = list_mutants(source)
    assert (first.where, first.lines, first.change) == ("module", (3, 3), "A = 1 -> A = 2")
    assert (second.where, second.lines, second.change) == ("C.f", (8, 8), "A - 1 -> A + 1")
    for mutant, old, new in ((third, "A - 1", "A - 2"), (first, "A = 1", "A = 2")):
        assert ast.dump(ast.parse(mutant.source)) == ast.dump(ast.parse(source.replace(old, new)))


def test_equal_changes_of_a_function_are_numbered():
    found = list_mutants("def f(a):\n    g(a)\n    g(a)\n")
    assert [m.change for m in found] == ["g(a) -> pass", "g(a) -> pass (2)"]


def test_mutants_that_are_named_equivalent_exist_and_have_a_reason():
    known = mutants.read_equivalent()
    mutants.refuse_stale(known)
    assert all(len(reason) > 10 for reason in known.values())


def test_a_name_of_no_mutant_is_refused():
    file = "snncompile/passes/route.py"
    with pytest.raises(SystemExit) as error:
        mutants.refuse_stale({(file, "Route", "a -> b"): "gone"})
    assert str(error.value) == (
        f"mutants_equivalent.toml names what is no mutant: {file} | Route | a -> b"
    )


def test_files_and_tests_of_the_table_exist():
    for target in mutants.TARGETS:
        for path in (*target.files, *target.tests):
            assert (mutants.ROOT / path.split("::")[0]).exists(), path


PROJECT = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p no:nengo'\n",
    "backends/__init__.py": "",
    "hwmodels/__init__.py": "",
    "snncompile/__init__.py": "",
    "snncompile/other.py": "",
    "snncompile/half.py": "from numba import njit\n\n@njit(cache=True)\ndef halve(a):\n"
    "    while a % 2 == 1:\n        a -= 1\n    return a // 2\n",
    "tests/helpers/nothing.py": "",
    "tests/test_half.py": "from snncompile.half import halve\n\n"
    "def test_even():\n    assert halve(4) == 2\n\ndef test_odd():\n    assert halve(5) == 2\n",
}
SCRIPT = """
import json, sys
from pathlib import Path
from fork_functions import collect_and_run
from fork_tests import Bench, copy_project, measure_coverage
from mutate_source import list_mutants
copy = copy_project(Path(sys.argv[1]), Path(sys.argv[2]))
covered = measure_coverage(copy, [sys.argv[3]], ["tests"])
bench = Bench(copy, sys.argv[3])
tests = [c.test for c in covered]
tries = [bench.try_mutant(source, tests, 2) for source in json.loads(sys.argv[4])]
replaced = {}
def try_all(attempt):
    for mutant in list_mutants((copy / sys.argv[3]).read_text()):
        replaced[mutant.change] = attempt(sys.argv[3], mutant, tests, 2)
collect_and_run(copy, [sys.argv[3]], tests, try_all)
print(json.dumps([[c.lines for c in covered], tries, replaced]))
"""


def test_tests_run_the_mutant_and_the_project_stays(tmp_path):
    """Also a function that numba compiles; the second mutant is as long as the first."""
    for name, text in PROJECT.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    file = "snncompile/half.py"
    source = PROJECT[file]
    tries = [
        source,
        source.replace("// 2", "// 3"),
        source.replace("a -= 1", "a -= 2"),
        source.replace("a -= 1", "a -= 5"),
    ]
    command = [sys.executable, "-c", SCRIPT]
    answer = subprocess.run(
        [*command, tmp_path / "project", tmp_path / "copy", file, json.dumps(tries)],
        env={"PYTHONPATH": str(Path(mutants.__file__).parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines, outcomes, replaced = json.loads(answer.stdout.splitlines()[-1])
    assert lines == [{file: [5, 7]}, {file: [5, 6, 7]}]
    assert outcomes == [
        ["survived", ""],
        ["killed", "tests/test_half.py::test_even"],
        ["timed out", ""],
        ["killed", "tests/test_half.py::test_odd"],
    ]
    for name, text in PROJECT.items():
        assert (tmp_path / "project" / name).read_text() == text
    assert replaced == {
        "a % 2 == 1 -> a % 2 != 1": ["killed", "tests/test_half.py::test_even"],
        "a % 2 -> a // 2": ["survived", ""],
        "a % 2 -> a % 3": ["killed", "tests/test_half.py::test_even"],
        "a % 2 == 1 -> a % 2 == 2": ["survived", ""],
        "a -= 1 -> a += 1": ["killed", "tests/test_half.py::test_odd"],
        "a -= 1 -> a -= 2": ["timed out", ""],
        "a // 2 -> a * 2": ["killed", "tests/test_half.py::test_even"],
        "a // 2 -> a // 3": ["killed", "tests/test_half.py::test_even"],
    }


def test_a_function_gets_the_code_of_other_source():
    """With those inside it that exist; what is no function of the source stays as it was."""

    def make(step):
        def add(value):
            return value + step

        return add

    old, inner = FunctionType(make.__code__, {}, "make"), make(2)
    where = "test_a_function_gets_the_code_of_other_source.<locals>.make"
    assert old.__code__.co_qualname == where
    source = (
        "def test_a_function_gets_the_code_of_other_source():\n    def make(step):\n"
        "        def add(value):\n            return value - step\n        return add\n"
    )
    name = "test_a_function_gets_the_code_of_other_source"
    assert not replace_code([old, inner], "another", source)
    assert inner(1) == 3
    assert replace_code([old, inner], name, source)
    assert (inner(1), old(5)(1)) == (-1, -4)


NOTED = """from __future__ import annotations

LIMIT = 3


def f(a):
    \"\"\"A text.\"\"\"
    if (
        a > LIMIT
    ):
        return 1
    for b in range(a):
        a += b
    else:
        a -= 1
    return a
"""


def test_statements_that_run_are_noted():
    hits = sys.modules.setdefault(NOTES, ModuleType(NOTES)).__dict__.setdefault("hits", {})
    namespace = {}
    exec(compile(add_notes(NOTED, "a file"), "noted", "exec"), namespace)
    assert (namespace["f"](4), sorted(hits.pop("a file"))) == (1, [8, 11])
    exec(compile(add_notes(NOTED, "a file"), "noted", "exec"), namespace)
    assert (namespace["f"](0), sorted(hits["a file"])) == (-1, [8, 12, 15, 16])
    spans = list_spans(NOTED)
    assert (spans[8], spans[12], spans[16]) == (range(8, 11), range(12, 13), range(16, 17))
