"""The report in a real browser, and what its text holds."""

from __future__ import annotations

import json
import re

import pytest
from report_networks import EVIL

from snncompile.errors import InputError
from snncompile.report.html import page as page_module
from snncompile.report.html.write import make_report

DRAWN = "document.body.dataset.ready === '1'"
PLOTS = "[...document.querySelectorAll('.plot')].filter(p => p.offsetParent).length"
SVGS = "document.querySelectorAll('.plot .main-svg:first-child').length"


def _read_data(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])


@pytest.mark.parametrize("width, mobile", [(1280, False), (390, True)])
def test_the_page_is_drawn_without_errors_or_requests(page, tmp_path, open_browser, width, mobile):
    page.write(tmp_path / "r.html")
    browser = open_browser(width, mobile)
    browser.open(tmp_path / "r.html", DRAWN)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [
        (tmp_path / "r.html").as_uri()
    ]
    assert browser.evaluate(PLOTS) == browser.evaluate(SVGS) >= 12
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_names_are_text(evil, program, x, tmp_path, open_browser):
    page = make_report([("<b>a</b>", evil), ("b", program)], x, seconds=0)
    assert EVIL not in page.html
    assert "</script><script>document" not in page.html
    assert "<b>a</b>" not in page.html
    page.write(tmp_path / "r.html")
    browser = open_browser()
    browser.open(tmp_path / "r.html", DRAWN)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    browser.evaluate(
        "new Promise(r => setTimeout(r, 100)).then(() => window.drawAll()).then(() => 1)"
    )
    assert browser.errors == []
    assert browser.evaluate("document.title") == "small: snncompile report"
    assert browser.evaluate("document.images.length") == 0
    assert EVIL in browser.evaluate("document.querySelector('#b0-layers .table').textContent")


def test_a_choice_and_the_numbers(page, tmp_path, open_browser):
    page.write(tmp_path / "r.html")
    browser = open_browser()
    browser.open(tmp_path / "r.html", DRAWN)
    browser.evaluate(
        "(() => { const s = document.querySelector('#b0-layers select'); s.selectedIndex = 1;"
        " s.dispatchEvent(new Event('change')); })()"
    )
    assert browser.evaluate("document.querySelector('#b0-layers .ytitle').textContent") == "cores"
    browser.evaluate("document.querySelector('#b0-fit details').open = true")
    browser.evaluate("new Promise(r => setTimeout(r, 100))")
    rows = browser.evaluate("document.querySelectorAll('#b0-fit tbody tr').length")
    assert rows == len(_read_data(page.html)["b0-fit"]["rows"]) > 0
    assert browser.errors == []


def test_a_map_of_1000_cores_opens_within_3_seconds(many_cores, tmp_path, open_browser):
    assert many_cores.mapping.cores > 1000
    make_report([("many", many_cores)]).write(tmp_path / "r.html")
    browser = open_browser()
    browser.open(tmp_path / "r.html", DRAWN)
    browser.call("Performance.enable", timeDomain="threadTicks")
    browser.call("Page.reload")
    browser.open(tmp_path / "r.html", DRAWN)
    metrics = {m["name"]: m["value"] for m in browser.call("Performance.getMetrics")["metrics"]}
    assert metrics["TaskDuration"] < 3  # processor time, all charts drawn
    assert browser.errors == []


def test_every_question_has_an_answer(page):
    assert list(page.answers) == ["small"]
    answers = page.answers["small"]
    assert list(answers) == ["fit", "loss", "time", "energy", "advice"]
    assert answers["fit"].startswith("It fits: 1 of 120 cores of loihi2. The fullest limit is ")
    assert "9 of 9 changes were compiled" in answers["advice"]
    assert not [text for text in answers.values() if text.startswith("Unknown")]


def test_without_input_figures_are_unknown_and_never_zero(program):
    page = make_report([("small", program)])
    answers = page.answers["small"]
    assert answers["time"] == answers["energy"] == "Unknown: no input was given."
    assert answers["advice"] == "Unknown: no input was given."
    assert "<dt>energy</dt><dd>unknown</dd>" in page.html
    assert "no energy, time or accuracy: no input was given" in page.html


def test_warnings_stand_before_the_first_chart(evil, x):
    html = make_report([("evil", evil)], x, seconds=0).html
    assert -1 < html.index('class="warnings"') < html.index('class="chart"')


def test_each_chart_has_its_numbers_and_a_csv(page):
    data = _read_data(page.html)
    drawn = [key for key, chart in data.items() if chart["figures"]]
    assert len(drawn) == 12
    for key in drawn:
        chart = data[key]
        assert chart["rows"], key
        assert chart["csv"].count("\n") >= len(chart["rows"]) + 1
        assert chart["file"] == f"small-{key.removeprefix('b0-')}.csv"


def test_no_plotly(monkeypatch, program):
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        make_report([("small", program)])
    assert str(error.value) == "a report needs plotly: pip install 'snncompile[report]'"


def test_the_program_reports_itself(program, x, label, tmp_path):
    page = program.report(x, label, seconds=0, samples=3)
    assert "3 of 8 samples ran" in page.html
    assert len(repr(page)) < 80
    page.write(tmp_path / "a.html")
    page.write(tmp_path / "a.html")  # an older report is replaced
    (tmp_path / "mine.html").write_text("my own")
    with pytest.raises(InputError, match="is there already and is not a result of ours"):
        page.write(tmp_path / "mine.html")
    with pytest.raises(InputError, match=r"label has shape \(2,\), expected \(8,\)"):
        program.report(x, label[:2])
