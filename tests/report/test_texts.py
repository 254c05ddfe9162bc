from __future__ import annotations

import itertools
import re

import pytest

from assay.analysis import contrasts
from assay.analysis.contrasts import factor_effects
from assay.numerals import points
from assay.report import as_latex, as_markdown
from assay.report.texts import study_tables

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980, 0.981, 0.982, 0.978, 0.984)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984, 0.983, 0.986, 0.982, 0.986)


@pytest.fixture
def study(make_study):
    return make_study({"a_1": A, "b & 50 %": (*B[:9], "diverged")}, question="Is b_1 better | worse?")


def test_markdown_tables_hold_the_cells_of_the_report(study):
    text = as_markdown(study, summaries={}, version="0.1.0")
    assert text.startswith("# Is b\\_1 better \\| worse?\n")
    assert contrasts(study)[0].sentence.replace("_", "\\_")[1:] in text
    for one in study_tables(study, {}):
        lines = text.split(f"## {one.heading}\n")[1].split("\n## ")[0].strip().split("\n\n")[1].splitlines()
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
        assert [cell.strip().replace("\\", "") for cell in rows[0]] == [column.title for column in one.table.columns]
        assert [rule.strip().endswith(":") for rule in rows[1]] == [column.is_number for column in one.table.columns]
        told = [[cell.strip().replace("\\", "") for cell in row] for row in rows[2:]]
        assert told == [[cell.text for cell in cells] for cells in one.table.rows]
    assert "@article{student1908probable," in text


def test_latex_tables_are_booktabs_with_as_many_cells_as_columns(study):
    text = as_latex(study, summaries={}, version="0.1.0")
    tables = study_tables(study, {})
    assert text.count("\\begin{table}") == text.count("\\end{tabular}") == text.count("\\toprule") == len(tables)
    for one, part in zip(tables, text.split("\\begin{table}")[1:], strict=True):
        assert f"\\label{{tab:kernels-{one.label}}}" in part
        body = part.split("\\toprule\n")[1].split("    \\bottomrule")[0]
        rows = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert len(rows) == 1 + len(one.table.rows)
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(one.table.columns) - 1}
        assert not any(row.strip().startswith("[") or "& [" in row for row in rows)
    assert "b \\& 50 \\%" in text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("-2.90", "$-$2.90"), ("[-6.29, +0.50]", "[$-$6.29, +0.50]"), ("sign-flip p", "sign-flip p"),
        ("2-3", "2-3"), ("50 % of {x}_1", "50 \\% of \\{x\\}\\_1"), ("–", "--"), ("a\\b", "a\\textbackslash{}b"),
    ],
)  # fmt: skip
def test_latex_sets_what_is_written(written, meant):
    from assay.report.texts import _tex

    assert _tex(written) == meant


def test_a_revealed_study_quotes_its_test_tables(make_study):
    study = make_study({"a": A, "b": B}, tests={"a": A, "b": B}, num_looks=1)
    labels = [one.label for one in study_tables(study, {})]
    assert {"test-arms", "test-contrasts"} <= set(labels)
    assert "failures" not in labels


def test_crossed_factors_have_their_effects_on_the_test_split_too(make_study, page_of):
    cells = list(itertools.product(("0", "0.5"), ("3x3", "5x5")))
    names = [f"dropout={dropout}, kernel={kernel}" for dropout, kernel in cells]
    levels = {name: {"dropout": cell[0], "kernel": cell[1]} for name, cell in zip(names, cells, strict=True)}
    scores = {name: [score + 0.003 * at for score in A] for at, name in enumerate(names)}
    tests = {name: [score - 0.02 * at for score in B] for at, name in enumerate(names)}
    sealed, study = (make_study(scores, levels=levels, **given) for given in ({}, {"tests": tests, "num_looks": 1}))
    effects = factor_effects(study, split="test")
    assert effects[0].difference.mean == pytest.approx(-0.04)
    (table,) = [one.table for one in study_tables(study, {}) if one.label == "test-effects"]
    assert "test accuracy" in table.caption
    assert [row[1].text for row in table.rows] == [effect.label for effect in effects]
    assert [row[3].text for row in table.rows] == [points(effect.difference.mean) for effect in effects]
    assert "## Factors on the test split" in as_markdown(study, summaries={}, version="0.1.0")
    assert "tab:kernels-test-effects" in as_latex(study, summaries={}, version="0.1.0")
    section = page_of(study).find(id="test")
    captions = [caption.get_text() for caption in section.find_all("caption")]
    assert any(caption.startswith("Effects of the factors on test accuracy") for caption in captions)
    assert not [one for one in study_tables(sealed, {}) if one.label.startswith("test-")]
