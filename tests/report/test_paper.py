"""Figures for papers: each of the report, at its final size, with fonts as fonts, and apart in greyscale."""

from __future__ import annotations

import itertools
import json
import re
import zlib

import pytest
from matplotlib.colors import to_rgb
from matplotlib.markers import MarkerStyle

from assay.colours import COLOURS
from assay.errors import SpecError
from assay.report import Gallery, plates
from assay.report.palette import PALETTE
from assay.report.paper import drawn, saved, width_of
from assay.report.paper.styles import paper_style

from ..recorded import PNG, network

A = (0.980, 0.982, 0.981, 0.982)
B = (0.983, 0.986, 0.983, 0.983)


def blocks_of(study):
    networks = {arm.name: network(32 * (1 + arm.position)) for arm in study.arms}
    return plates(study, summaries=networks, gallery=Gallery(PNG, ("zero", "one"), (5400, 5399), 1201))


@pytest.fixture
def blocks(make_study):
    return blocks_of(make_study({"a": A, "b": B, "c": A}, tests={"a": A, "b": B, "c": A}, num_looks=1))


def test_every_figure_of_the_page_has_a_name_and_is_drawn(make_study, blocks, page_of):
    study = make_study({"a": A, "b": B, "c": A}, tests={"a": A, "b": B, "c": A}, num_looks=1)
    page = page_of(study, same_network=False)
    shown = {plot["data-figure"].removeprefix("figure-") for plot in page.select(".plot")}
    assert {block.id for block in blocks.values()} == shown
    assert {"scores", "scores-test", "differences", "time", "parameters", "class-counts"} <= set(blocks)
    for block in blocks.values():
        figure = drawn(block, width=3.3)
        assert figure.get_size_inches()[0] == pytest.approx(3.3)
        (axes,) = figure.axes
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_visible():
                low, high = sorted(axis.get_view_interval())
                shown_ticks = [
                    label.get_text()
                    for place, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
                    if low <= place <= high and label.get_text()
                ]
                assert len(shown_ticks) >= 2, (block.id, shown_ticks)


def test_a_dot_stands_where_the_page_has_it(blocks):
    data = json.loads(blocks["scores"].json)["data"]
    (runs,) = [trace for trace in data if trace.get("meta") == {"arm": "b", "kind": "runs"}]
    (axes,) = drawn(blocks["scores"], width=3.3).axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]
    assert (runs["x"], runs["y"]) in lines
    assert any(text.get_text() == "b" for text in axes.texts)


def test_files_are_the_same_every_time_and_hold_fonts(blocks):
    figure = drawn(blocks["curves-accuracy-validation"], width=3.3)
    content = saved(figure, "pdf")
    assert saved(drawn(blocks["curves-accuracy-validation"], width=3.3), "pdf") == content
    assert b"/FontFile2" in content  # TrueType
    assert b"/Type3" not in content
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", content)
    assert float(box[1].split()[2]) == pytest.approx(72 * 3.3, abs=0.5)
    assert saved(figure, "svg").startswith(b"<?xml")
    png = saved(figure, "png")
    assert int.from_bytes(png[16:20]) == pytest.approx(600 * 3.3, abs=1)
    zlib.decompressobj()  # of the standard library alone: no browser


def test_arms_are_told_apart_without_colour():
    def lightness(colour: str) -> float:
        red, green, blue = (
            channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in to_rgb(colour)
        )
        y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return 116 * y ** (1 / 3) - 16  # CIE 1976

    styles = [paper_style(style.colour, style.symbol) for style in PALETTE]
    first = styles[: len(COLOURS)]
    assert len({style.mark for style in first}) == len(first)
    assert len({str(style.dash) for style in first}) == len(first)
    assert len({(style.colour, style.mark) for style in styles}) == len(styles)
    assert all(MarkerStyle(style.mark) for style in first)
    for one, other in itertools.combinations(first[:4], 2):
        assert abs(lightness(one.colour) - lightness(other.colour)) > 10


def test_widths_are_names_or_sizes():
    assert width_of("column") == 3.3
    assert width_of("3.5") == 3.5
    assert width_of("84mm") == pytest.approx(3.307, abs=1e-3)
    assert width_of("240pt") == pytest.approx(3.321, abs=1e-3)
    for bad in ("wide", "0.1", "400", "-3", "3 feet", ""):
        with pytest.raises(SpecError, match="column"):
            width_of(bad)


def test_a_name_with_markup_is_drawn_as_it_is(make_study):
    blocks = blocks_of(make_study({"a <b> & $x$": A, "b": B}))
    (axes,) = drawn(blocks["scores"], width=5.5, is_serif=True).axes
    assert any(text.get_text() == r"a <b> & \$x\$" for text in axes.texts)
