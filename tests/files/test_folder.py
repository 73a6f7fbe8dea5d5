"""Folders and files as results: whole or not at all, and nothing of others is touched."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from snncompile.errors import InputError
from snncompile.files import folder, replace
from snncompile.files.replace import begins_with, replace_file, replace_folder

OURS = begins_with("one", "three")


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def old_result(path: Path) -> Path:
    record = {"format": "snncompile network", "a": 1}
    folder.write_folder(path, "network.json", record, {"x": np.arange(3)})
    return path


def half_written(path: Path) -> None:
    with replace_folder(path, folder.is_saved) as new:
        (new / "half").write_text("half")
        raise KeyboardInterrupt


def half_written_file(path: Path) -> None:
    with replace_file(path, OURS) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt


def test_writes_json_and_arrays(tmp_path):
    made = old_result(tmp_path / "deep" / "er" / "out")
    assert sorted(tree(tmp_path)) == ["deep/er/out/arrays.npz", "deep/er/out/network.json"]
    record, arrays = folder.read_folder(made, "network.json")
    content = {"format": "snncompile network", "a": 1}
    assert record == content | {"sha256": folder.hash_content(content, arrays)}
    assert arrays["x"].tolist() == [0, 1, 2]


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_the_older_result(tmp_path):
    before = tree(old_result(tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert tree(tmp_path / "out") == before


def test_a_number_json_does_not_know_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="Out of range float values"):
        folder.write_folder(tmp_path / "out", "network.json", {"a": float("nan")}, {})
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_is_replaced_whole(tmp_path):
    made = old_result(tmp_path / "out")
    folder.write_folder(made, "program.json", {"format": "snncompile program"}, {})
    assert sorted(tree(made)) == ["arrays.npz", "program.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    assert sorted(tree(old_result(tmp_path / "out"))) == ["arrays.npz", "network.json"]


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old_result(Path("out"))
    assert sorted(tree(tmp_path)) == ["out/arrays.npz", "out/network.json"]


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        {"sub/program.json": "{}"},
        {"network.json": "{}", "notes.txt": "mine"},  # would be lost with the older result
        {"program.json": "{}", "arrays.npz": "", "y/z.npz": "mine"},
        {"arrays.npz": ""},
    ],
    ids=lambda files: " ".join(files),
)
def test_what_others_put_there_is_not_touched(files, tmp_path):
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    before = tree(tmp_path)
    with pytest.raises(InputError) as error:
        old_result(tmp_path / "out")
    assert str(error.value) == (
        f"{tmp_path}/out: is there already and is not a result of ours; choose another"
    )
    assert tree(tmp_path) == before


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError) as error:
        old_result(tmp_path / "out")
    assert str(error.value) == (
        f"{tmp_path}/out: is there already and is not a result of ours; choose another"
    )
    assert tree(tmp_path) == {"out": b"mine"}


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as error:
        old_result(tmp_path / "file" / "out")
    reason = "File exists"  # what mkdir says of a parent that is a file
    assert str(error.value) in (
        f"{tmp_path}/file/out: cannot be written ({reason})",
        f"{tmp_path}/file/out: cannot be written (Not a directory)",
    )
    with pytest.raises(InputError), replace_file(tmp_path / "file" / "y.npz", OURS):
        pass
    assert tree(tmp_path) == {"file": b"mine"}


def test_an_older_result_survives_if_the_last_step_fails(tmp_path, monkeypatch):
    """On a system that cannot let two folders change places."""
    monkeypatch.setattr(replace, "_exchange", lambda new, path: False)
    before = tree(old_result(tmp_path / "out"))
    rename = Path.rename

    def fail(self, target):
        if self.name == "new":
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError) as error:
        folder.write_folder(tmp_path / "out", "network.json", {"a": 2}, {})
    assert str(error.value) == f"{tmp_path}/out: cannot be written (No space left on device)"
    assert tree(tmp_path / "out") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "y.npz"
    with replace_file(target, OURS) as aside:
        aside.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(KeyboardInterrupt):
        half_written_file(target)
    assert tree(tmp_path) == {"deep/y.npz": b"one"}
    with replace_file(target, OURS) as aside:
        aside.write_text("three")
    assert tree(tmp_path) == {"deep/y.npz": b"three"}


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "y").mkdir()
    with pytest.raises(InputError) as error, replace_file(tmp_path / "y", OURS):
        pass
    assert str(error.value) == f"{tmp_path}/y: is a folder; give the name of a file"


# Text of network.json, the whole message after the folder.
DAMAGED = {
    "no file": (None, "network.json: no such file"),
    "empty": ("", "network.json: not valid JSON"),
    "half": ('{"a": [1, 2', "network.json: not valid JSON"),
    "not text": (b"\xff\xfe\x00", "network.json: not valid JSON"),
    "deep": ("[" * 10**6, "network.json: not valid JSON"),
    "deep mappings": ('{"a":' * 10**5 + "1" + "}" * 10**5, "network.json: not valid JSON"),
    "long number": ("1" * 5000, "network.json: not valid JSON"),
    "no arrays": ("{}", "arrays.npz: no such file"),
    "a key twice": ('{"a": 1, "b": 2, "a": 1}', "network.json: the key 'a' is there twice"),
    "a key twice, deep": (
        '{"a": [{"b": {"c": 1, "c": 2}}]}',
        "network.json: the key 'c' is there twice",
    ),
    "a long key twice": (
        f'{{"{"x" * 99}": 1, "{"x" * 99}": 1}}',
        f"network.json: the key '{'x' * 40}' is there twice",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_json(case, tmp_path):
    text, message = DAMAGED[case]
    if text is not None:
        (tmp_path / "network.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as error:
        folder.read_folder(tmp_path, "network.json")
    assert str(error.value) == f"{tmp_path}/{message}"


def test_huge_json_is_not_read(tmp_path, monkeypatch):
    old_result(tmp_path / "out")
    monkeypatch.setattr(folder, "MAX_JSON_BYTES", 2**20)
    folder.read_folder(tmp_path / "out", "network.json")
    (tmp_path / "out" / "network.json").write_text(json.dumps(" " * 2**20))
    with pytest.raises(InputError) as error:
        folder.read_folder(tmp_path / "out", "network.json")
    assert str(error.value) == f"{tmp_path}/out/network.json: is larger than 1 MiB"


def test_a_folder_where_a_file_should_be(tmp_path):
    (tmp_path / "network.json").mkdir()
    with pytest.raises(InputError) as error:
        folder.read_folder(tmp_path, "network.json")
    assert str(error.value) == f"{tmp_path}/network.json: cannot be read (Is a directory)"


X = np.arange(6, dtype=np.int32)
CHANGED = {
    "record": ({"a": 2}, {"x": X}),
    "key": ({"b": 1}, {"x": X}),
    "value": ({"a": 1}, {"x": X + 1}),
    "dtype": ({"a": 1}, {"x": X.astype(np.int64)}),
    "sign": ({"a": 1}, {"x": X.astype(np.uint32)}),
    "shape": ({"a": 1}, {"x": X.reshape(2, 3)}),
    "name": ({"a": 1}, {"y": X}),
    "one more": ({"a": 1}, {"x": X, "y": X}),
    "none": ({"a": 1}, {}),
}


@pytest.mark.parametrize("case", CHANGED)
def test_other_content_has_another_hash(case):
    assert folder.hash_content(*CHANGED[case]) != folder.hash_content({"a": 1}, {"x": X})


def test_equal_content_has_an_equal_hash():
    """Whatever the order of keys and of memory."""
    wanted = folder.hash_content({"a": 1, "b": 2}, {"x": X.reshape(2, 3), "y": X})
    other = {"y": X.copy(), "x": np.asfortranarray(X.reshape(2, 3))}
    assert folder.hash_content({"b": 2, "a": 1}, other) == wanted
    assert len(wanted) == 64
