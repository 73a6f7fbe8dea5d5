"""A command that was typed wrongly: one line, with the nearest right word."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Any

import typer

from snncompile.cli.shared import err

USAGE: type[Exception] = typer.BadParameter.__bases__[0]
"""Of the click that typer carries, or of that beside it: the error of a command line."""


def explain_usage(error: Exception) -> int:
    """Print a mistake in the command in one line; return its exit code."""
    context: Any = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help())
        return 2
    path = context.command_path if context is not None else "snncompile"
    text = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    text = text.partition(" (Possible options")[0]
    line = f"error: {text[:1].lower()}{text[1:]}{_suggest(error, text)}; see {path} --help"
    err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    return 2


def _suggest(error: Exception, text: str) -> str:
    """Return the nearest option or command, unless the message names it."""
    context: Any = getattr(error, "ctx", None)
    if context is None or "mean" in text:
        return ""
    option = getattr(error, "option_name", None)
    if option is not None:
        known = [name for p in context.command.params for name in p.opts if name.startswith("-")]
        near = get_close_matches(option, known, 1, 0.5)
        return f"; did you mean {near[0]}?" if near else ""
    commands = getattr(context.command, "commands", {})
    typed = [word for word in sys.argv[1:] if not word.startswith("-")][:1]
    near = get_close_matches(typed[0], list(commands), 1, 0.4) if typed else []
    return f"; did you mean {near[0]}?" if near else ""
