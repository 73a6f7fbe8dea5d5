"""Records of Lava processes: rules for all of them, refusals, and one of another package."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from drawn_neurons import KINDS
from lava_plugin import install_plugin
from lava_states import reference_with_states, run_with_states

from snncompile import registry
from snncompile.backends.lava import python_text
from snncompile.backends.lava.choose_process import load_processes
from snncompile.backends.lava.emit import copy_files, emit
from snncompile.backends.lava.lava_process import OURS, LavaParameter, LavaProcess
from snncompile.backends.lava.network_processes import DELAY, PROBE
from snncompile.backends.lava.neuron_processes import (
    CUBA_LIF,
    INITIAL,
    LIF_RESET,
    READOUT,
    REFRACTORY_LIF,
    TERNARY_LIF,
    THRESHOLD,
)
from snncompile.errors import BackendError, InputError, SnnCompileError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense

PROCESSES = load_processes()
NEURON_PROCESSES = [process for process in PROCESSES if process.neurons]
PAIRS = [(process, name) for process in NEURON_PROCESSES for name in process.neurons]


def attributes(neuron: str) -> set[str]:
    """Return the names of the numbers of an integer neuron."""
    return {field.name for field in fields(registry.load("neurons", neuron).integer)} - {"reset"}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_the_files_of_a_process_exist_and_define_its_class(process):
    texts = process.read_files()
    assert bool(texts) == bool(process.file)
    if process.file:
        text = texts[f"{process.module.replace('.', '/')}.py"]
        classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        assert [node.name for node in classes] == [process.name, f"Py{process.name}Model"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_neuron_with_every_reset_has_a_process(kind):
    """One of Lava's own at most, and a file of ours where that starts at 0 only."""
    neuron, _, reset = kind.partition("/")
    candidates = [process for process in PROCESSES if process.computes(neuron, reset)]
    complete = [process for process in candidates if not process.lacks(("initial",))]
    assert len(complete) == 1
    assert len([process for process in candidates if process.library]) <= 1


@pytest.mark.parametrize("process, neuron", PAIRS, ids=lambda case: getattr(case, "name", case))
def test_a_record_has_every_parameter_and_state_of_its_neurons(process, neuron):
    names = attributes(neuron)
    own = {parameter.name for parameter in process.parameters}
    optional = {p.name for p in process.parameters if p.default is not None}
    assert own - optional <= names
    if process.suits is not None:  # some populations only; for the others there is a file
        assert any(neuron in other.neurons and other.file for other in PROCESSES)
        return
    assert names <= own | {"initial"}
    assert set(registry.load("neurons", neuron).integer.states) <= set(process.states)


@pytest.mark.parametrize("process", NEURON_PROCESSES, ids=lambda process: process.name)
def test_keywords_ranges_and_states_are_those_of_the_file(process):
    """Ours take one keyword per parameter; Vars are called as the states."""
    assert all(p.low <= (p.default or p.low) <= p.high for p in process.parameters)
    if process.file:
        (text,) = process.read_files().values()
        classes = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.ClassDef)}
        (init,) = (n for n in classes[process.name].body if isinstance(n, ast.FunctionDef))
        keywords = {argument.arg for argument in init.args.kwonlyargs}
        reset = {"reset"} if len(process.resets) > 1 else set()
        timing = {"shape", "reset_interval", "reset_offset"}
        assert keywords == {p.keyword for p in process.parameters} | reset | timing
        assert all(f"self.{state} = Var(" in text for state in process.states)


def test_every_file_of_ours_belongs_to_a_process():
    files = {name for process in PROCESSES for name in process.read_files()}
    folder = importlib.resources.files(OURS).joinpath("processes")
    ours = {f"processes/{path.name}" for path in folder.iterdir() if path.name.endswith(".py")}
    assert files | {"processes/fixed_point.py"} == ours


