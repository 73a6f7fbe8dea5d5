"""Does it fit: each trial by its cores and reasons, accuracy with data, the command, the map."""

from __future__ import annotations

import numpy as np
import pytest
from networks import (
    LOIHI1,
    LOIHI2,
    TOY,
    alone,
    apart,
    chain,
    changed,
    design,
    integer_chain,
    limited,
    spikes,
)

from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.errors import FitError, InputError
from snncompile.fit import fit
from snncompile.ir.mapping import Mapping
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.passes.advice.remedies import reduce_bits
from snncompile.passes.partition.partition import Partition, cut_network
from snncompile.report.core_map import draw_cores
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.scale import Scale


@pytest.fixture(autouse=True)
def _few_chips(monkeypatch):
    monkeypatch.setattr("snncompile.fit.chips.list_names", lambda: ("loihi1", "loihi2", "toy"))


SOFT = CubaLif(1.0, 0.0, 1.0, reset="soft")
HARD = IntegerCubaLif(4095, 0, 1)


def test_what_fits_is_measured():
    (found,) = fit(integer_chain(3, 4, 2), chip=TOY)
    assert (found.fits, found.cores, found.chips, found.what) == (True, 2, 1, "as it is")
    assert (found.at_least, found.scarcest) == (2, "compartments")
    assert found.fullest == "compartments 100%"
    assert found.why == "nothing: it is met"


def test_what_does_not_fit_comes_with_what_was_tried():
    """Five neurons of two compartments: 10 on a core of 8, the only one; with hard resets 5."""
    network = chain(1, 5, neuron=SOFT, weight=0.5)
    small = limited(TOY, cores=1, compartments=8)
    found = fit(network, chip=small)
    assert [(t.chip, t.what, t.cores) for t in found[:8]] == [
        ("toy", "as it is", None),
        ("toy", "6-bit weights", None),
        ("toy", "4-bit weights", None),
        ("toy", "2-bit weights", None),
        ("toy", "hard resets", 1),
        ("toy", "slices with few input axons", None),
        ("toy", "slices of equal work", None),
        ("toy", "sources split", None),
    ]
    assert found[7].why == "toy has no accumulating neuron, which would add up the parts"
    assert found[0].why == "network network, population a above all: needs 2 cores (a 2), of 1"
    others = {t.chip: t.cores for t in found[8:]}
    assert (others["loihi1"], others["loihi2"]) == (1, 1)


def test_integer_networks_are_tried_with_fewer_bits():
    """2000 sources of 26 weights: 9 words with 8 bits each, 8 with 5, of 16,000 in all."""
    network = integer_chain(2000, 26, neuron=HARD, weight=254)
    tight = limited(LOIHI2, cores=1)
    found = {t.what: t.cores for t in fit(network, chip=tight) if t.chip == "loihi2"}
    assert (found["as it is"], found["6-bit weights"], found["4-bit weights"]) == (None, 1, 1)


def tried(network, chip, name: str) -> dict[str, str]:
    """Return what was tried on a chip, with the reasons why it does not fit."""
    return {t.what: t.why for t in fit(network, chip=chip) if t.chip == name}


def test_every_encoding_of_a_chip_is_tried_by_itself():
    """300 rows of 40 weights: 10 + 320 + 6 bits are 6 words, sparse 10 + 40 * 14 are 9."""
    found = tried(
        integer_chain(300, 40, neuron=HARD), limited(LOIHI1, cores=1, synapse_words=1000), "loihi1"
    )
    needs = "network network, population a above all: needs {0} cores (a {0}), of 1"
    assert {what: why for what, why in found.items() if what.startswith("all rows")} == {
        "all rows sparse": needs.format(4),
        "all rows run_length": needs.format(3),
        "all rows dense1": needs.format(2),
        "all rows dense2": needs.format(2),
    }
    assert found["as it is"] == needs.format(2)
    assert found["slices with few input axons"] == found["slices of equal work"] == needs.format(2)


def test_splitting_the_sources_is_tried():
    """One neuron hears all: its relays hear half each, but need two more cores than there are."""
    chip = limited(LOIHI2, cores=1, axons_in=2000)
    found = tried(integer_chain(1999, 20, 5), chip, "loihi2")
    assert found["sources split"].startswith("network network, population a_sum above all: needs")
    image = Convolution((1, 40, 40), 1, (3, 3), (1, 1), (1, 1), (1, 1))
    synapses = IntegerSynapses(image, np.full((1, 1, 3, 3), 2), 0, 8)
    network = changed(integer_chain(1600, 1600, neuron=HARD), projection=0, synapses=synapses)
    found = tried(network, limited(LOIHI2, cores=1, compartments=1000), "loihi2")
    assert found["sources split"] == (
        "network network, population a_sum above all: needs 5 cores (a_sum 4, a 2), of 1"
    )
    network = changed(network, projection=0, synapses=IntegerSynapses(Scale(1600), 2, 0, 8))
    found = tried(network, limited(LOIHI2, cores=1, compartments=1000), "loihi2")
    assert found["sources split"] == "every neuron has one source"


