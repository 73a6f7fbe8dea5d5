"""The log on standard error: `--log-level`, of the logger with the package's name."""

from __future__ import annotations

import logging
import sys

from snncompile.errors import InputError

LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(levelname)s %(name)s: %(message)s"
NAME = "snncompile"


def start_log(level: str) -> None:
    """Show records of a level and above on standard error.

    Raises:
        InputError: there is no such level.
    """
    if level.lower() not in LEVELS:
        raise InputError(f"no log level called {level!r}; known: {', '.join(LEVELS)}")
    logger = logging.getLogger(NAME)
    for handler in [h for h in logger.handlers if isinstance(h, _Stream)]:
        logger.removeHandler(handler)
    handler = _Stream(level.upper())
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    logger.setLevel(level.upper())


class _Stream(logging.Handler):
    """The handler of the command line, told apart from those of others."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to what is standard error now."""
        print(self.format(record), file=sys.stderr)
