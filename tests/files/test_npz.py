"""Arrays of files nobody vouches for: read in full or refused in one line."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.errors import InputError
from snncompile.files import npz as arrays
from snncompile.files.npz import read_npz, write_npz

HEAD = "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"


def npy(header: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the bytes of an .npy file with a header of one's own."""
    width = 2 if version == (1, 0) else 4
    text = header.encode() + b" " * (-(len(header) + 9 + width) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text + data


def zipped(path: Path, member: bytes, name: str = "x.npy") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, member)
    return path


ROUND_TRIP = {
    "a": np.arange(6).reshape(2, 3),
    "scalar": np.array(1.5),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "small": np.array([1, -1], np.int8),
    "half": np.array([0.5], np.float16),
    "big-endian": np.arange(3, dtype=">i4"),
    "with.dots and spaces": np.arange(2),
}


@pytest.mark.parametrize("compress", [False, True])
def test_round_trip(compress, tmp_path):
    write_npz(tmp_path / "a.npz", ROUND_TRIP, compress=compress)
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == list(ROUND_TRIP)
    for name, array in ROUND_TRIP.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert (found[name] == array).all()


def test_same_arrays_same_bytes(tmp_path):
    for name in "ab":
        write_npz(tmp_path / name, ROUND_TRIP, compress=True)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_compressed_is_smaller(tmp_path):
    for name, compress in (("large", False), ("small", True)):
        write_npz(tmp_path / name, {"x": np.zeros(10**5)}, compress=compress)
    large, small = ((tmp_path / f"{name}.npz").stat().st_size for name in ("large", "small"))
    assert small < 10**4 < large


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        write_npz(tmp_path / "a.npz", {"x": np.array([object()])})


def test_numpy_version_2_headers_are_read(tmp_path):
    data = np.arange(2.0).tobytes()
    path = zipped(tmp_path / "a.npz", npy(HEAD % "(2,)", data, (2, 0)))
    assert read_npz(path)["x"].tolist() == [0, 1]


def test_check_comes_before_memory(tmp_path):
    """The check sees name, shape and dtype of an array whose data is not even there."""
    seen = []

    def check(name, shape, dtype):
        seen.append((name, shape, dtype))
        raise InputError("too large for me")

    write_npz(tmp_path / "a.npz", {"x": np.zeros((3, 2), np.int8)})
    with pytest.raises(InputError, match="too large for me"):
        read_npz(tmp_path / "a.npz", check)
    assert seen == [("x", (3, 2), np.int8)]


def compressed(method: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as archive:
        archive.writestr("x.npy", npy(HEAD % "(9,)", bytes(72)))
    return raw.getvalue()


def spoiled(method: int) -> bytes:
    """Return an archive whose compressed data is damaged in the middle."""
    data = bytearray(compressed(method))
    start = data.index(b"x.npy") + 5
    data[start + 8 : start + 20] = b"\xff" * 12
    return bytes(data)


def flagged(flag: int) -> bytes:
    """Return an archive whose member claims to be encrypted, or to be compressed like nothing."""
    data = bytearray(compressed(zipfile.ZIP_STORED))
    central = data.index(b"PK\x01\x02")
    data[6], data[central + 8] = flag, flag
    return bytes(data)


def method(number: int) -> bytes:
    data = bytearray(compressed(zipfile.ZIP_STORED))
    central = data.index(b"PK\x01\x02")
    data[8], data[central + 10] = number, number
    return bytes(data)


NOT_READABLE = "not a readable .npz file (numpy.savez writes one)"
FILES = {
    "empty": b"",
    "text": b"hello",
    "pickle": pickle.dumps({"x": 1}),
    "npy, not npz": npy(HEAD % "(0,)"),
    "cut": compressed(zipfile.ZIP_STORED)[:-30],
    "cut in the data": compressed(zipfile.ZIP_STORED)[:100],
    "deflate, damaged": spoiled(zipfile.ZIP_DEFLATED),
    "bzip2, damaged": spoiled(zipfile.ZIP_BZIP2),
    "lzma, damaged": spoiled(zipfile.ZIP_LZMA),
    "stored, damaged": spoiled(zipfile.ZIP_STORED),
    "encrypted": flagged(1),
    "unknown compression": method(99),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_archive(case, tmp_path):
    (tmp_path / "a.npz").write_bytes(FILES[case])
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    found = str(error.value)
    assert found in (
        f"{tmp_path}/a.npz: {NOT_READABLE}",
        f"{tmp_path}/a.npz: x is not an array of numbers",  # the damage hit the header
    )


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path}/a.npz: no such file"
    with pytest.raises(InputError) as error:
        read_npz(tmp_path)
    assert str(error.value) == f"{tmp_path}: is a folder, expected an .npz file"
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "file" / "a.npz")
    assert str(error.value) == f"{tmp_path}/file/a.npz: cannot be read (Not a directory)"


