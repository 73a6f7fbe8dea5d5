"""Rules that hold for everything registered. A new entry is tested without new code."""

from importlib.metadata import EntryPoint

import pytest

import snncompile
from snncompile import registry
from snncompile.errors import InputError
from snncompile.neurons.base import FloatNeuron, IntegerNeuron

ROWS = [(table, name) for table, rows in registry.TABLES.items() for name in rows]


@pytest.mark.parametrize("table, name", ROWS)
def test_a_row_can_be_loaded(table, name):
    assert registry.load(table, name) is not None


@pytest.mark.parametrize("name", registry.TABLES["neurons"])
def test_a_neuron_has_a_float_and_an_integer_record(name):
    kind = registry.load("neurons", name)
    assert issubclass(kind, FloatNeuron)
    assert issubclass(kind.integer, IntegerNeuron)
    assert kind.name == kind.integer.name == name
    assert kind.states == kind.integer.states
    assert kind.__doc__
    assert kind.integer.__doc__


@pytest.mark.parametrize("name", registry.TABLES["backends"])
def test_a_backend_runs_programs_and_gives_every_spike_train(name):
    backend = registry.load("backends", name)
    assert callable(backend.run)
    assert callable(backend.spike_trains)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError) as error:
        registry.load("backends", "loihi")
    assert str(error.value) == "no backend called 'loihi'; known: lava, reference"


def test_other_packages_add_rows(monkeypatch):
    point = EntryPoint("mine", "collections:OrderedDict", "snncompile.neurons")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    assert "mine" in registry.list_names("neurons")
    assert registry.load("neurons", "mine").__name__ == "OrderedDict"


def test_two_owners_of_a_name_are_named(monkeypatch):
    point = EntryPoint("readout", "other:Readout", "snncompile.neurons")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(InputError) as error:
        registry.load("neurons", "readout")
    assert str(error.value) == (
        "neurons: 'readout' is defined by snncompile.neurons.readout:Readout and by other:Readout;"
        " uninstall one of the two packages"
    )


@pytest.mark.parametrize("name", snncompile.__all__)
def test_public_names_are_there(name):
    assert getattr(snncompile, name).__doc__


def test_no_other_public_name():
    with pytest.raises(AttributeError, match=r"^module 'snncompile' has no attribute 'nothing'$"):
        _ = snncompile.nothing
