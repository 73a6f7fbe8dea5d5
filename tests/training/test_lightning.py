"""Training with Lightning and with torch's own tools around modules: what works, what is refused.

Lightning is no dependency: its tests run where it is installed.
"""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError
from snncompile.training.float_records import _bind_all

STEPS = 4
"""Updates of a training run: two epochs of two batches."""


def draw_data():
    generator = np.random.default_rng(0)
    x = (generator.random((16, 6, 20)) < 0.3).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(generator.integers(0, 4, 16))


def build_net(**decays):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(20, 30), training.Lif(0.1, **decays), nn.Linear(30, 4), training.Readout(0.1)
    )


@cache
def build_program():
    x = draw_data()[0].numpy()
    network = snncompile.from_torch(build_net(), x)
    return snncompile.compile(network, chip="loihi2", bits=4, calibration=x, prune=False)


class MultiStep(nn.Module):
    """`MultiStepLif` between layers that take all time steps."""

    def __init__(self, neurons):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(20, 30), neurons, nn.Linear(30, 4))

    def forward(self, x):
        return self.layers(x.transpose(0, 1)).transpose(0, 1)


class StepByStep(nn.Module):
    """Neurons that are called once per time step."""

    def __init__(self):
        super().__init__()
        self.inner = build_net(current_decay=0.5, learn=True)

    def forward(self, x):
        return training.unroll(self.inner, x)


DECAYS = ("weight", "bias", "threshold", "potential_decay")
MODULES = {
    "chip_aware": lambda: training.chip_aware(build_program()),
    "chip_aware, decays": lambda: training.chip_aware(build_program(), DECAYS),
    "from_network": lambda: training.from_network(build_program().source),
    "from_network, decays": lambda: training.from_network(build_program().source, train=DECAYS),
    "from_network, weights": lambda: training.from_network(
        build_program().source, train=("weight",)
    ),
    "MultiStepLif": lambda: MultiStep(training.MultiStepLif(0.1)),
    "SpikeBackpropLif": lambda: MultiStep(training.SpikeBackpropLif(0.1)),
    "Lif": StepByStep,
}
NETWORKS = [name for name in MODULES if "_" in name]


def make_lit():
    """Return a LightningModule's class; Lightning takes a while to load."""
    lightning = pytest.importorskip("lightning.pytorch")

    class Lit(lightning.LightningModule):
        def __init__(self, name, way="Adam"):
            super().__init__()
            self.save_hyperparameters()
            self.inner, self.way, self.losses = MODULES[name](), way, []

        def training_step(self, batch, number):
            loss = nn.functional.cross_entropy(self.inner(batch[0]).mean(1), batch[1])
            self.losses.append(loss.item())
            return loss

        def validation_step(self, batch, number):
            self.log("agree", (self.inner(batch[0]).mean(1).argmax(1) == batch[1]).float().mean())

        def on_train_batch_end(self, *given):
            if self.way == "prune":
                training.prune(self.inner, 0.3, self.global_step - 1, STEPS)

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), 1e-2)
            if self.way == "GradR":
                weights = training.list_weights(self.inner)
                others = [p for p in self.parameters() if all(p is not w for w in weights)]
                groups = [{"params": weights}, {"params": others, "keep": 1.0}]
                optimizer = training.GradR(groups, 1e-2, keep=0.3, steps=STEPS)
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)]

    return Lit


def fit(module, epochs=2, path=None, **options):
    """Validate, and train with Lightning's Trainer on a CPU; return the Trainer."""
    lightning = pytest.importorskip("lightning.pytorch")
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*draw_data()), 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice: workers, GPUs, checkpoints
        trainer = lightning.Trainer(
            accelerator="cpu", max_epochs=epochs, enable_checkpointing=False, **quiet, **options
        )
        trainer.validate(module, batches, verbose=False)  # in inference mode
        trainer.fit(module, batches, batches, ckpt_path=path)
    return trainer


def list_numbers(module):
    return [p.detach().clone() for p in module.parameters()]


