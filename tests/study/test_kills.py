"""The proof: a worker and the driver are killed, and a resumed study is as if nothing happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from clusters import THREADS, Cluster, kill, wait_until
from studies import make_content, read_results, write_inputs

from snncompile.study.store import Store

optuna = pytest.importorskip("optuna")
pytest.importorskip("distributed")

BITS = [3, 4, 6, 8]


def start_driver(folder, output, cluster):
    command = [
        *(sys.executable, "-c", "from snncompile.cli.main import main; main()", "sweep"),
        *("study.yaml", "-o", output, "--scheduler", cluster.address, "--json"),
    ]
    with (
        (folder / f"{output}.json").open("wb") as out,
        (folder / f"{output}.err").open("wb") as err,
    ):
        return subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=err, env=os.environ | THREADS
        )


def find_running(store):
    """Return the process of a trial that has begun and not ended, and the trial's name."""
    for path in (store.folder / "log").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        if lines and lines[-1]["event"] == "begin":
            return int(path.stem.rpartition("-")[2]), lines[-1]["trial"]
    return None


def count_results(store):
    return len(read_results(store.folder))


def read_builds(store):
    files = sorted((store.folder / "builds").rglob("*"))
    return {str(p.relative_to(store.folder)): p.read_bytes() for p in files if p.is_file()}


def test_a_killed_and_resumed_study_is_byte_for_byte_an_undisturbed_one(tmp_path):
    write_inputs(tmp_path, samples=20_000)
    content = make_content(chips="loihi2", bits=BITS, steps=[24, 32], samples=20_000)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    calm, stormy = Store(tmp_path / "calm"), Store(tmp_path / "stormy")
    points = 2 * len(BITS)
    with Cluster(tmp_path) as cluster:
        for _ in range(2):
            cluster.add_worker()
        assert start_driver(tmp_path, "calm", cluster).wait(400) == 0
        assert count_results(calm) == points

        driver = start_driver(tmp_path, "stormy", cluster)
        wait_until(lambda: (stormy.folder / "results").is_dir() and count_results(stormy) > 0)
        wait_until(lambda: find_running(stormy))
        process, lost = find_running(stormy)
        (victim,) = [worker for worker in cluster.workers if worker.pid == process]
        kill(victim)
        assert stormy.read_result(lost) is None, "the trial had ended before its worker was killed"
        before = count_results(stormy)
        wait_until(lambda: count_results(stormy) > before)
        kill(driver)
        there = {p: p.stat().st_mtime_ns for p in (stormy.folder / "results").glob("[!.]*")}
        assert 0 < len(there) < points
        cluster.add_worker()
        assert start_driver(tmp_path, "stormy", cluster).wait(400) == 0
    results = read_results(stormy.folder)
    assert results == read_results(calm.folder)
    assert read_builds(stormy) == read_builds(calm)
    assert {p: p.stat().st_mtime_ns for p in there} == there
    events = Counter((line["event"], line["trial"]) for line in stormy.read_log())
    ended = {trial: count for (event, trial), count in events.items() if event == "end"}
    assert ended == {name.removesuffix(".json"): 1 for name in results}
    begun = {trial: count for (event, trial), count in events.items() if event == "begin"}
    assert begun == ended | {lost: 2}
    stored = json.loads((tmp_path / "stormy.json").read_text())
    assert stored["front"] == json.loads((tmp_path / "calm.json").read_text())["front"]
    assert stored["ran"] < points
    url = f"sqlite:///{stormy.folder}/optuna.db"
    (name,) = optuna.get_all_study_names(url)
    trials = optuna.load_study(study_name=name, storage=url).trials
    assert sorted(t.user_attrs["key"] for t in trials) == sorted(ended)
