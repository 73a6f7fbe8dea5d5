"""The Lava program as text. Nothing here needs Lava."""

import subprocess
import sys

import numpy as np
import pytest

from snncompile.backends.lava.emit import emit, write_folder
from snncompile.errors import BackendError, SnnCompileError, list_briefly
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.registry import TABLES
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse


def made(target: int, source: int, value: int = 2, exponent: int = 0) -> IntegerSynapses:
    return integer_dense(np.full((target, source), value), exponent, 8)


HARD = IntegerCubaLif(1023, 127, 40)


@pytest.fixture
def all_kinds() -> IntegerNetwork:
    """A population of each kind, a loop, a skip, and one that nothing reaches."""
    return IntegerNetwork(
        Input("input", (2, 3)),
        (
            Population("hidden", (4,), IntegerCubaLif(1023, 127, [40, 41, 42, 43]), phase=1),
            Population("fire", (2, 2), IntegerIntegrateFire(50, 3, 6, "hard"), phase=1),
            Population("class", (4,), IntegerCubaLif(4095, 10, 40, reset="delayed_soft"), phase=2),
            Population("alone", (1,), IntegerIntegrateFire(7, 100), phase=3),
            Population("out", (2,), IntegerReadout(1023, 0), phase=3),
        ),
        (
            Projection("input", "hidden", made(4, 6), 1),
            Projection("input", "fire", made(4, 6, 4), 1),
            Projection("hidden", "hidden", made(4, 4, -2), 1),
            Projection("hidden", "class", made(4, 4), 1),
            Projection("fire", "class", made(4, 4, 6, exponent=-3), 2),
            Projection("class", "out", made(2, 4), 1),
            Projection("input", "out", made(2, 6), 3),
            Projection("input", "out", made(2, 6), 4),
        ),
        "out",
        title='demo\n"""of all kinds',
    )


@pytest.fixture
def chain() -> IntegerNetwork:
    """Only processes of Lava's own library."""
    return IntegerNetwork(
        Input("input", (3,)),
        (Population("a", (2,), HARD, phase=1), Population("b", (1,), HARD, phase=2)),
        (Projection("input", "a", made(2, 3), 1), Projection("a", "b", made(1, 2), 1)),
        "b",
    )


def test_network_of_all_kinds(all_kinds, golden):
    golden(emit(all_kinds).texts["network.py"])


def test_readme_of_all_kinds(all_kinds, golden):
    golden(emit(all_kinds).texts["README.md"])


def test_readme_of_a_chain(chain, golden):
    golden(emit(chain).texts["README.md"])


@pytest.fixture
def all_wirings() -> IntegerNetwork:
    """A projection of each kind of wiring, and one without any synapse."""
    kernels = Convolution((2, 2, 3), 2, (1, 2), (1, 1), (0, 0), (1, 1), 2)
    wirings = {
        "conv": (kernels, np.array([2, 4, 6, 8]).reshape(2, 1, 1, 2)),
        "some": (Sparse(np.array([2, 0, 0]), np.array([3, 11, 0]), 3, 12), np.array([2, 0, -4])),
        "none": (Sparse(np.array([], int), np.array([], int), 1, 12), np.array([], int)),
        "scaled": (Scale(12), np.array(-6)),
    }
    return IntegerNetwork(
        Input("input", (2, 2, 3)),
        (
            *(Population(name, (w.targets,), HARD, phase=1) for name, (w, _) in wirings.items()),
            Population("out", (1,), HARD, phase=2),
        ),
        (
            *(
                Projection("input", name, IntegerSynapses(wiring, weight, -1, 8), 1)
                for name, (wiring, weight) in wirings.items()
            ),
            Projection("scaled", "out", made(1, 12), 1),
        ),
        "out",
    )


def test_network_of_all_wirings(all_wirings, golden):
    golden(emit(all_wirings).texts["network.py"])


def test_readme_of_all_wirings(all_wirings, golden):
    golden(emit(all_wirings).texts["README.md"])


