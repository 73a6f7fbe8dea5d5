"""`snncompile report`, and tables that fit a terminal."""

import numpy as np
import pytest

pytest.importorskip("plotly")


def test_report_of_two_builds(build, spikes, tmp_path, snncompile_command):
    words = ("report", build, build, "--input", spikes, "--try-seconds", 0, "-o", "r.html")
    done = snncompile_command(*words)
    assert done.code == 0
    assert done.err == ""  # no progress where there is no terminal
    assert done.out.startswith("build:\n- It fits: 1 of 120 cores of loihi2.")
    text = (tmp_path / "r.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n<!-- written by snncompile -->")
    assert text.count('class="head"') == 2
    assert "<h2>Side by side</h2>" in text
    assert len(text) < 8e6


def test_report_as_json_without_input(build, snncompile_command):
    done = snncompile_command("report", build, "-o", "r.html", "--json")
    answers = done.json["answers"]["build"]
    assert done.json["output"] == "r.html"
    assert answers["energy"] == answers["time"] == "Unknown: no input was given."


def test_report_refuses_the_file_of_another(build, tmp_path, snncompile_command):
    (tmp_path / "r.html").write_text("<p>mine")
    done = snncompile_command("report", build, "-o", "r.html")
    assert done.code == 1
    assert "is there already and is not a result of ours; choose another" in done.err
    assert (tmp_path / "r.html").read_text() == "<p>mine"


ANN = """
import torch
def build():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
"""


def test_report_of_a_converted_network_tries_other_methods(tmp_path, snncompile_command):
    (tmp_path / "ann.py").write_text(ANN)
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "i.npz", x=rng.integers(0, 255, (16, 12)), y=rng.integers(0, 3, 16))
    for words in (
        "convert ann.py:build --calibration i.npz --method balance --steps 64 -o net",
        "present net i.npz -o x.npz",
        "compile net --chip loihi2 --calibration x.npz -o build",
    ):
        assert snncompile_command(*words.split()).code == 0
    words = ("report", "build", "--images", "i.npz", "--model", "ann.py:build", "-o", "r.html")
    done = snncompile_command(*words)
    assert done.code == 0, done.err
    assert "13 of 13 changes were compiled and measured" in " ".join(done.out.split())
    done = snncompile_command("report", "build", "--model", "ann.py:build", "--input", "x.npz")
    message = "--model is to try other methods of conversion, on --images x.npz"
    assert (done.code, done.err) == (1, f"error: {message}\n")
    done = snncompile_command("report", "build", "--images", "i.npz", "--input", "x.npz")
    message = "give --input or --images, of which converted networks make their input"
    assert (done.code, done.err) == (1, f"error: {message}\n")
