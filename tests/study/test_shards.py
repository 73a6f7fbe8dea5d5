"""A big set in shards: equal to one run."""

from __future__ import annotations

import numpy as np
import pytest
from networks import chain
from studies import InProcess, build_ann

import snncompile
from snncompile.errors import BackendError, InputError
from snncompile.study.shards import Shards


class Engine(InProcess):
    slots = 2


@pytest.fixture(scope="module")
def program():
    x = np.random.default_rng(5).random((12, 1, 4, 4))
    network = snncompile.from_ann(build_ann(), x, "signed", 12)
    shown = network.input.present(x)
    return snncompile.compile(network, chip="loihi2", calibration=shown)


@pytest.fixture(scope="module")
def shown(program):
    """Enough samples for several pieces of an estimate."""
    x = np.random.default_rng(6).random((1300, 1, 4, 4))
    return program.network.input.present(x)


def test_run_is_equal_to_one_run(program, shown, tmp_path):
    whole = program.run(shown)
    done = []
    engine = Engine()
    shards = Shards(program, engine, tmp_path / "shards")
    result = shards.run(shown, progress=lambda *now: done.append(now))
    np.testing.assert_array_equal(result.spikes, whole.spikes)
    assert result.spikes.dtype == whole.spikes.dtype
    np.testing.assert_array_equal(result.prediction, whole.prediction)
    assert result.proof == whole.proof
    assert len(engine.ran) == 8
    assert done[-1] == (1300, 1300)


@pytest.mark.parametrize("timing", ["fast", "cycle"])
def test_an_estimate_is_equal_to_the_last_bit(program, shown, tmp_path, timing):
    few = shown if timing == "fast" else shown[:600]
    whole = program.estimate(few, timing=timing)
    engine = Engine()
    shards = Shards(program, engine, tmp_path / "shards", samples=100)
    estimate = shards.estimate(few, timing=timing)
    assert len(engine.ran) > 1
    for name in ("rows", "latency_s", "energy_j", "range", "utilisation", "bounds", "missing"):
        assert getattr(estimate, name) == getattr(whole, name), name
    for name in ("counts", "seconds", "bound", "link_messages"):
        np.testing.assert_array_equal(
            getattr(estimate.by_step, name), getattr(whole.by_step, name), err_msg=name
        )
    assert estimate.samples == whole.samples
    assert estimate.proof == whole.proof


def test_a_verification_is_equal_to_one_run(program, shown, tmp_path):
    whole = program.verify(shown, None, lava=False)
    shards = Shards(program, Engine(), tmp_path / "shards", samples=300)
    verification = shards.verify(shown, lava=False)
    assert verification == whole
    assert whole.comparison("float", "integer").difference is not None


def test_an_interrupted_job_goes_on(program, shown, tmp_path):
    folder = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt):
        Shards(program, Engine(stop_after=3), folder).run(shown)
    before = {p: p.stat().st_mtime_ns for p in (folder / "results").glob("*.npz")}
    assert len(before) == 3
    result = Shards(program, Engine(), folder).run(shown)
    np.testing.assert_array_equal(result.spikes, program.run(shown).spikes)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_one_folder_may_hold_the_shards_of_other_inputs_and_programs(program, shown, tmp_path):
    """The second job begins before the workers of the first one have read anything."""
    folder, few, others = tmp_path / "shards", shown[:300], shown[300:600]
    x = np.random.default_rng(5).random((12, 1, 4, 4))
    network = snncompile.from_ann(build_ann(), x, "signed", 12)
    coarse = snncompile.compile(network, chip="loihi2", calibration=shown[:12], bits=2)

    class Meanwhile(Engine):
        def run(self, function, jobs):
            jobs = list(jobs)
            Shards(coarse, Engine(), folder).run(others)
            yield from super().run(function, iter(jobs))

    result = Shards(program, Meanwhile(), folder).run(few)
    np.testing.assert_array_equal(result.spikes, program.run(few).spikes)
    assert (result.spikes != coarse.run(few).spikes).any()


def test_no_samples_are_refused(program, shown, tmp_path):
    with pytest.raises(InputError, match="verify of no samples; give at least 1"):
        Shards(program, Engine(), tmp_path / "shards").verify(shown, 0, lava=False)


def test_a_shard_that_fails_is_named(program, shown, tmp_path):
    with pytest.raises(BackendError, match="samples 0 to 162: a mistake"):
        Shards(program, Engine(failing=True), tmp_path / "shards").run(shown)


def test_a_network_that_learns_has_no_shards(tmp_path):
    rule = snncompile.stdp(
        learning_rate=2**-9, a_plus=1, a_minus=-1, tau_plus=4, tau_minus=4, limit=1.0
    )
    network = snncompile.plastic(chain(4, 6, 3), "a", "b", rule)
    learning = snncompile.compile(network, chip="loihi2")
    with pytest.raises(InputError) as error:
        Shards(learning, Engine(), tmp_path / "shards").run(np.zeros((8, 3, 4)))
    assert str(error.value) == (
        "a network that learns takes its samples one after the other, so no shards; use the"
        " Program's own run"
    )
    assert not (tmp_path / "shards").exists()