def test_sparse_matrices_are_stored_in_three_arrays(all_wirings):
    arrays = emit(all_wirings).arrays
    parts = {"data", "indices", "indptr"}
    names = ["input_to_conv", "input_to_some", "input_to_none", "input_to_scaled"]
    assert set(arrays) == {f"{n}.{part}" for n in names for part in parts} | {
        "scaled_to_out.weights"
    }

    def stored(name: str) -> list[list[int]]:
        return [arrays[f"{name}.{part}"].tolist() for part in ("data", "indices", "indptr")]

    assert stored("input_to_some") == [[-4, 0, 2], [0, 11, 3], [0, 2, 2, 3]]
    assert stored("input_to_none") == [[], [], [0, 0]]
    assert stored("input_to_scaled") == [[-6] * 12, [*range(12)], [*range(13)]]
    # channel 0: 2 x[0] + 4 x[1], channel 1: 6 x[6] + 8 x[7]
    data, indices, ends = stored("input_to_conv")
    assert data == [2, 4] * 4 + [6, 8] * 4
    assert indices == [0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11]
    assert ends == [*range(0, 17, 2)]
    kinds = {name.rpartition(".")[2]: str(array.dtype) for name, array in arrays.items()}
    assert kinds == {"data": "int16", "indices": "int32", "indptr": "int32", "weights": "int16"}


def test_what_a_spike_with_a_sign_needs():
    signed = IntegerTernaryLif(4095, 0, 9, [-9, -8])
    network = IntegerNetwork(
        Input("input", (2,)),
        (
            Population("a", (2,), signed, phase=1),
            Population("b", (1,), HARD, phase=2),
            Population("c", (2,), signed, phase=2),
        ),
        (
            Projection("input", "a", made(2, 2), 1),
            Projection("a", "b", made(1, 2), 1),
            Projection("a", "c", made(2, 2), 3),
            Projection("b", "c", made(2, 1), 1),
        ),
        "c",
    )
    emitted = emit(network)
    text = emitted.texts["network.py"]
    assert text.count("num_message_bits=24") == 2  # what a sends
    assert '"a": ((2,), 1, "int32"),' in text
    assert '"b": ((1,), 2, "uint8"),' in text
    assert "processes/ternary_lif.py" in emitted.texts
    assert emitted.arrays["a.vth_lo"].tolist() == [-9, -8]
    readme = emitted.texts["README.md"]
    assert "(samples, steps, 2): -1, 0 and 1." in readme
    assert "The equations of `TernaryLif` are in `processes/`." in readme


def test_emits_only_the_processes_it_needs(all_kinds, chain):
    always = {"network.py", "run.py", "README.md", "processes/__init__.py"}
    always |= {"processes/probe.py", "processes/spike_source.py"}
    assert set(emit(chain).texts) == always
    custom = {"cuba_lif", "delay", "fixed_point", "readout"}
    assert set(emit(all_kinds).texts) == always | {f"processes/{name}.py" for name in custom}


def test_arrays_are_the_weights_and_what_differs_between_neurons(all_kinds):
    arrays = emit(all_kinds).arrays
    assert set(arrays) == {
        "hidden.vth",
        "input_to_hidden.weights",
        "input_to_fire.weights",
        "hidden_to_hidden.weights",
        "hidden_to_class.weights",
        "fire_to_class.weights",
        "class_to_out.weights",
        "input_to_out.weights",
        "input_to_out_2.weights",
    }
    assert arrays["hidden.vth"].tolist() == [40, 41, 42, 43]


def test_is_pure_and_repeats_itself(all_kinds, tmp_path):
    before = str(all_kinds)
    first, second = emit(all_kinds), emit(all_kinds)
    assert first.texts == second.texts
    assert list(first.arrays) == list(second.arrays)
    assert str(all_kinds) == before
    write_folder(all_kinds, tmp_path / "one")
    write_folder(all_kinds, tmp_path / "two")
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(files) == len(first.texts) + 2
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_is_emitted_is_python_that_does_not_know_us(all_kinds):
    for name, text in emit(all_kinds).texts.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
            assert "import snncompile" not in text
            assert "from snncompile" not in text


def test_names_of_the_user_do_not_hide_names_of_the_program():
    names = ["np", "sparse", "csr_matrix", "Dense", "lambda", "spikes", "x", "ARRAYS", "len"]
    populations = [Population(name, (1,), HARD, phase=1) for name in names]
    network = IntegerNetwork(
        Input("steps", (1,)),
        tuple(populations),
        tuple(Projection("steps", name, made(1, 1), 1) for name in names),
        "x",
    )
    text = emit(network).texts["network.py"]
    assert "\n    steps_2 = SpikeSource(" in text
    for name in set(names) - {"x"}:
        assert f"\n    {name}_2 = LIFReset(" in text
        assert f'"{name}": {name}_2.s_out,' in text
    assert "\n    x = LIFReset(" in text


