"""Whether the spikes of a chip are those computed here: the field, its sentence, older files."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import chain

import snncompile
from snncompile import hwmodels
from snncompile.hwmodels.chips import ChipError, list_names, load_chip
from snncompile.hwmodels.fidelity import Fidelity

SAVED = Path(__file__).parents[1] / "saved" / "0.1"
"""Files of chips of version 1."""
TOY = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()

SENTENCES = {
    "xylo-audio2": (
        "xylo-audio2: its spikes are not those computed here (compared with xylosim 0.1.3,"
        " SynSense's simulator): it decays the current after adding the input and fires several"
        " times in a step; in a 16-63-8 network it fired 4,668 hidden spikes for our 6,084 and 741"
        " output spikes for our 1,113"
    ),
    "odin": (
        "odin: its spikes are not those computed here (compared with its Verilog in Verilator"
        " 5.006): it adds spikes one by one, fires in mid-step and clamps potentials at 0; on the"
        " same integers 3,314 of 12,800 outputs differed"
    ),
    "speck2": (
        "speck2: its spikes are not those computed here: it has no time steps and adds spikes as"
        " they come; by how much its outputs differ was not measured"
    ),
    "loihi1": (
        "loihi1: its spikes are those computed here (compared with the emulator of nengo-loihi"
        " 1.1.0, not the chip itself): every spike and state of 200 compiled networks without"
        " delays is equal; inputs of a step beyond 21 bits and weight exponents below 0 differ"
    ),
    "loihi2": (
        "loihi2: whether its spikes are those computed here is not known (compared with Lava's"
        " fixed point on a CPU, lava-nc 0.10.0): our integers are Lava's, bit for bit, and nobody"
        " checked here that the chip's are; Lava's open issues 829 and 322 say that CPU and chip"
        " need not agree"
    ),
    "toy": (
        "toy: its spikes are those computed here (compared with its own definition): it is defined"
        " as our integers"
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentence(name):
    assert load_chip(name).describe_fidelity() == SENTENCES[name]


@pytest.mark.parametrize("name", list_names())
def test_every_chip_says_something_in_one_short_line(name):
    chip = load_chip(name)
    sentence = chip.describe_fidelity()
    assert chip.fidelity.says
    assert len(sentence) < 300
    assert "\n" not in sentence
    assert {*chip.fidelity.neurons} <= {*chip.neurons}


def test_exact_for_some_neurons_is_unknown_for_others():
    chip = load_chip("loihi1")
    assert chip.fidelity.of_neurons(["cuba_lif/hard", "integrate_fire/hard"]) == "exact"
    assert chip.fidelity.of_neurons(["cuba_lif/hard", "cuba_lif/soft"]) == "unknown"
    assert chip.describe_fidelity(["cuba_lif/hard", "cuba_lif/soft"]) == (
        "loihi1: whether its spikes are those computed here is not known for cuba_lif/soft;"
        " cuba_lif/hard, integrate_fire/hard: compared with the emulator of nengo-loihi 1.1.0, not"
        " the chip itself"
    )
    assert len(chip.describe_fidelity(chip.neurons)) < 300


def test_text_alone_means_unknown(tmp_path):
    """As in chip files of older releases."""
    start, end = TOY.index("fidelity:"), TOY.index("\nsources:")
    path = tmp_path / "own.yaml"
    path.write_text(TOY[:start] + "fidelity: A guess.\n" + TOY[end:])
    chip = load_chip(path)
    assert chip.fidelity == Fidelity(model="A guess.", spikes="unknown")
    assert chip.describe_fidelity() == (
        "toy: whether its spikes are those computed here is not known"
    )


REFUSED = {
    "another word": (
        "spikes: exact",
        "spikes: same",
        " line 8: fidelity.spikes: input should be 'exact', 'other' or 'unknown', got 'same'",
    ),
    "exact without a witness": (
        "  against: its own definition\n",
        "",
        " line 7: fidelity: spikes that are exact need `against`: what they were compared with",
    ),
    "other without a source": (
        "  spikes: exact\n  against: its own definition\n  says: >-\n    it is defined as our"
        " integers\n  source: made_up",
        "  spikes: other\n  says: another neuron",
        " line 7: fidelity: spikes that are other need `says` and `source`",
    ),
    "a source that is not there": (
        "integers\n  source: made_up",
        "integers\n  source: press",
        " line 12: fidelity.source: 'press' is not one of the sources: made_up",
    ),
    "a misspelt key": (
        "  against: its own",
        "  versus: its own",
        " line 9: fidelity.versus: is not a field of a chip file",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    old, new, message = REFUSED[name]
    assert TOY.count(old) == 1
    path = tmp_path / "own.yaml"
    path.write_text(TOY.replace(old, new))
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert str(error.value) == f"{path}{message}"


def test_a_saved_program_keeps_it(tmp_path):
    program = snncompile.compile(chain(3, 2), chip="toy")
    program.save(tmp_path / "build")
    assert snncompile.load(tmp_path / "build").chip.fidelity == program.chip.fidelity


def test_an_older_program_keeps_that_it_is_unknown():
    program = snncompile.load(SAVED / "program_loihi1")
    assert program.chip.fidelity.spikes == "unknown"
    assert program.chip.fidelity.model.startswith("Holds the limits")
