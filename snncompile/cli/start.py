"""The first lines of the command: Ctrl-C while the rest is imported ends quietly, too."""

from __future__ import annotations

import sys

from snncompile.cli.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line; see `snncompile.cli.main`."""
    try:
        from snncompile.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()
