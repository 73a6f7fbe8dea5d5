"""Files that earlier versions wrote are read, and send what they sent then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncompile
from snncompile.checker.mapping import check
from snncompile.files.npz import read_npz
from snncompile.files.spikes import read_spikes
from snncompile.hwmodels import chips
from snncompile.options import LossOptions
from snncompile.program import Program
from snncompile.reference.backend import spike_trains
from snncompile.report.tables import describe_counting
from snncompile.verification import POTENTIAL_TOLERANCE

SAVED = Path(__file__).parent.parent / "saved"
FOLDERS = [str(file.parent.relative_to(SAVED)) for file in sorted(SAVED.glob("*/*/arrays.npz"))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_older_file_sends_what_it_sent(folder):
    path = SAVED / folder
    saved = snncompile.load(path)
    network = saved.network if isinstance(saved, Program) else saved
    x = read_spikes(path.with_name(f"{path.name}_x.npz"), network)
    sends = spike_trains(network, x.x)
    wanted = read_npz(path.with_name(f"{path.name}_sends.npz"))
    assert list(sends) == list(wanted)
    assert x.label.tolist() == list(range(len(x.x)))
    for name, train in wanted.items():
        tolerance = POTENTIAL_TOLERANCE * np.abs(train).max() if train.dtype.kind == "f" else 0
        assert (np.abs(sends[name] - train.astype(sends[name].dtype)) <= tolerance).all(), name


@pytest.mark.parametrize("folder", [f for f in FOLDERS if "program" in f])
def test_an_older_program_is_saved_again(folder, tmp_path):
    before = snncompile.load(SAVED / folder)
    before.save(tmp_path / "again")
    after = snncompile.load(tmp_path / "again")
    assert str(after) == str(before)
    assert (after.chip, after.options, after.hashes) == (before.chip, before.options, before.hashes)
    assert (after.log, after.bounds, after.quantized) == (
        before.log,
        before.bounds,
        before.quantized,
    )


@pytest.mark.parametrize(
    "folder", [f for f in FOLDERS if "program" in f and not f.startswith("before")]
)
def test_the_loss_of_an_older_program_is_unknown(folder):
    program = snncompile.load(SAVED / folder)
    assert str(program.loss) == (
        "the loss is unknown: an older snncompile compiled the network, which did not measure it"
    )
    assert (program.loss.status, program.loss.answers, program.warnings) == ("unknown", None, ())
    assert program.options.loss == LossOptions()


def test_an_older_chip_file_is_read():
    chip = chips.load_chip(SAVED / "0.1" / "own_chip.yaml")
    assert chip == snncompile.load(SAVED / "0.1" / "program_own_chip").chip
    assert chip.core.axons_in.whole == 24


def test_a_program_of_older_rules_keeps_its_counts():
    """Compiled for loihi2 when its weights were counted side by side."""
    program = snncompile.load(SAVED / "packed_rows" / "program_loihi2")
    assert isinstance(program, Program)
    check(program.network, program.chip, program.mapping)
    (core,) = program.usage()
    assert (core.used["synapse_words"], core.used["axons_in"], core.used["axons_out"]) == (
        26,
        30,
        14,
    )
    assert program.chip.encoding == "packed_rows"
    assert describe_counting(program) == (
        "counted by the older rules packed_rows of loihi2, with which it was compiled; those of"
        " today, loihi2, count otherwise: compile again to compare"
    )
    again = snncompile.compile(program.network, chip="loihi2")
    assert describe_counting(again) == ""


def test_an_older_program_kept_its_zeros():
    for folder in ("0.1", "before_learning", "before_sparse"):
        program = snncompile.load(SAVED / folder / "program_loihi1")
        assert isinstance(program, Program)
        assert program.options.mapping.sparse == "off"