def saved(array) -> bytes:
    raw = io.BytesIO()
    np.save(raw, array, allow_pickle=True)
    return raw.getvalue()


NO_NUMBERS = "x is not an array of numbers"
DOES_NOT_HOLD = "the file does not hold that"
# What is in the archive, the whole message.
MEMBERS = {
    "text": (b"hello", NO_NUMBERS),
    "nothing": (b"", NO_NUMBERS),
    "pickle": (pickle.dumps([1]), NO_NUMBERS),
    "objects": (saved(np.array([{}, 1], object)), "x has dtype object, expected numbers"),
    "strings": (saved(np.array(["a"])), "x has dtype <U1, expected numbers"),
    "complex": (saved(np.array([1j])), "x has dtype complex128, expected numbers"),
    "dates": (saved(np.array(["2020"], "M8[Y]")), "x has dtype datetime64[Y], expected numbers"),
    "records": (saved(np.zeros(1, "f8,f8")), "x has dtype [('f0', '<f8'), ('f1', '<f8')],"
                " expected numbers"),
    "unknown version": (npy(HEAD % "(0,)", version=(9, 0)), NO_NUMBERS),
    "header cut": (npy("{'descr': '<f8', 'fortran_order'"), NO_NUMBERS),
    "header open": (npy("(((("), NO_NUMBERS),
    "header deep": (npy("(" * 3000), NO_NUMBERS),
    "header deep and closed": (npy("-" * 9000 + "1"), NO_NUMBERS),
    "header of code": (npy("__import__('os').abort()"), NO_NUMBERS),
    "header too long": (npy("1" + "0" * 20000), NO_NUMBERS),
    "no dtype": (npy("{'descr': (), 'fortran_order': False, 'shape': (), }"), NO_NUMBERS),
    "no shape": (npy("{'descr': '<f8', 'fortran_order': False, }"), NO_NUMBERS),
    "a shape of text": (npy(HEAD % "('a',)"), NO_NUMBERS),
    "data missing": (npy(HEAD % "(5,)", bytes(8)), f"x claims shape (5,), {DOES_NOT_HOLD}"),
    "a byte missing": (npy(HEAD % "(5,)", bytes(39)), f"x claims shape (5,), {DOES_NOT_HOLD}"),
    "a byte too many": (npy(HEAD % "(5,)", bytes(41)), f"x claims shape (5,), {DOES_NOT_HOLD}"),
    "no data": (npy(HEAD % "(1000,)"), f"x claims shape (1000,), {DOES_NOT_HOLD}"),
    "huge": (npy(HEAD % "(10000000, 10000000)"),
             f"x claims shape (10000000, 10000000), {DOES_NOT_HOLD}"),
    "beyond 64 bits": (npy(HEAD % f"({10**30},)"), f"x claims shape ({10**30},), {DOES_NOT_HOLD}"),
    "negative": (npy(HEAD % "(-1,)"), f"x claims shape (-1,), {DOES_NOT_HOLD}"),
    "negative twice": (npy(HEAD % "(-1, -5)", bytes(40)),
                       f"x claims shape (-1, -5), {DOES_NOT_HOLD}"),
    "negative times zero": (npy(HEAD % "(-3, 0)"), f"x claims shape (-3, 0), {DOES_NOT_HOLD}"),
}  # fmt: skip


@pytest.mark.parametrize("case", MEMBERS)
def test_an_archive_with_other_things(case, tmp_path):
    member, message = MEMBERS[case]
    path = zipped(tmp_path / "a.npz", member)
    with pytest.raises(InputError) as error:
        read_npz(path)
    assert str(error.value) == f"{path}: {message}"


