"""Write HDF5 files: made in memory, as the library ends the interpreter where a disk is full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from snncompile.files.replace import MARK, ends_with_mark, replace_file


def write_hdf5(path: Path, fill: Callable[[Any], None]) -> None:
    """Write a file that `fill` fills; nothing half-written is left behind.

    Behind its content, where HDF5 does not look, the file says that it is ours.

    Raises:
        InputError: a file that is not ours is there, or it cannot be written.
    """
    with replace_file(path, ends_with_mark) as aside:
        with h5py.File(
            "memory", "w", driver="core", backing_store=False, libver="earliest"
        ) as file:
            fill(file)
            file.flush()
            image = file.id.get_file_image()
        aside.write_bytes(image + f"\n{MARK}\n".encode())
