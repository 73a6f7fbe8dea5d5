"""The page on refused models: its examples are refused as it says, and imported with the change."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from snncompile.errors import SnnCompileError
from snncompile.ir.graph import Network

PAGE = (Path(__file__).parent.parent / "docs" / "refused.md").read_text()
PRELUDE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


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
