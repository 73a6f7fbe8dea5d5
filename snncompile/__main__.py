"""`python -m snncompile` is the command `snncompile`."""

from snncompile.cli.start import main

if __name__ == "__main__":
    main()
