"""`snncompile check`: promises with an exit code."""

import pytest


def check(command, *words):
    return command("check", "build", *words)


def test_promises_that_hold(build, spikes, snncompile_command):
    words = ("--fits", "--cores-below", 1, "--accuracy-above", 0, "--input", spikes)
    done = check(snncompile_command, *words)
    assert done.out.splitlines()[:2] == [
        "ok: fits: 1 cores of loihi2",
        "ok: at most 1 cores: 1",
    ]
    assert done.code == 0


def test_a_promise_that_is_broken_or_unknown_is_exit_1(build, spikes, snncompile_command):
    done = check(snncompile_command, "--accuracy-above", 1.0, "--input", spikes, "--json")
    assert done.code == 1
    assert done.json["holds"] is False
    done = check(snncompile_command, "--energy-below", "1mJ", "--input", spikes)
    assert done.code == 1
    assert done.out == (
        "UNKNOWN: energy below 1 mJ: 808 nJ is a lower bound: cost set measured does not know"
        " host_input, host_output, static power in missing times; to promise the rest: --without"
        " host_input,host_output; or add the prices to a chip file of your own (extends: loihi2)\n"
    )
    done = check(snncompile_command, "--energy-below", "1pJ", "--input", spikes)
    assert (done.code, done.out.split(":")[0]) == (1, "FAILS")


def test_a_promise_may_leave_out_what_has_no_price(build, spikes, snncompile_command):
    words = ("--energy-below", "1mJ", "--latency-below", "1ms", "--input", spikes)
    done = check(snncompile_command, *words, "--without", "host_input,host_output")
    assert done.out == (
        "ok: energy without host_input, host_output below 1 mJ: 808 nJ\n"
        "ok: latency without host_input, host_output below 1 ms: 2.4 us\n"
    )
    assert done.code == 0
    done = check(snncompile_command, *words, "--without", "host_input")
    assert done.code == 1
    assert " does not know host_output, static power in missing times; " in done.out


MISTAKES = {
    "no event": (
        ("--energy-below", "1mJ", "--without", "host_inptu", "--input", "x.npz"),
        "--without host_inptu: there is no such event; did you mean host_input?",
    ),
    "nothing": ((), "nothing to check: give --fits, --energy-below 1mJ, --accuracy-above 0.9"),
    "no input": (
        ("--energy-below", "1mJ"),
        "energy, latency and accuracy need the input: --input x.npz",
    ),
    "no unit": (
        ("--energy-below", "3", "--input", "x.npz"),
        "--energy-below 3: expected a number and a unit, such as 1mJ or 20uJ",
    ),
    "another unit": (
        ("--latency-below", "3mJ", "--input", "x.npz"),
        "--latency-below 3mJ: expected a number and a unit, such as 1ms or 20us",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, build, spikes, snncompile_command):
    words, message = MISTAKES[name]
    done = check(snncompile_command, *words)
    assert (done.code, done.err) == (1, f"error: {message}\n")


def test_chips_check_lists_every_mistake(tmp_path, snncompile_command):
    (tmp_path / "my.yaml").write_text("extends: toy\nname: my\nmash: 1\ncore: {compartment: 1}\n")
    done = snncompile_command("chips", "check", "my.yaml")
    assert done.code == 1
    assert sorted(done.out.splitlines()) == [
        "my.yaml line 3: mash: is not a field of a chip file; did you mean mesh?",
        "my.yaml line 4: core.compartment: is not a field of a chip file; did you mean"
        " compartments?",
    ]
    (tmp_path / "my.yaml").write_text("extends: toy\nname: my\n")
    done = snncompile_command("chips", "check", "my.yaml")
    assert (done.code, done.out[:32]) == (0, "my.yaml: complete: my, Toy, four")
    assert snncompile_command("chips", "check", "my.yaml", "--json").json["problems"] == []
    done = snncompile_command("chips", "loihi2", "toy")
    assert done.err == "error: one chip at a time; or: snncompile chips check toy\n"
