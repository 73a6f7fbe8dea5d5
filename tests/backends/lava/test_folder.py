"""A written folder that was changed is not replaced; the message says what stands in the way."""

from __future__ import annotations

import numpy as np
import pytest
from networks import integer_chain

from snncompile.backends.lava.emit import write_folder
from snncompile.errors import InputError


def add_result(folder):
    np.savez(folder / "cpu.npz", spikes=np.zeros(3))


def change_code(folder):
    (folder / "run.py").write_text("pass\n")


def remove_code(folder):
    (folder / "run.py").unlink()


def add_link(folder):
    (folder / "x.npz").symlink_to(folder / "weights.npz")


CHANGES = {
    add_result: "cpu.npz is not of it",
    change_code: "run.py was changed",
    remove_code: "run.py is missing",
    add_link: "x.npz is not of it",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_stays(change, tmp_path):
    folder = tmp_path / "lava"
    write_folder(integer_chain(3, 2), folder)
    write_folder(integer_chain(3, 2), folder)  # as it was written it is replaced
    change(folder)
    before = sorted(file.name for file in folder.iterdir())
    with pytest.raises(InputError) as error:
        write_folder(integer_chain(3, 2), folder)
    assert str(error.value) == (
        f"{folder}: holds a Lava program, but {CHANGES[change]}; move what you want to keep, delete"
        " the folder, or choose another"
    )
    assert sorted(file.name for file in folder.iterdir()) == before
