"""`snncompile lava`: the environment that Lava runs in."""

from __future__ import annotations

from pathlib import Path

import typer

from snncompile.cli.shared import Json, _say, err

lava_app = typer.Typer(
    no_args_is_help=True,
    help="The environment in which Lava runs. SNNCOMPILE_LAVA_ENV says where it is (else in the"
    " user's cache folder), SNNCOMPILE_PYTHON310 which Python 3.10 it is made with (else found).",
)


@lava_app.command("install")
def lava_install(as_json: Json = False) -> None:
    """Make the environment: find or install Python 3.10, install lava-nc."""
    from snncompile.backends.lava import environment

    path = environment.install(lambda text: err.print(text, markup=False, highlight=False))
    _say({"path": str(path), "installed": True}, as_json)


@lava_app.command("check")
def lava_check(as_json: Json = False) -> None:
    """Tell the state of the environment; exit 1 if Lava cannot run."""
    from snncompile.backends.lava import environment

    state = environment.check()
    values = {name: getattr(state, name) for name in type(state).__dataclass_fields__}
    _say({k: str(v) if isinstance(v, Path) else v for k, v in values.items()}, as_json)
    if not state.installed:
        raise typer.Exit(1)
