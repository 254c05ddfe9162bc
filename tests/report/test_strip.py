"""The picture of a notebook's cell."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from assay.analysis.scores import arm_scores
from assay.report import summary_html
from assay.report.strip import MOST_ARMS, score_svg

A, B = (0.95, 0.952, 0.954, 0.956, 0.958, 0.96), (0.97, 0.972, 0.974, 0.976, 0.978, 0.98)


def places(circles: list[ElementTree.Element]) -> list[float]:
    return [float(circle.attrib["cx"].rstrip("%")) for circle in circles]


def test_dots_stand_where_the_axis_says(make_study):
    study = make_study({"a": A, "b": B})
    svg = ElementTree.fromstring(score_svg(study))
    dots = places(svg.findall("circle"))
    assert len(dots) == 12
    ticks = {
        float(text.text.split()[0]): float(text.attrib["x"].rstrip("%"))
        for text in svg.findall("text")
        if text.text and re.fullmatch(r"[\d.]+ %", text.text)
    }
    (low, at_low), (high, at_high) = min(ticks.items()), max(ticks.items())
    for score, place in zip((*A, *B), dots, strict=True):
        assert place == pytest.approx(at_low + (100 * score - low) / (high - low) * (at_high - at_low), abs=0.02)
    bars = [line for line in svg.findall("line") if line.attrib.get("stroke-width") == "2.5"]
    for bar, arm in zip(bars, arm_scores(study), strict=True):
        ends = (arm.interval.low, arm.interval.high)
        expected = [at_low + (100 * end - low) / (high - low) * (at_high - at_low) for end in ends]
        assert [float(bar.attrib[end].rstrip("%")) for end in ("x1", "x2")] == pytest.approx(expected, abs=0.02)


def test_many_arms_and_odd_scores(make_study):
    many = make_study({f"arm {n} <i>": tuple(score - n / 100 for score in A) for n in range(15)})
    svg = score_svg(many)
    assert ElementTree.fromstring(svg).attrib["aria-label"].endswith(f"the {MOST_ARMS} best of 15 arms")
    assert "<i>" not in svg
    assert "arm 14" not in svg
    same = score_svg(make_study({"a": (0.5,) * 6, "b": (0.5,) * 6}))
    assert len(ElementTree.fromstring(same).findall("circle")) == 12
    assert score_svg(make_study({"a": (), "b": ()})) == ""


def test_the_report_is_linked_relative_to_the_notebook(make_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study = make_study({"a": A, "b": B})
    monkeypatch.chdir(tmp_path)
    assert 'href="a%20store/reports/s.html"' in summary_html(study, tmp_path / "a store" / "reports" / "s.html")
    assert Path("/elsewhere/s.html").as_uri() in summary_html(study, Path("/elsewhere/s.html"))
    assert "Report" not in summary_html(study)


@pytest.mark.parametrize("scores", [(0.1, 0.99), (0.9, 0.9001), (0.25, 0.92, 0.6), (0.5, 0.5), (0.0, 1.0)])
def test_an_axis_has_two_numbers_or_more(make_study, scores):
    text = score_svg(make_study({"a": scores}))
    numbers = re.findall(r'text-anchor="middle">([\d.]+) %</text>', text)
    assert len(set(numbers)) >= 2


def test_equal_scores_stand_side_by_side(make_study):
    text = score_svg(make_study({"a": (0.9,) * 5, "b": (0.8, 0.85, 0.9)}))
    places = re.findall(r'<circle cx="([\d.]+)%" cy="([\d.]+)"', text)
    assert len(set(places)) == 8
