"""Options of `compile` on the command line, each from the field that states it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, TypeVar, cast

import typer

from snncompile.cli.shared import choose_current
from snncompile.option_signature import extend_signature, select
from snncompile.options import RENAMED, Option, Options

F = TypeVar("F", bound=Callable[..., Any])


def takes_options(*names: str, record: type[Options] = Options) -> Callable[[F], F]:
    """Give a command with a parameter `**single` the options in its place, one panel per section.

    Old names are hidden options; their use is warned of in one line.

    Args:
        names: options that the command takes; all if none are given.
        record: states the options.
    """
    options = select(names, record)
    renamed = {old: new for old, new in RENAMED.items() if new in {o.name for o in options}}

    def decorate(function: F) -> F:
        @wraps(function)
        def call(**values: Any) -> Any:
            for old, new in renamed.items():
                values[new] = choose_current(
                    name_flag(new), values[new], name_flag(old), values.pop(old)
                )
            return function(**values)

        full = extend_signature(signature(function, eval_str=True), options, annotate)
        hidden = [make_hidden_option(old) for old in renamed]
        call.__signature__ = full.replace(  # type: ignore[attr-defined]
            parameters=[*full.parameters.values(), *hidden]
        )
        return cast(F, call)

    return decorate


def name_flag(name: str) -> str:
    """Return an option as written on the command line."""
    return f"--{name.replace('_', '-')}"


def annotate(option: Option) -> Any:
    """Return the type of an option with its help, as typer reads it.

    Values to choose from are text here: `Options` refuses others in one line, as in Python.
    """
    info = typer.Option(help=option.text, rich_help_panel=option.section.capitalize())
    kind = option.annotation
    if option.choices:
        kind = str | None if option.optional else str
    return Annotated[kind, info]


def make_hidden_option(name: str) -> Parameter:
    """Return the parameter of an option that works and is not shown."""
    kind = Annotated[str | None, typer.Option(name_flag(name), hidden=True)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
