from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
import sys

import pytest

from assay.analysis import arm_scores, best_arm, contrasts
from assay.numerals import moment, p_value, percent, points, significant
from assay.report import Illustration, render, summary_html
from assay.report.html import ranked

from ..recorded import PNG, with_spec

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980, 0.981, 0.982, 0.978, 0.984)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984, 0.983, 0.986, 0.982, 0.986)


def text_of(element) -> str:
    return re.sub(r"\s+", " ", element.get_text(" ", strip=True))


def words_of(page) -> str:
    for script in page(["script", "style"]):
        script.extract()
    return text_of(page)


def table_of(page, caption: str):
    return next(table for table in page("table") if table.caption.get_text().startswith(caption))


def cells_of(table) -> list[list[str]]:
    return [[text_of(cell) for cell in row(["th", "td"])] for row in table.tbody("tr")]


def test_the_question_is_the_title_and_the_verdict_the_headline(make_study, page_of):
    study = make_study({"a": A, "b": B}, question="Does b help?")
    page = page_of(study)
    assert page.title.string == "Does b help? · Assay"
    assert text_of(page.h1) == "Does b help?"
    assert text_of(page.select_one(".headline")) == f"{contrasts(study)[0].sentence}."
    answer = text_of(page.select_one("#answer"))
    assert "Decided" in answer
    assert "validation accuracy after the last epoch" in answer
    assert "The test split is sealed; assay reveal scores it once." in answer


def test_below_six_pairs_there_is_a_refusal_and_no_direction(make_study, page_of):
    page = page_of(make_study({"a": A[:3], "b": B[:3]}))
    assert text_of(page.select_one(".headline")) == "Not enough seeds for a verdict: 3 pairs, 6 are needed."
    words = words_of(page)
    assert "is better than" not in words
    assert "raise count under [seeds] from 3 to 6" in words


def test_every_mean_stands_with_n_and_interval(make_study, page_of):
    study = make_study({"a": A, "b": (*B[:9], "diverged")})
    rows = cells_of(table_of(page_of(study), "Arms"))
    for row, arm in zip(rows, arm_scores(study), strict=True):
        interval = arm.interval
        assert row[0] == f"● {arm.arm}"
        assert row[2:4] == [percent(interval.mean), f"[{100 * interval.low:.2f}, {100 * interval.high:.2f}]"]
        assert row[5] == "1,610"
    assert [row[1] for row in rows] == ["10", "9 of 10"]


def test_the_paired_difference_has_its_row(make_study, page_of):
    study = make_study({"a": A, "b": B})
    difference = contrasts(study)[0].difference
    (row,) = cells_of(table_of(page_of(study), "Paired differences"))
    interval = f"[{points(difference.low)}, {points(difference.high)}]"
    found = contrasts(study)[0].finding
    could_find = f"{100 * found.smallest:.2f}"
    looks, p = "10", p_value(found.p_value)
    assert row == ["● b", "better", "10", points(difference.mean), interval, looks, p, "100 % [72, 100]", could_find]


def test_several_arms_get_a_verdict_each_and_holms_p(make_study, page_of):
    study = make_study({"a": A, "b": B, "c": A, "d": B[::-1]})
    page = page_of(study)
    verdicts = [text_of(item) for item in page.select(".verdicts")[0]("li")]
    assert len(verdicts) == 3
    assert verdicts[0] == f"better {contrasts(study)[0].sentence}."
    details = [text_of(item) for item in page.select("#contrasts .verdicts .details")]
    assert all("after Holm over 3 comparisons" in text for text in details)
    assert details == [contrast.details for contrast in ranked(contrasts(study))]
    assert "adjusted after Holm for 3 contrasts" in words_of(page)


def test_the_headline_is_one_sentence_and_its_evidence_stands_below(make_study, page_of):
    study = make_study({"a": A, "b": B})
    page = page_of(study)
    (contrast,) = contrasts(study)
    headline = text_of(page.select_one(".headline"))
    assert headline == f"{contrast.sentence}."
    assert not re.search(r"\bp [<0]|Holm|looked at|planned at", headline)
    assert text_of(page.select_one("#answer .details")) == f"{contrast.details}."
    assert "planned at 10 seeds; over init, order" in contrast.details


def test_a_failed_run_is_named_with_reason_and_advice(make_study, page_of):
    page = page_of(make_study({"a": A, "b": (*B[:9], "diverged")}))
    (row,) = cells_of(table_of(page, "1 run without a score"))
    assert row == ["● b", "9", "diverged", "1 of 3", "the loss became NaN in epoch 1", "halve the learning rate"]
    assert "1 of 10 of b diverged" in text_of(page.select_one("#answer"))
    assert "9 seeds" in text_of(page.select_one(".headline"))