def test_fewer_bits_round_the_weights():
    """Multiples of 2^(9 - bits), nearest: with 4 bits steps of 32, -256 to 224."""
    weight = np.array([[2, 14, 18, 254, -256, -20]])
    network = alone(HARD, sources=6, weight=weight)
    fewer = reduce_bits(network, 4).projections[0].synapses
    assert fewer.bits == 4
    assert fewer.weight.tolist() == [[0, 0, 32, 224, -256, -32]]
    assert reduce_bits(network, 8) is None


def test_of_large_networks_less_is_tried(monkeypatch):
    network = integer_chain(1, 1024 * 4 + 1, neuron=HARD)
    small = limited(LOIHI1, cores=4)
    monkeypatch.setattr("snncompile.passes.advice.remedies.LARGE", 4096)
    found = fit(network, chip=small)
    assert [(t.chip, t.what) for t in found] == [
        ("loihi1", "as it is"),
        ("loihi1:nahuku", "32 chips"),
        ("loihi1", "not tried"),
    ]
    assert found[-1].why == "with 4,097 neurons only boards were tried, to answer soon"
    with pytest.raises(FitError) as error:
        Partition()(design(network, small))
    assert str(error.value) == (
        "network network, population a above all: needs 5 cores (a 5), the chip allows 4;"
        " on loihi1:nahuku (32 chips) it takes 5 cores;"
        " with 4,097 neurons only boards were tried, to answer soon"
    )
    monkeypatch.setattr("snncompile.passes.advice.remedies.HUGE", 4096)
    assert [t.what for t in fit(network, chip=small)] == ["as it is", "not tried"]


def test_too_many_sources_are_split():
    """A core has 16,000 input axons: accumulating relays hear a part of the sources each."""
    (found,) = fit(integer_chain(16001, 1), chip=LOIHI2)
    assert found.fits


def test_boards_are_tried():
    network = integer_chain(1, 1024 * 4 + 1, neuron=HARD)
    found = {(t.chip, t.what): t for t in fit(network, chip=limited(LOIHI1, cores=4))}
    assert not found["loihi1", "as it is"].fits
    assert found["loihi1:nahuku", "32 chips"].cores == 5
    assert found["loihi1:nahuku", "32 chips"].chips == 2


def test_accuracy_where_there_are_labels():
    network = integer_chain(2, 3)
    x = spikes(network, 4, 6)
    label = network.run(x).prediction
    (found,) = fit(network, chip=LOIHI2, x=x, label=label)
    assert found.accuracy == 1.0
    (found,) = fit(network, chip=LOIHI2, x=x, label=(label + 1) % 3)
    assert found.accuracy == 0.0


@pytest.mark.parametrize("network, chip, message", [
    ([1], TOY, "fit takes a network, got list; import it first"),
    (integer_chain(1, 1), "loihi9", "no chip called 'loihi9'"),
])  # fmt: skip
def test_refuses(network, chip, message):
    with pytest.raises(InputError) as error:
        fit(network, chip=chip)
    assert str(error.value).startswith(message)


# Network, chip; the bound, the cores reached.
BOUNDS = {
    "compartments": (integer_chain(1, 9), TOY, 3, "compartments", 3),
    "words": (integer_chain(8, 4, 4), limited(TOY, synapse_words=23), 3,
              "words of synaptic memory", 3),
    "a perceptron": (integer_chain(1, 784, 128, 10, neuron=HARD), LOIHI1, 1, "compartments", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", BOUNDS)
def test_lower_bound(case):
    network, chip, least, resource, cores = BOUNDS[case]
    mapping = Mapping(cut_network(network, chip))
    found = compute_lower_bound(network, chip, mapping)
    assert (found.cores, found.resource, mapping.cores) == (least, resource, cores)
    assert found.cores <= mapping.cores


def test_core_map(golden):
    """Two chips of four cores; a and b share one."""
    network = integer_chain(1, 9, 6, 3, 2, neuron=HARD, title="map")
    data = TOY.model_dump(mode="json")
    data["boards"] = {"pair": {
        "title": "two",
        "chips": data["mesh"]["cores"] | {"value": 2, "unit": "chips"},
        "columns": data["mesh"]["cores"] | {"value": 2, "unit": "chips"},
        "rows": data["mesh"]["cores"] | {"value": 1, "unit": "chips"},
    }}  # fmt: skip
    data["board"] = "pair"
    data["core"]["axons_in"]["value"] = 9
    chip = type(TOY).model_validate(data)
    golden(draw_cores(apart(network, chip=chip)))


def test_the_command(tmp_path, monkeypatch, capsys):
    from snncompile.cli import main as cli

    monkeypatch.chdir(tmp_path)
    integer_chain(3, 4, 2).save("network")
    monkeypatch.setattr("sys.argv", ["snncompile", "fit", "network", "--chip", "toy"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code in (0, None)
    assert "as it is" in capsys.readouterr().out
    integer_chain(9, 4).save("other")
    command = ["snncompile", "fit", "other", "--chip", "toy", "--json"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code in (0, None)  # loihi1 holds it
    assert '"why": "population a: needs 9 input axons for one neuron, of 8"' in (
        capsys.readouterr().out
    )


def test_labels_may_be_a_list():
    network = integer_chain(2, 3)
    x = spikes(network, 2, 4)
    (found,) = fit(network, chip=TOY, x=x, label=list(np.zeros(2, int)))
    assert 0 <= found.accuracy <= 1
