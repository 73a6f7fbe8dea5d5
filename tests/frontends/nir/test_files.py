"""NIR files from strangers: every mistake is one line that says where."""

from __future__ import annotations

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_files import write_tree

from snncompile.errors import InputError, SnnCompileError, UnsupportedError
from snncompile.frontends.nir.from_nir import from_nir

VALID = {
    "input": {"type": "Input", "shape": np.array([2])},
    "linear": {"type": "Linear", "weight": np.eye(2)},
    "lif": {
        "type": "LIF",
        "tau": np.full(2, 1e-3),
        "r": np.full(2, 10.0),
        "v_leak": np.zeros(2),
        "v_threshold": np.ones(2),
    },
    "output": {"type": "Output", "shape": np.array([2])},
}
CHAIN = [("input", "linear"), ("linear", "lif"), ("lif", "output")]


def graph(edges=CHAIN, without=(), **changes):
    """Return the chain input, linear, lif, output with nodes or parameters changed."""
    nodes = {}
    for name in [*VALID, *(new for new in changes if new not in VALID)]:
        change = changes.get(name, {})
        base = {} if "type" in change else VALID.get(name, {})
        nodes[name] = {k: v for k, v in (base | change).items() if (name, k) not in without}
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


@pytest.fixture
def net(tmp_path):
    return lambda tree: write_tree(tmp_path / "some.nir", tree)


def test_the_valid_file_is_valid(net):
    assert from_nir(net(graph()), dt=1e-4).populations[0].name == "lif"


def conv(**changes):
    return {
        "type": "Conv2d",
        "weight": np.ones((1, 2, 2, 2)),
        "bias": np.zeros(1),
        "stride": 1,
        "padding": np.array([0, 0]),
        "dilation": 1,
        "groups": 1,
    } | changes


IMAGE = {"type": "Input", "shape": np.array([2, 3, 3])}
FLAT = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
OUTPUT = {"type": "Output", "shape": np.array([2])}

# A new case is one more entry: the file, then the whole message without the file's name.
BROKEN = {
    "edge to nothing": (graph([*CHAIN, ("lif", "x")]), "an edge names 'x', which is no node"),
    "edge twice": (graph([*CHAIN, CHAIN[0]]), "the edge from input to linear is there twice"),
    "no edges": (graph([]), "node lif: is not reached from the input"),
    "island": (
        graph([("input", "lif"), ("lif", "output")]),
        "node linear: is not reached from the input",
    ),
    "weight": (
        graph(linear={"weight": np.eye(3)}),
        "node linear: Linear gets shape (2,), expected (3,); input_shape= sets another shape of"
        " the input",
    ),
    "parameter": (
        graph(lif={"tau": np.full(3, 1e-3)}),
        "node lif: LIF gets shape (2,), expected that of tau, (3,); input_shape= sets another"
        " shape of the input",
    ),
    "missing": (graph(without=[("lif", "r")]), "node lif: LIF has no r"),
    "text": (graph(lif={"r": "ten"}), "node lif: r is 'ten', expected numbers"),
    "nan": (
        graph(linear={"weight": np.array([[np.nan, 1], [1, np.inf]])}),
        "node linear: weight holds 2 values that are not finite",
    ),
    "tau": (graph(lif={"tau": np.zeros(2)}), "node lif: tau must be positive, got 0"),
    "short tau": (
        graph(lif={"tau": np.full(2, 5e-5)}),
        "node lif: tau of 5e-05 is 0.5 time steps, with Euler's method it must be 1 or more; give"
        " dt, tau_unit or method='exponential'",
    ),
    "huge input": (
        graph(input={"shape": np.array([2**20, 2**20])}),
        "node input: shape (1048576, 1048576) is not that of an input",
    ),
    "half a neuron": (
        graph(input={"shape": np.array([1.5])}),
        "node input: shape holds 1.5, expected whole numbers from 1 to 16777216",
    ),
    "huge padding": (
        graph(
            [("input", "linear"), ("linear", "flat"), ("flat", "lif"), ("lif", "output")],
            input=IMAGE,
            linear=conv(padding=np.array([10**6, 10**6])),
            flat=FLAT,
        ),
        "node linear: Conv2d makes values of shape (1, 2000002, 2000002), expected 1..16,777,216",
    ),
    "large kernel": (
        graph(input=IMAGE, linear=conv(weight=np.ones((1, 2, 5, 5)))),
        "node linear: convolution: kernel (5, 5) is larger than source (2, 3, 3)",
    ),
    "pool": (
        graph(
            linear={
                "type": "SumPool2d",
                "kernel_size": np.array([0, 2]),
                "stride": np.array([1, 1]),
                "padding": np.array([0, 0]),
            },
            input=IMAGE,
        ),
        "node linear: kernel_size holds 0, expected whole numbers from 1 to 1048576",
    ),
    "long delay": (
        graph(linear={"type": "Delay", "delay": np.full(2, 1000.5)}),
        "node linear: a delay of 1.0005e+07 time steps is outside 0..1,048,576",
    ),
    "bias": (
        graph(linear={"type": "Affine", "weight": np.eye(2), "bias": np.ones(3)}),
        "node linear: bias has 3 values for 2 rows",
    ),
}

