"""Print the notes of a release from CHANGELOG.md.

python docs/make_release_notes.py          # of the newest release
python docs/make_release_notes.py 0.1.0    # of another
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
HEADING = re.compile(r"^## (?P<version>\S+)(?P<rest>.*)$", re.M)


def notes(text: str, version: str | None = None) -> str:
    """Return the section of a version; of the first one if none is given."""
    headings = list(HEADING.finditer(text))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if version in (None, heading["version"]):
            end = following.start() if following else len(text)
            return f"# snncompile {heading['version']}\n\n{text[heading.end() : end].strip()}\n"
    known = ", ".join(heading["version"] for heading in headings)
    raise SystemExit(f"no version {version} in CHANGELOG.md; known: {known}")


if __name__ == "__main__":
    print(notes(CHANGELOG.read_text("utf-8"), *sys.argv[1:2]), end="")
