"""Write `docs/nir.md`: assumptions about each writer of NIR files, what readers do with ours.

python docs/make_nir.py            # write the file
python docs/make_nir.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `cases_nir`, also when a test loads this file
from cases_nir import NETWORKS, READERS, draw_spikes, run_reader

from snncompile.backends.nir.dialects import DIALECTS
from snncompile.backends.nir.write import write_nir
from snncompile.errors import UnsupportedError
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


def try_reader(reader: str, name: str) -> tuple[str, str]:
    """Return what the table says about a network in a reader, and why it is refused."""
    network = NETWORKS[name]()
    x = draw_spikes(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.nir"
        try:
            write_nir(network, path, reader=reader)
        except UnsupportedError as error:
            return "refused", str(error)
        if reader not in READERS:
            return "late", ""
        theirs = run_reader(reader, path, network, x)
    ours = network.run(x).spikes
    assert ours.any(), f"{name}: no spikes, so nothing was compared"
    wrong = int((theirs.reshape(ours.shape) != ours).sum())
    return ("equal", "") if not wrong else (f"{wrong} of {ours.size} differ", "")


def list_readers() -> str:
    """Return the table of networks and readers, and the messages below it."""
    titles = [dialect.reader for dialect in DIALECTS.values()]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    notes: dict[str, int] = {}
    """Why something is refused -> its number."""
    for name in NETWORKS:
        row = [name]
        for reader in DIALECTS:
            text, reason = try_reader(reader, name)
            row.append(f"{text} [{notes.setdefault(reason, len(notes) + 1)}]" if reason else text)
        lines.append(f"| {' | '.join(row)} |")
    numbered = (f"{number}. {reason}" for reason, number in notes.items())
    return "\n".join([*lines, "", *numbered]) + "\n"


def page() -> str:
    """Return the page."""
    text = TEMPLATE.read_text().replace("{origins}\n", list_origins())
    return text.replace("{readers}\n", list_readers())


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if arguments == ["--check"]:
        return int(TARGET.read_text() != page())
    TARGET.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
