"""`snncompile report`, and tables that fit a terminal."""

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
