"""Boards of several chips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from networks import integer_chain

import snncompile
from snncompile import hwmodels
from snncompile.errors import FitError
from snncompile.hwmodels.chips import ChipError, load_chip
from snncompile.hwmodels.schema import Chip

TOY = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()
BOARD = (
    "boards: {pair: {title: Pair, chips: CHIPS, columns: {value: 2, unit: chips, evidence: made up,"
    " source: made_up}, rows: {value: 1, unit: chips, evidence: made up, source: made_up}}}"
)
CHIPS = "{value: 2, unit: chips, evidence: made up, source: made_up}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write `my.yaml` into an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = Path("my.yaml")
        path.write_text(text)
        return path

    return write


# Chip and board; chips of it.
@pytest.mark.parametrize(
    "name, chips",
    [
        ("loihi1", 1),
        ("loihi1:nahuku", 32),
        ("loihi1:pohoiki-springs", 768),
        ("loihi2:kapoho-point", 8),
        ("loihi2:hala-point", 1152),
        ("spinnaker1:spinn-5", 48),
    ],
)
def test_shipped_boards(name, chips):
    assert load_chip(name).chips == chips


def refusal(path: Path) -> str:
    """Return the message with which a chip file is refused."""
    with pytest.raises(ChipError) as error:
        load_chip(path)
    return str(error.value)


def with_board(chips: str) -> str:
    board = BOARD.replace("CHIPS", chips)
    return TOY.replace("encoding: one_word", f"{board}\nencoding: one_word")


def test_a_board_is_named_behind_a_colon(write):
    path = write(with_board(CHIPS))
    assert load_chip(path).chips == 1
    pair = load_chip(f"{path}:pair")
    assert (pair.board, pair.chips, pair.name) == ("pair", 2, "toy")
    assert Chip.model_validate_json(pair.model_dump_json()) == pair


def test_refuses_an_unknown_board(write):
    path = write(with_board(CHIPS))
    with pytest.raises(ChipError) as error:
        load_chip(f"{path}:trio")
    assert str(error.value) == "toy has no board called 'trio'; known: pair"
    with pytest.raises(ChipError) as error:
        load_chip("toy:pair")
    assert str(error.value) == "toy has no board called 'pair'; known: no boards"
    text = with_board(CHIPS).replace("boards:", "board: trio\nboards:")
    message = "board: 'trio' is not one of the boards: pair"
    assert refusal(write(text)) == f"my.yaml line 34: {message}"


def test_refuses_a_board_without_places_for_its_chips(write):
    text = with_board(CHIPS.replace("value: 2", "value: 3"))
    message = "boards.pair.chips: 3 chips do not fit 2 x 1 places"
    assert refusal(write(text)) == f"my.yaml line 34: {message}"


def test_compile_uses_the_chips_of_a_board(write):
    """Ten dense layers of four neurons take a core each; the toy has four, a board of three 12."""
    board = BOARD.replace("CHIPS", CHIPS.replace("value: 2", "value: 3"))
    board = board.replace("rows: {value: 1", "rows: {value: 2")
    path = write(TOY.replace("encoding: one_word", f"{board}\nencoding: one_word"))
    network = integer_chain(*[4] * 11)
    with pytest.raises(FitError):
        snncompile.compile(network, chip=str(path))
    program = snncompile.compile(network, chip=f"{path}:pair")
    assert (program.mapping.cores, program.mapping.chips) == (10, 3)
    assert program.chip.board == "pair"
