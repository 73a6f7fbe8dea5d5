from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from snncompile.frontends.torch import runs_of_numbers
from snncompile.frontends.torch.runs_of_numbers import Runs, keep_short, pick, pick_rows, shorten

ALL = torch.arange(24)
NUMBERS = {
    "whole": (ALL.reshape(4, 6), True),
    "images": (ALL.reshape(4, 2, 3), True),
    "one step of samples in a row": (ALL.reshape(2, 3, 4)[:, 1], True),
    "steps first": (ALL.reshape(2, 3, 4).transpose(0, 1).flatten(0, 1), True),
    "rows": (ALL.reshape(4, 6)[[3, 0, 0]], True),
    "turned": (ALL.reshape(4, 6).T, False),
    "every other": (ALL.reshape(4, 6)[:, ::2], False),
    "nothing": (torch.full((4, 6), -1), False),
    "zeros beside": (torch.cat([torch.full((4, 1), -2), ALL.reshape(4, 6)], 1), False),
    "minus one before": (ALL.reshape(1, 24) - 1, False),
}


@keep_short("numbers")
@dataclass(frozen=True, eq=False)
class Holder:
    numbers: Tensor


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(runs_of_numbers, "SMALLEST", 0)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_come_back_as_they_were(name):
    numbers, runs = NUMBERS[name]
    assert isinstance(shorten(numbers), Runs) == runs
    holder = Holder(numbers)
    assert torch.equal(holder.numbers, numbers)
    offsets = torch.arange(numbers.numel()).flip(0)
    assert torch.equal(pick(holder, "numbers", offsets), numbers.reshape(-1)[offsets])
    rows = torch.tensor([len(numbers) - 1, 0])
    assert torch.equal(pick_rows(holder, "numbers", rows), numbers[rows].flatten(1))


def test_few_numbers_are_kept_as_they_are(monkeypatch):
    monkeypatch.setattr(runs_of_numbers, "SMALLEST", 25)
    assert not isinstance(shorten(ALL.reshape(4, 6)), Runs)
