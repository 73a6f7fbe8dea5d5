"""What forward returns of all time steps is the network's answer, or the network says why not."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from spiking import Two, linear, spikes
from torch.nn import functional

from snncompile.compiler import compile
from snncompile.errors import ImportMismatchError, UnsupportedError
from snncompile.files.network import read_network
from snncompile.frontends.torch import compare_outputs, record_module
from snncompile.frontends.torch.from_torch import from_torch

snn = pytest.importorskip("snntorch")


class Returning(Two):
    """Runs (steps, samples, 3) and returns what `result` makes of spikes, potentials and total."""

    def __init__(self, result, **options):
        super().__init__()
        self.lif2 = snn.Leaky(beta=0.25, threshold=0.5, **options)
        self.fc3, self.fc4 = linear(2, 5, seed=2), linear(5, 3, seed=3)
        self.result = result

    def forward(self, x):
        mem1, mem2 = self.start()
        out, mem, total = [], [], 0
        for one in x:
            spk, mem1, mem2 = self.step(one, mem1, mem2)
            out.append(spk)
            mem.append(mem2)
            total = total + spk
        return self.result(self, torch.stack(out), torch.stack(mem), total)


STEPS = 9
# Expression -> (the network's answer, its output population).
ANSWERS = {
    "sum": (lambda m, out, mem, total: out.sum(0), "sum", "lif2"),
    "sum, then states": (lambda m, out, mem, total: (out.sum(0), mem), "sum", "lif2"),
    "mean": (lambda m, out, mem, total: torch.mean(out, dim=0), "mean", "lif2"),
    "running total": (lambda m, out, mem, total: total, "sum", "lif2"),
    "running mean": (lambda m, out, mem, total: total / STEPS, "mean", "lif2"),
    "scaled": (lambda m, out, mem, total: 3 * total, "sum", "lif2"),
    "maximum": (lambda m, out, mem, total: out.max(0).values, "maximum", "lif2"),
    "last": (lambda m, out, mem, total: out[-1], "last", "lif2"),
    "softmax": (lambda m, out, mem, total: out.mean(0).softmax(-1), "mean", "lif2"),
    "linear of mean": (lambda m, out, mem, total: m.fc3(out.mean(0)), "mean", "fc3"),
    "linear of sum": (lambda m, out, mem, total: m.fc3(total), "mean steps=9", "fc3"),
    "linear of last": (lambda m, out, mem, total: m.fc3(out[-1]), "last", "fc3"),
    "two linear": (lambda m, out, mem, total: m.fc4(m.fc3(out.mean(0))), "mean", "fc4"),
    "negative": (lambda m, out, mem, total: -total, "sum", "answer"),
    "a part": (lambda m, out, mem, total: total[:, :1], "sum", "answer"),
    "maximum of potentials": (lambda m, out, mem, total: mem.amax(0), "maximum", "lif2_potential"),
    "last potential": (lambda m, out, mem, total: mem[-1], "last", "lif2_potential"),
    "voting": (
        lambda m, out, mem, total: functional.avg_pool1d(out.mean(0).unsqueeze(1), 2).squeeze(1),
        "mean",
        "avg_pool1d_2_",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_what_forward_returns(name):
    result, answer, output = ANSWERS[name]
    module, x = Returning(result), spikes(6, STEPS, 3)
    network = from_torch(module, x)
    assert (str(network.answer), network.output, network.notes) == (answer, output, ())
    got = network.run(x)
    with torch.no_grad():
        module.eval()
        wanted = module(torch.tensor(x).float().transpose(0, 1))
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    assert (got.prediction == wanted.argmax(-1).numpy()).mean() == 1
    if name not in ("softmax", "scaled"):
        # The module computes in float32.
        np.testing.assert_allclose(got.answer, wanted.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"reset_delay": False}, {"reset_mechanism": "none"}, {"learn_threshold": True}]
)
def test_potentials_are_followed_through_resets(options):
    module = Returning(lambda m, out, mem, total: (mem.mean(0), out), **options)
    network, x = from_torch(module, spikes(6, STEPS, 3)), spikes(6, STEPS, 3, seed=1)
    wanted = module.eval()(torch.tensor(x).float().transpose(0, 1))[0].detach().numpy()
    # The module computes in float32.
    np.testing.assert_allclose(network.run(x).answer, wanted, rtol=1e-5, atol=1e-6)


# What is no answer of ours: the note, whole.
NOTES = {
    "some steps": (
        lambda m, out, mem, total: out[3:].sum(0),
        {},
        "a sum over 6 of 9 time steps",
    ),
    "weighted": (
        lambda m, out, mem, total: out[0] + 2 * out[1],
        {},
        "a weighted sum over time steps or layers",
    ),
    "function": (
        lambda m, out, mem, total: out.mean(0).exp(),
        {},
        "values computed by torch.Tensor.exp",
    ),
    "early": (
        lambda m, out, mem, total: out[2],
        {},
        "the output of a time step that is not the last",
    ),
    "hard reset": (
        lambda m, out, mem, total: mem.mean(0),
        {"reset_mechanism": "zero"},
        "the mean of the state 'mem' of lif2, which no neuron of ours sends",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_says_what_is_no_answer(name, caplog):
    caplog.set_level(logging.WARNING, "snncompile")
    result, options, reason = NOTES[name]
    network = from_torch(Returning(result, **options), spikes(6, STEPS, 3))
    note = f"answer: forward returns {reason}; the prediction is the sum of lif2 over time"
    assert network.notes == (note,)
    assert f"Returning: {note}" in caplog.messages
    assert str(network.answer) == "sum"


@pytest.mark.parametrize(
    "result, message",
    [
        (
            lambda m, out, mem, total: m.fc3(out.amax(0)),
            "fc3: forward returns fc3 of a maximum over time; known are sum, mean, maximum and last"
            " over all time steps, and linear layers behind a sum, mean or last; or"
            " leave it on the host: host=['fc3']",
        ),
        (
            lambda m, out, mem, total: m.fc4(m.fc3(total).relu()),
            "fc4: forward returns values computed by torch.Tensor.relu; known are sum, mean,"
            " maximum and last over all time steps, and linear layers behind a sum, mean or last;"
            " or leave it on the host: host=['fc4']",
        ),
    ],
)
def test_refuses_layers_behind_what_is_not_linear(result, message):
    with pytest.raises(UnsupportedError) as error:
        from_torch(Returning(result), spikes(6, STEPS, 3))
    assert str(error.value) == message


def test_the_answer_is_compared_with_what_forward_returns(monkeypatch):
    x = spikes(6, STEPS, 3)
    monkeypatch.setattr(compare_outputs, "POTENTIAL_TOLERANCE", -1.0)
    with pytest.raises(ImportMismatchError, match=r"^fc3: sample 0, neuron 0: forward returns .*"):
        from_torch(Returning(lambda m, out, mem, total: m.fc3(total)), x)


def test_a_sum_behind_a_linear_layer_fixes_the_steps():
    network = from_torch(Returning(ANSWERS["linear of sum"][0]), spikes(6, STEPS, 3))
    with pytest.raises(Exception, match="input has 8 time steps, the network has 9: forward makes"):
        network.run(spikes(2, 8, 3))


@pytest.mark.parametrize("name", ["maximum of potentials", "linear of sum", "last"])
def test_programs_answer_as_their_network(name, tmp_path):
    x = spikes(40, STEPS, 3)
    network = from_torch(Returning(ANSWERS[name][0]), x)
    network.save(tmp_path / "network")
    assert read_network(tmp_path / "network").answer == network.answer
    program = compile(network, chip="loihi2", calibration=x)
    assert program.network.answer == network.answer
    assert (program.run(x).prediction == network.run(x).prediction).mean() > 0.8
    assert (
        program.loss.answers.different
        == (program.run(x).prediction != network.run(x).prediction).sum()
    )
    program.save(tmp_path / "program")


PARTS = {
    "both": lambda out: (out[:, :2], out[:, 2:]),
    "turned": lambda out: (out[:, [4, 0]], out[:, 1:4]),
    "one": lambda out: out[:, 1:],
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_the_last_layer_are_its_answer(name):
    module = Returning(lambda m, out, mem, total: PARTS[name](m.fc3(out.mean(0))))
    x = spikes(6, STEPS, 3)
    network = from_torch(module, x)
    assert network.notes == ("answer: forward returns parts of fc3; the prediction is that of all",)
    whole = from_torch(Returning(ANSWERS["linear of mean"][0]), x)
    np.testing.assert_array_equal(network.run(x).answer, whole.run(x).answer)


def test_every_returned_part_is_compared(monkeypatch):
    """A wrong second part is seen where the first is right."""
    module = Returning(lambda m, out, mem, total: PARTS["both"](m.fc3(out.mean(0))))
    true = record_module._run_steps

    def run(*args):
        first, second = true(*args)
        return first, second + 1

    monkeypatch.setattr(record_module, "_run_steps", run)
    with pytest.raises(ImportMismatchError, match=r"^fc3: sample 0, neuron 2: forward returns .*"):
        from_torch(module, spikes(6, STEPS, 3))


class Headed(torch.nn.Module):
    """One linear layer with leaky neurons; `head` makes what forward returns of its spikes."""

    def __init__(self, head):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)
        self.lif = snn.Leaky(0.5, init_hidden=True)
        self.head = head

    def forward(self, x):
        return self.head(self.lif(self.fc(x)))


HEADS = {
    "turned": lambda out: out.flip(1),
    "a part": lambda out: out[:, :2],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_each_step_that_forward_computes_is_said(name):
    network = from_torch(Headed(HEADS[name]), spikes(4, 9, 3), time="step")
    assert network.notes == (
        "answer: forward returns values computed from lif or a part of them, not its output;"
        " the prediction is the sum of lif over time",
    )


@pytest.mark.parametrize("factor", [2, -1])
def test_spikes_with_a_factor_in_each_step_are_refused(factor):
    with pytest.raises(UnsupportedError) as error:
        from_torch(Headed(lambda out: out * factor), spikes(4, 9, 3), time="step")
    assert str(error.value) == (
        f"forward returns {factor} times the spikes of lif in each time step, which a chip sends as"
        " 1; return the spikes, and multiply the answer"
    )


def test_a_head_of_each_step_that_only_shapes_is_the_output():
    network = from_torch(Headed(lambda out: out.reshape(-1, 2, 2)), spikes(4, 9, 3), time="step")
    assert network.notes == ()