def test_sizes_may_be_numbers_of_numpy():
    one_line = Input("input", (np.int64(1),))
    populations = (Population("out", (np.int64(1),), HARD, phase=np.int64(1)),)
    projections = (Projection("input", "out", made(1, 1), np.int64(1)),)
    texts = emit(IntegerNetwork(one_line, populations, projections, "out")).texts
    assert texts == emit(one(HARD, made(1, 1))).texts


class Unknown(IntegerReadout):
    name = "unknown"


def one(neuron: IntegerNeuron, synapses: IntegerSynapses, delay: int = 1) -> IntegerNetwork:
    return IntegerNetwork(
        Input("input", (1,)),
        (Population("out", (1,), neuron, phase=delay),),
        (Projection("input", "out", synapses, delay),),
        "out",
    )


REFUSED = [
    (
        one(HARD, made(1, 1), delay=0),
        "projection input -> out: delay 0, but a synapse of Lava takes one time step; compile the"
        " network first",
    ),
    (
        one(HARD, made(1, 1, 3)),
        "projection input -> out: Lava would change its weights; with 8 bits they must be multiples"
        " of 2 in -256..255",
    ),
    (
        one(HARD, made(1, 1, 256)),
        "projection input -> out: Lava would change its weights; with 8 bits they must be multiples"
        " of 2 in -256..255",
    ),
    (
        one(HARD, made(1, 1, -258)),
        "projection input -> out: Lava would change its weights; with 8 bits they must be multiples"
        " of 2 in -256..255",
    ),
    (
        one(HARD, IntegerSynapses(Scale(1), np.array(4), 0, 6)),
        "projection input -> out: Lava would change its weights; with 6 bits they must be multiples"
        " of 8 in -256..255",
    ),
    (
        one(
            HARD, IntegerSynapses(Convolution((1, 1), 1, *[(1,)] * 2, (0,), (1,)), [[[256]]], 0, 8)
        ),
        "projection input -> out: Lava would change its weights; with 8 bits they must be multiples"
        " of 2 in -256..255",
    ),
    (
        one(IntegerCubaLif(0, 0, 40, 40000), made(1, 1)),
        "population out: bias_mantissa 40000 is outside -32768..32767, the range of bias_mant in"
        " the Lava process LIFReset; compile for a chip with this range",
    ),
    (
        one(IntegerCubaLif(-1, 0, 40), made(1, 1)),
        "population out: current_decay -1 is outside 0..4095, the range of du in the Lava process"
        " LIFReset; compile for a chip with this range",
    ),
    (
        one(Unknown(0, 0), made(1, 1)),
        "population out: the Lava backend has no process for unknown; it knows "
        + list_briefly(sorted(TABLES["neurons"])),
    ),
]


@pytest.mark.parametrize("network, message", REFUSED)
def test_refuses(network, message):
    with pytest.raises(SnnCompileError) as error:
        emit(network)
    assert str(error.value) == message


def test_a_refused_network_leaves_no_folder(tmp_path):
    with pytest.raises(BackendError):
        write_folder(one(HARD, made(1, 1), delay=0), tmp_path / "program")
    assert not (tmp_path / "program").exists()


def test_needs_no_lava():
    code = "import sys, snncompile.backends.lava.run; print('lava' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_program_that_records_states_says_so(chain):
    """Only when asked for: the emitted folder of a user has no such thing."""
    plain_one, watched = emit(chain), emit(chain, states=True)
    assert "processes/state_probe.py" not in plain_one.texts
    assert "STATES" not in plain_one.texts["network.py"]
    names = [f"{p.name}.{state}" for p in chain.populations for state in p.neuron.states]
    assert all(f'    "{name}",\n' in watched.texts["network.py"] for name in names)
    assert f"\nCOUNT = {len(names)}  # " in watched.texts["processes/state_probe.py"]
    compile(watched.texts["network.py"], "network.py", "exec")
