"""Exit codes of the command line."""

INTERRUPTED = 130
"""After Ctrl-C, as of shells: 128 and the number of the signal."""
