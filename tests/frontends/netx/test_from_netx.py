"""Import of lava-dl `.net` files: the trained ones, and files from strangers."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_files import dense, flat, write

from snncompile.errors import InputError, SnnCompileError
from snncompile.frontends.netx.from_netx import from_netx


@pytest.fixture
def net(tmp_path):
    return lambda *layers: write(tmp_path / "some.net", *layers)


W23 = np.array([[2, -4, 254], [0, -256, 6]])
W12 = np.array([[8, -2]])


def test_two_layers(net, golden):
    network = from_netx(net(dense(W23), dense(W12, neuron={"type": "LOIHI"})))
    golden(str(network))
    assert network.title == "some"
    np.testing.assert_array_equal(network.projections[0].synapses.weight, W23)


def test_input_and_flatten_pass_spikes_on(net, golden):
    path = net(flat("input", 3, 1, 1), flat("flatten", 3, 1, 1), dense(W23))
    golden(str(from_netx(path, title="mine")))


def test_bias_and_a_parameter_per_neuron(net, golden):
    layer = dense(
        W23,
        bias=np.array([7.0, -3.0]),
        delay=np.zeros(2),
        neuron={
            "vDecay": np.array([0, 4096]),
            "iDecay": np.array([0]),
            "vThMant": np.array([1, 131071]),
            "wgtExp": 0,
            "tauRho": 0.1,
        },
    )
    network = from_netx(net(layer))
    golden(str(network))
    assert network.populations[0].neuron.bias_mantissa.tolist() == [7, -3]


def test_flattened_weight_is_shaped_as_netx_does(net):
    layer = dense(W23) | {"weight": W23.ravel()}
    weight = from_netx(net(layer)).projections[0].synapses.weight
    np.testing.assert_array_equal(weight, W23)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no wider float here")
def test_refuses_numbers_that_are_too_wide(net):
    with pytest.raises(InputError, match=r"weight holds float128, expected numbers$"):
        from_netx(net(dense(W23) | {"weight": W23.astype(np.longdouble)}))


def test_layers_have_to_fit(net):
    with pytest.raises(InputError) as error:
        from_netx(net(dense(W23), dense(W23)))
    assert str(error.value) == "some.net: layer 1 (dense): weight has shape (2, 3), expected (2, 2)"
    with pytest.raises(InputError) as error:
        from_netx(net(dense(W23), flat("flatten", 3, 1, 1), dense(W12)))
    assert str(error.value) == "some.net: layer 1 (flatten): shape (3, 1, 1) does not hold 2 values"


def test_needs_dense_layers_with_the_names_0_1_2(net, tmp_path):
    with pytest.raises(InputError, match=r"^some\.net: holds no layer with neurons$"):
        from_netx(net(flat("input", 3)))
    with h5py.File(tmp_path / "other.net", "w") as file:
        file["x"] = 3
    message = r"^other\.net: has no group 'layer', so it is no lava-dl network$"
    with pytest.raises(InputError, match=message):
        from_netx(tmp_path / "other.net")
    with h5py.File(net(dense(W23), dense(W12)), "a") as file:
        file.move("layer/1", "layer/first")
    with pytest.raises(InputError, match=r"^some\.net: has a layer 'first', expected 0\.\.1$"):
        from_netx(tmp_path / "some.net")


def test_refuses_endless_layers(net, monkeypatch):
    monkeypatch.setattr("snncompile.frontends.netx.from_netx.MOST_LAYERS", 1)
    with pytest.raises(InputError, match=r"^some\.net: has 2 layers, at most 1 are read$"):
        from_netx(net(dense(W23), dense(W12)))


@pytest.mark.parametrize("kind", ["pickle", "text", "zip", "empty"])
def test_refuses_what_is_not_hdf5(tmp_path, kind):
    path = tmp_path / "network.net"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", pickle.dumps([1]))
    else:
        content = {"pickle": pickle.dumps({"a": 1}), "text": b"hello\n", "empty": b""}
        path.write_bytes(content[kind])
    with pytest.raises(InputError) as error:
        from_netx(path)
    assert str(error.value) == "network.net: not an HDF5 file"


def test_refuses_a_missing_file_and_a_folder(tmp_path):
    for path, reason in ((tmp_path / "no.net", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError) as error:
            from_netx(path)
        assert str(error.value) == f"{path}: {reason}"


def test_refuses_a_file_cut_short(net):
    path = net(dense(np.zeros((64, 64))))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError) as error:
        from_netx(path)
    assert str(error.value) == "some.net: the HDF5 file is cut short or damaged"


# How a file can point to something else, or claim what it does not hold.
def _external_link(file):
    file["layer/0/weight"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file):
    file["layer/0/weight"] = h5py.SoftLink("/layer/0/shape")


def _external_storage(file):
    raw = Path(file.filename).with_name("raw")
    raw.write_bytes(bytes(24))
    file.create_dataset("layer/0/weight", (2, 3), "f4", external=[(str(raw), 0, 24)])


def _virtual(file):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2, 3))
    file.create_virtual_dataset("layer/0/weight", layout)


def _reference(file):
    file.create_dataset("layer/0/weight", (1,), h5py.ref_dtype)
    file["layer/0/weight"][0] = file["layer"].ref


def _never_written(file):
    file.create_dataset("layer/0/weight", (2, 3), "f4", chunks=(2, 3))


def _no_shape(file):
    file["layer/0/weight"] = h5py.Empty("f4")


def _bomb(file):
    weight = file.create_dataset(
        "layer/0/weight", (2**20, 2**20), "i1", chunks=(2**10, 2**10), compression="gzip"
    )
    weight[0, 0] = 2


def _named_type(file):
    file["layer/0/weight"] = np.dtype("f4")


TRICKS = {
    _external_link: "weight is a link to elsewhere, which is not followed",
    _soft_link: "weight is a link to elsewhere, which is not followed",
    _external_storage: "weight is kept in another file, which is not read",
    _virtual: "weight is kept in another file, which is not read",
    _reference: "weight holds object, expected numbers",
    _never_written: "weight holds no values",
    _no_shape: "weight holds no values",
    _bomb: "weight claims 1,099,511,627,776 numbers; at most 268,435,456 are read from one file",
    _named_type: "weight is a group, expected a dataset",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_does_not_follow_tricks(net, trick):
    path = net(dense(W23, without=["weight"]))
    with h5py.File(path, "a") as file:
        trick(file)
    with pytest.raises(InputError) as error:
        from_netx(path)
    assert str(error.value) == f"some.net: layer 0 (dense): {TRICKS[trick]}"


def test_all_datasets_share_one_allowance(net, monkeypatch):
    monkeypatch.setattr("snncompile.frontends.hdf5.read.LARGEST_ELEMENTS", 20)
    with pytest.raises(InputError) as error:
        from_netx(net(dense(W23), dense(np.zeros((3, 2)))))
    assert str(error.value) == (
        "some.net: layer 1 (dense): weight claims 6 numbers; at most 20 are read from one file"
    )


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_one_line_or_a_network(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    path = write(folder / "some.net", dense(W23), dense(W12))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content)), "length")]
    else:
        for _ in range(data.draw(st.integers(1, 4), "bytes")):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        from_netx(path)
    except SnnCompileError as error:
        message = str(error)
    shutil.rmtree(folder)
    assert not message or (message.startswith("some.net: ") and "\n" not in message)


@pytest.mark.parametrize("folder, shape", [("mnist", (10,)), ("oxford", (200,))])
def test_reads_networks_that_others_trained(shared, golden, folder, shape):
    network = from_netx(shared / "netx" / folder / "network.net")
    golden(str(network))
    assert network.output_shape == shape