def build(neuron: IntegerNeuron, **more: IntegerNeuron) -> IntegerNetwork:
    neurons = {"out": neuron, **more}
    return IntegerNetwork(
        Input("input", (3,)),
        tuple(Population(name, (2,), n, phase=1) for name, n in neurons.items()),
        tuple(
            Projection("input", name, integer_dense(np.full((2, 3), 6), 0, 8), 1)
            for name in neurons
        ),
        "out",
    )


def test_names_of_the_written_network_are_reserved():
    """Of the template and of every process: a population may be called like any of them."""
    network = build(IntegerReadout(0, [0, 1]))
    variables = {"input", "out", "input_to_out", "__file__"}  # the last is no local name
    tree = ast.parse(emit(network, states=True).texts["network.py"])
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    classes = {process.name for process in PROCESSES}
    assert used - variables <= {*python_text.RESERVED, *classes}
    assert all(f"\n    {name}_2 = Readout(" in emit_called(name) for name in classes)


def emit_called(name: str) -> str:
    """Return network.py of a population with some name."""
    return emit(replace_name(build(IntegerReadout(0, 0)), name)).texts["network.py"]


def replace_name(network: IntegerNetwork, name: str) -> IntegerNetwork:
    (population,), (projection,) = network.populations, network.projections
    return replace(
        network,
        populations=(replace(population, name=name),),
        projections=(replace(projection, target=name),),
        output=name,
    )


OWN = (*TERNARY_LIF.parameters[:2], replace(THRESHOLD, per_neuron=False))
HARD = IntegerCubaLif(0, 0, 40)
REFUSED = [
    (
        IntegerTernaryLif(0, 0, 9, -9),
        {"TernaryLif": replace(TERNARY_LIF, parameters=OWN)},
        "population out: the Lava process TernaryLif has no parameter for negative_threshold,"
        " bias_mantissa, bias_exponent; add it to its LavaProcess",
    ),
    (
        IntegerTernaryLif(0, 0, 9, -9),
        {"Other": replace(TERNARY_LIF, name="Other")},
        "population out: TernaryLif and Other are Lava processes for ternary_lif; uninstall the"
        " package of either",
    ),
    (
        IntegerTernaryLif(0, 0, 9, -9),
        {"TernaryLif": replace(TERNARY_LIF, parameters=REFRACTORY_LIF.parameters)},
        "population out: the Lava process TernaryLif has no parameter for negative_threshold; add"
        " it to its LavaProcess",
    ),
    (
        HARD,
        {"LIFReset": replace(LIF_RESET, parameters=REFRACTORY_LIF.parameters)},
        "population out: the Lava process LIFReset needs refractory, which cuba_lif lacks; give its"
        " LavaParameter a default",
    ),
    (
        IntegerCubaLif(0, 0, [40, 50]),
        {"LIFReset": replace(LIF_RESET, parameters=(*OWN, *LIF_RESET.parameters[3:]))},
        "population out: threshold is 40..50, but the Lava process LIFReset takes one vth for all"
        " neurons; split the population",
    ),
    (
        IntegerCubaLif(0, 0, 40, initial=5),
        {"CubaLif": replace(CUBA_LIF, parameters=LIF_RESET.parameters)},
        "population out: the Lava process CubaLif has no parameter for initial; add it to its"
        " LavaProcess",
    ),
    (
        IntegerReadout(0, 0),
        {"Readout": replace(READOUT, file=f"{OURS}:processes/nothing.py")},
        "Lava process Readout: cannot read snncompile.backends.lava:processes/nothing.py: No such"
        " file or directory; install its package again",
    ),
    (
        IntegerReadout(0, 0),
        {"Readout": replace(READOUT, file="no_such_package:nothing.py")},
        "Lava process Readout: cannot read no_such_package:nothing.py: No module named"
        " 'no_such_package'; install its package again",
    ),
    (
        IntegerReadout(0, 0),
        {"Readout": CUBA_LIF},
        "lava_processes: the row 'Readout' is no LavaProcess called Readout; name the row after the"
        " class of the process",
    ),
]


