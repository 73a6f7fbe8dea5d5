"""Several inputs and outputs, ends without neurons, and what is said of delays and silence."""

from __future__ import annotations

import nir
import nir_plain
import numpy as np
import pytest
from nir_plain import DT

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.from_nir import from_nir
from snncompile.neurons.multi_spike_lif import MultiSpikeLif

RNG = np.random.default_rng(5)


def lif(size, threshold=0.5, **values):
    given = {"tau": 4 * DT, "r": 4.0, "v_leak": 0.0, "v_threshold": threshold, "v_reset": 0.0}
    return nir.LIF(**{name: np.full(size, value) for name, value in (given | values).items()})


def weights(*shape):
    return np.rint(RNG.normal(0.2, 0.6, shape) * 32) / 32


@pytest.fixture
def write(tmp_path):
    def write(nodes, edges=None):
        graph = nir.NIRGraph(nodes, edges or chain(nodes), type_check=False)
        nir.write(tmp_path / "some.nir", graph)
        return tmp_path / "some.nir", graph

    return write


def chain(nodes):
    return list(zip(nodes, list(nodes)[1:], strict=False))


def ends(source, target):
    return {"input": nir.Input(np.array(source))}, {"output": nir.Output(np.array(target))}


def spikes(*shape):
    return (np.random.default_rng(3).random((1, 20, *shape)) < 0.4).astype(np.uint8)


