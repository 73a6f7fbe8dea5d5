"""What a network is shown: chosen from a sample, said, kept, presented and refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.errors import InputError
from snncompile.frontends.input_kinds import choose_input
from snncompile.ir.input import Input, find_kind
from snncompile.neurons.base import Interval


def frames(*values: float, steps: int = 2) -> np.ndarray:
    """Return one sample that shows the values one step, and zeros after it."""
    x = np.zeros((1, steps, len(values)))
    x[0, 0] = values
    return x


def choose(x, *arguments):
    return choose_input(Input("input", x.shape[2:]), x, *arguments)


COUNTS = "input: whole numbers from {} to {}, sent as {} to {}"
ANALOG = "input: analog values from {} to {} are rounded to {} bits, a payload of 1 is {}; "
# Sample, arguments, payload, unit, the whole note.
CHOSEN = {
    "spikes": (frames(0, 1), (), (0, 1), 1.0, ""),
    "polarity": (frames(-1, 1), (), (-1, 1), 1.0, "input: signed events, -1, 0 or 1"),
    "spikes as polarity": (
        frames(0, 1),
        ("polarity",),
        (-1, 1),
        1.0,
        "input: signed events, -1, 0 or 1",
    ),
    "counts": (frames(0, 5), (), (0, 7), 1.0, COUNTS.format(0, 5, 0, 7)),
    "counts of a power of two": (frames(0, 8), (), (0, 15), 1.0, COUNTS.format(0, 8, 0, 15)),
    "signed counts": (frames(-3, 2), (), (-3, 3), 1.0, COUNTS.format(-3, 2, -3, 3)),
    "counts of a wider range": (
        frames(0, 5),
        ("auto", None, (0, 40)),
        (0, 63),
        1.0,
        COUNTS.format(0, 40, 0, 63),
    ),
    "spikes that will be counts": (
        frames(0, 1),
        ("counts", None, (0, 3)),
        (0, 3),
        1.0,
        COUNTS.format(0, 3, 0, 3),
    ),
    "analog": (
        frames(0.5, -2.54),
        (),
        (-127, 127),
        0.02,
        ANALOG.format(-2.54, 0.5, 8, 0.02)
        + "rounding changes the values by 0.00% of their spread on average",
    ),
    "analog, not negative": (
        frames(0.1, 5.1),
        (),
        (0, 255),
        0.02,
        ANALOG.format(0, 5.1, 8, 0.02)
        + "rounding changes the values by 0.00% of their spread on average",
    ),
    "analog in few bits": (
        frames(0.5, 0.7),
        ("analog", 1),
        (0, 1),
        0.7,
        ANALOG.format(0, 0.7, 1, 0.7)
        + "rounding changes the values by 16.22% of their spread on average",
    ),
    "pixels": (
        frames(3 / 255, 200 / 255),
        (),
        (0, 255),
        1 / 255,
        ANALOG.format(0, 0.784314, 8, 0.00392157)
        + "rounding changes the values by 0.00% of their spread on average",
    ),
    "bits make it analog": (
        frames(0, 5.0),
        ("auto", 4),
        (0, 15),
        1 / 3,
        ANALOG.format(0, 5, 4, 0.333333)
        + "rounding changes the values by 0.00% of their spread on average",
    ),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_is_chosen_from_the_sample(case):
    x, arguments, payload, unit, note = CHOSEN[case]
    chosen, text = choose(x, *arguments)
    assert chosen.payload == Interval(*payload)
    assert chosen.unit == pytest.approx(unit, rel=1e-12)
    assert text == note
    assert (chosen.coding is None) == ("analog" not in note)


REFUSED = {
    "unknown": (
        frames(0, 1),
        ("frames",),
        "no input 'frames'; known: auto, spikes, counts, polarity, analog, biases",
    ),
    "counts as spikes": (
        frames(0, 3),
        ("spikes",),
        'sample holds values from 0 to 3, expected 0 or 1 for input="spikes"; leave input out, or'
        ' give input="counts"',
    ),
    "counts as polarity": (
        frames(0, 3),
        ("polarity",),
        'sample holds values from 0 to 3, expected -1, 0 or 1 for input="polarity"; leave input'
        ' out, or give input="counts"',
    ),
    "values as counts": (
        frames(0, 0.5),
        ("counts",),
        'sample holds values from 0 to 0.5, expected whole numbers for input="counts"; leave input'
        ' out, or give input="analog"',
    ),
    "biases that change": (
        frames(0.5, 1),
        ("biases",),
        'the sample changes from step to step, and input="biases" is for one image in every step;'
        ' give input="analog"',
    ),
    "bits of biases": (
        frames(0.5, 1, steps=1),
        ("biases", 8),
        "input_bits and input_range are for messages, the input is biases",
    ),
    "bits of counts": (
        frames(0, 3),
        ("counts", 8),
        "input_bits are for analog values, the input is counts",
    ),
    "range of spikes": (
        frames(0, 1),
        ("spikes", None, (0, 1)),
        "input_range is for counts and analog values, the input is spikes",
    ),
    "range without the sample": (
        frames(0, 0.5),
        ("analog", None, (0, 0.2)),
        "input_range 0 to 0.2 leaves out the sample, 0 to 0.5",
    ),
    "range of one number": (
        frames(0, 0.5),
        ("analog", None, 3),
        "input_range must be two numbers, got 3",
    ),
    "range of counts": (
        frames(0, 5),
        ("counts", None, (0, 9.5)),
        'counts from 0 to 9.5 must be whole and within +-8,388,607; give input="analog"',
    ),
    "no bits": (frames(0, 0.5), ("analog", 0), "input_bits must be between 1 and 16, got 0"),
    "one bit with sign": (
        frames(-1, 0.5),
        ("analog", 1),
        "input_bits must be between 2 and 16, got 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    x, arguments, message = REFUSED[case]
    with pytest.raises(InputError) as error:
        choose(x, *arguments)
    assert str(error.value) == message


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6),
    st.integers(2, 16),
    st.sampled_from([1, 3]),
)
def test_analog_values_are_rounded_by_half_a_unit_and_stay_when_shown_again(values, bits, steps):
    x = np.repeat(np.array([[values]]), steps, axis=1)
    chosen, _ = choose(x, "analog", bits)
    shown = chosen.present(x)
    assert np.abs(shown - x).max() <= chosen.unit * (0.5 + 1e-9)
    assert (chosen.present(shown) == shown).all()
    sent = chosen.send(x)
    assert sent.dtype == np.int32
    assert (sent == chosen.send(shown)).all()
    assert chosen.payload.low <= sent.min() <= sent.max() <= chosen.payload.high
    assert chosen.payload.high < 2**bits
    if steps > 1:
        assert (chosen.present(x[:, 0]) == shown).all()


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=6))
def test_whole_numbers_are_shown_unchanged(values):
    x = np.array([[values]], np.float64)
    chosen, _ = choose(x)
    assert (chosen.present(x) == x).all()
    assert chosen.coding is None
    assert find_kind(x) in ("spikes", "polarity", "counts")


COUNTED = choose(frames(0, 5))[0]
ROUNDED = choose(frames(0.1, 5.1))[0]
IMAGE = choose(np.full((1, 3, 2), 0.5))[0]
PRESENTED = {
    "beyond the counts": (
        COUNTED,
        frames(0, 9),
        "input holds values from 0 to 9, expected whole numbers from 0 to 7; import the network"
        " with input_range=(0, 9)",
    ),
    "not whole": (
        COUNTED,
        frames(0, 0.5),
        "input holds values from 0 to 0.5, expected whole numbers from 0 to 7; a network for such"
        ' values is imported with input="analog"',
    ),
    "beyond the range": (
        ROUNDED,
        frames(-1, 2),
        "input holds values from -1 to 2, expected 0 to 5.1; import the network with"
        " input_range=(-1, 5.1), or clip the values",
    ),
    "nan": (ROUNDED, frames(np.nan, 2), "input holds values that are not finite"),
    "infinite": (ROUNDED, frames(np.inf, 2), "input holds values that are not finite"),
    "text": (ROUNDED, [["a", "b"]], "values have shape (1, 2), expected (samples, steps, 2)"),
    "no numbers": (ROUNDED, [[["a", "b"]]], "values have dtype <U1, expected numbers"),
    "no time axis": (
        ROUNDED,
        np.zeros((1, 2)),
        "values have shape (1, 2), expected (samples, steps, 2)",
    ),
    "another image": (
        IMAGE,
        np.zeros((1, 3)),
        "values have shape (1, 3), expected (samples, steps, 2)",
    ),
}


@pytest.mark.parametrize("case", PRESENTED)
def test_refuses_to_present(case):
    source, x, message = PRESENTED[case]
    with pytest.raises(InputError) as error:
        source.present(x)
    assert str(error.value) == message
