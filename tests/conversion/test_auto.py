"""Bias calibration, rate-norm layers, automatic choice, diagnosis, and chips that cannot."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from conversion_models import MODELS, images, scaled_answer
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.conversion.auto_records import Budget
from snncompile.conversion.auto_search import Search
from snncompile.conversion.auto_time import Deadline, SearchProgress
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.conversion.diagnosis import diagnose
from snncompile.conversion.rate_norm import RateNorm, fit_thresholds, with_rate_norm
from snncompile.conversion.scales import Capped, Percentile
from snncompile.errors import InputError, UnsupportedError
from snncompile.hwmodels import chips
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.report.trials import COLUMNS, format_trials

CHAIN, X = MODELS["chain"](), images("chain")


def test_calibrated_biases_bring_the_answer_nearer():
    wanted = CHAIN(torch.tensor(X)).detach().numpy()
    errors = []
    for calibrate in (False, True):
        method = Balance(scales=Percentile(100), calibrate_bias=calibrate)
        network = snncompile.from_ann(CHAIN, X, method, 8)
        missing = (scaled_answer(network, X, 8) - wanted).mean(axis=0)
        errors.append(np.abs(missing).max())
    # Biases take away the mean over the samples, channel by channel: what they leave is a fifth.
    assert errors[1] < 0.2 * errors[0]
    assert network.notes[-1] == "convert: biases calibrated on 12 samples"


@pytest.mark.parametrize(("steps", "samples"), [(4, 128), (64, 64), (500, 32)])
def test_biases_take_fewer_samples_for_more_steps(steps, samples):
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), np.ones((200, 3))
    network = snncompile.from_ann(model, x, Balance(calibrate_bias=True), steps)
    assert network.notes[-1] == f"convert: biases calibrated on {samples} samples"


def rate_norm_model():
    torch.manual_seed(0)
    layers = nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)
    model = with_rate_norm(nn.Sequential(*layers)).train()
    x = np.abs(np.random.default_rng(0).normal(size=(200, 6))).astype(np.float32)
    for _ in range(30):
        model(torch.tensor(x))
    return model.eval(), x


def test_thresholds_of_rate_norm_layers_are_imported():
    model, x = rate_norm_model()
    network = snncompile.from_ann(model, x, Balance(scales=Capped()), 512)
    wanted = model(torch.tensor(x)).detach().numpy()
    # A spike of 512 steps in each of three layers, which the next one amplifies.
    assert np.abs(scaled_answer(network, x, 512) - wanted).max() < 0.02 * np.abs(wanted).max()


def test_stage_two_lowers_thresholds_and_keeps_weights():
    model, x = rate_norm_model()
    before = [module.find_threshold() for module in model if isinstance(module, RateNorm)]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    losses = fit_thresholds(model, x, epochs=8, rate=1.0, speed=0.5)
    after = [module.find_threshold() for module in model if isinstance(module, RateNorm)]
    assert losses[-1] < losses[0]
    assert all(new < 0.9 * old for new, old in zip(after, before, strict=True))
    changed = [name for name, value in model.state_dict().items() if (value != weights[name]).any()]
    assert changed == ["1.p", "3.p"]


def test_rate_norm_by_hand():
    layer = RateNorm(0.5).train()
    assert layer(torch.tensor([-1.0, 1.0, 4.0])).tolist() == [0.0, 0.5, 1.0]
    layer(torch.tensor([8.0]))
    assert layer.find_threshold() == pytest.approx(0.5 * (0.9 * 4 + 0.1 * 8))
    with pytest.raises(InputError, match=r"Linear holds no nn\.ReLU to replace"):
        with_rate_norm(nn.Linear(2, 2))
    with pytest.raises(InputError, match="Linear has no RateNorm layer; see with_rate_norm"):
        fit_thresholds(nn.Linear(2, 2), X)


def tried(network) -> list[str]:
    start = "convert: auto tried "
    return [note.removeprefix(start) for note in network.notes if note.startswith(start)]


def test_auto_takes_the_fewest_steps_within_the_loss():
    network = snncompile.from_ann(CHAIN, X, "auto", budget=Budget(loss=0.1))
    shares = [float(one.split(" steps, ")[1].split("%")[0]) for one in tried(network)]
    assert shares[-1] <= 10 < min([*shares[:-1], 100])
    wanted = CHAIN(torch.tensor(X)).detach().numpy().argmax(1)
    # 10 % are allowed on the integers it ran, 1 of 12 samples; one more may fall on either side.
    assert (network.run(network.input.present(X)).prediction != wanted).sum() <= 2
    steps = [int(one.split(": ")[1].split(" time")[0]) for one in tried(network)]
    assert steps == sorted(steps)
    assert taken(network) == tried(network)[-1]
    assert method_of_last(network) in method_note(network)


@pytest.mark.parametrize(("budget", "loss"), [(Budget(loss=0.0), 0), (None, 2)])
def test_auto_stops_at_the_first_with_that_loss(budget, loss):
    network = snncompile.from_ann(CHAIN, X, "auto", budget=budget)
    shares = [float(one.split(" steps, ")[1].split("%")[0]) for one in tried(network)]
    assert shares[-1] <= loss < min([*shares[:-1], 100])


def taken(network) -> str:
    (one,) = [one for one in tried(network) if one.endswith(", taken") or ", taken, " in one]
    return one


def method_note(network) -> str:
    return next(n for n in network.notes if "steps per layer" in n).lower()


def method_of_last(network) -> str:
    return tried(network)[-1].split(" ")[0].replace("_", "")


def test_auto_without_a_loss_takes_what_is_nearest_the_model():
    conversion = convert(CHAIN, X, "auto", budget=Budget(steps=40))
    assert [(t.method, t.steps) for t in conversion.trials] == [
        ("graded 8 bits", 1), ("graded bits by sums", 1), ("graded 6 bits", 1),
        ("graded 5 bits", 1), ("graded 4 bits", 1), ("bistable_phase", 8),
        ("signed calibrated", 32), ("balance calibrated", 32), ("bistable_rate", 8),
    ]  # fmt: skip
    assert all(t.total_steps <= 40 and t.runs and not t.reason for t in conversion.trials)
    nearest = min(conversion.trials, key=lambda t: t.distance)
    assert [t for t in conversion.trials if t.taken] == [nearest]
    assert conversion.method.label == nearest.method


def test_auto_lowers_steps_until_the_energy_suffices():
    free = convert(CHAIN, X, "auto", budget=Budget(steps=20, energy_j=1.0))
    limit = min(t.energy_j for t in free.trials)
    trials = convert(CHAIN, X, "auto", budget=Budget(steps=20, energy_j=limit)).trials
    assert len(trials) > len(free.trials)
    for trial in trials:
        assert trial.reason == ("" if trial.energy_j <= limit else f"above {limit:g} J")


def test_every_trial_is_compiled_run_and_priced():
    conversion = convert(CHAIN, X, "auto", budget=Budget(steps=20))
    trial = next(t for t in conversion.trials if t.taken)
    shown = conversion.network.input.present(X)
    program = snncompile.compile(conversion.network, chip="loihi2", calibration=shown[:4])
    assert trial.cores == program.mapping.cores
    assert trial.energy_j == pytest.approx(program.estimate(shown[:4]).energy_j)
    wanted = CHAIN(torch.tensor(X)).detach().numpy().argmax(1)
    assert trial.samples == len(X)
    assert trial.agreement == (program.run(shown).prediction == wanted).mean()
    counts = snncompile.reference.backend.spike_trains(program.network, shown[:4])
    sent = sum(
        np.count_nonzero(counts[p.name]) for p in program.network.populations if p.neuron.spikes
    )
    assert trial.spikes == sent / 4


def test_auto_never_takes_what_the_chip_refuses():
    wide = nn.Sequential(nn.Linear(64, 3000), nn.ReLU(), nn.Linear(3000, 3)).eval()
    x = np.random.default_rng(0).random((6, 64))
    with pytest.raises(InputError) as error:
        snncompile.from_ann(wide, x, "auto", budget=Budget(steps=8, chip="toy"))
    assert str(error.value).startswith(
        "nothing keeps to 8 time steps on toy; tried bistable_phase 3: population layer_1: needs 64"
        " input axons for one neuron, the chip allows 8"
    )


@pytest.mark.parametrize(
    ("aim", "said"),
    [
        ("steps", "nothing keeps to 2.0% other answers on toy; tried signed calibrated 4: "),
        ("agreement", "nothing runs on toy; tried bistable_phase 8: "),
    ],
)
def test_what_does_not_fit_is_tried_once_for_each_method(aim, said):
    wide, x = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3)).eval(), np.eye(6)
    budget = Budget(chip="toy", aim=aim).settle()
    search = Search(capture(wide, x), x, budget, Deadline(None), lambda *_: None)
    assert search.run() == (None, "")
    assert search.describe_failure("").startswith(said)
    assert sorted(tried.trial.method for tried in search.tried) == [
        "balance calibrated", "bistable_phase", "bistable_rate", "signed calibrated"
    ]  # fmt: skip
    assert search.describe_failure("the time is over").startswith(
        said.partition(";")[0] + ", the time is over; give more seconds; tried "
    )


def test_auto_takes_the_best_so_far_when_it_is_interrupted():
    def interrupt(text, share):
        if text == "graded bits by sums 1: measure":
            raise KeyboardInterrupt

    conversion = convert(CHAIN, X, "auto", budget=Budget(steps=40), say=interrupt)
    assert [t.method for t in conversion.trials] == ["graded 8 bits"]
    assert conversion.trials[0].taken
    assert conversion.stopped.startswith("interrupted after 1 of ")
    assert f"convert: auto took the best so far, {conversion.stopped}" in conversion.network.notes


def test_an_interrupt_before_any_candidate_is_one():
    def interrupt(text, share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(CHAIN, X, "auto", say=interrupt)


def test_what_may_keep_to_the_loss_on_some_samples_is_run_on_more():
    x = np.concatenate([X] * 34)[:400]
    conversion = convert(CHAIN, x, "auto", budget=Budget(loss=0.02, aim="spikes"))
    assert {t.samples for t in conversion.trials} == {64, 256}
    assert all(t.samples == 256 for t in conversion.trials if not t.reason)
    # Samples on which candidates are not built come first: of each three one is built on.
    alone = Search(capture(CHAIN, x), x, Budget().settle(), Deadline(None), lambda *_: None)
    assert (alone.x == x[0:384:3]).all()
    assert (alone.checked[:4] == x[[1, 2, 4, 5]]).all()


def test_an_interrupt_while_the_choice_is_built_on_all_samples_keeps_the_choice():
    def interrupt(text, share):
        if "built on all" in text:
            raise KeyboardInterrupt

    x = np.random.default_rng(0).random((300, *X.shape[1:]))
    conversion = convert(CHAIN, x, "auto", budget=Budget(loss=1.0), say=interrupt)
    assert (conversion.trials[-1].taken, conversion.stopped) == (True, "")
    assert "convert: built on 128 of 300 calibration samples" in conversion.network.notes


COSTS = {"steps": "total_steps", "spikes": "spikes", "energy": "energy_j", "cores": "cores"}


@pytest.mark.parametrize("aim", COSTS)
def test_auto_takes_the_least_of_what_is_aimed_at(aim):
    conversion = convert(CHAIN, X, "auto", budget=Budget(loss=0.1, aim=aim))
    within = [t for t in conversion.trials if not t.reason]
    (chosen,) = [t for t in conversion.trials if t.taken]
    assert getattr(chosen, COSTS[aim]) == min(getattr(t, COSTS[aim]) for t in within)
    # More steps than suffice only cost more.
    assert len(within) == len({t.method for t in within})
    assert len({t.method for t in conversion.trials}) == (1 if aim == "steps" else 9)


@pytest.mark.parametrize(
    ("budget", "aim", "loss"),
    [
        (Budget(), "steps", 0.02),
        (Budget(loss=0.1), "steps", 0.1),
        (Budget(steps=9), "agreement", None),
        (Budget(energy_j=1.0, loss=0.1), "steps", 0.1),
        (Budget(steps=9, aim="energy"), "energy", 0.02),
        (Budget(loss=0.1, aim="agreement"), "agreement", 0.1),
    ],
)
def test_a_budget_without_an_aim_has_that_of_its_limits(budget, aim, loss):
    assert (budget.settle().aim, budget.settle().loss) == (aim, loss)


def test_an_aim_that_cannot_be_is_refused():
    with pytest.raises(InputError) as error:
        Budget(aim="joy")
    assert str(error.value) == (
        "aim must be one of agreement, steps, spikes, energy, cores, got 'joy'"
    )
    with pytest.raises(InputError, match="spinnaker2: the aim energy needs prices, and cost set"):
        convert(CHAIN, X, "auto", budget=Budget(aim="energy", chip="spinnaker2"))


def test_progress_rises_with_the_work_or_the_time():
    told = []
    budget = Budget(steps=40, seconds=1000)
    convert(CHAIN, X, "auto", budget=budget, say=lambda *row: told.append(row))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.02
    assert shares[-1] > 0.8
    texts = [text for text, _ in told]
    assert texts[0] == "reading the model"
    assert "signed calibrated 32: calibrating biases of layer_2" in texts
    assert "signed calibrated 32: partition" in texts
    # Half of the time is over, and nothing is done.
    half = Deadline(100.0, time.perf_counter() - 50)
    SearchProgress(half, lambda *row: told.append(row)).describe("preparing", 0.0)
    assert told[-1][1] == pytest.approx(0.5, abs=0.01)


def test_the_table_of_python_is_that_of_the_command_line():
    conversion = convert(CHAIN, X, "auto", budget=Budget(steps=20, chip="loihi1"))
    lines = format_trials(conversion.trials).splitlines()
    assert [cell.strip() for cell in lines[1].split("┃")[1:-1]] == list(COLUMNS)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[3:-1]]
    assert [row[:3] for row in rows] == [["balance calibrated", "16", "20"]]
    assert rows[0][-1] == "taken"


def test_auto_says_what_it_tried_where_nothing_fits():
    with pytest.raises(InputError) as error:
        snncompile.from_ann(CHAIN, X, "auto", budget=Budget(steps=9, loss=-1.0))
    assert "tried graded 8 bits 1: 0.0% other answers, " in str(error.value)
    assert "; graded 6 bits 1: " in str(error.value)
    with pytest.raises(InputError) as error:
        snncompile.from_ann(CHAIN, X, "auto", budget=Budget(20, 1e-15, 0.5))
    assert " J; " in str(error.value)
    for steps in (0, 2):
        with pytest.raises(InputError, match="tried nothing, all take more steps"):
            snncompile.from_ann(CHAIN, X, "auto", budget=Budget(steps=steps))
    with pytest.raises(InputError, match="a budget is for method='auto'"):
        snncompile.from_ann(CHAIN, X, "signed", budget=Budget())
    with pytest.raises(InputError, match="auto chooses the coding with the method"):
        snncompile.from_ann(CHAIN, X, "auto", coding="rate")


def test_auto_takes_no_unknown_energy_for_an_affordable_one():
    with pytest.raises(InputError) as error:
        snncompile.from_ann(CHAIN, X, "auto", budget=Budget(20, 1.0, chip="spinnaker2"))
    assert str(error.value) == (
        "spinnaker2: a limit of the energy needs prices, and cost set unpublished has no energy of"
        " barrier sync, host_input, host_output, neuron_mapped, static power, synaptic_op; take"
        " another chip or a limit of the time steps"
    )


def test_auto_names_what_its_energies_lack():
    network = snncompile.from_ann(CHAIN, X, "auto", budget=Budget(20, 1.0))
    assert (
        "convert: these energies are without host_input, host_output, static power in missing times"
        in network.notes
    )


def test_auto_refuses_chips_without_the_neurons():
    with pytest.raises(InputError) as error:
        snncompile.from_ann(CHAIN, X, "auto", budget=Budget(chip="odin"))
    assert str(error.value) == (
        "no conversion runs on odin: it takes window_readout and one of integrate_fire/soft,"
        " signed_integrate_fire, phase_fire and graded/scaled, and there are integrate_fire/hard"
    )


CURVED = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3)).eval()


def test_auto_takes_the_method_that_takes_the_network():
    x = np.random.default_rng(0).random((12, 4))
    network = snncompile.from_ann(CURVED, x, "auto")
    notes = [one for one in tried(network) if not one.startswith("graded")]
    assert [one.split(":")[0] for one in notes] == [
        "bistable_phase", "signed calibrated", "balance calibrated", "bistable_rate"
    ]  # fmt: skip
    assert "1: GELU is no rectifier" in notes[0]
    assert method_of_last(network) == "graded"


def test_auto_refuses_what_no_method_of_the_chip_takes():
    x = np.random.default_rng(0).random((12, 4))
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_ann(CURVED, x, "auto", budget=Budget(chip="loihi1"))
    assert str(error.value) == (
        "1: GELU is no rectifier, and bistable_phase sends rates of rectifiers; take"
        " method='graded', or train with ReLU; loihi1 has no neurons of graded"
    )


def test_large_networks_use_fewer_samples(monkeypatch):
    neurons = sum(p.size for p in snncompile.from_ann(CHAIN, X).populations)
    monkeypatch.setattr("snncompile.conversion.convert.ACTIVATIONS", 5 * neurons)
    network = snncompile.from_ann(CHAIN, X, "bistable_phase", 6)
    assert network.notes[-1] == "convert: only 5 of 12 calibration samples used, for memory"
    assert str(network) == str(snncompile.from_ann(CHAIN, X[:5], "bistable_phase", 6))


def test_diagnosis_finds_the_layer_that_was_broken():
    made = convert(CHAIN, X, BistablePhase(scales=Percentile(100)), 8)
    rows = diagnose(made, X)
    assert [row.path for row in rows] == ["2", "5", "9"]
    assert all(row.cosine > 0.999 and row.error < 0.05 and row.agreement == 1 for row in rows)
    assert not any(row.dead for row in rows)
    name = rows[1].layer
    broken = replace(
        made.network,
        populations=tuple(
            replace(p, neuron=replace(p.neuron, bias=p.neuron.bias - 3)) if p.name == name else p
            for p in made.network.populations
        ),
    )
    rows = diagnose(made, X, broken)
    assert max(rows, key=lambda row: row.cost).layer == name
    assert rows[1].dead > 0
    assert str(rows[0]).startswith("layer_2: cosine 0.9999, error 1.2%, 0 dead")
    small = convert(CHAIN, X, BistablePhase(scales=Percentile(90)), 8)
    assert diagnose(small, X)[0].saturated > 0


def test_diagnosis_of_integers():
    made = convert(CHAIN, X, "signed", 64)
    done = Quantize()(Retime()(design(made.network, LOIHI2, made.network.input.present(X))))
    assert all(row.cosine > 0.99 for row in diagnose(made, X, done.network))


# Chip, method, the whole message, of the first obstacle if there are two.
REFUSED_BY_CHIPS = {
    "hard resets only": (
        "odin",
        "balance",
        "population layer_2: odin has no neuron integrate_fire/soft; it has integrate_fire/hard; a"
        " hard reset throws away what exceeds the threshold, and with it the rates that a converted"
        " network computes with: choose a chip that keeps it"
        " (loihi1, loihi2, spinnaker1, spinnaker2, toy)",
    ),
    "no signed spikes": (
        "loihi1",
        "signed",
        "population layer_2: loihi1 has no neuron signed_integrate_fire; it has"
        " cuba_lif/delayed_soft, cuba_lif/hard, cuba_lif/soft and 5 more; if it was converted, use"
        " method='balance'",
    ),
    "no potential that is sent": (
        "truenorth",
        "balance",
        "population layer_10: truenorth has no neuron window_readout; it has integrate_fire/hard,"
        " integrate_fire/soft; if it was converted, its answer is a potential: choose a chip that"
        " can send one out (loihi1, loihi2, spinnaker1, spinnaker2, toy)",
    ),
}


@pytest.mark.parametrize("case", REFUSED_BY_CHIPS)
def test_a_chip_that_cannot_says_why_and_what_to_choose(case):
    chip, method, message = REFUSED_BY_CHIPS[case]
    network = snncompile.from_ann(CHAIN, X, method, 8)
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip=chip)
    assert error.value.obstacles[0].message == message
    lines = str(error.value).splitlines()
    if case == "hard resets only":  # its readout too
        assert lines[0] == "2 things stand in the way:"
        assert lines[1].startswith(f"  {message.partition('; ')[0]}")
    else:
        assert lines == [message]


def able(method: str) -> list[str]:
    """Return the chips on which the chain compiles."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    network, found = snncompile.from_ann(model, np.eye(6), method, 8), []
    for chip in chips.list_names():
        try:
            snncompile.compile(network, chip=chip)
            found.append(chip)
        except UnsupportedError:
            pass
    return found


def test_the_chips_that_are_named_can():
    assert able("balance") == ["loihi1", "loihi2", "spinnaker1", "spinnaker2", "toy"]
    assert able("signed") == ["loihi2", "spinnaker1", "spinnaker2", "toy"]


def test_auto_builds_candidates_on_some_samples_and_the_choice_on_all():
    x = np.random.default_rng(0).random((300, *X.shape[1:]))
    shares = []
    conversion = convert(CHAIN, x, "auto", say=lambda text, share: shares.append(share))
    tried = [note for note in conversion.network.notes if "auto tried" in note]
    assert tried[-1].endswith(", built on all 300 samples")
    assert conversion.trials[-1].taken
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
