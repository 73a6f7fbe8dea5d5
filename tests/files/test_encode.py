"""Images of any kind of number become spikes: full on is full on, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.errors import InputError
from snncompile.files.spikes import encode_file

NAN = float("nan")
# Pixels, spikes of each in 20 time steps: half of them where full on.
KINDS = {
    "bool": (np.array([[True, False]]), [10, 0]),
    "0 and 1": (np.array([[1, 0]], np.uint8), [10, 0]),
    "0 and 1, of 64 bits": (np.array([[1, 0]]), [10, 0]),
    "shares": (np.array([[1.0, 0.5, 0.0]]), [10, 6, 0]),
    "bytes": (np.array([[255, 0]], np.uint8), [10, 0]),
    "bytes as floats": (np.array([[255.0, 127.5, 0.0]]), [10, 6, 0]),
    "dark bytes": (np.array([[2, 0]], np.uint8), [0, 0]),
}


@pytest.mark.parametrize("case", KINDS)
def test_full_on_is_full_on(case, tmp_path):
    x, wanted = KINDS[case]
    np.savez(tmp_path / "i.npz", x=x)
    spikes = encode_file(tmp_path / "i.npz", 20, None, False).x
    assert spikes.sum(axis=1).tolist() == [wanted]


def test_the_brightest_of_all_images_counts_also_if_it_is_not_taken(tmp_path):
    np.savez(tmp_path / "i.npz", x=np.array([[1, 0], [255, 0]], np.uint8))
    assert encode_file(tmp_path / "i.npz", 20, 1, False).x.sum() == 0


@pytest.mark.parametrize("pixel", [NAN, -1.0, 255.5, float("inf")])
def test_what_is_no_pixel_is_refused(pixel, tmp_path):
    np.savez(tmp_path / "i.npz", x=np.array([[1.0, pixel]]))
    with pytest.raises(InputError) as error:
        encode_file(tmp_path / "i.npz", 20, None, False)
    assert str(error.value) == (
        f"{tmp_path}/i.npz: x holds no pixels, NaN, or pixels outside 0..255"
    )
