"""The command and the function, with local workers."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from clusters import THREADS
from studies import make_content, write_inputs

from snncompile.errors import InputError
from snncompile.study import engine
from snncompile.study.engine import open_engine

pytest.importorskip("optuna")
pytest.importorskip("distributed")
COMMAND = [sys.executable, "-c", "from snncompile.cli.main import main; main()", "sweep"]
SCRIPT = """
import sys
sys.path.insert(0, {helpers!r})
import numpy as np
import snncompile
from studies import build_ann

data = np.load("data.npz")
sweep = snncompile.sweep(
    {{"name": "given", "chips": "loihi2", "steps": 4, "bits": [4, 8], "priced": 2}},
    models={{"ann": build_ann()}},
    data=(data["x"], data["label"]),
    calibration=np.load("calibration.npz")["x"],
    workers=1,
)
print([(str(row.point), row.outcome.accuracy) for row in sweep.rows])
"""


def run(folder, *arguments, command=COMMAND):
    return subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True,
        env=os.environ | THREADS | {"COLUMNS": "80"}, timeout=500,
    )  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder in which the command ran with all its outputs, and what it printed."""
    folder = tmp_path_factory.mktemp("sweep")
    write_inputs(folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(make_content()))
    done = run(
        folder, "study.yaml", "--workers", "2", "--csv", "all.csv", "--parquet", "all.parquet",
        "--report", "page.html",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_front_fits_80_columns(swept):
    _, done = swept
    table = [line for line in done.stdout.splitlines() if line and line[0] in "┃┏│└┡"]
    assert table
    assert max(map(len, table)) <= 80
    drawing = done.stdout.partition("accuracy over energy")[2].partition("4 trials")[0]
    assert "#" in drawing
    assert max(map(len, drawing.splitlines())) <= 80
    assert "4 trials: 2 fit, 2 do not; 4 ran now\n" in done.stdout
    assert "misfit: 2 x loihi1: population" in done.stdout
    assert "dashboard: http://127.0.0.1:" in done.stderr


def test_every_trial_is_in_the_tables(swept):
    folder, _ = swept
    from pyarrow import parquet

    with (folder / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fits"] for row in rows] == ["True", "True", "False", "False"]
    assert rows[2]["energy_j"] == ""
    table = parquet.read_table(folder / "all.parquet").to_pylist()
    assert [row["energy_j"] for row in table][2:] == [None, None]
    assert float(rows[0]["energy_j"]) == table[0]["energy_j"]


def test_points_of_the_page_open_their_builds(swept):
    folder, _ = swept
    page = (folder / "page.html").read_text()
    data = json.loads(
        page.partition('id="data">')[2].partition("</script>")[0].replace("\\u0026", "&")
    )
    traces = data["front"]["figures"][0][1]["data"]
    links = [point["open"] for trace in traces for point in trace.get("customdata", [])]
    assert len(links) == 2
    assert all((folder / link).exists() for link in links)
    assert any(link.startswith("page.builds/") for link in links)


def test_a_page_is_drawn_and_a_click_opens_a_build(swept, tmp_path):
    from browser import Browser, find_browser

    path = find_browser()
    if path is None:
        pytest.skip("needs a Chromium")
    folder, _ = swept
    with Browser(path) as browser:
        browser.open(folder / "page.html", "document.body.dataset.ready === '1'")
        browser.evaluate("window.open = (link) => { window.opened = link; }")
        opened = browser.evaluate(
            "document.querySelector('.plot').emit('plotly_click', {points: [{customdata:"
            " {open: 'page.builds/x.html'}}]}), window.opened"
        )
        assert opened == "page.builds/x.html"
        assert browser.errors == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def test_again_nothing_runs_and_json_says_the_same(swept):
    folder, _ = swept
    done = run(folder, "study.yaml", "--workers", "1", "--json")
    values = json.loads(done.stdout)
    assert values["ran"] == 0
    assert [trial["fits"] for trial in values["trials"]] == [True, True, False, False]
    assert set(values["front"]) <= {trial["trial"] for trial in values["trials"]}


def test_mistakes_are_all_listed_and_exit_with_1(tmp_path):
    (tmp_path / "study.yaml").write_text("models: {a: {netwrk: x}}\nchips: [lohi2]\n")
    done = run(tmp_path, "study.yaml")
    assert done.returncode == 1
    assert "study.yaml line 1: models.a.netwrk: is not a key of a study" in done.stderr
    assert "did you mean loihi2?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "study.sweep").exists()


# What is at an address, and what is said.
NO_SCHEDULERS = {
    "tcp://127.0.0.1:9": "Connection refused",
    "nonsense": "missing port number in address 'nonsense'",
    "": "missing port number in address ''",
}
REMEDY = "; `dask scheduler` prints its address, such as tcp://10.0.0.5:8786"


@pytest.mark.parametrize("address", NO_SCHEDULERS)
def test_no_scheduler_is_one_line_at_once(address):
    begun = time.monotonic()
    with pytest.raises(InputError) as error, open_engine(address):
        pass
    assert time.monotonic() - begun < 5
    assert str(error.value) == f"no Dask scheduler at {address}: {NO_SCHEDULERS[address]}{REMEDY}"


def test_a_server_of_another_kind_is_no_scheduler(monkeypatch):
    monkeypatch.setattr(engine, "REACH_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError) as error, open_engine(address):
            pass
    assert str(error.value) == f"no Dask scheduler at {address}: no answer in 0.5 s"


def test_what_is_missing_is_said_in_one_line(monkeypatch):
    from snncompile.study.engine import import_dask

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'snncompile\[sweep\]'"):
        import_dask()


def test_python_gives_objects_and_the_script_is_not_run_again_by_workers(tmp_path):
    import studies

    write_inputs(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT.format(helpers=str(Path(studies.__file__).parent)))
    done = run(tmp_path, "script.py", command=[sys.executable])
    assert done.stdout.count("ann on loihi2, signed 4, 4 bits") == 1, done.stderr
    assert (tmp_path / "given.sweep" / "study.json").exists()
