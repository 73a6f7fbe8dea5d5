"""What the command line says of the loss: tables, JSON, warnings aside, strict."""

import re
from pathlib import Path

import numpy as np
import pytest
from networks import chain, integer_chain, spikes

NEVER = (
    "population b: 2 of 2 outputs can never fire, whatever the input in 9 steps (neurons 0, 1);"
    " check their weights and thresholds, or try more bits or more steps"
)
COMPILE = ("compile", "net", "--chip", "toy", "-o", "out")


@pytest.fixture
def network(tmp_path):
    network = chain(3, 4, 2, weight=1.0)
    network.save(tmp_path / "net")
    np.savez(tmp_path / "x.npz", x=spikes(network, 4, 9))
    return network


@pytest.fixture
def quiet(tmp_path):
    """Write a network whose output can never fire."""
    network = chain(3, 4, 2, weight=-1.0)
    network.save(tmp_path / "net")
    np.savez(tmp_path / "x.npz", x=spikes(network, 4, 9))


@pytest.mark.usefixtures("network")
def test_the_loss_is_in_the_output_of_compile_and_show(snncompile_command, golden):
    done = snncompile_command(*COMPILE, "--calibration", "x.npz")
    assert (done.code, done.err) == (0, "")
    assert snncompile_command("show", "out").out.startswith(done.out)
    golden(re.sub("[0-9a-f]{64}", "HASH", done.out))


@pytest.mark.usefixtures("network")
def test_the_loss_is_in_the_json(snncompile_command):
    shown = snncompile_command(*COMPILE, "--calibration", "x.npz", "--json").json
    assert shown["warnings"] == []
    populations = shown["loss"].pop("populations")
    error = shown["loss"]["answers"].pop("standard_error")
    assert error == pytest.approx((1 / 6 * 5 / 6 / 7) ** 0.5)
    assert shown["loss"] == {
        **{"status": "measured", "reason": "", "samples": 4, "available": 4, "steps": 9},
        "answers": {"different": 0, "samples": 4, "share": 0.0},
        **{"one_scale": None, "no_one_scale": ""},
    }
    assert [row["population"] for row in populations] == ["a", "b"]
    assert populations[0] == {
        **{"population": "a", "neurons": 4, "different": 0.0, "rate_error": 0.0},
        **{"fired": 4, "fired_integer": 4, "frequent": 4, "silenced": 0},
        **{"silenced_share": 0.0, "silent": False},
    }


@pytest.mark.usefixtures("network")
def test_a_loss_that_is_unknown_is_said_and_null(snncompile_command):
    line = "the loss is unknown: there is no calibration data"
    done = snncompile_command(*COMPILE)
    assert (done.code, done.err) == (0, "")
    assert line in done.out.splitlines()
    shown = snncompile_command("show", "out", "--json").json["loss"]
    assert (shown["status"], shown["reason"]) == ("unknown", "there is no calibration data")
    assert shown["samples"] is shown["answers"] is None
    assert shown["populations"] == []


def test_integers_lose_nothing(tmp_path, snncompile_command):
    integer_chain(3, 4, 2).save(tmp_path / "net")
    done = snncompile_command(*COMPILE[:2], "--chip", "loihi2", "-o", "out")
    assert (done.code, done.err) == (0, "")
    assert "nothing is lost: the network came as integers" in done.out.splitlines()


@pytest.mark.usefixtures("quiet")
def test_warnings_stand_beside_the_result(snncompile_command):
    done = snncompile_command(*COMPILE, "--calibration", "x.npz", "--json")
    assert (done.code, done.err) == (0, f"warning: {NEVER}\n")
    assert done.json["warnings"] == [NEVER]
    assert snncompile_command("show", "out").err == f"warning: {NEVER}\n"


@pytest.mark.usefixtures("quiet")
def test_strict_refuses_before_a_file_is_written(snncompile_command):
    done = snncompile_command(*COMPILE, "--calibration", "x.npz", "--strict")
    assert (done.code, done.out, done.err) == (1, "", f"error: {NEVER}\n")
    assert not Path("out").exists()


@pytest.mark.usefixtures("network")
def test_a_limit_below_zero_is_a_mistake(snncompile_command):
    done = snncompile_command(*COMPILE, "--max-rate-error", "-0.1")
    message = "max_rate_error: Input should be greater than or equal to 0, got -0.1"
    assert (done.code, done.err) == (1, f"error: {message}\n")


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("limit", ["inf", "nan"])
def test_a_limit_that_no_program_could_hold_is_a_mistake(snncompile_command, limit):
    done = snncompile_command(*COMPILE, "--max-rate-error", limit)
    message = f"max_rate_error: Input should be a finite number, got {limit}"
    assert (done.code, done.err) == (1, f"error: {message}\n")