def agree(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("way", ["Adam", "GradR", "prune"])
@pytest.mark.parametrize("name", ["chip_aware", "from_network, weights", "MultiStepLif", "Lif"])
def test_a_run_that_was_saved_goes_on_as_if_it_had_not_ended(name, way, tmp_path):
    """Validation comes first, in inference mode: what it computes must not be in the way."""
    lit = make_lit()
    _bind_all.cache_clear()
    whole, half = lit(name, way), lit(name, way)
    fit(whole)
    path = tmp_path / "half.ckpt"
    fit(half, 1).save_checkpoint(path)
    torch.load(path, weights_only=True)
    assert agree(list_numbers(lit.load_from_checkpoint(path)), list_numbers(half))
    rest = lit(name, way)
    fit(rest, 2, path)
    assert agree(list_numbers(rest), list_numbers(whole))
    assert not agree(list_numbers(rest), list_numbers(half))
    if way != "Adam":
        share = training.measure_connectivity(rest.inner)
        assert share == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize("name", MODULES)
def test_clipped_and_accumulated_gradients_train(name):
    first, lit = list_numbers(MODULES[name]()), make_lit()
    for options in ({"gradient_clip_val": 0.1}, {"accumulate_grad_batches": 2}):
        module = lit(name)
        fit(module, **options)
        assert not agree(list_numbers(module), first)


@pytest.mark.parametrize("name", NETWORKS)
def test_mixed_precision_is_exact_and_narrow_parameters_are_refused(name):
    lit = make_lit()
    plain, mixed = lit(name), lit(name)
    fit(plain)
    fit(mixed, precision="bf16-mixed")
    assert mixed.losses == plain.losses
    with pytest.raises(InputError, match=r"does not hold what trains; keep it in float32, and let"):
        fit(lit(name), precision="bf16-true")


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_copied_pickled_and_averaged_while_they_train(name):
    module, (x, _) = MODULES[name](), draw_data()
    before = module(x)
    before.square().sum().backward()  # states and outputs have gradients now
    copies = [
        deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.optim.swa_utils.AveragedModel(module).module,
    ]
    torch.optim.SGD(module.parameters(), 0.1).step()
    assert not torch.equal(module(x), before)
    for copied in copies:
        torch.testing.assert_close(copied(x), before, rtol=0, atol=1e-5)
        copied(x).square().sum().backward()


@pytest.mark.parametrize("name", MODULES)
def test_compiled_modules_are_the_same(name):
    torch.compiler.reset()
    module, (x, _) = MODULES[name](), draw_data()
    copied = deepcopy(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(module, backend="eager")(x)
        compiled.square().sum().backward()
    plain = copied(x)
    plain.square().sum().backward()
    torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-5)
    for p, q in zip(module.parameters(), copied.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4)


def test_states_of_neurons_follow_their_module():
    net, (x, _) = build_net(), draw_data()
    net(x[:, 0])
    net.double()
    assert net[1].v.dtype == torch.float64
    assert net.to("meta")[1].v.is_meta


def test_neurons_add_up_half_floats_in_single():
    """2^-9 is lost beside 1 in bfloat16; 300 of them are above a half."""
    neuron, x = training.IntegrateFire(threshold=1.5), torch.full((1, 1), 2**-9).bfloat16()
    neuron(torch.ones(1, 1).bfloat16())
    spikes = [neuron(x) for _ in range(300)]
    assert spikes[0].dtype == torch.bfloat16
    assert sum(int(s) for s in spikes) == 1
    readout = training.Readout()
    readout(torch.ones(1, 1).bfloat16())
    assert [readout(x) for _ in range(256)][-1].item() == 1.5


def test_signs_of_rewiring_are_the_same_in_every_process():
    drawn = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        p = nn.Parameter(torch.zeros(8, 8))
        optimizer = training.GradR([p], 0.1, keep=0.5, steps=2)
        p.grad = torch.ones(8, 8)
        optimizer.step()
        drawn.append(optimizer.state[p]["sign"])
    assert torch.equal(*drawn)
    assert 10 < int((drawn[0] > 0).sum()) < 54


def trace(module):
    x, _ = draw_data()
    torch.jit.trace(module, x)


REFUSED = {
    "{}: torch.float16 does not hold what trains; keep it in float32, and let torch.autocast narrow"
    " the layers around it (Lightning: precision='bf16-mixed')": lambda m: m.half(),
    "{}: the device meta holds no numbers; make the module on a CPU and move it": (
        lambda m: m.to("meta")
    ),
    "{}: input has a gradient, which ends here; detach the input, or put what is before this module"
    " into the network": lambda m: m(draw_data()[0].requires_grad_()),
    "{}: a trace would keep the output of this input; compile the network that was trained, or save"
    " it": trace,
}


@pytest.mark.parametrize("message", REFUSED)
def test_says_what_networks_do_not_take(message):
    for name in ("chip_aware", "from_network"):
        module = MODULES[name]()
        before = list_numbers(module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about traces
            with pytest.raises(InputError) as error:
                REFUSED[message](module)
        assert str(error.value) == message.format(type(module).__name__)
        assert agree(before, list_numbers(module))


def test_a_module_made_in_half_floats_is_refused():
    torch.set_default_dtype(torch.float16)
    try:
        module = training.from_network(build_program().source)
        with pytest.raises(InputError, match=r"float16 does not hold what trains"):
            module(draw_data()[0])
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_network_that_was_copied_knows_its_projections():
    network = build_program().network
    for p in network.projections:
        network.number(p)
    for copied in (deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert [copied.number(p) for p in copied.projections] == [0, 1]


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("lightning.pytorch")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)  # logs and checkpoints
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    example = page.split("## In Lightning\n\n```python\n")[1].split("```")[0]
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(example, space)
    x, label, program = space["x"], space["label"].numpy(), space["program"]
    scores = [(p.run(x).prediction == label).mean() for p in (program, space["trained"])]
    assert scores[1] > max(0.75, scores[0] + 0.3)