def test_revealed_scores_stand_beside_the_number_of_looks(make_study, page_of):
    study = make_study({"a": A, "b": B}, tests={"a": A, "b": B}, num_looks=2)
    page = page_of(study)
    section = text_of(page.select_one("section#test"))
    assert contrasts(study, split="test")[0].sentence in section
    assert "after 2 looks" in section
    assert len(cells_of(table_of(page, "Looks"))) == 2
    assert "sealed;" not in words_of(page)


def test_folds_and_kept_epochs_have_their_columns_where_there_are_any(make_study, page_of):
    study = make_study({"a": (0.9, 0.8)})
    first, second = study.runs
    early = dataclasses.replace(first, kept_epoch=1, fold=1)
    page = page_of(dataclasses.replace(study, runs=(early, second), retrained=(second,)))

    def headings(page, words):
        table = next(table for table in page.find_all("table") if words in table.caption.text)
        return [cell.text for cell in table.find_all("th", scope="col")], table.find_all("tr")

    columns, rows = headings(page, "All 2 runs, with the figures of the epoch kept")
    assert {"fold", "epoch kept"} <= set(columns)
    assert [cell.text for cell in rows[1].find_all("td")][:5] == ["0", "1", "finished", "3 of 3", "1"]
    assert not page.find(id="answer").find(string=re.compile("trained on training and validation"))
    scored = dataclasses.replace(second, test_accuracy=0.93)
    told = page_of(dataclasses.replace(study, retrained=(scored, dataclasses.replace(scored, test_accuracy=0.95))))
    assert "a, trained on training and validation images, scores 94.00 % [" in told.find(id="answer").text
    assert headings(page, "Trained anew on training and validation images")[1][1].th.text.strip().endswith("a")
    columns, _ = headings(page_of(study), "All 2 runs, as last recorded")
    assert not {"fold", "epoch kept"} & set(columns)


