"""What a `.net` file may not hold: every refusal with its whole message."""

from __future__ import annotations

import numpy as np
import pytest
from net_files import conv, dense, flat, other_neuron, write

from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.netx.from_netx import from_netx

W23 = np.array([[2, -4, 254], [0, -256, 6]])


@pytest.fixture
def net(tmp_path):
    return lambda *layers: write(tmp_path / "some.net", *layers)


def resonators(layer, **others):
    """Return a dense layer with complex weights and RF_PHASE neurons."""
    weight = layer["weight"]
    layer = {name: value for name, value in layer.items() if name != "weight"}
    layer |= {"weight/real": weight, "weight/imag": weight[::-1], **others}
    return other_neuron(layer, type="RF_PHASE", sinDecay=1000, cosDecay=3800, vThMant=2)


# A new case is one more entry: the layers, then the whole message.
REFUSED = {
    "pool": (
        [flat("pool", 2, 3, 4)],
        "is not known; use a convolution with a stride instead",
    ),
    "unpool": (
        [flat("unpool", 2, 3, 4)],
        "is not known; no chip computes it; upsample with a convolution of more channels instead",
    ),
    "transposed convolution": (
        [flat("convT", 2, 3, 4)],
        "is not known; no chip computes it; upsample with a convolution of more channels instead",
    ),
    "concat": (
        [flat("concat", 2)],
        "is not known; build that network from its layers instead",
    ),
    "kwta": (
        [flat("kwta", 2)],
        "is not known; known: average, conv, dense, dense_rec, flatten, input",
    ),
    "recurrent bias": (
        [dense(W23, weight_rec=np.zeros((2, 2)), bias_rec=np.zeros(2))],
        "'bias_rec' is not known; known: bias, delay, inFeatures, neuron, outFeatures, shape,"
        " type, weight, weight_rec",
    ),
    "recurrent resonator": (
        [resonators(dense(W23), weight_rec=np.zeros((2, 2)))],
        "weight_rec of RF neurons is not known",
    ),
    "bias of a resonator": (
        [resonators(dense(W23), bias=np.zeros(2))],
        "a bias of RF neurons is not known",
    ),
    "graded resonator": (
        [resonators(dense(W23)) | {"neuron/gradedSpike": True}],
        "gradedSpike of 1 is not known, only 0",
    ),
    "neuron": (
        [dense(W23, neuron={"type": "ALIF"})],
        "neuron type 'ALIF' is not known; known: CUBA, LOIHI, RF, RF_PHASE, SDNN",
    ),
    "parameter of another neuron": (
        [other_neuron(dense(W23), type="SDNN", vThMant=1, iDecay=4)],
        "'iDecay' is not known; known: activation, gradedSpike, messageBits, scaleRho,"
        " sigma_output, tauRho, theta, type, vThMant",
    ),
    "activation": (
        [other_neuron(dense(W23), type="SDNN", vThMant=1, activation="elu")],
        "activation 'elu' is not known, only 'relu'",
    ),
    "numbers without bits": (
        [other_neuron(dense(W23), type="SDNN", vThMant=1, messageBits=0)],
        "messageBits of 0 is not known for SDNN; its spikes carry numbers",
    ),
    "bias of a sum": (
        [other_neuron(dense(W23, bias=[1]), type="SDNN", vThMant=1, sigma_output=True)],
        "a bias of a sigma output is not known",
    ),
    "graded": (
        [dense(W23, neuron={"gradedSpike": True})],
        "gradedSpike of 1 is not known, only 0",
    ),
    "refractory": (
        [dense(W23, neuron={"refDelay": 2})],
        "refDelay of 2 is not known, only 0 or 1",
    ),
    "weight exponent": (
        [dense(W23, neuron={"wgtExp": -1})],
        "wgtExp of -1 is not known, only 0",
    ),
    "messages": (
        [dense(W23, neuron={"messageBits": 8})],
        "messageBits of 8 is not known, only 0",
    ),
    "normalised": (
        [dense(W23, neuron={"weight_exp": 3})],
        "'weight_exp' is not known; known: gradedSpike, iDecay, messageBits, refDelay, scaleRho,"
        " tauRho, theta, type, vDecay, vThMant, wgtExp",
    ),
    "unknown parameter": (
        [dense(W23, neuron={"thetas": 1.0})],
        "'thetas' is not known; known: gradedSpike, iDecay, messageBits, refDelay, scaleRho,"
        " tauRho, theta, type, vDecay, vThMant, wgtExp",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_layer_and_name(net, name):
    layers, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        from_netx(net(*layers))
    assert str(error.value) == f"some.net: layer 0 ({layers[0]['type'][0].decode()}): {message}"


BROKEN = {
    "no weight": (dense(W23, without=["weight"]), "weight is missing"),
    "no type": ({"weight": W23}, "type is missing"),
    "long type": ({"type": np.array([b"dense"], "S100")}, "type is not a string"),
    "type is a number": ({"type": 3}, "type is not a string"),
    "no threshold": (
        dense(W23, without=["neuron/vThMant"]),
        "vThMant is missing",
    ),
    "nan": (
        dense([[np.nan, 2], [np.inf, 4]]),
        "weight holds 2 values that are not finite",
    ),
    "fraction": (dense([[2, 4.5]]), "weight holds 4.5, expected whole numbers"),
    "too large": (dense([[2, 256]]), "weight holds 256, expected -256..255"),
    "too small": (dense([[2, -258]]), "weight holds -258, expected -256..255"),
    "odd": (
        dense([[2, -3]]),
        "weight holds -3; 8-bit weights are stored times two, so they are even, and Lava would"
        " round this one",
    ),
    "text": (dense(W23, inFeatures="3"), "inFeatures holds object, expected numbers"),
    "shape": (
        dense(W23, shape=np.array([3])),
        "weight has shape (2, 3), expected (3, 3)",
    ),
    "not a matrix": (
        dense(W23) | {"weight": W23[:, :, None]},
        "weight has shape (2, 3, 1), expected (2, sources)",
    ),
    "no rows": (dense(W23, shape=np.array([0])), "shape holds 0, expected 1..2147483648"),
    "sources": (dense(W23, inFeatures=4), "inFeatures is 4, weight has 3"),
    "targets": (dense(W23, outFeatures=4), "outFeatures is 4, weight has 2"),
    "two numbers": (
        dense(W23, outFeatures=np.array([2, 2])),
        "outFeatures has shape (2,), expected one number",
    ),
    "current decay": (dense(W23, neuron={"iDecay": 4097}), "iDecay holds 4097, expected 0..4096"),
    "decay": (dense(W23, neuron={"vDecay": -1}), "vDecay holds -1, expected 0..4096"),
    "threshold": (dense(W23, neuron={"vThMant": 0}), "vThMant holds 0, expected 1..131071"),
    "per neuron": (
        dense(W23, neuron={"vThMant": np.array([1, 2, 3])}),
        "vThMant has 3 values for 2 neurons",
    ),
    "bias": (
        dense(W23, bias=np.array([0, 40000])),
        "bias holds 40000, expected -32767..32767",
    ),
    "delay of no channel": (
        dense(W23, delay=np.array([1, 2, 3])),
        "delay has 3 values for 2 channels",
    ),
    "long delay": (dense(W23, delay=np.array([63])), "delay holds 63, expected 0..62"),
    "real weights for resonators": (
        other_neuron(dense(W23), type="RF", sinDecay=0, cosDecay=0, vThMant=1),
        "resonate_fire_izhikevich needs complex weights, got real ones",
    ),
    "complex weights for others": (
        dense(W23, without=["weight"], **{"weight/real": W23, "weight/imag": W23}),
        "cuba_lif needs real weights, got complex ones",
    ),
    "complex weight of three parts": (
        resonators(dense(W23)) | {"weight/abs": W23},
        "weight has a part 'abs', expected real and imag",
    ),
    "square feedback": (
        dense(W23, weight_rec=W23),
        "weight_rec has shape (2, 3), expected (2, 2)",
    ),
    "average of nothing": (flat("average", 2), "0 values cannot be averaged in 2 groups"),
    "conv of unknown size": (
        conv(np.zeros((2, 3, 1, 1)), (2, 4, 4)),
        "a conv layer needs (channels, height, width) before and behind it, got unknown and"
        " (2, 4, 4)",
    ),
    "half a bias": (
        dense(W23, bias=np.array([0, 0.5])),
        "bias holds 0.5, expected whole numbers",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_says_what_is_wrong_in_which_layer(net, name):
    layer, message = BROKEN[name]
    with pytest.raises(InputError) as error:
        from_netx(net(layer))
    kind = "" if message.startswith("type ") else f" ({layer['type'][0].decode()})"
    assert str(error.value) == f"some.net: layer 0{kind}: {message}"