# Names in the archive, the whole message.
NAMES = {
    "twice": (["x.npy", "y.npy", "x.npy"], "x is there twice"),
    "no array": (["x.npy", "notes.txt"], "notes.txt is no array (its name lacks .npy)"),
    "an array without a suffix": (["x"], "x is no array (its name lacks .npy)"),
    "a folder": (["x.npy", "y/"], "y/ is no array (its name lacks .npy)"),
    "twice, with a line break": (["x\ny.npy"] * 2, "x\\ny is there twice"),
}


@pytest.mark.parametrize("case", NAMES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_other_names(case, tmp_path):
    names, message = NAMES[case]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in names:
            archive.writestr(name, saved(np.arange(3)))
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path}/a.npz: {message}"


def test_a_name_with_line_breaks_stays_one_line(tmp_path):
    path = zipped(tmp_path / "a.npz", b"", "x\ny\r\n\x1b[31m.npy")
    with pytest.raises(InputError) as error:
        read_npz(path)
    assert "\n" not in str(error.value)


def test_an_array_larger_than_any_of_ours(tmp_path, monkeypatch):
    write_npz(tmp_path / "a.npz", {"x": np.zeros(100)})
    monkeypatch.setattr(arrays, "MAX_BYTES", 800)
    assert read_npz(tmp_path / "a.npz")["x"].shape == (100,)
    monkeypatch.setattr(arrays, "MAX_BYTES", 799)
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path}/a.npz: x claims shape (100,), {DOES_NOT_HOLD}"


def test_arrays_that_are_too_large_together(tmp_path, monkeypatch):
    """Nothing is unpacked before every header was read."""
    write_npz(tmp_path / "a.npz", {"x": np.zeros(50), "y": np.zeros(51)})
    monkeypatch.setattr(arrays, "MAX_BYTES", 807)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path}/a.npz: claims 808 bytes of arrays, the limit is 807"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "pipe"])
def test_a_device_or_a_pipe_is_not_read(path, tmp_path):
    """Reading the first would take all memory, reading the last would wait for ever."""
    file = tmp_path / path
    if path == "pipe":
        os.mkfifo(file)
    with pytest.raises(InputError) as error:
        read_npz(file)
    assert str(error.value) == f"{file}: is a device or a pipe, expected an .npz file"


def test_a_small_file_that_unpacks_into_much_is_not_unpacked(tmp_path, monkeypatch):
    """100 MB of zeros in 100 kB: refused by its header, not after it filled the memory."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(HEAD % "(1,)", bytes(10**8)))
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(InputError) as error:
        read_npz(tmp_path / "a.npz")
    assert str(error.value) == f"{tmp_path}/a.npz: x claims shape (1,), {DOES_NOT_HOLD}"


SMALL = {"x": np.arange(6.0).reshape(2, 3), "y": np.array([1, 2], np.int16)}


@settings(max_examples=400)
@given(
    compress=st.booleans(),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.floats(0, 1),
)
def test_a_file_with_some_bytes_changed_is_read_or_refused(compress, places, cut, tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, SMALL, compress=compress)
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    path.write_bytes(data)
    try:
        found = read_npz(path)
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert all(array.dtype.kind in "biuf" for array in found.values())
    assert "\n" not in message


@settings(max_examples=200)
@given(
    header=st.text(
        alphabet="{}()[],:'\"<>=f8iuObdescrshapeforta_nLTFl0123456789 -\\\n", max_size=60
    )
    | st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
        st.sampled_from(["'<f8'", "'|b1'", "()", "[]", "None", "'<M8'", "('<f8', (2,))", "8"]),
        st.sampled_from(["True", "False", "0", "'x'"]),
        st.sampled_from(["()", "(1,)", "(True,)", "(1L,)", "(1.0,)", "[1]", "1", "(-0,)", "None"]),
    ),
)
def test_any_header_is_read_or_refused(header, tmp_path):
    path = zipped(tmp_path / "a.npz", npy(header, bytes(8)))
    try:
        read_npz(path)
    except InputError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
