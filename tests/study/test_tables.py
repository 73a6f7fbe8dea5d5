"""Tables, lines and links of a sweep."""

from pathlib import Path

import pytest
from studies import make_content, write_inputs

from snncompile.errors import InputError
from snncompile.study.drive import Sweep
from snncompile.study.front import Row, find_front
from snncompile.study.job import Outcome
from snncompile.study.points import Point
from snncompile.study.read import make_study
from snncompile.study.tables import (
    check_outputs,
    list_failures,
    shorten_fields,
    summarize,
    write_table,
)
from snncompile.study.trials import hide_password, locate_database

VALUES = {"fits": True, "accuracy": 0.5, "energy_j": 0.5, "missing": ("energy of host_input",)}


def make_sweep(folder, *, fields=(), repeated=0, **content):
    write_inputs(folder)
    study = make_study(make_content(**content), folder)
    rows = [
        Row(Point("small", "own", fields=((name, value),)), f"{name}{value}", Outcome(**VALUES))
        for name, value in fields or (("core.axons_in", 1),)
    ]
    return Sweep(find_front(study, rows), folder, repeated=repeated)


def test_fields_of_one_last_word_have_their_whole_path():
    names = ["chip", "mesh.rows", "core.rows", "core.axons_in", "costs.a.energy"]
    short = ["chip", "mesh.rows", "core.rows", "axons_in", "costs.a.energy"]
    assert shorten_fields(names) == short


def test_a_budget_that_is_kept_by_a_lower_bound_is_said(tmp_path):
    line = "whether energy_below is kept is not known: * is a lower bound"
    limits = {"energy_below": 1, "accuracy_above": 0.5}
    assert line in summarize(make_sweep(tmp_path, budgets=limits))
    assert line not in summarize(make_sweep(tmp_path, budgets={"accuracy_above": 0.5}))


def test_points_that_a_search_chose_again_are_counted(tmp_path):
    lines = summarize(make_sweep(tmp_path, repeated=3))
    assert lines[1] == "3 more chose a point that another trial had chosen"
    assert not any("chose" in line for line in summarize(make_sweep(tmp_path)))


def test_equal_failures_are_one_line(tmp_path):
    failures = (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"))
    sweep = Sweep(make_sweep(tmp_path).front, tmp_path, failures)
    assert list_failures(sweep) == ["failed: a and 2 more: x", "failed: b: y"]


def test_a_field_of_words_and_numbers_is_text_in_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    fields = (("a.kind", 8), ("a.kind", "many"), ("a.share", 1), ("a.share", 0.5))
    write_table(tmp_path / "all.parquet", make_sweep(tmp_path, fields=fields), "parquet")
    table = parquet.read_table(tmp_path / "all.parquet").to_pydict()
    assert table["a.kind"] == ["8", "many", None, None]
    assert table["a.share"] == [None, None, 1, 0.5]


def test_a_table_of_a_study_with_other_fields_is_replaced_and_nothing_else_is(tmp_path):
    path = tmp_path / "all.csv"
    write_table(path, make_sweep(tmp_path), "csv")
    write_table(path, make_sweep(tmp_path, fields=(("mesh.tile_rows", 2),)), "csv")
    assert "mesh.tile_rows" in path.read_text()
    path.write_text("model,price\n")
    with pytest.raises(InputError) as error:
        write_table(path, make_sweep(tmp_path), "csv")
    assert (
        str(error.value) == f"{path}: is there already and is not a result of ours; choose another"
    )


# Which of the three files is wrong, and what is said before a sweep runs.
OUTPUTS = {
    "csv": (0, "letter", "is there already and is not a result of ours; choose another"),
    "parquet": (1, "folder", "is a folder; give the name of a file"),
    "report": (2, "letter/page.html", "cannot be written (Not a directory)"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_what_cannot_be_written_is_said_before(tmp_path, kind):
    for name in ("pyarrow", "plotly"):
        pytest.importorskip(name)
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "folder").mkdir()
    place, name, reason = OUTPUTS[kind]
    paths = [tmp_path / "new" / "all.csv", None, None]
    paths[place] = tmp_path / name
    with pytest.raises(InputError) as error:
        check_outputs(*paths)
    assert str(error.value) == f"{tmp_path / name}: {reason}"
    check_outputs(tmp_path / "new" / "all.csv", tmp_path / "all.parquet", tmp_path / "page.html")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/x", "postgresql://me:***@host:5432/x"),
        ("mysql+pymysql://me@host/x", "mysql+pymysql://me@host/x"),
        ("sqlite:////a/b:c@d/e.db", "sqlite:////a/b:c@d/e.db"),
    ],
)
def test_passwords_are_not_shown(url, shown):
    assert hide_password(url) == shown


def test_a_folder_that_sqlite_cannot_name_is_refused():
    with pytest.raises(InputError) as error:
        locate_database(Path("/nowhere/what?.sweep"), None)
    assert str(error.value) == (
        "/nowhere/what?.sweep: a ? in its path ends the URL of a SQLite file; choose another"
        " folder, or give --storage"
    )
    assert locate_database(Path("/a?b"), "sqlite:///x.db") == "sqlite:///x.db"
