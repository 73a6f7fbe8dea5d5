"""The page on refused models: its examples are refused as it says, and imported with the change."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import snncompile
from snncompile.errors import SnnCompileError
from snncompile.ir.graph import Network

PAGE = (Path(__file__).parent.parent / "docs" / "refused.md").read_text()
PRELUDE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
FRONTEND = Path(snncompile.__file__).parent / "frontends"
ANSWERS = {"answer_layer.py", "read_answer.py"}
"""Files that say what forward returns instead of an answer; `layer_graph` refuses with it."""
CALLS = {"arguments.py", "by_hand.py", "input_kinds.py", "ties.py", "time_layouts.py"}
"""Files that check the arguments of `from_torch`: mistakes of a call, no refused models."""
OF_CALLS = (
    "from_torch needs the torch module itself",
    "does not take args",
    "sample has ",
    "host takes a list of layers",
    "host must be the torch module",
    "host: ",
)
"""Beginnings or parts of further messages about a call."""


@pytest.mark.parametrize("title", SECTIONS)
def test_an_example_is_refused_and_its_change_imports(title):
    pytest.importorskip("snntorch")
    names: dict[str, object] = {}
    code = "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[title], re.DOTALL))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(PRELUDE + code, names)
        assert isinstance(names["network"], Network)
        if "refused" in names:
            (words,) = re.findall(r"^> (.*)$", SECTIONS[title], re.MULTILINE)
            with pytest.raises(SnnCompileError) as error:
                names["refused"]()
            assert words in str(error.value)


def test_links_of_the_table_lead_to_sections():
    anchors = {re.sub(r"[^a-z ]", "", title.lower()).replace(" ", "-") for title in SECTIONS}
    assert set(re.findall(r"\(#(.*?)\)", PAGE)) == anchors


def test_the_page_is_linked():
    root = Path(__file__).parent.parent
    assert "docs/refused.md" in (root / "README.md").read_text()
    assert "refused.md" in (root / "docs" / "frontends.md").read_text()
    assert len(ROWS) > 15


def list_messages() -> Iterator[tuple[str, str]]:
    """Yield (place, words with ... for what is filled in) of each refusal of the torch import."""
    files = [*sorted((FRONTEND / "torch").rglob("*.py")), FRONTEND / "host_biases.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            raised = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if (
                raised
                and node.func.id.endswith("Error")
                and node.args
                and file.name not in CALLS | ANSWERS
            ):
                words = read_words(node.args[0])
                if re.sub(r"[.,: ]", "", words):
                    yield f"{file.name}:{node.lineno}", words


def read_words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(read_words, node.values))
    return "..."


PHRASES = [
    re.compile(".*?".join(re.escape(part.strip()) for part in re.split(r"\.\.\.| [A-Z]\b", words)))
    for row in ROWS
    for words in re.findall(r"`([^`]+)`", row.split(" | ")[0])
]


def test_every_kind_of_refusal_is_on_the_page():
    messages = dict(list_messages())
    assert len(messages) > 80
    missing = [
        f"{place}: {words}"
        for place, words in messages.items()
        if not any(phrase.search(words) for phrase in PHRASES)
        and not any(words.startswith(part) or part in words for part in OF_CALLS)
    ]
    assert not missing, "\n".join(missing)
