"""Write `docs/nir.md`: assumptions about each writer of NIR files, what readers do with ours.

python docs/make_nir.py            # write the file
python docs/make_nir.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import sys
from pathlib import Path

from snncompile.frontends.nir.assumptions import ORIGINS
from snncompile.frontends.nir.writers import SHOWS

TARGET = Path(__file__).parent / "nir.md"
TEMPLATE = Path(__file__).parent / "nir.template.md"
ASSUMED = ("reset", "comparison", "tau_unit", "method", "start", "w_in", "r", "spikes_per_step")
STEPS = {
    "nir": "from two tau, or given",
    "snncompile": "its metadata",
    "spikingjelly": "from r, or given",
    "sinabs": "-",
    "spyx": "from r",
    "rockpool": "from r",
}
"""Origin -> where its time step comes from, if it is not always the same."""


def list_origins() -> str:
    """Return the table of writers and of what is assumed about their files."""
    lines = [
        f"| origin | shows in | dt | {' | '.join(ASSUMED)} |",
        "|---" * (len(ASSUMED) + 3) + "|",
    ]
    for origin, assumed in ORIGINS.items():
        dt = STEPS.get(origin) or f"{assumed.dt:g}"
        values = [f"`{getattr(assumed, name)}`" for name in ASSUMED]
        lines.append(f"| {' | '.join([origin, SHOWS[origin], dt, *values])} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page."""
    return TEMPLATE.read_text().replace("{origins}\n", list_origins())


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if arguments == ["--check"]:
        return int(TARGET.read_text() != page())
    TARGET.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
