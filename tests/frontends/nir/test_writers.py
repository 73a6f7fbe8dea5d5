"""Who wrote a NIR file, and the time step and reset that it tells or that have to be given."""

from __future__ import annotations

import h5py
import nir
import numpy as np
import pytest

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.from_nir import from_nir

F32 = np.float32


def lif(*tau, dt=1e-4, number=np.float64, **values):
    """Return a LIF whose input is added as it is, r = tau / dt, unless r is given."""
    tau = np.array(tau, number)
    given = {"tau": tau, "r": tau / number(dt), "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(
        **{k: np.broadcast_to(number(v), tau.shape) for k, v in (given | values).items()}
    )


def cuba(tau_syn, tau_mem, size=2, **values):
    given = {"tau_syn": tau_syn, "tau_mem": tau_mem, "v_leak": 0.0, "v_threshold": 1.0} | values
    return nir.CubaLIF(**{name: np.full(size, value) for name, value in given.items()})


def fire(r, number=np.float64, size=2):
    return nir.IF(np.full(size, r, number), np.ones(size, number), np.zeros(size, number))


def rockpool(dt, *tau):
    tau = np.array(tau)
    r = tau * np.exp(-dt / tau) / dt
    ones = np.ones(len(tau))
    return nir.CubaLIF(ones * 0.01, tau, r, 0 * ones, ones)


@pytest.fixture
def write(tmp_path):
    def write(neurons, name="lif", size=2, weight=None):
        weight = np.eye(size) * 1.37 if weight is None else weight
        ends = {"input": nir.Input(np.array([size])), "output": nir.Output(np.array([size]))}
        nodes = ends | {f"{name}_in": nir.Linear(weight), name: neurons}
        edges = [("input", f"{name}_in"), (f"{name}_in", name), (name, "output")]
        nir.write(tmp_path / "some.nir", nir.NIRGraph(nodes, edges, type_check=False))
        return tmp_path / "some.nir"

    return write


