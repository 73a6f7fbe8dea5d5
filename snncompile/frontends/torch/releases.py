"""Releases of the libraries that imports were tested with, each in an environment of its own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from torch import nn

from snncompile.frontends.torch import known_layers

TESTED: dict[str, tuple[str, ...]] = {
    "snntorch": ("0.8.1", "0.9.4", "1.0.0"),
    "spikingjelly": ("0.0.0.0.12", "0.0.0.0.14", "2.0.0"),
    "norse": ("1.1.0",),
    "sinabs": ("1.2.10", "2.0.0", "3.1.3"),
}
"""Package -> releases, run by `tests/frontends/torch/test_releases.py`."""


def describe_untested(module: nn.Module) -> str:
    """Return a line about the first library of a module whose release was not tested, or ""."""
    owners = (known_layers.find_library(inner) for inner in module.modules())
    for package in dict.fromkeys(owner.package for owner in owners if owner):
        try:
            release = version(package)
        except PackageNotFoundError:
            continue
        if package in TESTED and release not in TESTED[package]:
            return f"{package} {release} was not tested; tested are {', '.join(TESTED[package])}"
    return ""
