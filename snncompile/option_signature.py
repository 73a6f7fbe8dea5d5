"""Functions that take options: their signature and docstring follow from `Options`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar, cast

from snncompile.options import RENAMED, Option, Options, list_options
from snncompile.renamed import translate_names

F = TypeVar("F", bound=Callable[..., Any])
WIDTH = 100
"""Columns of a docstring."""


def takes_options(*names: str, record: type[Options] = Options) -> Callable[[F], F]:
    """Give a function with a parameter `**single` the options in its place.

        def compile(network, *, chip, **single)     ->     compile(network, *, chip, bits=8, ...)

    In its docstring the line that begins with `**single:` becomes one entry per option. Old names
    of options are accepted with a warning, and unknown ones refused with a TypeError.

    Args:
        names: options that the function takes; all if none are given.
        record: states the options.
    """
    options = select(names, record)
    renamed = {old: new for old, new in RENAMED.items() if new in {o.name for o in options}}

    def decorate(function: F) -> F:
        full = extend_signature(signature(function), options)

        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            keywords = translate_names(function.__name__, keywords, renamed)
            for name in keywords:
                if name not in full.parameters:
                    raise TypeError(
                        f"{function.__name__}() got an unexpected keyword argument {name!r}"
                    )
            return function(*args, **keywords)

        call.__doc__ = extend_docstring(function.__doc__ or "", options)
        call.__signature__ = full  # type: ignore[attr-defined]
        return cast(F, call)

    return decorate


def select(names: Sequence[str], record: type[Options] = Options) -> tuple[Option, ...]:
    """Return the options with these names, all if there are none, in the order of the record."""
    options = tuple(list_options(record))
    assert set(names) <= {option.name for option in options}, names
    return tuple(option for option in options if not names or option.name in names)


def extend_signature(
    bare: Signature,
    options: Sequence[Option],
    annotation: Callable[[Option], Any] = lambda option: option.annotation,
) -> Signature:
    """Return a signature with options as keywords in place of its `**single`."""
    own = [p for p in bare.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    added = [
        Parameter(o.name, Parameter.KEYWORD_ONLY, default=o.default, annotation=annotation(o))
        for o in options
    ]
    return bare.replace(parameters=[*own, *added])


def extend_docstring(text: str, options: Sequence[Option]) -> str:
    """Return a docstring with an entry per option in place of its line `**single: ...`."""
    return re.sub(
        r"^( *)\*\*single:.*$",
        lambda line: _write_entries(line[1], options),
        text,
        flags=re.MULTILINE,
    )


def _write_entries(indent: str, options: Sequence[Option]) -> str:
    """Return the lines of a docstring that describe options."""
    return "\n".join(
        textwrap.fill(
            f"{option.name}: {option.text}.",
            WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
        )
        for option in options
    )