# Neurons as an exporter writes them -> (the writer found, its time step).
SHOWN = {
    "snntorch": (lif(1e-3, 1e-3, number=F32), "snntorch", 1e-4),
    "spikingjelly at its usual step": (lif(1e-3, 1e-3), "spikingjelly", 1e-4),
    "spikingjelly with two tau": (lif(3e-3, 5e-3, dt=1e-3), "spikingjelly", 1e-3),
    "spikingjelly in seconds": (lif(3.0, 5.0, dt=1.0), "spikingjelly", 1.0),
    "spikingjelly, currents": (cuba(2e-3, 4e-3, r=4.0, w_in=2.0), "spikingjelly", 1e-3),
    "spikingjelly without leak": (fire(1000.0), "spikingjelly", 1e-3),
    "norse": (lif(1e-5, 1e-5, number=F32, r=1), "norse", 1e-3),
    "sinabs": (lif(5, 5, number=F32, r=1), "sinabs", None),
    "sinabs without leak": (fire(1, F32), "sinabs", None),
    "spyx at its usual step": (lif(5, 5, number=F32, r=0.8), "spyx", 1.0),
    "spyx with two tau": (lif(0.5, 0.4, number=F32, r=[0.8, 0.75]), "spyx", 0.1),
    "rockpool at its usual step": (rockpool(1e-3, 0.02, 0.02), "rockpool", 1e-3),
    "rockpool with two tau": (rockpool(2e-3, 0.02, 0.03), "rockpool", 2e-3),
    "two tau of nobody": (lif(3e-3, 5e-3, dt=1e-3, v_leak=0.1), "nir", 1e-3),
    "no leak of nobody": (fire(1.0), "nir", None),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_numbers_show_the_writer_and_its_time_step(write, name):
    neurons, origin, dt = SHOWN[name]
    notes = from_nir(write(neurons)).notes
    assert notes[0].startswith(f"NIR: read as written by {origin} (")
    shown = notes[1].partition("dt=")[2].partition(",")[0] if "dt=" in notes[1] else None
    assert (float(shown) if shown else None) == (dt and pytest.approx(dt, rel=1e-6))


def test_lava_dl_shows_in_the_integers_of_loihi(write):
    neurons = cuba(4096e-4 / 1000, 4096e-4 / 300, r=4096 / 300, w_in=4.096, v_threshold=80 / 64)
    weight = np.array([[32, -14], [6, 2]]) / 64
    assert "written by lava-dl" in from_nir(write(neurons, weight=weight)).notes[0]
    assert "written by spikingjelly" in from_nir(write(neurons)).notes[0]


def test_names_of_spyx_show_any_time_step(write):
    neurons = lif(0.5, 0.5, number=F32, r=0.8)
    assert "dt=0.1" in from_nir(write(neurons, name="layer_1"), origin="spyx").notes[1]
    path = write(neurons, name="layer_1")
    with h5py.File(path, "a") as file:
        nodes = file["node/nodes"]
        nodes.move("layer_1_in", "layer_0")
        del file["node/edges"]
        edges = [("input", "layer_0"), ("layer_0", "layer_1"), ("layer_1", "output")]
        file["node"].create_dataset("edges", data=edges, dtype=h5py.string_dtype())
    assert from_nir(path).notes[0].startswith("NIR: read as written by spyx (")


NEEDED = "some.nir: the time step that its time constants need is not in it: "
GIVE = "; give dt=, seconds of a time step, and perhaps origin=, its writer"
# Neurons -> why their time step is not known.
ASKED = {
    "one tau, r of 1": (
        lif(4e-3, 4e-3, r=1),
        "tau of 0.004 with r of 1 is dt=0.004, where input is added as it is, or any smaller"
        " one, where dt / tau of it is (SpikingJelly's decay_input, at any dt)",
    ),
    "one tau": (
        lif(4e-3, 4e-3, dt=1e-3),
        "with one tau of 0.004, tau / r of 0.001 is dt, where an input is added as it is, or a"
        " gain at another dt",
    ),
    "several tau, r of 1": (lif(4e-3, 3e-3, r=1), "nothing in it tells"),
    "rockpool's at another step": (rockpool(2e-3, 0.02, 0.02), None),
}


@pytest.mark.parametrize("name", ASKED)
def test_asks_for_a_time_step_that_nothing_tells(write, name):
    neurons, reason = ASKED[name]
    path = write(neurons)
    with pytest.raises(InputError) as error:
        from_nir(path)
    assert reason is None or str(error.value) == NEEDED + reason + GIVE
    assert "dt=0.001 (given)" in from_nir(path, dt=1e-3).notes[1]


def test_a_given_time_step_may_show_the_writer(write):
    path = write(lif(4e-3, 4e-3, dt=1e-3))
    assert "written by spikingjelly" in from_nir(path, dt=1e-3).notes[0]
    assert "written by nir" in from_nir(path, dt=5e-4).notes[0]
    assert "dt=0.001," in from_nir(path, origin="spikingjelly").notes[1]
    with pytest.raises(InputError, match=r"^some\.nir: the time step that its time constants need"):
        from_nir(path, origin="nir")


def test_asks_for_the_time_step_of_delays(tmp_path):
    graph = nir.NIRGraph.from_list(nir.Delay(np.full(2, 1e-3)), fire(1.0))
    nir.write(tmp_path / "some.nir", graph)
    with pytest.raises(InputError) as error:
        from_nir(tmp_path / "some.nir")
    assert str(error.value) == (
        "some.nir: the time step that its delays need is not in it: nothing in it tells" + GIVE
    )


def set_version(path, version):
    with h5py.File(path, "a") as file:
        del file["version"]
        file["version"] = version


def recurrent(name, tau_syn=2e-4, tau_mem=1e-3):
    """Return a graph like those of the NIR paper, which snnTorch wrote."""
    neurons = cuba(tau_syn, tau_mem, r=tau_mem / 1e-4, w_in=tau_syn / 1e-4, v_reset=0.0)
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc1": nir.Linear(np.eye(2, dtype=F32) * F32(1.37)),
        f"{name}lif": neurons,
        f"{name}w_rec": nir.Linear(np.eye(2, dtype=F32)),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "fc1"), ("fc1", f"{name}lif"), (f"{name}lif", f"{name}w_rec")]
    edges += [(f"{name}w_rec", f"{name}lif"), (f"{name}lif", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


@pytest.mark.parametrize("version", ["0.2.0", "1.0.8"])
def test_asks_for_the_reset_of_recurrent_neurons_of_early_snntorch(tmp_path, version):
    path, graph = tmp_path / "some.nir", recurrent("lif1.")
    if version == "1.0.8":  # read and written again; numbers of other neurons are in float64 too
        graph.nodes["lif2"] = cuba(2e-4, 1e-3, r=10.0, w_in=2.0)
        graph.edges = [(a, "lif2" if b == "output" else b) for a, b in graph.edges]
        graph.edges.append(("lif2", "output"))
    nir.write(path, graph)
    set_version(path, version)
    with pytest.raises(InputError) as error:
        from_nir(path)
    assert str(error.value) == (
        "some.nir: the reset is not in it: snnTorch wrote it without the reset of its recurrent"
        " neurons, and networks of both kinds are in use (the NIR paper's, soft and hard); give"
        " reset=, for example 'soft' or 'hard'"
    )
    network = from_nir(path, reset="soft")
    assert network.notes[0].startswith("NIR: read as written by snntorch (")
    assert network.populations[0].neuron.kind == "cuba_lif/soft"


def test_a_name_that_early_nested_graphs_miss_is_mended(tmp_path):
    inner = recurrent("")
    inner.nodes["lif1"] = inner.nodes.pop("lif")
    del inner.nodes["fc1"]
    inner.edges = [("input", "lif"), *[e for e in inner.edges if "fc1" not in e]]
    ends = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    edges = [("input", "lif1"), ("lif1", "output")]
    graph = nir.NIRGraph(ends | {"lif1": inner}, edges, type_check=False)
    nir.write(tmp_path / "some.nir", graph)
    set_version(tmp_path / "some.nir", "0.2.0")
    network = from_nir(tmp_path / "some.nir", reset="hard")
    assert "NIR: an edge names lif1/lif, which is read as lif1/lif1" in network.notes
    assert [(p.source, p.target, p.delay) for p in network.projections] == [
        ("input", "lif1_lif1", 0),
        ("lif1_lif1", "lif1_lif1", 1),
    ]


def test_refuses_biases_of_lava_dl(tmp_path):
    graph = nir.NIRGraph.from_list(
        nir.Affine(np.eye(2), np.ones(2)), cuba(2e-4, 4e-4, r=4.0, w_in=2.0)
    )
    nir.write(tmp_path / "some.nir", graph)
    with pytest.raises(UnsupportedError) as error:
        from_nir(tmp_path / "some.nir")
    assert str(error.value) == (
        "some.nir: node affine: lava-dl's exporter divides weights by 64 and not their bias, which"
        " is then 64 times too large; import the .net file"
    )


def test_refuses_flattened_images_of_spyx(tmp_path):
    shape = np.array([2, 2, 2])
    pool = nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))
    flat = nir.Flatten({"input": shape}, 0, -1)
    neurons = lif(*[5] * 8, number=F32, r=0.8)
    nodes = {"input": nir.Input(shape), "layer_0": pool, "layer_1": flat, "layer_2": neurons}
    nodes["output"] = nir.Output(np.array([8]))
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    nir.write(tmp_path / "some.nir", nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises(UnsupportedError, match=r"node layer_1: spyx flattens images with the chan"):
        from_nir(tmp_path / "some.nir")