ENDS = {
    "linear": ([nir.Linear(weights(3, 8))], 3),
    "affine": ([nir.Affine(weights(3, 8), weights(3))], 3),
    "two": ([nir.Affine(weights(5, 8), weights(5)), nir.Linear(weights(3, 5))], 3),
    "scale": ([nir.Scale(weights(8))], 8),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_without_neurons_is_a_readout(write, name):
    more, size = ENDS[name]
    first, last = ends((4,), (size,))
    middle = {f"end{i}": node for i, node in enumerate(more)}
    path, graph = write({**first, "a": nir.Linear(weights(8, 4)), "n": lif(8), **middle, **last})
    network, x = from_nir(path, dt=DT, origin="nir"), spikes(4)
    assert network.notes[-1] == "NIR: output is no neuron; its values are read out"
    result = network.run(x)
    expected = nir_plain.simulate(graph, x[0])
    np.testing.assert_allclose(result.spikes[0], expected, rtol=0, atol=1e-12)
    assert np.ptp(expected) > 0


def two_heads():
    first, _ = ends((4,), (3,))
    nodes = {**first, "a": nir.Linear(weights(8, 4)), "n": lif(8), "b": nir.Linear(weights(3, 8))}
    nodes |= {"m": lif(3), "x": nir.Output(np.array([8])), "y": nir.Output(np.array([3]))}
    return nodes, [*chain({k: 0 for k in ("input", "a", "n", "b", "m", "y")}), ("n", "x")]


def test_several_outputs_become_one(write):
    path, graph = write(*two_heads())
    network, x = from_nir(path, dt=DT, origin="nir"), spikes(4)
    assert network.notes[-1] == "NIR: the output is x (8), then y (3)"
    graph.nodes["output"] = graph.nodes["x"]
    expected = []
    for end in ("n", "m"):
        graph.edges = [e for e in graph.edges if e[1] != "output"] + [(end, "output")]
        expected.append(nir_plain.simulate(graph, x[0]))
    got = network.run(x).spikes[0]
    np.testing.assert_array_equal(got, np.concatenate(expected, axis=1))
    assert got[:, 8:].any()


def test_one_of_several_outputs_can_be_chosen(write):
    path, _ = write(*two_heads())
    both, x = from_nir(path, dt=DT, origin="nir").run(spikes(4)).spikes, spikes(4)
    for name, part in (("x", both[..., :8]), ("y", both[..., 8:])):
        np.testing.assert_array_equal(
            from_nir(path, dt=DT, origin="nir", output=name).run(x).spikes, part
        )


def test_outputs_of_the_same_neurons_are_one(write):
    first, last = ends((4,), (8,))
    nodes = {**first, "a": nir.Linear(weights(8, 4)), "n": lif(8), **last}
    nodes["more"] = nir.Output(np.array([8]))
    edges = [("input", "a"), ("a", "n"), ("n", "output"), ("n", "more")]
    network = from_nir(write(nodes, edges)[0], dt=DT, origin="nir")
    assert (network.output, network.output_shape) == ("n", (8,))
    assert network.notes[-1] == "NIR: the outputs more, output are the same"


def test_several_inputs_become_one(write):
    """One is an image of two channels, whose convolution keeps its kernel."""
    kernel, dense = weights(1, 2, 2, 2), weights(9, 3)
    conv = nir.Conv2d((4, 4), kernel, (1, 1), (0, 0), (1, 1), 1, np.zeros(1))
    nodes = {"image": nir.Input(np.array([2, 4, 4])), "line": nir.Input(np.array([3]))}
    nodes |= {"c": conv, "f": nir.Flatten({"input": np.array([1, 3, 3])}, 0, -1)}
    nodes |= {"d": nir.Linear(dense), "n": lif(9), "output": nir.Output(np.array([9]))}
    edges = [("image", "c"), ("c", "f"), ("f", "n"), ("line", "d"), ("d", "n"), ("n", "output")]
    path, graph = write(nodes, edges)
    network, x = from_nir(path, dt=DT, origin="nir"), spikes(35)
    assert network.notes[-1] == "NIR: the input is image (32), then line (3)"
    kinds = [str(p.synapses.wiring).split(":")[0] for p in network.projections]
    assert all("sparse" not in kind for kind in kinds)
    image = x[0, :, :32].reshape(20, 2, 4, 4)
    late = np.stack([nir_plain.LINEAR[nir.Conv2d](conv, step).ravel() for step in image])
    drive = late + x[0, :, 32:] @ dense.T
    only = nir.NIRGraph.from_list(nir.Scale(np.ones(9)), graph.nodes["n"])
    np.testing.assert_array_equal(network.run(x).spikes[0], nir_plain.simulate(only, drive))
    with pytest.raises(InputError, match=r"^some\.nir: has 2 inputs, input_shape= is for one$"):
        from_nir(path, dt=DT, origin="nir", input_shape=(35,))


def delayed(late):
    first, last = ends((4,), (8,))
    return {**first, "d": nir.Delay(np.full(4, late)), "a": nir.Linear(weights(8, 4)),
            "n": lif(8), **last}  # fmt: skip


def test_delays_that_may_count_steps_are_asked_for(write):
    path, _ = write(delayed(2.0))
    with pytest.raises(InputError) as error:
        from_nir(path, dt=DT, origin="nir")
    assert str(error.value) == (
        "some.nir: node d: a delay of 2 is 16,384 time steps, or counts time steps itself; give"
        " delay_unit='steps', or 's' for seconds"
    )
    for unit, steps in (("steps", 2), ("s", 2**14)):
        assert from_nir(path, dt=DT, origin="nir", delay_unit=unit).projections[0].delay == steps


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_a_lowest_potential(write, reset):
    first, last = ends((4,), (8,))
    weight = weights(8, 4) - 0.2
    path, _ = write({**first, "a": nir.Linear(weight), "n": lif(8), **last})
    network, x = (
        from_nir(path, dt=DT, origin="nir", comparison=">=", reset=reset, min_v=-0.25),
        spikes(4),
    )
    assert isinstance(network.populations[0].neuron, MultiSpikeLif)
    v, expected = np.zeros(8), []
    for step in x[0]:
        v = 0.75 * v + weight @ step
        spike = v >= 0.5
        expected.append(spike)
        v = np.maximum(np.where(spike, 0.0, v) if reset == "hard" else v - 0.5 * spike, -0.25)
    np.testing.assert_array_equal(network.run(x).spikes[0], expected)
    with pytest.raises(UnsupportedError, match=r"hard or soft only, not delayed_soft$"):
        from_nir(path, dt=DT, origin="nir", reset="delayed_soft", min_v=-0.25)


# Neurons and their weight -> whether they can fire.
FIRES = {
    "enough at once": (lif(2), 1.0, True),
    "enough in time": (lif(2, threshold=3.0), 1.0, True),
    "never enough": (lif(2, threshold=4.5), 1.0, False),
    "no leak": (nir.IF(np.full(2, 1 / DT), np.full(2, 100.0)), 0.01, True),
    "only less": (lif(2), -1.0, False),
    "a bias alone": (lif(2, v_leak=0.6), -1.0, True),
}


@pytest.mark.parametrize("name", FIRES)
def test_neurons_that_can_never_fire_are_a_warning(write, caplog, name):
    neurons, weight, fires = FIRES[name]
    first, last = ends((2,), (2,))
    more = {"b": nir.Linear(np.eye(2)), "m": lif(2)}
    path, _ = write({**first, "a": nir.Linear(np.eye(2) * weight), "n": neurons, **more, **last})
    network = from_nir(path, dt=DT, origin="nir")
    text = "n, m can never fire, whatever the input; are dt= and r= right?"
    assert (f"NIR: {text}" in network.notes) != fires
    assert [record.message for record in caplog.records] == ([] if fires else [f"some.nir: {text}"])