UNKNOWN = {
    "kind": (
        graph(lif={"type": "Izhikevich"}),
        "node lif: Izhikevich is not known; known: Affine, AvgPool2d, Conv1d, Conv2d, CubaLI,"
        " CubaLIF, Delay, Flatten, I, IF, Input, LI, LIF, Linear, NIRGraph, Output, Scale,"
        " SumPool2d, Threshold",
    ),
    "parameter": (
        graph(lif={"refractory": 2}),
        "node lif: 'refractory' of LIF is not known; known: tau, r, v_leak, v_threshold, v_reset",
    ),
    "no neurons": (
        graph([("input", "linear"), ("linear", "output")], lif=OUTPUT),
        "holds no neurons",
    ),
    "no input": (graph(input=OUTPUT), "has no node Input"),
    "no output": (graph(output=VALID["input"]), "has no node Output"),
    "two outputs of potentials": (
        graph(
            [*CHAIN, ("lif", "more"), ("more", "other")],
            more={"type": "Linear", "weight": np.eye(2)},
            other=OUTPUT,
        ),
        "node other: is one of 2 outputs and not of spikes of 0 or 1; give output=, one of other,"
        " output",
    ),
    "potential": (
        graph(
            [("input", "li"), ("li", "linear"), *CHAIN[1:]],
            li={"type": "I", "r": np.full(2, 1e4)},
        ),
        "node lif: gets the potential of li (I); only spikes can be sent, put a Threshold after it",
    ),
    "potential to two": (
        graph(
            [*CHAIN[:2], ("input", "li"), ("li", "fire"), ("fire", "lif"), ("li", "lif"), CHAIN[2]],
            li={"type": "I", "r": np.full(2, 1e4)},
            fire={"type": "Threshold", "threshold": np.ones(2)},
        ),
        "node lif: gets the potential of li (I); only spikes can be sent, put a Threshold after it",
    ),
    "loop without neuron": (
        graph([*CHAIN, ("linear", "other"), ("other", "linear")], other=VALID["linear"]),
        "the loop linear -> other -> linear holds no neuron",
    ),
    "threshold": (
        graph(lif={"v_threshold": np.zeros(2)}),
        "node lif: its threshold is not above v_reset, so it fires without input",
    ),
    "same": (
        graph(
            [("input", "linear"), ("linear", "flat"), ("flat", "lif"), ("lif", "output")],
            input=IMAGE,
            linear=conv(padding="same"),
            flat=FLAT,
        ),
        "node linear: padding 'same' of kernel (2, 2) and stride (1, 1) is not known; use an odd"
        " kernel and stride 1, or padding as numbers",
    ),
    "one node": (VALID["lif"], "holds one LIF, expected a NIRGraph"),
    "delayed bias": (
        graph(
            [("input", "linear"), ("linear", "wait"), ("wait", "lif"), ("lif", "output")],
            linear={"type": "Affine", "weight": np.eye(2), "bias": np.ones(2)},
            wait={"type": "Delay", "delay": np.full(2, 1e-4)},
        ),
        "node wait: a delay of a bias is not known; put it before",
    ),
    "ends of a nested graph": (
        graph(linear={"type": "NIRGraph", "nodes": {"lif": VALID["lif"]}, "edges": []}),
        "node linear: a nested graph with 0 nodes of kind Input is not known, only with one",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_says_what_is_wrong_where(net, name):
    tree, message = BROKEN[name]
    _refuses(net(tree), InputError, message)


@pytest.mark.parametrize("name", UNKNOWN)
def test_refuses_by_name(net, name):
    tree, message = UNKNOWN[name]
    _refuses(net(tree), UnsupportedError, message)


def _refuses(path, kind, message):
    with pytest.raises(kind) as error:
        from_nir(path, origin="nir", dt=1e-4)
    sign = " " if message.startswith("a nested") else ": "
    assert str(error.value) == f"some.nir{sign}{message}"


ARGUMENTS = {
    "no origin 'brian'; known: auto, nir, snncompile, snntorch, spikingjelly, norse, sinabs, spyx,"
    " rockpool, lava-dl": {"origin": "brian"},
    "no reset 'zero'; known: auto, hard, soft, delayed_soft, delayed_hard, strict_soft, none": {
        "reset": "zero"
    },
    "reset: there is no node 'x'; there are lif": {"reset": {"x": "soft"}},
    "dt must be a positive number of seconds, got 0": {"dt": 0},
    "no comparison '<'; known: auto, >, >=": {"comparison": "<"},
    "spike_delay must be a whole number of time steps, got -1": {"spike_delay": -1},
    "min_v must be a number that is not above 0, got 0.5": {"min_v": 0.5},
    "some.nir: has no output 'x'; it has output": {"output": "x", "dt": 1e-4},
}


@pytest.mark.parametrize("message", ARGUMENTS)
def test_refuses_arguments(net, message):
    with pytest.raises(InputError) as error:
        from_nir(net(graph()), **ARGUMENTS[message])
    assert str(error.value) == message


def test_refuses_other_files(tmp_path, net):
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["x"] = 3
    with pytest.raises(
        InputError, match=r"^other\.nir: has no group 'node', so it is no NIR file$"
    ):
        from_nir(tmp_path / "other.nir")
    (tmp_path / "text.nir").write_text("hello")
    with pytest.raises(InputError, match=r"^text\.nir: not an HDF5 file$"):
        from_nir(tmp_path / "text.nir")


def test_refuses_a_graph_inside_itself(net):
    path = net(graph(linear={"type": "NIRGraph", "nodes": {}, "edges": []}))
    with h5py.File(path, "a") as file:
        file["node/nodes/linear/nodes/again"] = file["node/nodes/linear"]
    with pytest.raises(InputError, match=r"graphs are nested more than 16 deep$"):
        from_nir(path)


def test_refuses_endless_nodes(net, monkeypatch):
    monkeypatch.setattr("snncompile.frontends.nir.file.MOST_NODES", 3)
    with pytest.raises(InputError, match=r"^some\.nir: holds more than 3 nodes$"):
        from_nir(net(graph()))


def test_refuses_endless_edges(net):
    path = net(graph([]))
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        text = h5py.string_dtype()
        file.create_dataset("node/edges", (2**40, 2), text, chunks=(2, 2))[0] = ("lif", "lif")
    with pytest.raises(InputError) as error:
        from_nir(path)
    assert str(error.value) == (
        "some.nir: edges claims 1,099,511,627,776 pairs, at most 100,000 are read"
    )


def test_what_nir_leaves_half_written_is_refused(tmp_path):
    """nir.write fails at a number without a shape and leaves what it wrote before."""
    li = nir.LI(np.asarray(1e-3), np.asarray(10.0), np.asarray(0.0))
    made = nir.NIRGraph.from_list(nir.Linear(np.eye(2)), li, type_check=False)
    with pytest.raises(TypeError):
        nir.write(tmp_path / "half.nir", made)
    with pytest.raises(SnnCompileError, match=r"^half\.nir: "):
        from_nir(tmp_path / "half.nir")


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_one_line_or_a_network(tmp_path_factory, data):
    path = write_tree(tmp_path_factory.mktemp("damaged") / "some.nir", graph())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        from_nir(path)
    except SnnCompileError as error:
        message = str(error)
    assert "\n" not in message