def test_the_page_loads_nothing(make_study, render_study, page_of):
    study = make_study({"a": A, "b": B})
    page = page_of(study)
    for element in page.find_all(["script", "link", "img", "iframe", "object", "source"]):
        for attribute in ("src", "href", "data", "srcset"):
            assert str(element.get(attribute, "data:")).startswith("data:")
    styles = "".join(style.get_text() for style in page("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    html = render_study(study)
    assert len(html.encode()) < 8_000_000
    assert html.count("plotly.js v") == 1


def test_figures_hold_the_records_numbers(make_study, page_of):
    page = page_of(make_study({"a": A, "b": B}))
    data = json.loads(page.select_one("script#figure-scores-validation").string)["data"]
    for arm, scores in (("a", A), ("b", B)):
        (dots,) = [trace for trace in data if trace.get("meta") == {"arm": arm, "kind": "runs"}]
        assert dots["x"] == pytest.approx([100 * score for score in scores])
    for plot in page.select(".plot"):
        assert plot["aria-label"]
        assert page.find(id=plot["data-figure"])["type"] == "application/json"


def test_what_people_write_cannot_become_markup(make_study, render_study, page_of):
    hostile = "<script>alert(1)</script>"
    question = "Is </script><script>alert(2)</script> safe?"
    study = make_study({hostile: A, "b": (*B[:9], "diverged")}, question=question)
    given = {"toml": "# </code></pre><script>alert(3)</script>", "same_network": False}
    html, page = render_study(study, **given), page_of(study, **given)
    assert "alert(1)</script>" not in html
    assert "<script>alert" not in html
    assert text_of(page.h1) == question
    assert any(hostile in row[0] for row in cells_of(table_of(page, "Arms")))
    data = json.loads(page.select_one("script#figure-scores-validation").string)["data"]
    assert hostile in [trace.get("meta", {}).get("arm") for trace in data]
    assert "<script" not in summary_html(study)


def test_arms_with_the_same_network_share_one_table(make_study, page_of):
    study = make_study({"a": A, "b": B})
    shared = [table for table in page_of(study)("table") if table.caption.get_text().startswith("Layers")]
    assert len(shared) == 1
    assert "1,546 trainable, 64 not" in text_of(shared[0])
    page = page_of(study, same_network=False)
    assert len([table for table in page("table") if table.caption.get_text().startswith("Layers")]) == 2


def test_provenance_is_told(make_study, page_of):
    page = page_of(make_study({"a": A, "b": B}), toml='name = "kernels"\n[seeds]\ncount = 10\n')
    facts = dict(cells_of(table_of(page, "Where these numbers come from")))
    assert facts["Data content (SHA-256)"] == "9f86d081884c7d65"
    assert facts["Seeds"] == "0 to 9"
    assert facts["What a seed changes"] == "init, order"
    assert facts["Python"] == "3.11.9"
    assert facts["Processor"] == "two cores"
    assert facts["Report made by"] == "assay 0.1.0"
    assert facts["First run started"] == moment(1.77e9)
    assert "count = 10" in page.pre.get_text()


def test_the_data_is_shown_with_its_counts(make_study, page_of):
    page = page_of(make_study({"a": A, "b": B}))
    assert page.img["src"].startswith("data:image/png;base64,")
    assert "zero" in page.img["alt"]
    assert "10,799 training images, 1,201 for validation, 10,000 in the sealed test split" in words_of(page)


@pytest.mark.parametrize(
    "scores",
    [
        {"a": (), "b": ()},
        {"a": ["queued"] * 2, "b": ["queued"] * 2},
        {"a": ["running"], "b": ["queued"]},
        {"a": ["diverged"] * 3, "b": ["out of memory"] * 3},
        {"a": [0.9], "b": ["queued"]},
        {"a": [0.9, "running"], "b": [0.91, "failed"]},
        {"a": [0.9, 0.9], "b": [0.9, 0.9]},
        {"a": [1.0] * 7, "b": [1.0] * 7},
    ],
)
def test_a_study_in_any_state_has_a_report(make_study, page_of, scores):
    study = make_study(scores)
    page = page_of(study)
    assert text_of(page.select_one(".headline"))
    has_more_to_come = any(run.state in {"queued", "running"} for run in study.runs) or not study.runs
    assert ("Unfinished." in text_of(page.header)) == has_more_to_come
    assert summary_html(study)


def test_the_first_screen_is_question_verdicts_and_one_picture(make_study, page_of):
    study = make_study({"a": A, "b": B, "c": A, "d": B[::-1], "e": A[::-1], "f": A})
    first = page_of(study).select_one("#answer")
    assert len(first.select(".plot")) == 1
    assert [item["class"] for item in first.select(".verdicts li")] == [["better"], ["undecided"], ["undecided"]]
    assert first.select_one('a[href="#contrasts"]').get_text() == "2 more verdicts"
    assert "Decided in part" in first.get_text()


def test_of_many_arms_the_first_screen_shows_the_best(make_study, page_of):
    page = page_of(make_study({f"arm {n}": [score - 0.001 * n for score in B] for n in range(12)}))
    data = json.loads(page.select_one("script#figure-lead").string)["data"]
    assert [trace["meta"]["arm"] for trace in data if trace["meta"]["kind"] == "runs"] == [f"arm {n}" for n in range(8)]
    assert page.select_one("#arms #plot-scores-validation")


def test_the_contents_lead_to_every_section_in_order(make_study, page_of):
    page = page_of(make_study({"a": A, "b": (*B[:9], "diverged")}, tests={"a": A, "b": B}, num_looks=1))
    anchors = [link["href"][1:] for link in page.select("nav a")]
    assert anchors == [section["id"] for section in page.select("main > section")][1:]
    assert anchors == [
        "arms", "contrasts", "failed", "test", "curves", "diagnoses", "cost", "networks", "data", "protocol",
        "references",
    ]  # fmt: skip


def test_a_row_that_becomes_a_list_still_has_its_headings(make_study, page_of):
    for table in page_of(make_study({"a": A, "b": B}))("table"):
        columns = [text_of(cell) for cell in table.thead("th")]
        for row in table.tbody("tr"):
            assert [cell["data-label"] for cell in row("td")] == columns[1:]
            assert row.th["role"] == "rowheader"


def test_cost_holds_time_size_and_accuracy_for_it(make_study, page_of):
    study = make_study({"a": A[:3], "b": B[:3]})
    rows = cells_of(table_of(page_of(study), "Cost of finished runs"))
    rate = significant(100 * sum(A[:3]) / 3 / 11)  # runs of 10, 11 and 12 seconds
    assert rows[0] == ["● a", "3", "11.0 s", "2.50 s", "33.0 s", "1,610", "392 k", "98.10 %", rate]


@pytest.mark.parametrize("same_network", [True, False])
def test_accuracy_against_parameters_is_drawn_where_arms_differ_in_them(make_study, page_of, same_network):
    page = page_of(make_study({"a": A[:3], "b": B[:3]}), same_network=same_network)
    assert bool(page.select_one("#cost #plot-parameters")) is not same_network


def test_explanations_of_the_best_arm_stand_in_a_section_of_their_own(make_study, page_of):
    import plotly.graph_objects as go

    drawn = go.Figure(layout={"height": 320})
    drawn.add_bar(x=[1], y=[2])
    given = [
        Illustration("Kernels", "Rows are <filters>.", b"\x89PNG made up"),
        Illustration("Confusion", "Rows are true classes.", drawn),
    ]
    page = page_of(make_study({"a": A, "b": B}), explanations=given)
    section = page.select_one("#explanations")
    assert "Of b, the arm with the highest mean" in text_of(section)
    picture = section.select_one("img")
    assert base64.b64decode(picture["src"].split(",")[1]) == b"\x89PNG made up"
    assert picture["alt"] == "Kernels. Rows are <filters>."
    assert json.loads(section.select_one("script").string)["data"][0]["y"] == [2]
    assert "min-height:320px" in section.select_one(".plot")["style"]
    assert page_of(make_study({"a": A, "b": B})).select_one("#explanations") is None


def test_of_a_search_by_loss_the_explained_arm_has_the_lowest(make_study, page_of):
    study = make_study({"a": A, "b": B})
    search = {
        "arms": [],
        "network": {"layers": ["flatten", "dense {width} relu", "dense classes softmax"]},
        "search": {"objective": "validation_loss", "space": {"width": [4, 8]}},
    }
    by_loss = with_spec(study, **search)
    page = page_of(by_loss, explanations=[Illustration("Kernels", "Rows are filters.", b"\x89PNG made up")])
    found = text_of(page.select_one("#explanations"))
    assert f"Of {best_arm(by_loss)}, the arm with the lowest mean validation loss." in found


def test_a_report_needs_neither_networks_nor_data(make_study):
    html = render(make_study({"a": A}), summaries={}, gallery=None, version="0.1.0")
    assert "parameters" not in html.split("<main>")[1].split("<footer>")[0]


def test_the_same_record_gives_the_same_bytes(make_study, render_study):
    study = make_study({"a": A, "b": B})
    assert render_study(study) == render_study(study)


def test_the_page_is_built_for_every_reader(make_study, page_of):
    page = page_of(make_study({"a": A, "b": B}, tests={"a": A, "b": B}, num_looks=1))
    assert page.html["lang"] == "en"
    assert page.select_one("a.skip")["href"] == "#answer"
    assert len(page("h1")) == 1
    assert all(table.caption.get_text(strip=True) for table in page("table"))
    assert all(image.get("alt") for image in page("img"))
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page("a")} <= set(ids)


def test_the_notebook_summary_is_small_and_says_the_verdict(make_study):
    study = make_study({"a": A, "b": B})
    html = summary_html(study)
    assert contrasts(study)[0].sentence in html
    assert len(html) < 8000
    assert "<script" not in html


def test_importing_report_imports_no_heavy_library():
    heavy = {"plotly", "pandas", "jinja2", "scipy", "torch"}
    code = f"import assay.report, sys; sys.exit(bool({heavy} & {{m.split('.')[0] for m in sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_time_is_the_last_events(make_study, page_of):
    study = make_study({"a": A, "b": B}, num_looks=1, tests={"a": A, "b": B})
    runs = [dataclasses.replace(run, finished=1.77e9 + 7200) for run in study.runs]
    page = page_of(dataclasses.replace(study, runs=tuple(runs)))
    assert f"recorded until {moment(1.77e9 + 7200)}" in words_of(page)
    assert moment(1.77e9 + 7200) in page.select_one(".facts").get_text()


def test_a_phone_gets_pictures_of_its_own(make_study, page_of):
    picture = Illustration("Confusion matrix", "Rows are true.", PNG, PNG + b"d", 1.0, PNG + b"n", PNG + b"m")
    page = page_of(make_study({"a": A, "b": B}), explanations=[picture])
    media = {source["media"]: source["srcset"] for source in page.select("picture source")}
    assert base64.b64encode(PNG + b"n").decode() in media["screen and (max-width: 40rem)"]
    assert (
        base64.b64encode(PNG + b"m").decode() in media["screen and (max-width: 40rem) and (prefers-color-scheme: dark)"]
    )
