"""Tables that fit a terminal: no word is cut, wide tables become several."""

from __future__ import annotations

from copy import copy

from rich.cells import cell_len
from rich.table import Table

LONGEST = 28
"""Characters that a cell gets before it is wrapped, where the table is too wide."""
FRAME = 3
"""Characters around each column."""


def split_table(table: Table, width: int) -> list[Table]:
    """Return the table, or several with some of its columns each, for a number of characters.

    Each part repeats the first column. Cells wrap between words; a longer word is folded.
    """
    for column in table.columns:
        column.overflow = "fold"
    texts = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    if sum(max(map(_measure, own)) + FRAME for own in texts) + 1 <= width or not texts:
        return [table]
    needs = [_find_need(own) for own in texts]
    blocks, room = [[0]], width - 1 - needs[0] - FRAME
    left = room
    for i in range(1, len(needs)):
        if needs[i] + FRAME > left and len(blocks[-1]) > 1:
            blocks.append([0])
            left = room
        blocks[-1].append(i)
        left -= needs[i] + FRAME
    natural = [max(map(_measure, own)) for own in texts]
    for block in blocks:
        _set_widths(table, block, needs, natural, width)
    return [_take(table, block, i == 0, i == len(blocks) - 1) for i, block in enumerate(blocks)]


def _set_widths(
    table: Table, block: list[int], needs: list[int], natural: list[int], width: int
) -> None:
    """Give the columns of a block what they need, and the rest from left to right.

    A column of its own that needs more than there is gets what there is: its words are folded.
    """
    room = width - 1 - FRAME * len(block)
    left = max(0, room - sum(needs[i] for i in block))
    for i in block:
        more = min(left, max(0, natural[i] - needs[i]))
        if i:  # the first column is as wide in every block
            left -= more
        table.columns[i].width = max(1, min(needs[i] + (more if i else 0), room))


def _measure(text: str) -> int:
    return max((cell_len(line) for line in text.splitlines()), default=0)


def _find_need(own: list[str]) -> int:
    """Return the width of a column: its longest word, and short cells on one line."""
    words = max((cell_len(word) for text in own for word in text.split()), default=1)
    cells = max((min(_measure(text), LONGEST) for text in own[1:]), default=1)
    return min(max(words, cells), max(LONGEST, min(words, 2 * LONGEST)))


def _take(table: Table, columns: list[int], first: bool, last: bool) -> Table:
    """Return some columns of a table; only the first has its title, only the last its notes."""
    block = copy(table)
    block.columns = [copy(table.columns[i]) for i in columns]
    for number, column in enumerate(block.columns):
        column._index = number
    block.title = table.title if first else None
    block.caption = table.caption if last else None
    return block
