from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.cli.tables import table_lines, without_empty

RUNS = (
    ["run", "arm", "seed", "state", "epochs", "validation", "reason"],
    [
        ["242e1a3c46", "1 conv, regularization=none", "0", "finished", "6/6", "62.67%", ""],
        ["340f01c0f2", "2 conv, regularization=batchnorm", "10", "out of memory", "1/6", "", "it needed 9 GB"],
    ],
)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_word_is_broken_and_no_line_is_too_long(width):
    lines = table_lines(*RUNS, right=[2, 4, 5], width=width)
    assert max(map(len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    for row in RUNS[1]:
        assert {word for cell in row for word in cell.split()} <= words
    assert {word for column in RUNS[0][1:] for word in column.split()} <= words


def test_where_there_is_room_a_row_is_a_line():
    head, rule, *body = table_lines(*RUNS, right=[2, 4, 5], width=120)
    assert [line.split()[0] for line in body] == ["242e1a3c46", "340f01c0f2"]
    assert set(rule.strip()) == {"─"}
    end = head.index("validation") + len("validation")
    assert body[0][:end].endswith("62.67%")
    assert body[0].index("finished") == head.index("state")


def test_where_columns_have_no_room_a_row_is_a_block():
    lines = table_lines(*RUNS, right=[2, 4, 5], width=40)
    assert lines[0] == " 242e1a3c46"
    assert "   validation  62.67%" in lines
    assert not any(line.startswith("   reason") for line in lines[: lines.index(" 340f01c0f2")])


def test_a_hierarchy_keeps_its_indent():
    lines = table_lines(["layer", "n"], [["residual1", ""], ["  conv 8 3x3 padding=same", "1"]], right=[1], width=20)
    assert [len(line) - len(line.lstrip()) for line in lines[2:]] == [1, 3, 3]


def test_columns_that_say_nothing_may_go():
    columns, rows = without_empty(["a", "b", "c"], [["0", "0", ""], ["1", "0", ""]], may_go=("a", "b"))
    assert (columns, rows) == (["a", "c"], [["0", ""], ["1", ""]])


@settings(suppress_health_check=[HealthCheck.too_slow])  # drawing texts takes a second beside other tests
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(st.text("ab .=é", max_size=30), min_size=n, max_size=n), min_size=1, max_size=5)
    ),
    st.integers(25, 90),
)
def test_any_text_keeps_its_words_in_any_width(texts, width):
    columns, *rows = [[" ".join(cell.split()) for cell in row] for row in texts]
    lines = table_lines(columns, rows, width=width)
    told = {word for line in lines for word in line.split()}
    longest = max((len(word) for row in rows for cell in row for word in cell.split()), default=0)
    if longest <= width - max(map(len, columns)) - 5:
        assert {word for row in rows for cell in row for word in cell.split()} <= told
        assert max(map(len, lines), default=0) <= width