@pytest.mark.parametrize("neuron, rows, message", REFUSED)
def test_refuses(monkeypatch, neuron, rows, message):
    for name, process in rows.items():
        monkeypatch.setattr(sys.modules[__name__], f"row_{name}", process, raising=False)
        monkeypatch.setitem(registry.TABLES["lava_processes"], name, f"{__name__}:row_{name}")
    with pytest.raises(SnnCompileError) as error:
        emit(build(neuron))
    assert str(error.value) == message


def test_refuses_two_files_of_one_name(tmp_path, monkeypatch):
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "__init__.py").write_text("")
    (tmp_path / "twin" / "probe.py").write_text("PROBE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    twin = LavaProcess(name="Twin", file="twin:probe.py")
    assert list(copy_files([PROBE, PROBE, DELAY])) == ["processes/delay.py", "processes/probe.py"]
    with pytest.raises(BackendError) as error:
        copy_files([twin, PROBE])
    assert str(error.value) == (
        "Lava processes Probe and Twin have different files processes/probe.py; rename the file of"
        " either"
    )


NONSENSE = [
    (
        lambda: LavaParameter("reset", "reset", 0, 1),
        "parameter reset: the keyword reset is given already",
    ),
    (lambda: LavaParameter("leak", "leak", 1, 0), "parameter leak: range 1..0 is empty"),
    (lambda: LavaProcess(name="two words", file="a:b.py"), "'two words' is no name of a class"),
    (lambda: LavaProcess(name="A"), "process A: either library or file must be given"),
    (
        lambda: LavaProcess(name="A", library="a", file="a:b.py"),
        "process A: either library or file must be given",
    ),
    (
        lambda: LavaProcess(name="A", library="a", parameters=(INITIAL, INITIAL)),
        "process A: two parameters have the same name",
    ),
    (
        lambda: LavaProcess(
            name="A", library="a", parameters=(INITIAL, replace(INITIAL, name="start"))
        ),
        "process A: two parameters have the same keyword",
    ),
]


@pytest.mark.parametrize("make, message", NONSENSE)
def test_a_record_refuses_nonsense(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.fixture
def weary(tmp_path, monkeypatch):
    """Return a neuron of another package, whose Lava process is a row of the registry."""
    install_plugin(tmp_path, monkeypatch)
    yield importlib.import_module("weary.neuron").IntegerWearyFire
    for name in [name for name in sys.modules if name.partition(".")[0] == "weary"]:
        del sys.modules[name]


def test_the_process_of_another_package_is_written(weary):
    folder = emit(build(weary(3, [40, 50], 100), other=weary(4, 40, 0, initial=7)))
    always = {"network.py", "run.py", "README.md"}
    names = ("__init__", "probe", "spike_source", "fixed_point", "weary_fire", "weary_arithmetic")
    assert set(folder.texts) == always | {f"processes/{name}.py" for name in names}
    text = folder.texts["network.py"]
    assert "\nfrom processes.weary_fire import WearyFire\n" in text
    assert (
        "    out = WearyFire(\n        shape=(2,),\n        leak=3,\n"
        '        level=ARRAYS["out.level"],\n        fatigue=100,\n        reset_interval=steps,\n'
    ) in text
    assert "        level=40,\n        fatigue=0,\n        initial=7,\n" in text
    readme = folder.texts["README.md"]
    assert "The equations of `WearyFire` are in `processes/`." in readme
    assert "`WearyFire` is a process written for the CPU" in readme


def test_the_readme_names_what_a_process_requires(weary):
    records = importlib.import_module("weary.records")
    records.WEARY_FIRE = replace(records.WEARY_FIRE, requirements=("numba==0.59.1", "llvmlite"))
    readme = emit(build(weary(3, 40, 0))).texts["README.md"]
    assert "(Python 3.10) and llvmlite, numba==0.59.1:\n" in readme
    assert "    pip install lava-nc==0.10.0 llvmlite numba==0.59.1\n    python run.py" in readme


def test_without_the_package_its_neuron_is_refused_and_its_name_is_free(weary, monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    with pytest.raises(SnnCompileError, match="no process for weary_fire; it knows accumulate, "):
        emit(build(weary(3, 40, 0)))
    assert "\n    WearyFire = Readout(" in emit_called("WearyFire")


def test_the_class_of_another_package_is_reserved(weary):
    assert "\n    WearyFire_2 = Readout(" in emit_called("WearyFire")


def test_two_owners_of_a_process_are_named(weary, monkeypatch):
    monkeypatch.setitem(registry.TABLES["lava_processes"], "WearyFire", "ours:WEARY_FIRE")
    with pytest.raises(InputError) as error:
        emit(build(weary(3, 40, 0)))
    assert str(error.value) == (
        "lava_processes: 'WearyFire' is defined by ours:WEARY_FIRE and by weary.records:WEARY_FIRE;"
        " uninstall one of the two packages"
    )


def test_a_wiring_may_have_a_process_of_its_own(monkeypatch):
    """Its weights go there as the wiring has them; nothing is unrolled."""
    row = LavaProcess(name="Kernel", library="kernels.process", wirings=("convolution",))
    monkeypatch.setattr(sys.modules[__name__], "row_Kernel", row, raising=False)
    monkeypatch.setitem(registry.TABLES["lava_processes"], "Kernel", f"{__name__}:row_Kernel")
    weight = np.array([[[2, 4]]])
    network = build(IntegerReadout(0, 0))
    wiring = Convolution((1, 3), 1, (2,), (1,), (0,), (1,))
    synapses = IntegerSynapses(wiring, weight, 0, 8)
    projections = (replace(network.projections[0], synapses=synapses),)
    folder = emit(replace(network, projections=projections))
    assert {name: array.tolist() for name, array in folder.arrays.items()} == {
        "input_to_out.weights": weight.tolist()
    }
    text = folder.texts["network.py"]
    assert "\nfrom kernels.process import Kernel\n" in text
    assert '= Kernel(\n        weights=ARRAYS["input_to_out.weights"],\n' in text
    assert "sparse" not in text
    assert "unrolled" not in folder.texts["README.md"]


def test_states_without_a_var_are_not_recorded(weary):
    records = importlib.import_module("weary.records")
    records.WEARY_FIRE = replace(records.WEARY_FIRE, states=("sent",))
    text = emit(build(weary(3, 40, 0)), states=True).texts["network.py"]
    assert 'STATES = [  # population.state\n    "out.sent",\n]\n' in text
    assert "out.v," not in text


@pytest.mark.lava
def test_the_process_of_another_package_equals_the_reference(lava, weary):
    """Every output and every state, sample after sample, beside a neuron of ours."""
    random = np.random.default_rng(4)
    wearies = {
        "slow": weary(4, random.integers(30, 90, 5), random.integers(0, 900, 5)),
        "quick": weary(2, 40, 300, initial=random.integers(-9000, 9000, 5)),
    }
    neurons = {**wearies, "shown": IntegerReadout(4095, 4095)}
    pairs = [("input", "slow", 1), ("slow", "quick", 1), ("quick", "quick", 2)]
    pairs += [("slow", "slow", 3), ("quick", "shown", 1), ("slow", "shown", 2)]
    phases = {"slow": 1, "quick": 2, "shown": 3}
    network = IntegerNetwork(
        Input("input", (5,)),
        tuple(Population(n, (5,), neuron, phases[n]) for n, neuron in neurons.items()),
        tuple(
            Projection(s, t, integer_dense(random.integers(-20, 30, (5, 5)) * 2, 0, 8), delay)
            for s, t, delay in pairs
        ),
        "shown",
    )
    x = random.random((4, 15, 5)) < 0.4
    computed, kept = run_with_states(network, x)
    expected, states = reference_with_states(network, x)
    assert kept.keys() == states.keys() >= {"slow.v", "slow.sent", "quick.v", "quick.sent"}
    assert all((computed[name] == expected[name]).all() for name in expected)
    assert all((kept[name] == states[name]).all() for name in states)
    assert all(0.1 < expected[name].mean() < 0.9 for name in wearies)
    assert all(states[f"{name}.sent"].max() > 3 for name in wearies)
