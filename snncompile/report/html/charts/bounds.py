"""What bounds a step, in words: cores with the layers on them."""

from __future__ import annotations

import re

from snncompile.report.html.facts import Facts

CORE = re.compile(r"core (\d+) (sending|receiving)")


def sort_bound(name: str) -> str:
    """Return the kind of a bound that the estimator names."""
    if name.endswith(" sending"):
        return "a core sends"
    if name.endswith(" receiving"):
        return "a core receives"
    return "a link" if name.startswith("link ") else name


def name_bound(facts: Facts, name: str) -> str:
    """Return a bound with the layers of its core: `core 3 receiving (hidden)`."""
    match = CORE.fullmatch(name)
    if match is None:
        return name if name.startswith(("link", "the host")) else f"the {name}"
    return f"{name} ({name_layers(facts, int(match[1]))})"


def name_layers(facts: Facts, core: int) -> str:
    """Return the layers on a core; the first two and how many more."""
    slices = facts.program.mapping.by_core.get(core, ())
    names = list(dict.fromkeys(s.population for s in slices))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{', '.join(names[:2])}{more}"
