"""The package as users get it."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
AREAS = {
    "snncompile": "snncompile",
    "backends": "snncompile.backends",
    "hwmodels": "snncompile.hwmodels",
}


def test_every_folder_is_shipped():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = [
        ".".join([name, *init.parent.relative_to(ROOT / area).parts])
        for area, name in AREAS.items()
        for init in (ROOT / area).rglob("__init__.py")
    ]
    assert sorted(settings["tool"]["setuptools"]["packages"]) == sorted(found)


def test_the_wheel_installs_only_snncompile_with_its_data(tmp_path):
    source = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*command, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"snncompile", "snncompile-0.1.0.dist-info"}
    wanted = [
        str(path.relative_to(ROOT / area if area == "snncompile" else ROOT))
        for area in AREAS
        for path in (ROOT / area).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sorted({f"snncompile/{name}" for name in wanted} - set(names)) == []


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["demo"], *extras["dev"]]
    pins = (ROOT / "constraints.txt").read_text().lower().splitlines()
    pinned = {line.partition("==")[0].strip() for line in pins if "==" in line}
    assert sorted({name.split(">")[0].lower() for name in asked} - pinned) == []
