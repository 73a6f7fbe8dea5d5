"""`snncompile lava`: the environment in which Lava runs."""

from __future__ import annotations

from pathlib import Path

import typer

from snncompile.cli.shared import Json, err, print_values

lava_app = typer.Typer(
    no_args_is_help=True,
    help="The environment in which Lava runs. SNNCOMPILE_LAVA_ENV names its folder (default: in"
    " the user's cache folder), SNNCOMPILE_PYTHON310 its Python 3.10 (default: searched for).",
)


@lava_app.command("install")
def lava_install(as_json: Json = False) -> None:
    """Build the environment: find or install Python 3.10, install lava-nc."""
    from snncompile.backends.lava import environment

    path = environment.install(lambda text: err.print(text, markup=False, highlight=False))
    print_values({"path": str(path), "installed": True}, as_json)


@lava_app.command("check")
def lava_check(as_json: Json = False) -> None:
    """Report the state of the environment; exit 1 if Lava cannot run."""
    from snncompile.backends.lava import environment

    state = environment.check()
    values = {name: getattr(state, name) for name in type(state).__dataclass_fields__}
    print_values({k: str(v) if isinstance(v, Path) else v for k, v in values.items()}, as_json)
    if not state.installed:
        raise typer.Exit(1)
