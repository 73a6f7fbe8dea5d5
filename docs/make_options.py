"""Write `docs/options.md`: every option of `compile`, from the fields that state them.

python docs/make_options.py            # write the file
python docs/make_options.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import sys
from pathlib import Path

from snncompile.cli.options import name_flag
from snncompile.options import Option, Options, list_options

TARGET = Path(__file__).with_name("options.md")
HEAD = """# Options

Written by `python docs/make_options.py` from the fields in `snncompile/options.py`. In Python an
option is a keyword, `snncompile.compile(network, chip="loihi2", bits=6, objective="traffic")`, or
one record holds them all, `options=snncompile.Options(quantize={"bits": 6})`. On the command line
it is `snncompile compile --bits 6 --objective traffic`. A Program keeps them in `program.json`,
in the sections below; the form without sections, which older Programs hold, is read too.
"""


def page(record: type[Options] = Options) -> str:
    """Return the whole page."""
    return HEAD + "".join(section(name, record) for name in record.model_fields)


def section(name: str, record: type[Options] = Options) -> str:
    """Return the heading and the table of a section."""
    options = [option for option in list_options(record) if option.section == name]
    doc = (record.model_fields[name].annotation.__doc__ or "").splitlines()[0]
    rows = "".join(row(option) for option in options)
    head = "| option | command line | values | default | |\n|---|---|---|---|---|\n"
    return f"\n## `{name}`\n\n{doc}\n\n{head}{rows}"


def row(option: Option) -> str:
    """Return the row of an option."""
    default = "" if option.default is None else f"`{option.default}`"
    cells = (f"`{option.name}`", flags(option), values(option), default, option.text)
    return f"| {' | '.join(cells)} |\n"


def flags(option: Option) -> str:
    """Return how an option is given on the command line."""
    if option.annotation is bool:
        return f"`{name_flag(option.name)}`, `{name_flag(f'no_{option.name}')}`"
    return f"`{name_flag(option.name)}`"


def values(option: Option) -> str:
    """Return what may be given."""
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    names = {bool: "`True`, `False`", float: "a number"}
    return names.get(option.annotation, "a whole number")


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text() != page())
    TARGET.write_text(page())
