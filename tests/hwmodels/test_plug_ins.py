"""Chips of other packages: listed and loaded by name like those that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from plug_in_package import install_package

from snncompile import hwmodels
from snncompile.hwmodels.chips import ChipError, list_names, load_chip

TOY = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()
CODE = """
from pathlib import Path
CHIP = Path(__file__).parent / "bell.yaml"
NUMBER = 7
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with chips into a folder of the test."""

    def install(rows, name="bells", code=CODE, chip="bell"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "bell.yaml").write_text(TOY.replace("name: toy", f"name: {chip}"))
        return install_package(folder, monkeypatch, name, code, {"chips": rows})

    return install


def test_a_chip_of_another_package_is_listed_and_loaded(install):
    shipped = list_names()
    install({"bell": "bells:CHIP"})
    assert list_names() == tuple(sorted((*shipped, "bell")))
    chip = load_chip("bell")
    assert chip == load_chip("toy").model_copy(update={"name": "bell"})


def test_a_chip_may_be_a_record(install):
    code = "from snncompile.hwmodels.chips import load_chip\n"
    code += "CHIP = load_chip('toy').model_copy(update={'name': 'bell'})\n"
    install({"bell": "bells:CHIP"}, code=code)
    assert load_chip("bell").core == load_chip("toy").core


def test_two_owners_of_a_name_are_named(install):
    install({"toy": "bells:CHIP"}, chip="toy")
    with pytest.raises(ChipError) as error:
        load_chip("loihi1")
    assert str(error.value) == (
        "chips: 'toy' is defined by snncompile and by bells:CHIP; uninstall one of the two packages"
    )


def test_two_other_packages_with_one_name_are_named(install):
    install({"bell": "bells:CHIP"})
    install({"bell": "gongs:CHIP"}, name="gongs")
    with pytest.raises(ChipError) as error:
        list_names()
    assert str(error.value) == (
        "chips: 'bell' is defined by bells:CHIP and by gongs:CHIP;"
        " uninstall one of the two packages"
    )


# Value of the entry point, name in the file; the whole message.
WRONG = [
    (
        "bells:NUMBER",
        "bell",
        "chip bell of bells:NUMBER: expected the path of a chip file or a Chip, got int",
    ),
    (
        "bells:CHIP",
        "gong",
        "chip bell of bells:CHIP: its file calls it gong; both names must be equal",
    ),
    (
        "bells:NOTHING",
        "bell",
        "chip bell of bells:NOTHING: AttributeError: module 'bells' has no attribute 'NOTHING'",
    ),
    (
        "silence:CHIP",
        "bell",
        "chip bell of silence:CHIP: ModuleNotFoundError: No module named 'silence'",
    ),
]


@pytest.mark.parametrize("value, chip, message", WRONG)
def test_refuses_what_is_no_chip(install, value, chip, message):
    install({"bell": value}, chip=chip)
    with pytest.raises(ChipError) as error:
        load_chip("bell")
    assert str(error.value) == message
