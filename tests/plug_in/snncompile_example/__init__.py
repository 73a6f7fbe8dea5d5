"""An example of a package that adds to snncompile: its entry points are in pyproject.toml."""

from pathlib import Path

PINBOARD = Path(__file__).parent / "pinboard.yaml"
