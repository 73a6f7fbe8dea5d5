"""Exported programs and ONNX files: what is read computes the same, or is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import snncompile
from snncompile.conversion.capture import capture
from snncompile.conversion.rebuilt import read_exported
from snncompile.errors import InputError, UnsupportedError


class Views(nn.Module):
    """Functions, a view that holds the number of samples, and a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding="same"), nn.Conv2d(4, 4, 1)
        self.last = nn.Linear(144, 3)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = torch.clamp(self.second(x) + x, min=0)
        return self.last(x.view(x.shape[0], -1))


def layers() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU6(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        nn.Dropout(),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Hardtanh(0, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
        nn.Softmax(1),
    )


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("make", [layers, Views])
def test_an_exported_program_computes_what_its_module_does(make, samples):
    torch.manual_seed(0)
    model, x = make().eval(), torch.randn(5, 2, 12, 12)
    program = torch.export.export(model, (x[:samples],))
    assert torch.allclose(read_exported(program)(x), model(x), atol=1e-6)  # float32
    network = snncompile.from_ann(program, x.numpy(), "signed", 4)
    assert network.population(network.output).shape == (3,)


def test_an_exported_program_of_several_inputs_is_refused():
    class Two(nn.Module):
        def forward(self, x, y):
            return torch.relu(x + y)

    one = torch.ones(2, 3)
    with pytest.raises(InputError) as error:
        capture(torch.export.export(Two(), (one, one)), np.ones((2, 3)))
    assert str(error.value) == "the exported program takes 2 inputs, expected one"


onnx = pytest.importorskip("onnx")


def write(path, nodes, weights, shape=(1, 2, 12, 12)):
    """Write a file of nodes (operation, inputs, output, attributes) and return its path."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(kind, given, [out], **more) for kind, given, out, more in nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph), str(path))
    return path


def small(path, **changes):
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(4, 2, 3, 3)).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
        "low": np.float32(0.0),
        "shape": np.array([1, 144]),
        "v": rng.normal(size=(3, 144)).astype(np.float32),
    } | changes
    nodes = [
        ("Conv", ["x", "w", "b"], "y", {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}),
        ("Clip", ["y", "low"], "z", {}),
        ("MaxPool", ["z"], "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Reshape", ["p", "shape"], "f", {}),
        ("Gemm", ["f", "v"], "a", {"transB": 1}),
        ("Softmax", ["a"], "s", {"axis": 1}),
    ]
    return write(path, nodes, weights), weights


def test_an_onnx_file_is_read(tmp_path):
    from snncompile.conversion.onnx_file import read_onnx

    path, w = small(tmp_path / "net.onnx")
    x = torch.randn(5, 2, 12, 12)
    y = functional.conv2d(x, torch.tensor(w["w"]), torch.tensor(w["b"]), padding=1)
    y = functional.max_pool2d(y.clamp(min=0), 2).flatten(1) @ torch.tensor(w["v"]).T
    module = read_onnx(path)
    assert torch.allclose(module(x), y.softmax(1), atol=1e-6)  # float32
    assert [layer.kind for layer in capture(module, x.double().numpy()).rectified] == [
        "rectifier",
        "MaxPool2d",
    ]


def test_files_are_refused_in_one_line(tmp_path):
    from snncompile.conversion.onnx_file import read_onnx

    path = tmp_path / "net.onnx"
    with pytest.raises(InputError) as missing:
        read_onnx(path)
    assert str(missing.value) == f"{path}: no such file"
    path.write_bytes(b"\x80\x04no protobuf")
    with pytest.raises(InputError) as error:
        read_onnx(path)
    assert str(error.value).startswith(f"{path}: is no ONNX file")
    write(path, [("STFT", ["x"], "y", {})], {})
    with pytest.raises(UnsupportedError) as unknown:
        read_onnx(path)
    assert str(unknown.value).startswith(f"{path}: STFT_0: STFT is not known; known are Conv, Gemm")
    small(path)
    model = onnx.load(str(path))
    model.graph.initializer[0].dims[0] = 2**40
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as damaged:
        read_onnx(path)
    assert str(damaged.value) == (
        f"{path}: w is damaged: its bytes do not make {18 * 2**40} numbers"
    )
    small(path)
    model = onnx.load(str(path))
    model.graph.initializer[0].data_location = 1
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as outside:
        read_onnx(path)
    assert str(outside.value) == (f"{path}: weights of w lie in another file; save them inside")
