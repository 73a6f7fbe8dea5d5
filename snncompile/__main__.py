"""`python -m snncompile` is the command `snncompile`."""

from snncompile.cli.start import main

main()
