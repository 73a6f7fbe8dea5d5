"""What leaves the estimator: traces, tables, the comparison with an ANN's arithmetic."""

from __future__ import annotations

import csv
import io
import itertools
import json

import numpy as np
import pytest
from networks import TOY, apart, integer_chain, random_integer_network, spikes
from priced import priced, wide_chip
from rich.console import Console

import snncompile
from snncompile.backends.energy import export, trace
from snncompile.backends.energy.baseline import compare_arithmetic
from snncompile.errors import InputError
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.report import estimates

LAYERS = integer_chain(2, 2, 3, 1, neuron=IntegerCubaLif(4095, 0, 1))
X = np.array([[[1, 0], [0, 0], [1, 1]]])


@pytest.fixture(scope="module")
def layers():
    return apart(LAYERS, chip=TOY)


# What each phase must have, from "Trace Event Format", Google 2016.
FIELDS = {
    "X": {"name", "ph", "ts", "dur", "pid", "tid"},
    "M": {"name", "ph", "pid", "tid", "args"},
    "s": {"name", "cat", "ph", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "ph", "id", "ts", "pid", "tid", "bp"},
}


def check(document) -> None:
    """Check a document against the format: fields, types, slices that nest, flows that bind."""
    assert set(document) == {"otherData", "traceEvents", "displayTimeUnit"}
    assert document["displayTimeUnit"] in ("ns", "ms")
    tracks, starts, ends = {}, {}, {}
    for event in document["traceEvents"]:
        assert set(event) == FIELDS[event["ph"]]
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert isinstance(event["args"]["name"], str)
            continue
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
        else:
            ends_of = starts if event["ph"] == "s" else ends
            assert event["id"] not in ends_of
            ends_of[event["id"]] = event
    for track in tracks.values():
        track.sort(key=lambda e: e["ts"])
        for before, after in itertools.pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-9
    assert starts.keys() == ends.keys()
    for number, start in starts.items():
        end = ends[number]
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
        assert start["ts"] <= end["ts"]
        assert end["bp"] == "e"
        for event in (start, end):
            track = tracks[event["pid"], event["tid"]]
            assert any(s["ts"] <= event["ts"] <= s["ts"] + s["dur"] for s in track)


@pytest.mark.parametrize("seed", range(4))
def test_the_trace_follows_the_format(seed, tmp_path):
    network = random_integer_network(seed, wild=False)
    program = snncompile.compile(network, chip=wide_chip(4, link_buffer=2), prune=False)
    x = spikes(program.network, 2, 5, seed)
    path = tmp_path / "trace.json"
    steps = trace.write_trace(path, program, x)
    assert list(tmp_path.iterdir()) == [path]
    document = json.loads(path.read_text())
    check(document)
    found = program.estimate(x[:1], timing="cycle")
    assert steps == found.steps
    whole = [e for e in document["traceEvents"] if e.get("name", "").startswith("time step")]
    assert sum(e["dur"] for e in whole) * 1e-6 == pytest.approx(found.latency_s)
    flows = sum(e["ph"] == "s" for e in document["traceEvents"])
    sent = ("message_out", "host_input")
    assert flows == pytest.approx(sum(r.count for r in found.rows if r.event in sent))


def test_the_trace_by_hand(layers):
    """The spike of the second input line in step 2, in nanoseconds."""
    events, steps = trace.make_trace(layers, X)
    assert steps == 6
    start = 209 + 3 * 3 + 209  # steps 0 and 1, see below
    times = [e["ts"] * 1e3 for e in events if e.get("name") == "time step 2"]
    assert times == pytest.approx([209 + 218])
    assert start == 209 + 218
    host = [e for e in events if e["ph"] == "X" and e["name"] == "input[1]"]
    sending, receiving = host
    assert (sending["pid"], sending["tid"]) == (4, trace.SENDING)  # the host is core 3
    assert (receiving["pid"], receiving["tid"]) == (1, trace.RECEIVING)
    # The host takes 1 ns per message; core 0 reads 2 synapses for input 0 first, 2 ns each.
    assert receiving["ts"] * 1e3 == pytest.approx(start + 1 + 4)
    assert receiving["dur"] * 1e3 == pytest.approx(4)


def test_a_trace_ends_where_it_gets_too_long(layers):
    events, steps = trace.make_trace(layers, X, limit=2)
    assert steps == 2  # one message in step 0, two in step 1
    assert sum(e["ph"] == "s" for e in events) == 3
    with pytest.raises(InputError) as error:
        trace.make_trace(layers, X, limit=0)
    assert str(error.value) == "a trace holds at least 1 message, got 0"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_add_up(layers, kind, tmp_path):
    found = layers.estimate(spikes(LAYERS, 3, 4))
    paths = [tmp_path / f"run.{kind}", tmp_path / f"steps.{kind}"]
    export.write_table(paths[0], export.list_events(found), kind)
    assert [path.name for path in tmp_path.iterdir()] == [f"run.{kind}"]  # this name and no other
    export.write_table(paths[1], export.list_steps(found), kind)
    events, steps = (read(path, kind) for path in paths)
    energy = sum(float(row["energy_j"]) for row in events)
    of_chip = sum(r.energy_j for r in found.rows if r.event == "barrier sync")
    assert energy == pytest.approx(found.dynamic_j - of_chip)
    for row in found.rows:
        if row.layer == "b" and row.event != "synaptic_op":
            mine = [e for e in events if (e["layer"], e["event"]) == (row.layer, row.event)]
            assert sum(float(e["count"]) for e in mine) == pytest.approx(row.count)
            assert {int(e["core"]) for e in mine} <= {1}
    assert sum(float(s["seconds"]) for s in steps) / 3 == pytest.approx(found.latency_s)
    assert len(steps) == 3 * found.steps
    assert {s["bound"] for s in steps} == {"barrier sync"}


def read(path, kind):
    if kind == "csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def test_an_unknown_price_is_an_empty_field(tmp_path):
    program = apart(LAYERS, chip=priced(neuron_active=(None, 5)))
    path = tmp_path / "run.csv"
    export.write_table(path, export.list_events(program.estimate(X)), "csv")
    rows = [row for row in read(path, "csv") if row["event"] == "neuron_active"]
    assert {row["energy_j"] for row in rows} == {""}
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_the_arithmetic_of_an_ann(layers):
    a, b, c = compare_arithmetic(layers, layers.estimate(X))
    assert (a.layer, a.macs, a.acs) == ("a", 4, 6)
    assert (b.macs, b.acs) == (6, 12)
    assert (c.macs, c.acs) == (3, 6)
    assert a.ann_j == pytest.approx(4 * 4.6e-12)
    assert a.snn_j == pytest.approx(6 * 0.9e-12)


def test_the_table_adds_up_and_says_each_source_once(layers, golden):
    """Rows, shares of the total, sources by number."""
    console = Console(width=160, file=io.StringIO())
    console.print(estimates.tabulate_estimate(layers.estimate(X)))
    golden(console.file.getvalue())
