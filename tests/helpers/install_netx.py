"""Make the environment of lava-dl, whose netx loads our .net files: install_netx.py FOLDER.

It needs Python 3.10 and the network once; with the torch that lava-dl asks for it takes 5 GB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from snncompile.backends.lava.environment import find_python

REQUIREMENTS = Path(__file__).parents[1] / "backends" / "netx" / "requirements.txt"


def main(folder: Path) -> None:
    """Make the environment anew."""
    python = folder / "bin" / "python"
    uv = find_uv_bin()
    made = [uv, "venv", "--quiet", "--clear", "--python", str(find_python(sys.stderr.write))]
    subprocess.run([*made, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python)]
    subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=True)
    subprocess.run([str(python), "-c", "from lava.lib.dl import netx"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
